"""Periods are half-open local dates; days begin where the clocks on the wall say so."""

from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.quantities.period import (
    EmptyPeriod,
    InstantWithoutZone,
    Period,
    first_of_month,
    local_date,
    next_billing_day,
    next_month,
    start_of_day,
)

DAYS = st.dates(date(2000, 1, 1), date(2040, 1, 1))


@pytest.mark.parametrize("end", [date(2025, 1, 1), date(2024, 12, 31)])
def test_a_period_must_end_after_it_starts(end: date) -> None:
    with pytest.raises(EmptyPeriod):
        Period(date(2025, 1, 1), end)


def test_a_period_is_not_made_of_instants() -> None:
    with pytest.raises(TypeError):
        Period(datetime(2025, 1, 1, tzinfo=UTC), datetime(2025, 2, 1, tzinfo=UTC))


def test_the_end_day_is_not_counted() -> None:
    assert Period(date(2025, 1, 1), date(2025, 2, 1)).days == 31


@pytest.mark.parametrize(
    ("start", "end", "months"),
    [
        (date(2025, 1, 1), date(2025, 2, 1), Fraction(1)),
        (date(2024, 2, 1), date(2024, 3, 1), Fraction(1)),
        (date(2025, 1, 1), date(2026, 1, 1), Fraction(12)),
        (date(2014, 7, 24), date(2014, 8, 7), Fraction(8, 31) + Fraction(6, 31)),
        (date(2022, 6, 25), date(2022, 7, 25), Fraction(6, 30) + Fraction(24, 31)),
        (date(2024, 2, 29), date(2024, 3, 1), Fraction(1, 29)),
        (date(2024, 12, 31), date(2025, 1, 2), Fraction(2, 31)),
    ],
)
def test_months_are_the_share_of_each_calendar_month(
    start: date, end: date, months: Fraction
) -> None:
    assert Period(start, end).months() == months


@given(start=DAYS, first=st.integers(1, 400), second=st.integers(1, 400))
@settings(deadline=None)
def test_two_halves_of_a_period_have_the_days_and_months_of_the_whole(
    start: date, first: int, second: int
) -> None:
    middle, end = start + timedelta(days=first), start + timedelta(days=first + second)
    whole, halves = Period(start, end), (Period(start, middle), Period(middle, end))
    assert sum(half.days for half in halves) == whole.days
    assert sum(half.months() for half in halves) == whole.months()


def test_an_instant_without_a_zone_has_no_local_date() -> None:
    with pytest.raises(InstantWithoutZone):
        local_date(datetime(2025, 1, 1), ZoneInfo("Asia/Kolkata"))  # noqa: DTZ001


# (zone, local day, hours that the day lasts): each around a change of the clocks.
CHANGES = [
    ("Europe/Berlin", date(2025, 3, 30), 23),
    ("Europe/Berlin", date(2025, 10, 26), 25),
    ("America/New_York", date(2025, 3, 9), 23),
    ("America/New_York", date(2025, 11, 2), 25),
    ("Asia/Kolkata", date(2025, 3, 30), 24),
    ("Pacific/Auckland", date(2025, 4, 6), 25),
    ("Pacific/Auckland", date(2025, 9, 28), 23),
    ("America/Santiago", date(2024, 9, 8), 23),  # 00:00 does not exist
    ("America/Santiago", date(2024, 4, 6), 25),  # 23:00 comes twice
    ("Africa/Cairo", date(2024, 4, 26), 23),  # 00:00 does not exist
    ("America/Havana", date(2024, 11, 3), 25),  # 00:00 comes twice
    ("Australia/Lord_Howe", date(2024, 10, 6), 23.5),
]


@pytest.mark.parametrize(("zone", "day", "hours"), CHANGES)
def test_a_day_lasts_until_the_next_begins_when_clocks_change(
    zone: str, day: date, hours: float
) -> None:
    wall = ZoneInfo(zone)
    begun, ended = start_of_day(day, wall), start_of_day(day + timedelta(days=1), wall)
    assert ended - begun == timedelta(hours=hours)
    assert begun.tzinfo is UTC


@pytest.mark.parametrize(("zone", "day"), [(zone, day) for zone, day, _ in CHANGES])
def test_the_start_of_a_day_is_its_first_instant(zone: str, day: date) -> None:
    wall = ZoneInfo(zone)
    begun = start_of_day(day, wall)
    assert local_date(begun, wall) == day
    assert local_date(begun - timedelta(microseconds=1), wall) == day - timedelta(days=1)


def test_a_day_begins_at_one_where_midnight_is_skipped() -> None:
    wall = ZoneInfo("America/Santiago")
    assert start_of_day(date(2024, 9, 8), wall) == datetime(2024, 9, 8, 4, tzinfo=UTC)
    assert start_of_day(date(2024, 9, 8), wall).astimezone(wall).hour == 1


def test_the_same_instant_has_another_date_elsewhere() -> None:
    instant = datetime(2025, 1, 31, 20, tzinfo=UTC)
    assert local_date(instant, ZoneInfo("Asia/Kolkata")) == date(2025, 2, 1)
    assert local_date(instant, ZoneInfo("America/New_York")) == date(2025, 1, 31)


@pytest.mark.parametrize(
    ("day", "billing_day", "following"),
    [
        (date(2025, 1, 2), 3, date(2025, 1, 3)),
        (date(2025, 1, 3), 3, date(2025, 2, 3)),
        (date(2025, 1, 31), 28, date(2025, 2, 28)),
        (date(2024, 12, 28), 28, date(2025, 1, 28)),
        (date(2024, 12, 1), 1, date(2025, 1, 1)),
    ],
)
def test_the_next_billing_day_is_in_this_month_or_the_next(
    day: date, billing_day: int, following: date
) -> None:
    assert next_billing_day(day, billing_day) == following


@pytest.mark.parametrize(
    ("day", "first", "following"),
    [
        (date(2025, 1, 31), date(2025, 1, 1), date(2025, 2, 1)),
        (date(2025, 2, 1), date(2025, 2, 1), date(2025, 3, 1)),
        (date(2024, 12, 15), date(2024, 12, 1), date(2025, 1, 1)),
    ],
)
def test_months_begin_on_their_first_day(day: date, first: date, following: date) -> None:
    assert first_of_month(day) == first
    assert next_month(day) == following
