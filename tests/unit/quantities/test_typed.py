"""What people type is read as it is printed, where it is certain; else it is asked about."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.quantities.energy import InvalidEnergy
from services.quantities.money import InvalidMoney, Money
from services.quantities.typed import plain_kwh, typed_kwh, typed_money


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("1000.50", "INR", 100_050),
        (" 1,000.50 ", "INR", 100_050),
        ("₹1,000.50", "INR", 100_050),
        ("1,000.50 ₹", "INR", 100_050),
        ("INR 1,000.50", "INR", 100_050),
        ("inr1000.50", "INR", 100_050),
        ("₹1,00,000.50", "INR", 10_000_050),
        ("1,00,000", "INR", 10_000_000),
        ("1 000,50", "INR", 100_050),
        ("1\u202f000,50", "EUR", 100_050),
        ("1.000,50 €", "EUR", 100_050),
        ("1'000.50", "CHF", 100_050),
        ("12,5", "EUR", 1_250),
        ("1,000", "INR", 100_000),
        ("1,000", "JPY", 1_000),
        ("1.000.000", "EUR", 100_000_000),
        ("0,125", "KWD", 125),
        ("1.125", "KWD", 1_125),
        ("−₹0.50", "INR", -50),
        ("-5", "INR", -500),
    ],
)
def test_an_amount_is_read_as_it_is_printed(text: str, currency: str, minor: int) -> None:
    assert typed_money(text, currency=currency) == Money(minor, currency)


@pytest.mark.parametrize(
    ("text", "currency", "said"),
    [
        ("1,000", "KWD", "1,000 may be 1000 or 1.000: write it as one of these."),
        ("1.000", "INR", "has more than the 2 decimals of INR"),
        ("1,00.5", "INR", "not an amount"),
        ("1,000,50", "INR", "not an amount"),
        ("$5", "INR", "not an amount"),
        ("1e4", "INR", "not an amount"),
        ("five", "INR", "not an amount"),
        ("", "INR", "not an amount"),
    ],
)
def test_what_is_not_certain_is_refused(text: str, currency: str, said: str) -> None:
    with pytest.raises(InvalidMoney, match=said):
        typed_money(text, currency=currency)


@given(
    minor=st.integers(-(10**15), 10**15),
    currency=st.sampled_from(["INR", "USD", "EUR", "JPY", "KWD", "CHF", "GBP"]),
)
def test_what_pages_show_can_be_typed(minor: int, currency: str) -> None:
    amount = Money(minor, currency)
    assert typed_money(amount.display(), currency=currency) == amount
    assert typed_money(amount.text, currency=currency) == amount


@pytest.mark.parametrize(
    ("text", "wh"),
    [
        ("1117", 1_117_000),
        ("1,117.5", 1_117_500),
        ("1 117,5", 1_117_500),
        ("1117,5", 1_117_500),
        ("1,117.5 kWh", 1_117_500),
        ("11 117 KWH", 11_117_000),
        ("1.117", 1_117),
        ("1,11,117", 111_117_000),
    ],
)
def test_a_reading_is_read_as_it_is_printed(text: str, wh: int) -> None:
    assert typed_kwh(text) == wh


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1,117", "1,117 may be 1117 or 1.117"),
        ("1e4", "Write the reading with all its digits: 10000, not 1e4."),
        ("1,17.5", "without commas"),
        ("", "is missing"),
        ("-5", "cannot be negative"),
        ("−5", "cannot be negative"),
    ],
)
def test_a_reading_that_is_not_certain_is_refused(text: str, said: str) -> None:
    with pytest.raises(InvalidEnergy, match=said):
        typed_kwh(text)


def test_what_is_no_number_is_left_for_the_strict_reading() -> None:
    assert plain_kwh("n/a") == "n/a"
    assert plain_kwh("70 kVAh", unit="kVAh") == "70"


@pytest.mark.parametrize("text", ["१११७.५", "١١١٧٫٥", "۱۱۱۷٫۵ kWh", "1117.5"])
def test_digits_of_other_scripts_are_read(text: str) -> None:
    assert typed_kwh(text) == 1_117_500
