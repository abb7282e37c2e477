"""Turns at Stripe: who waits for a page goes first, and pauses that Stripe asks for are kept."""

from contextvars import copy_context
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
import stripe

from services.database.service import DatabaseService
from services.database.transport import TemporaryDatabaseError
from services.integrations.http import ServiceUnavailable
from services.payments.stripe import client
from services.payments.stripe.turns import (
    A_SECOND,
    A_SECOND_IN_TESTS,
    LONGEST_WAIT_OF_JOBS,
    LONGEST_WAIT_OF_SOMEBODY,
    StripeTurns,
    TooManyRequests,
    a_second_of,
    of_a_job,
    retry_after,
    turn_taken,
)


@dataclass
class Rate:
    """The database's part: who asked, and how long each has to wait."""

    waits: list[float] = field(default_factory=list)
    asked: list[tuple[bool, float]] = field(default_factory=list)
    paused: list[float] = field(default_factory=list)
    away: bool = False

    def stripe_turn(
        self, *, a_second: int, for_somebody: bool, most_seconds: float
    ) -> tuple[float, bool]:
        """See StripeQueries."""
        if self.away:
            raise TemporaryDatabaseError("08006", "away")
        assert a_second == A_SECOND
        self.asked.append((for_somebody, most_seconds))
        wait = self.waits.pop(0) if self.waits else 0.0
        return wait, wait <= most_seconds

    def pause_stripe(self, *, seconds: float) -> None:
        """See StripeQueries."""
        if self.away:
            raise TemporaryDatabaseError("08006", "away")
        self.paused.append(seconds)


@dataclass
class Taken:
    """Turns over such a database, which are not waited for."""

    rate: Rate = field(default_factory=Rate)
    slept: list[float] = field(default_factory=list)

    @property
    def turns(self) -> StripeTurns:
        return StripeTurns(cast(DatabaseService, self.rate), sleep=self.slept.append)


@pytest.fixture
def taken() -> Taken:
    return Taken()


def test_a_request_waits_for_its_turn(taken: Taken) -> None:
    taken.rate.waits = [0.25]
    taken.turns.take()
    assert taken.slept == [0.25]
    assert taken.rate.asked == [(True, LONGEST_WAIT_OF_SOMEBODY)]


def test_jobs_wait_behind_those_for_whom_somebody_waits(taken: Taken) -> None:
    with of_a_job():
        taken.turns.take()
        # As on the threads of a job.
        copy_context().run(taken.turns.take)
    taken.turns.take()
    assert [somebody for somebody, _ in taken.rate.asked] == [False, False, True]
    assert taken.rate.asked[0][1] == LONGEST_WAIT_OF_JOBS


def test_a_turn_that_was_taken_with_others_is_of_one_request(taken: Taken) -> None:
    with turn_taken():
        taken.turns.take()
        assert taken.rate.asked == []
        taken.turns.take()
    assert len(taken.rate.asked) == 1


def test_who_would_wait_too_long_is_rather_told(taken: Taken) -> None:
    taken.rate.waits = [12.5, 12.5]
    with pytest.raises(TooManyRequests) as refused:
        taken.turns.take()
    assert refused.value.retry_after_seconds == 12.5
    assert taken.slept == []
    with of_a_job():
        taken.turns.take()
    assert taken.slept == [12.5]


def test_without_the_database_nothing_is_asked(taken: Taken) -> None:
    taken.rate.away = True
    for ask in (taken.turns.take, lambda: taken.turns.pause(1)):
        with pytest.raises(ServiceUnavailable):
            ask()


def test_a_pause_without_a_time_is_short_and_none_is_endless(taken: Taken) -> None:
    for asked in (None, 7.0, 90_000.0):
        taken.turns.pause(asked)
    assert taken.rate.paused == [1.0, 7.0, 3000.0]


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "3"}, 3.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"Retry-After": "-1"}, None),
        ({"Retry-After": "soon"}, None),
        ({}, None),
        (None, None),
    ],
)
def test_what_an_answer_asks_for(headers: dict[str, str] | None, seconds: float | None) -> None:
    assert retry_after(headers) == seconds


def test_the_rate_is_that_of_the_key_s_mode() -> None:
    assert a_second_of("sk_live_1") == a_second_of("odd") == A_SECOND
    assert a_second_of("rk_test_1") == a_second_of("sk_test_1") == A_SECOND_IN_TESTS


class TestClient:
    """The client whose every request takes a turn."""

    def asks(
        self, monkeypatch: pytest.MonkeyPatch, turns: StripeTurns | None, answers: list[Any]
    ) -> tuple[int, int]:
        """The status that it comes to, and how many answers are left."""

        def answered(*_: Any, **__: Any) -> Any:
            return answers.pop(0)

        monkeypatch.setattr(stripe.RequestsClient, "request", answered)
        made = client._WatchedClient(timeout=1, turns=turns)
        return made.request("get", "https://api.stripe.com/v1", {})[1], len(answers)

    def test_429_is_asked_once_more_in_the_turn_after_the_pause(
        self, monkeypatch: pytest.MonkeyPatch, taken: Taken
    ) -> None:
        answers = [(b"{}", 429, {"Retry-After": "2"}), (b"{}", 200, {})]
        assert self.asks(monkeypatch, taken.turns, answers) == (200, 0)
        assert (taken.rate.paused, len(taken.rate.asked)) == ([2.0], 2)

    def test_a_second_429_is_the_caller_s(
        self, monkeypatch: pytest.MonkeyPatch, taken: Taken
    ) -> None:
        answers = [(b"{}", 429, {}), (b"{}", 429, {"Retry-After": "4"}), (b"{}", 200, {})]
        assert self.asks(monkeypatch, taken.turns, answers) == (429, 1)
        assert taken.rate.paused == [1.0, 4.0]

    def test_another_request_at_the_same_object_is_no_reason_for_all_to_wait(
        self, monkeypatch: pytest.MonkeyPatch, taken: Taken
    ) -> None:
        locked = b'{"error": {"code": "lock_timeout"}}'
        assert self.asks(monkeypatch, taken.turns, [(locked, 429, {}), (b"{}", 200, {})])[0] == 200
        assert taken.rate.paused == []

    def test_without_turns_it_is_asked_at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert self.asks(monkeypatch, None, [(b"{}", 429, {}), (b"{}", 200, {})]) == (429, 1)
