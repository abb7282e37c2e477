"""Turns at Stripe: all processes together keep one rate, and who waits for a page goes first.

Each request of the client takes a turn. The rate and the pauses that Stripe asks for are in the
database.
"""

import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

from services.database.service import DatabaseService
from services.database.transport import DatabaseError
from services.integrations.http import ServiceUnavailable

# Of the hundred requests a second that Stripe takes from an account with a live key, and of test
# mode's twenty-five. The rest is for its webhook's answers and for people at its dashboard.
A_SECOND: Final = 80
A_SECOND_IN_TESTS: Final = 20
# Somebody at a page is rather told to try again; a job's lease outlasts this and the request.
LONGEST_WAIT_OF_SOMEBODY: Final = 3.0
LONGEST_WAIT_OF_JOBS: Final = 20.0
# Where Stripe says too often, but not for how long.
PAUSE_SECONDS: Final = 1.0
# Longer than an hour a pause is taken for a mistake.
LONGEST_PAUSE_SECONDS: Final = 3000.0

_of_a_job: ContextVar[bool] = ContextVar("stripe_of_a_job", default=False)
_taken: ContextVar["list[None] | None"] = ContextVar("stripe_turn_taken", default=None)


class TooManyRequests(ServiceUnavailable):
    """Stripe was asked too often; `retry_after_seconds` is the pause it asked for, if it did."""


@contextmanager
def of_a_job() -> Iterator[None]:
    """Requests in the block wait behind those for which somebody waits."""
    token = _of_a_job.set(True)
    try:
        yield
    finally:
        _of_a_job.reset(token)


@contextmanager
def turn_taken() -> Iterator[None]:
    """The first request in the block has its turn already, taken together with others."""
    token = _taken.set([None])
    try:
        yield
    finally:
        _taken.reset(token)


@dataclass(frozen=True, slots=True)
class StripeTurns:
    """Hands out turns, `a_second` of them in all processes together."""

    database: DatabaseService
    a_second: int = A_SECOND
    sleep: Callable[[float], None] = time.sleep

    def take(self) -> None:
        """Wait for a turn.

        Raises TooManyRequests, at once, where that would take too long, and ServiceUnavailable.
        """
        if taken := _taken.get():
            taken.pop()
            return
        somebody = not _of_a_job.get()
        most = LONGEST_WAIT_OF_SOMEBODY if somebody else LONGEST_WAIT_OF_JOBS
        try:
            seconds, mine = self.database.stripe_turn(
                a_second=self.a_second, for_somebody=somebody, most_seconds=most
            )
        except DatabaseError as error:
            raise ServiceUnavailable("No turn at Stripe can be taken now.") from error
        if not mine:
            raise TooManyRequests("Stripe asked for a pause.", retry_after_seconds=seconds)
        self.sleep(seconds)

    def pause(self, seconds: float | None) -> None:
        """Let no process ask for some time, because Stripe answered 429.

        Raises ServiceUnavailable.
        """
        try:
            asked = PAUSE_SECONDS if seconds is None else min(seconds, LONGEST_PAUSE_SECONDS)
            self.database.pause_stripe(seconds=asked)
        except DatabaseError as error:
            raise ServiceUnavailable("The pause that Stripe asked for cannot be kept.") from error


def a_second_of(secret_key: str) -> int:
    """The rate that a key's mode allows."""
    in_tests = re.match(r"(?:sk|rk)_test_", secret_key)
    return A_SECOND_IN_TESTS if in_tests else A_SECOND


def retry_after(headers: Mapping[str, str] | None) -> float | None:
    """The seconds that an answer asks for; None where it says none that make sense."""
    named = {name.lower(): value for name, value in (headers or {}).items()}
    said = str(named.get("retry-after", "")).strip()
    return float(said) if re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,6})?", said) else None
