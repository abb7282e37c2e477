"""Use by month from periods that do not keep to months."""

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from services.metering.monthly_use import (
    MONTHS,
    Billed,
    by_month,
    first_day_shown,
    last_months,
)


def test_a_period_within_a_month_stays_whole() -> None:
    found = by_month([(date(2026, 11, 1), date(2026, 12, 1), 117_000)])
    assert found == {date(2026, 11, 1): Billed(117_000, 30)}


def test_a_period_over_months_is_spread_by_days_to_the_last_wh() -> None:
    found = by_month([(date(2026, 10, 12), date(2026, 11, 12), 100)])
    assert found == {date(2026, 10, 1): Billed(64, 20), date(2026, 11, 1): Billed(36, 11)}
    two = by_month(
        [(date(2026, 10, 1), date(2026, 10, 16), 5), (date(2026, 10, 16), date(2026, 11, 1), 6)]
    )
    assert two == {date(2026, 10, 1): Billed(11, 31)}


@given(
    st.dates(date(2000, 1, 1), date(2100, 1, 1)),
    st.integers(1, 800),
    st.integers(0, 10**12),
)
def test_the_parts_come_to_the_whole(start: date, days: int, wh: int) -> None:
    found = by_month([(start, start + timedelta(days=days), wh)])
    assert sum(one.wh for one in found.values()) == wh
    assert sum(one.days for one in found.values()) == days
    assert all(one.wh >= 0 and month.day == 1 for month, one in found.items())


def test_thirteen_months_with_the_year_before() -> None:
    months = {date(2026, 11, 1): Billed(5, 30), date(2024, 11, 1): Billed(3, 30)}
    shown = last_months(months, today=date(2026, 11, 28))
    assert len(shown) == MONTHS
    assert (shown[0].month, shown[-1].month) == (date(2025, 11, 1), date(2026, 11, 1))
    assert (shown[0].year_before, shown[-1].this_year) == (Billed(3, 30), Billed(5, 30))
    assert shown[-1].year_before == Billed()
    assert first_day_shown(date(2026, 11, 28)) == date(2024, 11, 1)


def test_february_has_its_days_in_either_year() -> None:
    shown = last_months({}, today=date(2025, 2, 28))
    assert (shown[-1].days, shown[-1].days_before) == (28, 29)
    assert shown[-1].month == date(2025, 2, 1)
    assert last_months({}, today=date(2024, 2, 29))[-1].month == date(2024, 2, 1)
