"""Intervals beside the register: their sum, and a spike among them."""

from datetime import date, timedelta

import pytest

from services.metering.interval_rules import interval_outcomes
from services.metering.outcomes import RuleOutcome
from services.records.readings import IntervalDay, ReadPoint

START = date(2026, 3, 1)


def days(count: int, wh: int = 500, **spikes: int) -> list[IntervalDay]:
    """Days of 24 hours, 12 kWh each unless said; d3=9000 is a spike on the fourth day."""
    found = []
    for n in range(count):
        hours = [wh] * 24
        if f"d{n}" in spikes:
            hours[18] = spikes[f"d{n}"]
        found.append(IntervalDay(day=START + timedelta(days=n), minutes=60, wh=tuple(hours)))
    return found


def found(of: list[IntervalDay], used_kwh: int, *, milli: int = 1000) -> dict[str, RuleOutcome]:
    outcomes = interval_outcomes(
        of,
        opening=ReadPoint(1_000_000, START),
        closing=ReadPoint(1_000_000 + 1000 * used_kwh, START + timedelta(days=30)),
        dials=5,
        multiplier_milli=milli,
    )
    return {one.rule: one for one in outcomes}


@pytest.mark.parametrize(
    ("used_kwh", "expected"),
    # 29 whole days are 348 kWh, with the first and last day 372; 2 kWh and 1 % are room.
    [(348, "pass"), (372, "pass"), (343, "pass"), (342, "review"), (377, "pass"), (378, "review")],
)
def test_the_register_must_use_what_the_intervals_add_up_to(used_kwh: int, expected: str) -> None:
    assert found(days(31), used_kwh)["interval_sum"].outcome == expected


def test_a_day_without_intervals_leaves_nothing_to_compare() -> None:
    missing = [one for one in days(31) if one.day.day != 7]
    assert found(missing, 1000) == {}
    # The last day may still be going on.
    assert found(days(30), 360)["interval_sum"].outcome == "pass"


def test_intervals_are_after_the_multiplier() -> None:
    assert found(days(31, wh=20_000), 360, milli=40_000)["interval_sum"].outcome == "pass"
    assert found(days(31, wh=500), 360, milli=40_000)["interval_sum"].outcome == "review"


def test_the_highest_interval_of_a_day_is_compared_with_its_third_highest() -> None:
    spike = found(days(31, d3=9000, d8=3000), 372)["interval_spike"]
    assert spike.outcome == "warn"
    assert "On 4 Mar 2026 9 kWh were used within 60 minutes" in spike.message
    assert "2 days of the period" in spike.message
    assert "interval_spike" not in found(days(31, d3=2500), 372)


def test_small_spikes_matter_to_nobody() -> None:
    assert "interval_spike" not in found(days(31, wh=10, d3=900), 8)


def test_without_intervals_nothing_is_said() -> None:
    assert found([], 300) == {}
