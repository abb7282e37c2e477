"""Calls of services outside: how many went well, and which fail since when."""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

log = logging.getLogger(__name__)

# What people call them in figures and alerts.
STRIPE: Final = "Stripe"
OPENAI: Final = "AI"
NEO4J: Final = "Graph"
AUTH0: Final = "Sign-in service"
HEAD_END: Final = "Smart-meter head-end"
GREEN_BUTTON: Final = "Green Button server"
DISCORD: Final = "Discord"
WHATSAPP: Final = "WhatsApp"
EMAIL: Final = "E-mail"
SMS: Final = "SMS"


@dataclass(frozen=True, slots=True)
class ServiceState:
    """How a service answers: `failing_since` is None while its last call went well (UTC)."""

    failing_since: datetime | None = None
    last_failure: datetime | None = None
    kind: str = ""


class OutcomeNoted:
    """What a caller knows of a call that brought an answer: by default that it went well."""

    failed_as: str | None = None

    def failed(self, kind: str) -> None:
        """The answer is a refusal, or none that can be used."""
        self.failed_as = kind


class OutsideCalls:
    """The calls of this process; for many threads."""

    def __init__(self, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._states: dict[str, ServiceState] = {}
        self._counts: Counter[tuple[str, str]] = Counter()

    @contextmanager
    def watched(self, service: str, *, attempt: int | None = None) -> Iterator[OutcomeNoted]:
        """Count what becomes of the call in the block; whatever it raises is a failure.

        `attempt` is which one it is, where the caller tries again by itself.
        """
        noted, began = OutcomeNoted(), time.monotonic()
        try:
            yield noted
        except Exception as error:
            self.failed(service, kind_of(error), attempt=attempt, seconds=time.monotonic() - began)
            raise
        if noted.failed_as is None:
            self.went_well(service)
        else:
            seconds = time.monotonic() - began
            self.failed(service, noted.failed_as, attempt=attempt, seconds=seconds)

    def went_well(self, service: str) -> None:
        """Count a call that was answered as it should be."""
        with self._lock:
            self._counts[service, "ok"] += 1
            before = self._states.get(service, ServiceState())
            self._states[service] = replace(before, failing_since=None)
        if before.failing_since is not None:
            log.info("%s answers again", service, extra={"service": service})

    def failed(
        self, service: str, kind: str, *, attempt: int | None = None, seconds: float | None = None
    ) -> None:
        """Count and log a call that failed; `kind` is a word for programs such as timeout."""
        now = self._clock()
        with self._lock:
            self._counts[service, kind] += 1
            before = self._states.get(service, ServiceState())
            since = before.failing_since or now
            self._states[service] = ServiceState(since, now, kind)
        ms = None if seconds is None else round(seconds * 1000)
        said = {"service": service, "error_kind": kind, "attempt": attempt, "ms": ms}
        log.warning("a call of %s failed: %s", service, kind, extra={**said, "storm": service})

    def counts(self) -> dict[tuple[str, str], int]:
        """How many calls there were, by service and outcome ("ok" or the kind of failure)."""
        with self._lock:
            return dict(self._counts)

    def states(self) -> dict[str, ServiceState]:
        """How each service that was called answers."""
        with self._lock:
            return dict(self._states)


def kind_of(error: Exception) -> str:
    """A word for programs: what an error says of itself, else its class."""
    kind = getattr(error, "kind", None)
    return kind if isinstance(kind, str) and kind else type(error).__name__


# Of this process: clients are made in many places.
outside_calls: Final = OutsideCalls()
