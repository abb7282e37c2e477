"""Numbers as people type and paste them."""

import pytest

from services.tariff_publishing.typed import typed_number


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("3.25", "3.25"),
        (" 3.25 ", "3.25"),
        ("1,000.50", "1000.50"),
        ("1,00,000", "100000"),
        ("₹1,000.50", "1000.50"),
        ("$ 0.12", "0.12"),
        ("-₹5", "-5"),
        ("−1.50", "-1.50"),
        ("10 %", "10"),
        (".5", "0.5"),
        ("5.", "5"),
        ("0.10", "0.10"),
    ],
)
def test_a_number_as_it_is_printed_is_its_decimals(typed: str, kept: str) -> None:
    assert typed_number(typed) == kept


@pytest.mark.parametrize(
    "typed",
    ["", "3.l5", "3,25", "1,0000", "1e3", "--5", "1/3", "₹", "3.2.5", "1.000,50", "abc", "%"],
)
def test_anything_else_stays_as_it_was_typed(typed: str) -> None:
    assert typed_number(f" {typed} ") == typed
