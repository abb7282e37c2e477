"""Charges per kW, kVA and kVAr: ratchet, least demand, rounding, slabs, periods and days."""

from datetime import date
from typing import Any

import pytest

from services.quantities.period import Period
from services.rating import UnableToPriceBill
from tests.unit.rating.pricing import (
    BY_HOUR,
    BY_SEASON,
    HALF_JUNE,
    SEASONS,
    amounts,
    price,
    rows,
    steps_of,
    tariff,
)

CALENDARS = {"seasons": SEASONS, "calendars": {"seasons": BY_SEASON, "hours": BY_HOUR}}


def _demand(quantity: str = "kw", /, **more: Any) -> dict[str, Any]:
    return {"code": "demand", "kind": "demand", "quantity": quantity, **more}


@pytest.mark.parametrize(
    ("quantity", "peak", "unit"),
    [("kw", "peak_w", "kW"), ("kva", "peak_va", "kVA"), ("kvar", "peak_var", "kVAr")],
)
def test_the_peak_times_its_rate(quantity: str, peak: str, unit: str) -> None:
    charge = tariff(_demand(quantity, rate="4"))
    (line,) = price(charge, **{peak: 12_345}).lines
    assert (line.quantity, line.unit, line.amount_minor) == ("12.345", unit, 4938)
    with pytest.raises(UnableToPriceBill, match=r"Demand .*the peak in"):
        price(charge)


RATCHET = {"percent": "80", "months": 3}


@pytest.mark.parametrize(
    ("peak", "past", "billed", "note"),
    [
        (50_000, (40_000, 60_000, 55_000, 99_000), "50", None),  # 80 % of 60 are 48
        (
            40_000,
            (40_000, 60_000, 55_000, 99_000),
            "48",
            "measured 40 kW; 80% of the highest of 3 months, 60 kW",
        ),
        (40_000, (), "40", None),
        # 80 % of 50.001 kW are 40,000.8 W.
        (
            40_000,
            (50_001,),
            "40.001",
            "measured 40 kW; 80% of the highest of 3 months, 50.001 kW",
        ),
    ],
)
def test_a_ratchet_bills_a_part_of_past_peaks(
    peak: int, past: tuple[int, ...], billed: str, note: str | None
) -> None:
    charge = tariff(_demand(rate="1", ratchet=RATCHET))
    (line,) = price(charge, peak_w=peak, past_peaks_w=past).lines
    assert (line.quantity, line.note) == (billed, note)


def test_the_least_demand_and_its_rounding() -> None:
    rule = {"at_least_kw": "25", "demand_to": {"to": "0.5", "mode": "up"}}
    charge = tariff(_demand(rate="2", **rule))
    small, large = (price(charge, peak_w=watts).lines[0] for watts in (10_000, 30_100))
    assert (small.quantity, small.note) == ("25", "measured 10 kW; at least 25 kW")
    assert (large.quantity, large.note) == ("30.5", "measured 30.1 kW; to 0.5 kW")


def test_slabs_of_demand_are_telescopic() -> None:
    steps = steps_of(("10", "5"), (None, "7"), bound="up_to_kw")
    bill = price(tariff(_demand(slabs=steps)), peak_w=12_500)
    assert amounts(bill) == ["67.50"]
    assert [part.quantity for part in bill.lines[0].slabs] == ["10", "2.5"]


def test_demand_by_period() -> None:
    rates = {"day": "10", "night": "1"}
    charge = tariff(_demand(calendar="hours", rates=rates), **CALENDARS)
    peaks = {"hours": {"day": 3000, "night": 4000}}
    assert rows(price(charge, peak_w=4000, peak_w_by_period=peaks)) == [
        ("Demand, day", "3", "10", "30.00"),
        ("Demand, night", "4", "1", "4.00"),
    ]
    with pytest.raises(UnableToPriceBill, match="peak in each period"):
        price(charge, peak_w=4000)


def test_apparent_demand_by_period() -> None:
    rates = {"day": "10", "night": "1"}
    charge = tariff(_demand("kva", calendar="hours", rates=rates), **CALENDARS)
    peaks = {"hours": {"day": 3500, "night": 4000}}
    bill = price(charge, peak_va_by_period=peaks)
    assert [line.unit for line in bill.lines] == ["kVA", "kVA"]
    assert amounts(bill) == ["35.00", "4.00"]
    with pytest.raises(UnableToPriceBill, match="peak in each period"):
        price(charge, peak_va=4000, peak_w_by_period=peaks)


def test_a_ratchet_looks_at_the_past_of_its_own_quantity() -> None:
    charges = [
        _demand(quantity, rate="1", ratchet={"percent": "100", "months": months})
        | {"code": quantity}
        for quantity, months in (("kw", 1), ("kva", 2), ("kvar", 3))
    ]
    past = {
        "past_peaks_w": (1000, 9000, 9000),
        "past_peaks_va": (1000, 2000, 9000),
        "past_peaks_var": (1000, 2000, 3000),
    }
    bill = price(tariff(*charges), peak_w=0, peak_va=0, peak_var=0, **past)
    assert amounts(bill) == ["1.00", "2.00", "3.00"]


def test_slabs_of_demand_by_period_are_filled_by_each() -> None:
    steps = {
        "day": steps_of(("2", "10"), (None, "20"), bound="up_to_kw"),
        "night": steps_of((None, "1"), bound="up_to_kw"),
    }
    charge = tariff(_demand(calendar="hours", period_slabs=steps), **CALENDARS)
    peaks = {"hours": {"day": 3000, "night": 4000}}
    assert amounts(price(charge, peak_w_by_period=peaks)) == ["40.00", "4.00"]


SEASONAL = tariff(
    _demand(calendar="seasons", rates={"summer": "10", "winter": "4"}, at_least_kw="5"), **CALENDARS
)


def test_a_bill_in_one_season_needs_no_intervals_and_has_no_line_of_the_other() -> None:
    assert rows(price(SEASONAL, peak_w=3000)) == [("Demand, summer", "5", "10", "50.00")]


def test_a_bill_in_two_seasons_needs_the_peak_of_each() -> None:
    across = Period(date(2025, 8, 22), date(2025, 9, 21))
    with pytest.raises(UnableToPriceBill, match="peak in each period of the calendar seasons"):
        price(SEASONAL, across, peak_w=3000)
    peaks = {"seasons": {"summer": 6000, "winter": 3000}}
    assert amounts(price(SEASONAL, across, peak_w_by_period=peaks)) == ["60.00", "20.00"]


def test_demand_may_follow_the_days() -> None:
    charge = tariff(_demand(rate="10", proration="days"))
    (line,) = (bill := price(charge, HALF_JUNE, peak_w=3000)).lines
    assert (line.quantity, amounts(bill)) == ("3", ["15.00"])
    assert line.note == "15 of 30 days in June"


def test_reactive_demand_above_what_is_free_with_each_kw() -> None:
    charge = tariff(_demand("kvar", rate="2", free_per_kw="1/3"))
    # A third of 10 kW is 3,333 var: 5,000 − 3,333.
    (line,) = price(charge, peak_w=10_000, peak_var=5000).lines
    assert (line.quantity, line.amount_minor) == ("1.667", 333)
    assert price(charge, peak_w=10_000, peak_var=3000).lines[0].amount_minor == 0


def test_a_seasonal_charge_for_reactive_demand_leaves_out_what_is_free() -> None:
    rates = {"summer": "2", "winter": "0"}
    charge = tariff(
        _demand("kvar", calendar="seasons", rates=rates, free_per_kw="0.5"), **CALENDARS
    )
    assert amounts(price(charge, peak_w=2000, peak_var=5000)) == ["8.00"]
