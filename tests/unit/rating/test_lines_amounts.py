"""Amounts per bill, month, day and kW, and minimums: counted and prorated as the tariff says."""

from datetime import date
from typing import Any

import pytest

from services.quantities.period import Period
from services.rating import UnableToPriceBill
from tests.unit.rating.pricing import HALF_JUNE, JUNE, amounts, fixed, flat, price, rows, tariff

BSES = Period(date(2022, 6, 25), date(2022, 7, 25))  # 6 of 30 days and 24 of 31
THIRTIETHS = {"count": "thirtieths"}


@pytest.mark.parametrize(
    ("months", "amount", "quantity"),
    [
        ({"count": "calendar"}, "146.13", "0.9742"),  # 6/30 + 24/31 = 0.974193…
        ({"count": "calendar", "places": 2}, "145.50", "0.97"),
        (THIRTIETHS, "150.00", "1"),
        ({"count": "one"}, "150.00", "1"),
        ({"count": "calendar", "one_within_days": [25, 35]}, "150.00", "1"),
        ({"count": "calendar", "one_within_days": [31, 35]}, "146.13", "0.9742"),
    ],
)
def test_months_are_counted_as_the_tariff_says(
    months: dict[str, Any], amount: str, quantity: str
) -> None:
    monthly = fixed("150", "month", proration="days")
    (line,) = (bill := price(tariff(monthly, months=months), BSES)).lines
    assert (amounts(bill), line.quantity) == ([amount], quantity)


def test_a_charge_may_count_months_in_its_own_way() -> None:
    own = fixed("150", "month", "own", proration="days", months={"count": "one"})
    bill = price(tariff(fixed("150", "month", proration="days"), own, months=THIRTIETHS), HALF_JUNE)
    assert amounts(bill) == ["75.00", "150.00"]


def test_a_prorated_month_names_its_days() -> None:
    monthly = tariff(fixed("150", "month", proration="days"))
    assert price(monthly, BSES).lines[0].note == "6 of 30 days in June, 24 of 31 days in July"
    assert price(monthly, JUNE).lines[0].note is None
    in_30ths = tariff(fixed("150", "month", proration="days"), months=THIRTIETHS)
    assert price(in_30ths, HALF_JUNE).lines[0].note == "15 of 30 days"


def test_days_may_be_those_of_an_average_month() -> None:
    # 0.30 × 365 / 12 = 9.125
    daily = tariff(fixed("0.30", "day", days_as="average_month"))
    assert rows(price(daily)) == [("Fixed", "30.4167", "0.30", "9.13")]


def test_an_amount_for_each_kw_of_connected_load() -> None:
    per_kw = tariff(fixed("50", "month", proration="days", times="connected_kw"))
    (line,) = (bill := price(per_kw, BSES, connected_w=3000)).lines
    assert (line.quantity, line.unit, amounts(bill)) == ("3", "kW", ["146.13"])
    assert line.note == "× 0.9742 months (6 of 30 days in June, 24 of 31 days in July)"
    assert price(per_kw, connected_w=3000).lines[0].note is None
    with pytest.raises(UnableToPriceBill, match="connected load in kW"):
        price(per_kw)


def test_an_amount_for_each_kva() -> None:
    per_kva = tariff(fixed("10", times="connected_kva"))
    assert amounts(price(per_kva, connected_va=2500)) == ["25.00"]


def test_an_amount_for_each_billed_kw_follows_the_ratchet() -> None:
    demand = {
        "code": "demand",
        "kind": "demand",
        "quantity": "kw",
        "rate": "1",
        "ratchet": {"percent": "80", "months": 11},
    }
    per_kw = tariff(fixed("2", times="billed_kw"), demand)
    # 80 % of 10 kW are 8, more than 5.
    assert amounts(price(per_kw, peak_w=5000, past_peaks_w=(10_000,))) == ["16.00", "8.00"]
    assert amounts(price(tariff(fixed("2", times="billed_kw")), peak_w=5000)) == ["10.00"]


def _minimum(amount: str, per: str = "bill", **more: Any) -> dict[str, Any]:
    return {
        "code": "minimum",
        "kind": "minimum",
        "amount": amount,
        "per": per,
        "of": ["energy"],
        **more,
    }


def test_a_minimum_adds_what_is_missing() -> None:
    least = tariff(flat(rate="0.10"), _minimum("20"))
    assert amounts(price(least, kwh=125)) == ["12.50", "7.50"]
    assert price(least, kwh=125).lines[1].note == "a minimum of 20.00 less 12.50 charged"
    assert amounts(price(least, kwh=200)) == ["20.00"]


@pytest.mark.parametrize(
    ("more", "missing"),
    [
        ({"per": "month", "proration": "days"}, "9.00"),  # 20 × 15/30 − 1
        ({"per": "month", "proration": "none"}, "19.00"),
        ({"per": "day"}, "299.00"),  # 20 × 15 − 1
        ({"per": "bill", "times": "connected_kw"}, "59.00"),  # 20 × 3 − 1
    ],
)
def test_a_minimum_per_month_day_or_kw(more: dict[str, Any], missing: str) -> None:
    least = tariff(flat(rate="0.10"), _minimum("20", **more))
    assert amounts(price(least, HALF_JUNE, kwh=10, connected_w=3000)) == ["1.00", missing]


def test_a_years_minimum_is_asked_for_when_the_year_closes() -> None:
    least = tariff(flat(rate="0.10"), _minimum("120", "year"))
    assert amounts(price(least, kwh=100)) == ["10.00"]
    closing = {"kwh": 100, "closes_year": True}
    assert amounts(price(least, **closing, charged_this_year_minor=9_500)) == ["10.00", "15.00"]
    assert amounts(price(least, **closing, charged_this_year_minor=11_000)) == ["10.00"]
    with pytest.raises(UnableToPriceBill, match="what was charged this year"):
        price(least, **closing)


def test_a_charge_is_there_only_in_its_range_of_use() -> None:
    subsidy = flat("subsidy", "-0.5", when={"kwh_up_to": "200", "per": "month"})
    lifeline = tariff(flat(rate="2"), subsidy)
    # The cliff: the subsidy of 100 is gone with the first Wh above 200 kWh.
    assert amounts(price(lifeline, kwh=200)) == ["400.00", "-100.00"]
    assert amounts(price(lifeline, wh=200_001)) == ["400.00"]
    assert amounts(price(lifeline, HALF_JUNE, kwh=101)) == ["202.00"]


def test_a_charge_is_there_only_in_its_range_of_load() -> None:
    large = tariff(flat(), fixed("5", when={"load_kw_above": "2", "load_kw_up_to": "5"}))
    for watts, found in ((2000, 1), (2001, 2), (5000, 2), (5001, 1)):
        assert len(price(large, kwh=1, connected_w=watts).lines) == found


def test_a_charge_that_is_not_there_needs_nothing() -> None:
    demand = {"code": "demand", "kind": "demand", "quantity": "kw", "rate": "1"}
    above = demand | {"when": {"kwh_above": "500", "per": "bill"}}
    assert amounts(price(tariff(flat(), above), kwh=500)) == ["500.00"]
    with pytest.raises(UnableToPriceBill, match="peak in kW"):
        price(tariff(flat(), above), kwh=501)


def test_an_amount_is_capped_on_both_sides_of_zero() -> None:
    capped = tariff(flat(at_most="20"), flat("credit", "-1", at_most="15"))
    bill = price(capped, kwh=30)
    assert amounts(bill) == ["20.00", "-15.00"]
    assert bill.lines[0].note == "at most this amount"
    assert price(capped, kwh=10).lines[0].note is None
