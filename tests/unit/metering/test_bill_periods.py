"""How long a bill may be, what is scaled, and at which reads a long time becomes several bills."""

import json
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import pytest

from services.billing.explain import explain
from services.metering.bill_periods import BillLength, closing_reads, why_held
from services.quantities.period import Period
from services.rating import BillingDeterminants, RatedBill, rate, rate_usage
from services.rating.version_split import Part, rate_parts
from services.settings import PROJECT_FOLDER
from services.tariffs import InvalidTariff, Tariff, parse_tariff

KSEB = json.loads((PROJECT_FOLDER / "examples" / "tariffs" / "kseb-lt1a.json").read_text())
STATED = {"min_days": 25, "max_days": 35}
SCALED = STATED | {"beyond": "scale", "usual_days": 30}
BIMONTHLY = {"min_days": 55, "max_days": 65}
SLABS: dict[str, Any] = {"code": "energy", "description": "Energy", "kind": "energy"}
SLABS |= {"slab_limits_per": "bill", "slabs": [{"up_to_kwh": "100", "rate": "1"}, {"rate": "5"}]}
RENT = {"code": "rent", "description": "Rent", "kind": "fixed", "amount": "6", "per": "bill"}
FLAT = {"code": "flat", "description": "Flat", "kind": "energy", "rate": "2"}
DAILY = {"code": "day", "description": "Daily", "kind": "fixed", "amount": "2", "per": "day"}


def tariff(*charges: dict[str, Any], period: dict[str, Any] | None = None, **more: Any) -> Tariff:
    head = {"code": "T", "name": "T", "currency": "INR", "effective_from": "2020-01-01"}
    stated = {"billing_period": period} if period else {}
    return parse_tariff(head | {"charges": charges} | stated | more)


def days(number: int, start: str = "2026-09-01") -> Period:
    first = date.fromisoformat(start)
    return Period(first, first + timedelta(days=number))


# -- what is held --------------------------------------------------------------------------------


def test_a_bill_longer_than_its_tariff_is_made_for_is_held_with_the_reason() -> None:
    kseb = parse_tariff(KSEB)
    assert why_held([kseb], days(35)) == ""
    assert why_held([kseb], days(61)) == (
        "The bill covers 61 days; tariff KSEB-LT1A is made for 25 to 35 days."
    )


def test_a_tariff_that_states_nothing_is_made_for_62_days_at_most() -> None:
    assert why_held([tariff(SLABS)], days(62)) == ""
    assert why_held([tariff(SLABS)], days(106)) == (
        "The bill covers 106 days; tariff T is made for at most 62 days."
    )


@pytest.mark.parametrize(
    ("charge", "held"),
    [
        (SLABS, True),
        (SLABS | {"slab_limits_per": "month"}, True),
        (RENT, True),
        (RENT | {"per": "month", "proration": "none"}, True),
        (RENT | {"per": "month", "proration": "days"}, False),
        (DAILY, False),
        (FLAT, False),
        (FLAT | {"when": {"kwh_above": "100", "per": "month"}}, True),
        (FLAT | {"at_most": "100"}, True),
    ],
)
def test_only_where_two_months_together_cost_another_amount_is_the_length_looked_at(
    charge: dict[str, Any], held: bool
) -> None:
    assert bool(why_held([tariff(charge)], days(106))) is held


def test_one_of_several_versions_is_enough_and_a_rule_for_longer_bills_holds_none() -> None:
    assert why_held([tariff(FLAT), tariff(SLABS, period=STATED)], days(61))
    assert why_held([tariff(SLABS, period=SCALED)], days(106)) == ""


# -- scaled by the tariff ------------------------------------------------------------------------


def of(whole: Period, kwh: int, *charges: dict[str, Any], **how: Any) -> RatedBill:
    return rate(tariff=tariff(*charges, **how), consumption_wh=kwh * 1000, period=whole)


def test_limits_and_amounts_per_bill_are_scaled_beyond_the_stated_days() -> None:
    made = of(days(60), 300, SLABS, RENT, period=SCALED)
    # 200 kWh at 1 and 100 at 5; twice the rent.
    assert [line.amount_minor for line in made.lines] == [70_000, 1_200]
    assert made.lines[1].quantity == "2"
    assert made.lines[1].note == "60 of 30 days that a bill is for"


def test_within_the_stated_days_nothing_is_scaled() -> None:
    for number in (25, 30, 35):
        made = of(days(number), 300, SLABS, RENT, period=SCALED)
        assert made == of(days(number), 300, SLABS, RENT)


def test_a_short_bill_is_scaled_down() -> None:
    made = of(days(10), 40, SLABS, RENT, period=SCALED)
    # A limit of 33.333 kWh.
    assert [line.amount_minor for line in made.lines] == [6_667, 200]


def test_the_arithmetic_of_a_scaled_bill_is_explained() -> None:
    text = explain(of(days(61), 300, SLABS, RENT, period=SCALED))
    assert "(61 ÷ 30) × 6 = 12.20" in text
    assert "61 of 30 days that a bill is for." in text


def test_a_months_charge_that_is_not_prorated_is_scaled_too() -> None:
    line = RENT | {"per": "month", "proration": "none"}
    assert of(days(45), 0, line, period=SCALED).total_minor == 900
    assert of(days(45), 0, line).total_minor == 600


def test_parts_of_a_scaled_bill_add_up_to_it() -> None:
    version = tariff(SLABS, RENT, period=SCALED)
    first, second = Period(date(2026, 9, 1), date(2026, 9, 21)), days(40, "2026-09-21")
    parts = [
        Part(version, first, BillingDeterminants(wh=100_000)),
        Part(version, second, BillingDeterminants(wh=200_000)),
    ]
    made = rate_parts(parts=parts, whole=days(60))
    whole = rate_usage(tariff=version, usage=BillingDeterminants(wh=300_000), period=days(60))
    assert made.total_minor == whole.total_minor == 71_200
    assert [x.note for x in made.lines if x.code == "rent"] == [
        "20 of 30 days that a bill is for",
        "40 of 30 days that a bill is for",
    ]


@pytest.mark.parametrize(
    ("period", "problem"),
    [
        (
            {"min_days": 35, "max_days": 25},
            "billing_period.max_days: cannot be below the fewest days",
        ),
        ({"max_days": 25}, "billing_period.min_days: is missing"),
        (
            STATED | {"beyond": "scale"},
            "billing_period.usual_days: must say how many days one bill is for",
        ),
        (
            STATED | {"usual_days": 30},
            "billing_period.usual_days: can only go with bills that are scaled",
        ),
        (
            SCALED | {"usual_days": 60},
            "billing_period.usual_days: must be from the fewest to the most days",
        ),
    ],
)
def test_a_wrong_period_is_refused_with_its_path(period: dict[str, Any], problem: str) -> None:
    with pytest.raises(InvalidTariff) as refused:
        tariff(SLABS, period=period)
    assert problem in str(refused.value)


# -- several bills -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Dated:
    read_on: date


def ends(
    opening: str,
    *reads: str,
    period: dict[str, Any] | None = None,
    shortest: int = 5,
    billing_day: int = 1,
) -> list[str]:
    """The dates at which bills end, from an opening read over others to the last."""
    dated = [Dated(date.fromisoformat(f"2026-{day}")) for day in (opening, *reads)]
    length = BillLength.of(tariff(SLABS, period=period))
    found = closing_reads(
        opening=dated[0],
        between=dated[1:-1],
        closing=dated[-1],
        length_on=lambda _: length,
        shortest=shortest,
        billing_day=billing_day,
    )
    return [f"{read.read_on:%m-%d}" for read in found]


def test_each_cycle_with_a_read_at_its_end_has_a_bill() -> None:
    reads = ("08-15", "09-01", "09-14", "10-01", "10-17", "11-01", "11-15")
    assert ends(*reads, billing_day=15) == ["09-14", "10-17", "11-15"]
    assert ends(*reads, billing_day=1) == ["09-01", "10-01", "11-01", "11-15"]


def test_each_month_with_a_read_at_its_end_has_a_bill() -> None:
    assert ends("08-01", "09-01", "10-01", "11-01") == ["09-01", "10-01", "11-01"]
    assert ends("09-01", "10-01", "11-01", "11-20") == ["10-01", "11-01", "11-20"]
    assert ends("09-20", "10-01", "11-01", "11-20") == ["10-01", "11-01", "11-20"]


def test_the_read_closest_to_the_turn_ends_the_month() -> None:
    weekly = ["09-06", "09-13", "09-20", "09-27", "10-04", "10-11", "10-18", "10-25"]
    assert ends("08-30", *weekly, "11-01") == ["10-04", "11-01"]
    assert ends("09-01", "09-28", "10-05", "11-01", "11-20") == ["09-28", "11-01", "11-20"]


def test_reads_far_from_the_turn_end_no_month() -> None:
    assert ends("09-01", "10-06", "11-01") == ["11-01"]


def test_one_month_is_one_bill_whatever_was_read_in_between() -> None:
    assert ends("09-15", "10-01", "10-15") == ["10-15"]
    assert ends("10-01", "11-01", "11-03") == ["11-03"]


def test_a_last_read_too_soon_after_a_month_end_ends_no_bill() -> None:
    assert ends("09-01", "10-01", "10-04") == ["10-04"]
    assert ends("08-20", "10-01", "10-04") == ["10-01"]
    assert ends("10-01", "10-02") == []
    assert ends("10-01", "10-02", shortest=1) == ["10-02"]


def test_what_is_too_long_is_split_at_reads_that_make_bills_of_the_stated_days() -> None:
    assert ends("09-10", "10-11", "11-10", period=STATED) == ["10-11", "11-10"]
    assert ends("09-10", "10-20", "11-10", period=STATED) == ["11-10"]
    assert ends("08-15", "09-15", "10-15", "11-15") == ["09-15", "10-15", "11-15"]


def test_a_first_bill_shorter_than_stated_lets_the_months_after_it_be_billed() -> None:
    mid_month = ["06-15", "07-15", "08-15"]
    assert ends("06-01", *mid_month, "09-15", period=STATED) == [*mid_month, "09-15"]
    # It is not made where it would leave too long a bill all the same.
    assert ends("06-01", "06-10", "08-07", period=STATED) == ["08-07"]


def test_a_missed_read_leaves_only_the_months_around_it_together() -> None:
    assert ends("06-15", "08-15", "09-15", "10-15", period=STATED) == ["08-15", "09-15", "10-15"]
    assert ends("06-15", "07-15", "09-15", "10-15", period=STATED) == ["07-15", "09-15", "10-15"]


def test_a_last_bill_of_some_days_is_no_reason_to_bill_two_months_together() -> None:
    assert ends("08-15", "09-15", "10-15", "10-27") == ["09-15", "10-15", "10-27"]


def test_two_months_that_the_tariff_bills_together_stay_together() -> None:
    reads = ["07-01", "08-01", "09-01", "10-01"]
    assert ends("06-01", *reads, "10-20", period=BIMONTHLY) == ["08-01", "10-01"]
    assert ends("06-01", "07-01", period=BIMONTHLY) == []


def test_a_bill_shorter_than_stated_is_made_where_the_next_month_would_be_too_long() -> None:
    assert ends("09-20", "10-01", period=STATED) == ["10-01"]
    assert ends("09-28", "10-01", period=STATED, shortest=1) == []
