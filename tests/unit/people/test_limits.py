"""Pauses grow for who fails, and no failure of a stranger keeps a known device waiting."""

from datetime import UTC, datetime, timedelta

import pytest

from services.people.limits import (
    OF_ADDRESS,
    OF_DEVICE,
    OF_NAME,
    OF_NAME_AT_ADDRESS,
    TooManyTries,
    TryLimits,
)

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def fail(limits: TryLimits, now: datetime, **who: str | None) -> timedelta:
    """Try once and fail; how long one had to wait, if nothing was tried."""
    given = {"name": "asha", "address": "203.0.113.1", "device": None} | who
    try:
        limits.begin(now=now, **given)  # type: ignore[arg-type]
    except TooManyTries as refused:
        return refused.wait
    return timedelta(0)


def test_pauses_double_up_to_their_longest() -> None:
    pauses = OF_NAME_AT_ADDRESS
    seconds = [pauses.after(failures).total_seconds() for failures in range(4, 9)]
    assert seconds == [0, 2, 4, 8, 16]
    assert pauses.after(1_000_000) == pauses.longest


def test_after_some_failures_a_try_waits_and_waiting_is_enough() -> None:
    limits = TryLimits()
    assert [fail(limits, NOW) for _ in range(5)] == [timedelta(0)] * 5
    assert fail(limits, NOW) == 2 * SECOND
    # What was not tried does not make the pause longer.
    assert fail(limits, NOW + SECOND) == SECOND
    assert fail(limits, NOW + 2 * SECOND) == timedelta(0)
    assert fail(limits, NOW + 2 * SECOND) == 4 * SECOND


def test_an_address_that_tries_many_names_waits_too() -> None:
    limits = TryLimits()
    for number in range(OF_ADDRESS.free):
        assert not fail(limits, NOW, name=f"user{number}")
    assert fail(limits, NOW, name="another") == SECOND
    assert not fail(limits, NOW, name="another", address="203.0.113.2")


def test_a_name_that_is_tried_from_everywhere_is_slow_and_never_locked() -> None:
    limits = TryLimits()
    now, tried = NOW, 0
    for number in range(5_000):
        tried += not fail(limits, now, address=f"10.1.{number // 250}.{number % 250}")
        now += SECOND
    assert OF_NAME.free + 5_000 // 11 <= tried <= OF_NAME.free + 5_000 // 10 + 10
    # A place that never failed waits for its turn, ten seconds at most.
    assert fail(limits, now, address="198.51.100.1") <= OF_NAME.longest
    assert not fail(limits, now + OF_NAME.longest, address="198.51.100.1")


def test_a_known_device_counts_for_itself_alone() -> None:
    limits = TryLimits()
    for number in range(1_000):
        fail(limits, NOW, address=f"10.1.{number // 250}.{number % 250}")
    for _ in range(OF_DEVICE.free):
        assert not fail(limits, NOW, device="phone")
    assert fail(limits, NOW, device="phone") == 2 * SECOND
    assert not fail(limits, NOW, device="desk")
    assert not fail(limits, NOW, name="meera", device="phone")


def test_success_gives_the_place_its_free_tries_back_and_no_other() -> None:
    limits = TryLimits()
    for _ in range(4):
        fail(limits, NOW)
    limits.succeeded(limits.begin(name="asha", address="203.0.113.1", device=None, now=NOW))
    assert [fail(limits, NOW) for _ in range(5)] == [timedelta(0)] * 5
    assert fail(limits, NOW)


def test_failures_are_forgotten_after_a_day_of_quiet() -> None:
    limits = TryLimits()
    for _ in range(5):
        fail(limits, NOW)
    assert fail(limits, NOW)
    tomorrow = NOW + timedelta(hours=24)
    assert [fail(limits, tomorrow) for _ in range(5)] == [timedelta(0)] * 5


def test_who_is_told_of_guesses_learns_how_many_strangers_made() -> None:
    limits = TryLimits()
    tries = [
        limits.begin(name="asha", address=f"10.0.0.{n}", device=None, now=NOW) for n in range(3)
    ]
    assert [tried.failures_of_name for tried in tries] == [1, 2, 3]
    own = limits.begin(name="asha", address="10.0.0.9", device="phone", now=NOW)
    assert own.failures_of_name == 0


def test_memory_is_bounded_whatever_is_typed() -> None:
    limits = TryLimits(most_keys=100)
    for number in range(2_000):
        fail(limits, NOW, name=f"user{number}", address=f"address {number}")
    assert limits.size() == 300


@pytest.mark.parametrize(("seconds", "said"), [(0.2, "1 s"), (59, "59 s"), (61, "2 min")])
def test_a_refusal_says_how_long_to_wait(seconds: float, said: str) -> None:
    assert said in str(TooManyTries(timedelta(seconds=seconds)))
