"""The last error of each provider while it was used, for the page that shows them."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final, TypeVar

from services.integrations.failures import FinalFailure, TemporaryFailure
from services.integrations.http import OutcomeUnknown
from services.languages.sentence import sentence_of
from services.messages.channels import Channel, NotDeliverable, OutgoingMessage, PreparedMessage
from services.outbox.outbox import StepDone, StepHandler
from services.records.bills import Bill
from services.records.outbox import OutboxKind

Answer = TypeVar("Answer")
_FAILURES: Final = (TemporaryFailure, FinalFailure, OutcomeUnknown)


@dataclass(frozen=True, slots=True)
class LastError:
    """An error that came up in use, at an instant (UTC); nothing in it is secret."""

    sentence: str
    at: datetime


class LastErrors:
    """The last error of each provider in this process; for many threads."""

    def __init__(self, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._clock = clock
        self._last: dict[str, LastError] = {}
        self._lock = threading.Lock()

    def note(self, system: str, sentence: str) -> None:
        """Keep an error of a system, by the name that its check has."""
        with self._lock:
            self._last[system] = LastError(sentence, self._clock())

    def last(self, system: str) -> LastError | None:
        """The last error of a system in use, if there was any."""
        with self._lock:
            return self._last.get(system)

    def of(self, system: str, call: Callable[[], Answer]) -> Answer:
        """What a call gives; a failure of the system is kept and goes on its way."""
        try:
            return call()
        except _FAILURES as failure:
            self.note(system, sentence_of(failure))
            raise


@dataclass(frozen=True, slots=True)
class RecordedStep:
    """A step whose errors are kept for the one provider that it needs."""

    step: StepHandler
    system: str
    last_errors: LastErrors

    def __call__(self, *, bill: Bill, kind: OutboxKind, facts: Mapping[str, str]) -> StepDone:
        """Do the step; raises what it raises, after keeping it."""
        return self.last_errors.of(
            self.system, lambda: self.step(bill=bill, kind=kind, facts=facts)
        )


@dataclass(frozen=True, slots=True)
class RecordedChannel:
    """A channel whose errors are kept for its provider."""

    channel: Channel
    system: str
    last_errors: LastErrors

    @property
    def name(self) -> str:
        """The channel's name in records."""
        return self.channel.name

    @property
    def label(self) -> str:
        """What people call the channel."""
        return self.channel.label

    def prepare(self, message: OutgoingMessage) -> PreparedMessage | NotDeliverable:
        """What the channel would send, whose sending is recorded, or why it sends nothing."""
        prepared = self.channel.prepare(message)
        if isinstance(prepared, NotDeliverable):
            return prepared
        send = prepared.send
        return replace(
            prepared, send=lambda row_id: self.last_errors.of(self.system, lambda: send(row_id))
        )
