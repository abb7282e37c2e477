"""When a clock is believed: what it is compared with, and by how much it may differ."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from services.jobs.clock import Doubt, Uptime, doubt_of, uptime_of_machine
from services.records.jobs import ClockSeen, ClockState

ZONE = ZoneInfo("Asia/Kolkata")
SEEN = datetime(2026, 11, 1, 6, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def doubt(
    now: datetime,
    *,
    process: datetime | None = None,
    up: timedelta | None = None,
    doubted_at: datetime | None = None,
) -> Doubt | None:
    """What is thought of `now`, when the machine was up for `up` since it was last seen."""
    seen = ClockSeen(seen_at=SEEN, uptime_seconds=1000) if up is not None else None
    state = ClockState(now=now, newest_seen=SEEN, seen=seen, doubted_at=doubted_at, doubt="Odd.")
    uptime = Uptime("boot:1", 1000 + int((up or timedelta()).total_seconds()))
    return doubt_of(state=state, process=process or now, uptime=uptime, zone=ZONE)


@pytest.mark.parametrize(
    ("later", "up", "believed"),
    [
        (timedelta(minutes=1), timedelta(minutes=1), True),
        (20 * DAY, 20 * DAY, True),  # it slept
        (6 * HOUR, timedelta(0), True),
        (7 * HOUR, timedelta(0), False),
        (364 * DAY, timedelta(minutes=1), False),
        (21 * DAY, None, True),  # it was off
        (45 * DAY, None, True),
        (46 * DAY, None, False),
        (46 * DAY, 46 * DAY, False),  # a person is asked however it came about
        (-6 * HOUR, None, True),
        (-7 * HOUR, timedelta(0), False),
        (-40 * DAY, None, False),
    ],
)
def test_a_clock_is_believed_by_what_is_known(
    later: timedelta, up: timedelta | None, believed: bool
) -> None:
    assert (doubt(SEEN + later, up=up) is None) == believed


def test_two_clocks_that_differ_are_doubted_whatever_else_and_nobody_can_confirm_them() -> None:
    for off in (timedelta(minutes=6), timedelta(days=-364)):
        found = doubt(SEEN + HOUR, process=SEEN + HOUR + off)
        assert found is not None
        assert not found.confirmable
    assert doubt(SEEN + HOUR, process=SEEN + HOUR + timedelta(minutes=4)) is None


def test_a_doubt_lasts_until_the_clock_is_back_before_it() -> None:
    doubted_at = SEEN + 20 * DAY
    assert doubt(doubted_at + HOUR, doubted_at=doubted_at) == Doubt("Odd.", lasting=True)
    assert doubt(SEEN + HOUR, doubted_at=doubted_at) is None


def test_a_clock_in_doubt_is_told_in_the_utilitys_time() -> None:
    found = doubt(SEEN + 364 * DAY)
    assert found is not None
    assert found.why == (
        "The clock says 31 Oct 2027, 11:30; it was last seen at 1 Nov 2026, 11:30, "
        "and nothing shows that so much time went by."
    )


def test_the_uptime_of_a_machine_goes_on_under_one_name() -> None:
    first, second = uptime_of_machine(), uptime_of_machine()
    assert first.machine == second.machine
    assert 0 <= first.seconds <= second.seconds
