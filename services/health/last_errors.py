"""What went wrong with each outside system while it was used, for the page that shows them."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final, TypeVar

from services.integrations.failures import FinalFailure, TemporaryFailure
from services.integrations.http import OutcomeUnknown
from services.messages.channels import Channel, Letter, NotSent
from services.outbox.outbox import StepDone, StepHandler
from services.records.bills import Bill
from services.records.messages import CustomerContact
from services.records.outbox import OwedKind

Answer = TypeVar("Answer")
_FAILURES: Final = (TemporaryFailure, FinalFailure, OutcomeUnknown)


@dataclass(frozen=True, slots=True)
class Lapse:
    """An error that came up in use, at an instant (UTC); nothing in it is secret."""

    sentence: str
    at: datetime


class Lapses:
    """The last lapse of each system in this process; for many threads."""

    def __init__(self, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._clock = clock
        self._last: dict[str, Lapse] = {}
        self._lock = threading.Lock()

    def note(self, system: str, sentence: str) -> None:
        """Keep an error of a system, by the name that its check has."""
        with self._lock:
            self._last[system] = Lapse(sentence, self._clock())

    def last(self, system: str) -> Lapse | None:
        """The last error of a system in use, if there was any."""
        with self._lock:
            return self._last.get(system)

    def of(self, system: str, call: Callable[[], Answer]) -> Answer:
        """What a call gives; a failure of the system is kept and goes on its way."""
        try:
            return call()
        except _FAILURES as failure:
            self.note(system, str(failure))
            raise


@dataclass(frozen=True, slots=True)
class WatchedStep:
    """A step that needs one system alone."""

    step: StepHandler
    system: str
    lapses: Lapses

    def __call__(self, *, bill: Bill, kind: OwedKind, facts: Mapping[str, str]) -> StepDone:
        """As in StepHandler."""
        return self.lapses.of(self.system, lambda: self.step(bill=bill, kind=kind, facts=facts))


@dataclass(frozen=True, slots=True)
class WatchedChannel:
    """A channel, whose letters leave by a system."""

    channel: Channel
    system: str
    lapses: Lapses

    @property
    def name(self) -> str:
        """As in Channel."""
        return self.channel.name

    @property
    def label(self) -> str:
        """As in Channel."""
        return self.channel.label

    def prepare(
        self,
        *,
        bill: Bill,
        kind: OwedKind,
        text: str,
        contact: CustomerContact,
        facts: Mapping[str, str],
    ) -> Letter | NotSent:
        """As in Channel."""
        letter = self.channel.prepare(bill=bill, kind=kind, text=text, contact=contact, facts=facts)
        if isinstance(letter, NotSent):
            return letter
        send = letter.send
        return replace(
            letter, send=lambda row_id: self.lapses.of(self.system, lambda: send(row_id))
        )
