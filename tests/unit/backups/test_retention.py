"""Which backups are kept, over days, weeks, months, gaps and a clock that was wrong."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from services.backups.retention import Keep, to_drop

KOLKATA = ZoneInfo("Asia/Kolkata")
NOW = datetime(2026, 11, 29, 19, 40, tzinfo=UTC)
KEEP = Keep(7, 4, 12)


def kept(made: list[datetime], keep: Keep = KEEP) -> list[datetime]:
    return sorted(set(made) - set(to_drop(made, keep, now=NOW, zone=KOLKATA)))


def test_a_year_of_nights_leaves_days_weeks_and_months() -> None:
    nights = [NOW - timedelta(days=n) for n in range(400)]
    left = kept(nights)
    assert left[-7:] == nights[6::-1]
    assert len({at.astimezone(KOLKATA).strftime("%Y-%m") for at in left}) == 12
    # Of the four weeks this one and the last are among the seven days, of the months this one.
    assert len(left) == 7 + 2 + 11
    # The last of each month, of the utility's own month: 19:40 UTC is the next day there.
    assert nights[30] in left
    assert (NOW - timedelta(days=30)).astimezone(KOLKATA).day == 31


def test_of_one_day_the_last_stays() -> None:
    morning, noon, evening = (NOW - timedelta(hours=n) for n in (9, 5, 2))
    assert kept([morning, noon, evening]) == [evening]


def test_a_machine_that_was_off_loses_none() -> None:
    rare = [NOW - timedelta(days=40 * n) for n in range(1, 8)]
    assert kept(rare) == sorted(rare)


def test_what_a_wrong_clock_dated_ahead_stays_and_drives_nothing_out() -> None:
    ahead = [NOW + timedelta(days=n) for n in range(1, 30)]
    behind = [NOW - timedelta(days=n) for n in range(7)]
    assert kept([*ahead, *behind]) == sorted([*ahead, *behind])


def test_only_days_may_be_asked_for() -> None:
    nights = [NOW - timedelta(days=n) for n in range(50)]
    assert kept(nights, Keep(2, 0, 0)) == [nights[1], nights[0]]


@given(
    st.lists(st.integers(0, 60 * 24 * 800), max_size=60),
    st.tuples(st.integers(1, 9), st.integers(0, 6), st.integers(0, 14)),
)
def test_the_last_one_always_stays_and_a_second_look_drops_nothing(
    minutes: list[int], keep: tuple[int, int, int]
) -> None:
    made = [NOW - timedelta(minutes=n) for n in minutes]
    left = kept(made, Keep(*keep))
    assert (max(made) in left) if made else not left
    assert kept(left, Keep(*keep)) == left
    assert len(left) <= sum(keep)
