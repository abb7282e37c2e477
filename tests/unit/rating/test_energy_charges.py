"""Charges per kWh: figures computed by hand for each way to price energy."""

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
    flat,
    price,
    rows,
    slabs,
    steps_of,
    tariff,
)

ACROSS_AUGUST = Period(date(2025, 8, 22), date(2025, 9, 21))  # 10 days of summer, 20 of winter
TWO_SLABS = (("100", "2"), (None, "3"))


def _by_hour(**charge: Any) -> Any:
    energy = {"code": "energy", "kind": "energy", "calendar": "hours", **charge}
    return tariff(energy, calendars={"hours": BY_HOUR})


def _hours(day_kwh: int, night_kwh: int) -> dict[str, Any]:
    by_period = {"hours": {"day": day_kwh * 1000, "night": night_kwh * 1000}}
    return {"kwh": day_kwh + night_kwh, "by_period": by_period}


@pytest.mark.parametrize(("kwh", "amount"), [(100, "200.00"), (101, "303.00"), (0, "0.00")])
def test_the_whole_use_is_at_the_rate_of_the_slab_it_reaches(kwh: int, amount: str) -> None:
    """A use exactly on a limit belongs to the lower slab."""
    bill = price(tariff(slabs(*TWO_SLABS, slabs_apply="whole_use")), kwh=kwh)
    assert amounts(bill) == [amount]


def test_the_whole_use_is_shown_with_the_bounds_of_its_slab() -> None:
    charge = slabs(*TWO_SLABS, slabs_apply="whole_use", print="line_per_slab")
    assert rows(price(tariff(charge), kwh=150)) == [("Energy, above 100 kWh", "150", "3", "450.00")]


def test_limits_grow_with_the_peak() -> None:
    # 10 kWh for each of 2.5 kW are 25 kWh: 25 × 2 + 75 × 3 = 275.
    bill = price(
        tariff(slabs(("10", "2"), (None, "3"), slab_limits_per="kw")), kwh=100, peak_w=2500
    )
    assert amounts(bill) == ["275.00"]
    assert bill.lines[0].note == "limits of the slabs for 2.5 kW"


def test_scaled_limits_are_whole_wh_or_whole_kwh() -> None:
    # 55 × 15/30 = 27.5 kWh, or 28 whole ones; 27.5 × 2 + 2.5 × 3 = 62.5; 28 × 2 + 2 × 3 = 62.
    steps = (("55", "2"), (None, "3"))
    by_wh = tariff(slabs(*steps, slab_limits_per="month"))
    by_kwh = tariff(slabs(*steps, slab_limits_per="month", limits_to="kwh"))
    assert amounts(price(by_wh, HALF_JUNE, kwh=30)) == ["62.50"]
    assert amounts(price(by_kwh, HALF_JUNE, kwh=30)) == ["62.00"]
    note = price(by_kwh, HALF_JUNE, kwh=30).lines[0].note
    assert note == "limits of the slabs for 15 of 30 days in June"


def test_energy_in_whole_kwh_is_rounded_before_it_is_priced() -> None:
    whole = tariff(slabs(("55", "2"), (None, "3"), slab_limits_per="month"), whole_kwh=True)
    # 30.5 kWh are 31: 28 × 2 + 3 × 3 = 65.
    assert amounts(price(whole, HALF_JUNE, wh=30_500)) == ["65.00"]
    assert amounts(price(whole, HALF_JUNE, wh=30_499)) == ["62.00"]


def test_time_of_use_has_a_line_a_period() -> None:
    bill = price(_by_hour(rates={"day": "0.30", "night": "0.10"}), **_hours(40, 60))
    assert rows(bill) == [
        ("Energy, day", "40", "0.30", "12.00"),
        ("Energy, night", "60", "0.10", "6.00"),
    ]


def test_a_period_without_use_has_no_line() -> None:
    tou = _by_hour(rates={"day": "0.30", "night": "0.10"})
    assert rows(price(tou, **_hours(0, 60))) == [("Energy, night", "60", "0.10", "6.00")]
    assert rows(price(tou, **_hours(0, 0))) == [("Energy, day", "0", "0.30", "0.00")]


def test_pooled_tiers_are_filled_once_and_shared_in_proportion() -> None:
    # 150 kWh fill 100 + 50; day has 60 of 150: 40 + 20, night 60 + 30.
    steps = {
        "day": steps_of(("100", "2"), (None, "3")),
        "night": steps_of(("100", "1"), (None, "2")),
    }
    tou = _by_hour(period_slabs=steps, tiers="pooled", slab_limits_per="bill")
    bill = price(tou, **_hours(60, 90))
    assert rows(bill) == [
        ("Energy, day", "60", None, "140.00"),
        ("Energy, night", "90", None, "120.00"),
    ]
    assert [part.quantity for part in bill.lines[0].slabs] == ["40", "20"]


def test_each_period_fills_its_own_tiers() -> None:
    # Day 60 in its first 100; night 90: 50 + 40.
    steps = {
        "day": steps_of(("100", "2"), (None, "3")),
        "night": steps_of(("50", "1"), (None, "2")),
    }
    tou = _by_hour(period_slabs=steps, tiers="per_period", slab_limits_per="bill")
    assert amounts(price(tou, **_hours(60, 90))) == ["120.00", "130.00"]


def test_shared_tiers_add_up_to_the_wh() -> None:
    steps = {
        "day": steps_of(("0.1", "2"), (None, "3")),
        "night": steps_of(("0.1", "1"), (None, "2")),
    }
    tou = _by_hour(period_slabs=steps, tiers="pooled", slab_limits_per="bill")
    bill = price(tou, wh=101, by_period={"hours": {"day": 33, "night": 68}})
    # 100 × 33/101 = 32.67 → 33 and 67; 1 × 33/101 = 0.33 → 0 and 1.
    assert [[part.quantity for part in line.slabs] for line in bill.lines] == [
        ["0.033"],
        ["0.067", "0.001"],
    ]


def test_time_of_use_needs_its_registers() -> None:
    tou = _by_hour(rates={"day": "0.30", "night": "0.10"})
    with pytest.raises(UnableToPriceBill, match=r"Energy .*period of the calendar hours"):
        price(tou, kwh=100)
    with pytest.raises(UnableToPriceBill, match="does not add up"):
        price(tou, kwh=100, by_period={"hours": {"day": 40_000, "night": 59_999}})


def test_seasons_share_the_energy_by_days() -> None:
    # 10 of 30 days are summer: 100 × 10/30 = 33.333 kWh.
    seasonal = {"calendar": "seasons", "rates": {"summer": "3", "winter": "1"}}
    rate = tariff(
        {"code": "energy", "kind": "energy", **seasonal},
        seasons=SEASONS,
        calendars={"seasons": BY_SEASON},
    )
    assert rows(price(rate, ACROSS_AUGUST, kwh=100)) == [
        ("Energy, summer", "33.333", "3", "100.00"),
        ("Energy, winter", "66.667", "1", "66.67"),
    ]
    measured = {"seasons": {"summer": 50_000, "winter": 50_000}}
    assert amounts(price(rate, ACROSS_AUGUST, kwh=100, by_period=measured)) == ["150.00", "50.00"]


CHANGING = flat(
    rate="1", changes=[{"from": "2025-06-11", "rate": "2"}, {"from": "2026-01-01", "rate": "9"}]
)


def test_a_rate_that_changes_within_a_bill_splits_it_by_days() -> None:
    assert rows(price(tariff(CHANGING), kwh=100)) == [
        ("Energy, before 11 Jun 2025", "33.333", "1", "33.33"),
        ("Energy, from 11 Jun 2025", "66.667", "2", "133.33"),
    ]


def test_a_rate_that_changes_within_a_bill_splits_it_by_intervals_where_there_are_any() -> None:
    before = {date(2025, 6, 11): 40_000, date(2026, 1, 1): 100_000}
    assert amounts(price(tariff(CHANGING), kwh=100, wh_before=before)) == ["40.00", "120.00"]


def test_a_bill_wholly_after_a_change_does_not_name_it() -> None:
    july = Period(date(2025, 7, 1), date(2025, 8, 1))
    assert rows(price(tariff(CHANGING), july, kwh=100)) == [("Energy", "100", "2", "200.00")]


def test_exports_are_credited() -> None:
    credit = flat("export", "-0.04", quantity="export_kwh")
    assert rows(price(tariff(flat(rate="0.10"), credit), kwh=100, export_wh=50_000)) == [
        ("Energy", "100", "0.10", "10.00"),
        ("Export", "50", "-0.04", "-2.00"),
    ]


def test_apparent_energy_is_in_kvah() -> None:
    charge = tariff(flat(rate="0.10", quantity="kvah"))
    (line,) = price(charge, kwh=100, vah=125_000).lines
    assert (line.quantity, line.unit, line.amount_minor) == ("125", "kVAh", 1250)
    with pytest.raises(UnableToPriceBill, match="kVAh, which is not known"):
        price(charge, kwh=100)


def test_apparent_energy_by_period() -> None:
    rates = {"day": "2", "night": "1"}
    charge = flat(quantity="kvah", calendar="hours", rates=rates)
    del charge["rate"]
    hours = tariff(charge, calendars={"hours": BY_HOUR})
    split = {"hours": {"day": 25_000, "night": 100_000}}
    bill = price(hours, kwh=100, vah=125_000, vah_by_period=split)
    assert rows(bill) == [
        ("Energy, day", "25", "2", "50.00"),
        ("Energy, night", "100", "1", "100.00"),
    ]
    with pytest.raises(UnableToPriceBill, match="energy in each period of the calendar hours"):
        price(hours, kwh=100, vah=125_000, by_period=split)
    with pytest.raises(UnableToPriceBill, match="does not add up"):
        price(hours, kwh=100, vah=125_001, vah_by_period=split)


def test_rates_too_fine_for_int64_stay_exact() -> None:
    fine = tariff(flat(rate="0.123456789012"))
    # 10^15 kWh × 0.123456789012
    assert amounts(price(fine, kwh=10**15)) == ["123456789012000.00"]
