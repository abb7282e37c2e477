"""Rounding of lines and of the total, and the lines that say what it changed."""

from typing import Any

import pytest

from tests.unit.rating.pricing import amounts, flat, price, rows, tariff

PERCENT = {"code": "tax", "kind": "percent", "percent": "50", "of": ["energy"]}


def _rounded(rounding: dict[str, Any], **more: Any) -> Any:
    return tariff(flat(rate="0.125"), flat("other", "0.125"), rounding=rounding, **more)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ({}, "0.13"),
        ({"mode": "half_up"}, "0.13"),
        ({"mode": "half_even"}, "0.12"),
        ({"mode": "down"}, "0.12"),
        ({"mode": "up"}, "0.13"),
        ({"to": "0.05"}, "0.15"),
        ({"to": "0.1", "mode": "down"}, "0.10"),
    ],
)
def test_each_line_is_rounded_as_the_tariff_says(lines: dict[str, str], expected: str) -> None:
    bill = price(_rounded({"lines": lines}), kwh=1)
    assert amounts(bill) == [expected, expected]


def test_lines_that_are_not_rounded_come_to_the_rounded_exact_sum() -> None:
    # 0.125 + 0.125 = 0.25, shown as 0.13 + 0.13.
    assert rows(price(_rounded({"lines": "none"}), kwh=1)) == [
        ("Energy", "1", "0.125", "0.13"),
        ("Other", "1", "0.125", "0.13"),
        ("Rounding", "1", None, "-0.01"),
    ]


def test_a_percent_of_unrounded_lines_is_of_the_exact_amounts() -> None:
    # 0.014 × 50 % = 0.007, of the rounded 0.01 it would be 0.005.
    none = tariff(flat(rate="0.014"), PERCENT, rounding={"lines": "none"})
    assert amounts(price(none, kwh=1)) == ["0.01", "0.01"]
    each = tariff(flat(rate="0.014"), PERCENT | {"percent": "40"})
    assert amounts(price(each, kwh=1)) == ["0.01", "0.00"]


@pytest.mark.parametrize(
    ("total", "difference"),
    [
        ({"to": "5"}, "2.46"),  # 12.54 → 15
        ({"to": "5", "mode": "down"}, "-2.54"),
        ({"to": "1"}, "0.46"),
        ({"to": "1", "mode": "down"}, "-0.54"),
        ({"to": "10", "mode": "half_even"}, "-2.54"),
        ({"to": "0.05"}, "0.01"),
    ],
)
def test_the_total_is_rounded_by_a_line_of_its_own(total: dict[str, str], difference: str) -> None:
    bill = price(tariff(flat(rate="12.54"), rounding={"total": total}), kwh=1)
    assert amounts(bill) == ["12.54", difference]
    assert (bill.lines[1].code, bill.lines[1].tax) == ("rounding", False)


def test_a_total_that_needs_no_rounding_has_no_line_for_it() -> None:
    assert amounts(price(tariff(flat(), rounding={"total": {"to": "5"}}), kwh=10)) == ["10.00"]


def test_what_rounding_leaves_is_carried_to_the_next_bill() -> None:
    rounding = {"total": {"to": "10", "mode": "down", "carry_forward": True}}
    down = tariff(flat(), rounding=rounding)
    first = price(down, kwh=17)
    assert [(line.code, line.amount_minor) for line in first.lines] == [
        ("energy", 1700),
        ("carried_forward", -700),
    ]
    second = price(down, kwh=15, carried_minor=-first.lines[-1].amount_minor)
    assert [(line.code, line.amount_minor) for line in second.lines] == [
        ("brought_forward", 700),
        ("energy", 1500),
        ("carried_forward", -200),
    ]
    assert first.total_minor + second.total_minor == 3000


def test_unrounded_lines_with_a_carried_total_round_the_exact_sum_once() -> None:
    rounding = {"lines": "none", "total": {"to": "1", "carry_forward": True}}
    exact = tariff(flat(rate="0.4999"), rounding=rounding)
    # 0.4999 is nearer to 0 than to 1, although it is shown as 0.50.
    assert [(line.code, line.amount_minor) for line in price(exact, kwh=1).lines] == [
        ("energy", 50),
        ("carried_forward", -50),
    ]
