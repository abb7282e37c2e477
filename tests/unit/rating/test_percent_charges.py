"""Taxes on taxes, grossed-up taxes, power factor and reactive energy, computed by hand."""

from typing import Any

import pytest

from services.rating import UnableToPriceBill
from tests.unit.rating.pricing import amounts, fixed, flat, price, tariff


def _percent(code: str, percent: str, *of: str, **more: Any) -> dict[str, Any]:
    return {"code": code, "kind": "percent", "percent": percent, "of": list(of), **more}


def test_a_tax_on_a_tax() -> None:
    duty, cess = _percent("duty", "10", "energy"), _percent("cess", "2", "energy", "duty")
    assert amounts(price(tariff(flat(), duty, cess), kwh=100)) == ["100.00", "10.00", "2.20"]


def test_a_grossed_up_tax_is_a_percent_of_an_amount_that_contains_it() -> None:
    bill = price(tariff(flat(), _percent("tax", "5", "energy", gross_up=True)), kwh=190)
    # 190 × 5/95 = 10, which is 5 % of 200.
    assert amounts(bill) == ["190.00", "10.00"]
    assert bill.lines[1].note == "5% of an amount that contains it: × 5 ÷ 95"


def test_a_percent_of_a_charge_that_is_not_there_is_of_nothing() -> None:
    absent = fixed("5", when={"kwh_above": "500", "per": "bill"})
    bill = price(tariff(flat(), absent, _percent("tax", "10", "energy", "fixed")), kwh=100)
    assert amounts(bill) == ["100.00", "10.00"]


def _power_factor(**more: Any) -> Any:
    charge = {
        "code": "pf",
        "kind": "power_factor",
        "target": "0.90",
        "percent_per_point": "1",
        "of": ["energy"],
    }
    return tariff(flat(), {**charge, **more})


STEPS = [{"pf": "0.85", "percent_per_point": "2"}]


@pytest.mark.parametrize(
    ("kvah", "more", "rate", "amount"),
    [
        (115, {}, "3", "3.00"),  # 100/115 = 0.8696 → 0.87: 3 points below 0.90
        (120, {"below": STEPS}, "9", "9.00"),  # 0.83: 5 points at 1 %, 2 at 2 %
        (120, {"below": STEPS, "at_most_percent": "6"}, "6", "6.00"),
        (102, {"bonus_percent_per_point": "0.5"}, "-4", "-4.00"),  # 0.98: 8 points above
        (102, {"bonus_percent_per_point": "0.5", "bonus_above": "0.95"}, "-1.5", "-1.50"),
        (102, {"bonus_percent_per_point": "0.5", "at_most_percent": "3"}, "-3", "-3.00"),
        # Fewer kVAh than kWh cannot be: 1.00 at most, 10 points above.
        (80, {"bonus_percent_per_point": "0.5"}, "-5", "-5.00"),
    ],
)
def test_a_power_factor_costs_or_saves_a_percent_a_point(
    kvah: int, more: dict[str, Any], rate: str, amount: str
) -> None:
    bill = price(_power_factor(**more), kwh=100, vah=kvah * 1000)
    assert (bill.lines[1].rate, amounts(bill)) == (rate, ["100.00", amount])


def test_a_power_factor_names_itself() -> None:
    line = price(_power_factor(), kwh=100, vah=115_000).lines[1]
    assert line.note == "power factor 0.87, target 0.90"
    assert (line.quantity, line.unit) == ("100.00", "%")


def test_a_power_factor_on_its_target_has_no_line() -> None:
    assert len(price(_power_factor(), kwh=90, vah=100_000).lines) == 1
    assert len(price(_power_factor(), kwh=0, vah=0).lines) == 1


@pytest.mark.parametrize(
    ("kwh", "kvarh", "rate"),
    [(80, 60, "10"), (4 * 10**9, 3 * 10**9, "10"), (100, 100, "19")],  # 0.8, 0.8, 0.7071
)
def test_a_power_factor_from_active_and_reactive_energy(kwh: int, kvarh: int, rate: str) -> None:
    bill = price(_power_factor(), kwh=kwh, varh=kvarh * 1000)
    assert bill.lines[1].rate == rate


def test_a_power_factor_needs_a_second_register() -> None:
    with pytest.raises(UnableToPriceBill, match="kVAh or kVArh"):
        price(_power_factor(), kwh=100)


def test_reactive_energy_above_what_is_free_with_each_kwh() -> None:
    charge = {"code": "kvarh", "kind": "reactive", "rate": "0.02", "free_kvarh_per_kwh": "1/3"}
    bill = price(tariff(flat(), charge), kwh=100, varh=60_000)
    # 60 − 33.333 = 26.667 kVArh
    assert (bill.lines[1].quantity, bill.lines[1].unit) == ("26.667", "kVArh")
    assert amounts(bill) == ["100.00", "0.53"]
    assert amounts(price(tariff(flat(), charge), kwh=100, varh=33_000)) == ["100.00", "0.00"]
