"""Are the further registers plausible: each by its own past, and all of them by the total."""

from datetime import date, timedelta
from typing import Any

import pytest

from services.metering.register_validation import RegisterRules, calendars_in_force
from services.records.readings import ReadPoint
from services.records.tariffs import TariffVersion

DAY = date(2026, 3, 1)
TOU = [("off_peak",), ("peak",)]


def read(kwh: float, days: int, **registers: float) -> ReadPoint:
    named = {name: int(value * 1000) for name, value in registers.items()}
    return ReadPoint(int(kwh * 1000), DAY + timedelta(days=days), named)


def found(now: ReadPoint, *past: ReadPoint, **how: Any) -> list[tuple[str, str, str]]:
    given = {"calendars": [TOU], "next_read": None, "dials": 5, "multiplier_milli": 1000} | how
    rules = RegisterRules(read=now, last_read=past[-1], history=past, **given)
    return [(o.rule, o.outcome, o.message) for o in rules.outcomes()]


START = read(1000, 0, peak=400, off_peak=600)


def test_registers_that_add_up_to_the_total_pass() -> None:
    (sums,) = found(read(1100, 30, peak=430, off_peak=670), START)
    assert sums == (
        "register_sum",
        "pass",
        "The registers off_peak and peak used 100 kWh, the total 100 kWh.",
    )


@pytest.mark.parametrize(
    ("peak", "outcome"), [(427, "pass"), (426.9, "review"), (433, "pass"), (434, "review")]
)
def test_each_register_may_be_a_kwh_off(peak: float, outcome: str) -> None:
    (sums,) = found(read(1100, 30, peak=peak, off_peak=670), START)
    assert sums[:2] == ("register_sum", outcome)


@pytest.mark.parametrize(
    ("peak", "outcome"), [(550, "pass"), (549, "review"), (650, "pass"), (651, "review")]
)
def test_of_much_energy_one_percent_may_be_lacking(peak: int, outcome: str) -> None:
    (sums,) = found(read(6000, 30, peak=400 + peak, off_peak=600 + 4_400), START)
    assert sums[:2] == ("register_sum", outcome)


def test_with_a_multiplier_a_kwh_of_a_register_is_more() -> None:
    now = read(1100, 30, peak=427, off_peak=670)
    (sums,) = found(now, START, multiplier_milli=40_000)
    assert sums[1] == "pass"
    assert "used 3,880 kWh, the total 4,000 kWh" in sums[2]


def test_without_a_register_for_each_period_the_others_cannot_have_used_more() -> None:
    start = read(1000, 0, peak=400)
    assert found(read(1100, 30, peak=450), start)[0][1] == "pass"
    assert found(read(1100, 30, peak=503), start)[0][1] == "review"


def test_a_register_below_its_last_read_is_looked_at() -> None:
    (below,) = found(read(1100, 30, peak=390, off_peak=670), START)
    assert below[:2] == ("below_last_read", "review")
    assert below[2].startswith("Register peak: 390 kWh is below the last read of 400 kWh")


def test_a_register_may_roll_over() -> None:
    past = [read(99_000, 0, peak=99_900, off_peak=600), read(99_100, 30, peak=99_950, off_peak=650)]
    outcomes = found(read(99_200, 60, peak=2, off_peak=698), *past)
    assert [o[:2] for o in outcomes] == [("below_last_read", "warn"), ("register_sum", "pass")]


def test_reactive_energy_is_judged_by_its_own_past() -> None:
    past = [read(1000, 0, kvah=1000), read(1100, 30, kvah=1110)]
    assert found(read(1200, 60, kvah=1220), *past) == []
    (high,) = found(read(1200, 60, kvah=2110), *past)
    assert high[:2] == ("high_use", "review")
    assert "1,000 kVAh in 30 days" in high[2]


def test_a_maximum_far_above_all_others_is_looked_at() -> None:
    past = [read(1000, 0), read(1100, 30, max_kw=4.2)]
    assert found(read(1200, 60, max_kw=12.6), *past) == []
    (high,) = found(read(1200, 60, max_kw=42), *past)
    assert high == (
        "high_maximum",
        "review",
        "Register max_kw: 42 kW is more than 3 times the highest so far, 4.2 kW.",
    )


@pytest.mark.parametrize("begins", range(12))
def test_a_year_of_solar_export_is_no_anomaly(begins: int) -> None:
    """4 kW of panels at 52° north, from any month on: 50 kWh in December, 410 in June."""
    months = [60, 110, 220, 330, 400, 410, 400, 350, 260, 160, 80, 50]
    past, exported = [read(1000, 0, export=0)], 0
    for n in range(14):
        exported += months[(begins + n) % 12]
        now = read(1000 + 200 * n, 30 * (n + 1), export=exported)
        assert found(now, *past) == []
        past.append(now)


def test_a_register_without_a_past_is_not_judged() -> None:
    assert found(read(1100, 30, peak=50, off_peak=7, max_kw=3), read(1000, 0)) == []


def test_the_calendars_are_those_in_force() -> None:
    definition = {
        "calendars": {"tou": {"periods": {"summer_peak": [], "Off": []}}},
        "seasons": {"summer": {}},
    }
    version = TariffVersion(
        id="v", tariff_id="t", code="T", name="T", currency="INR", effective_from=DAY,
        definition=definition,
    )  # fmt: skip
    assert calendars_in_force([version], on=DAY) == [[("off",), ("summer_peak", "peak")]]
    assert calendars_in_force([version], on=DAY - timedelta(days=1)) == []
