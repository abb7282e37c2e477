"""Money is exact, keeps its currency, and is rounded half away from zero."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.quantities.money import (
    CurrencyMismatch,
    InvalidMoney,
    Money,
    UnknownCurrency,
    exponent,
    round_half_up,
    scaled_text,
    with_minus_signs,
)


@pytest.mark.parametrize(
    ("currency", "places"),
    [("JPY", 0), ("INR", 2), ("USD", 2), ("KWD", 3), ("IQD", 3), ("MGA", 2), ("CLF", 4)],
)
def test_decimals_of_a_currency_are_those_of_iso_4217(currency: str, places: int) -> None:
    assert exponent(currency) == places


@pytest.mark.parametrize("currency", ["", "inr", "RUPEE", "XAU", "XXX", "ZZZ"])
def test_a_currency_nobody_bills_in_is_unknown(currency: str) -> None:
    with pytest.raises(UnknownCurrency):
        Money(minor=1, currency=currency)


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("540.35", "INR", 54035),
        ("540.3", "INR", 54030),
        ("540", "JPY", 540),
        ("1.234", "KWD", 1234),
        ("-0.06", "USD", -6),
        ("0", "USD", 0),
    ],
)
def test_an_amount_is_read_exactly(text: str, currency: str, minor: int) -> None:
    assert Money.parse(text, currency=currency) == Money(minor=minor, currency=currency)


@pytest.mark.parametrize(
    ("text", "currency"),
    [("540.355", "INR"), ("540.0", "JPY"), ("12.000", "USD"), ("1.2345", "KWD")],
)
def test_more_decimals_than_the_currency_has_are_refused(text: str, currency: str) -> None:
    with pytest.raises(InvalidMoney, match="decimals"):
        Money.parse(text, currency=currency)


@pytest.mark.parametrize(
    "text",
    [540.35, 540, True, None, "", " 1", "1\n", "1e3", "1,000", ".5", "5.", "+1", "NaN", "１"],
)
def test_what_is_not_plain_decimal_text_is_refused(text: object) -> None:
    with pytest.raises(InvalidMoney):
        Money.parse(text, currency="USD")  # type: ignore[arg-type]


@pytest.mark.parametrize("minor", [1.0, True, "1"])
def test_minor_units_are_a_whole_number(minor: object) -> None:
    with pytest.raises(InvalidMoney):
        Money(minor=minor, currency="USD")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("money", "text"),
    [
        (Money(54035, "INR"), "540.35"),
        (Money(540, "JPY"), "540"),
        (Money(1234, "KWD"), "1.234"),
        (Money(-6, "USD"), "-0.06"),
        (Money(5, "USD"), "0.05"),
    ],
)
def test_text_is_the_plain_amount(money: Money, text: str) -> None:
    assert money.text == text


@pytest.mark.parametrize(
    ("money", "shown"),
    [
        (Money(54035, "INR"), "₹540.35"),
        (Money(1234567800, "INR"), "₹1,23,45,678.00"),
        (Money(17155, "USD"), "$171.55"),
        (Money(123456789, "USD"), "$1,234,567.89"),
        (Money(-540, "JPY"), "−¥540"),
        (Money(1234, "KWD"), "KWD1.234"),
        (Money(5000, "IQD"), "IQD5.000"),
    ],
)
def test_display_is_what_people_read(money: Money, shown: str) -> None:
    assert money.display() == shown


def test_displaying_one_currency_does_not_change_how_another_is_shown() -> None:
    Money(1234, "KWD").display()
    assert Money(17155, "USD").display() == "$171.55"


def test_amounts_of_one_currency_add_and_subtract() -> None:
    assert Money(100, "INR") + Money(35, "INR") == Money(135, "INR")
    assert Money(100, "INR") - Money(135, "INR") == Money(-35, "INR")


def test_two_currencies_are_never_added_or_subtracted() -> None:
    with pytest.raises(CurrencyMismatch):
        Money(1, "INR") + Money(1, "USD")
    with pytest.raises(CurrencyMismatch):
        Money(1, "INR") - Money(1, "USD")


@pytest.mark.parametrize(
    ("value", "rounded"),
    [
        ("0.5", 1),
        ("-0.5", -1),
        ("2.5", 3),
        ("-2.5", -3),
        ("2.4999", 2),
        ("-2.4999", -2),
        ("0", 0),
        ("169.85", 170),
    ],
)
def test_a_half_is_rounded_away_from_zero(value: str, rounded: int) -> None:
    assert round_half_up(Fraction(value)) == rounded


@given(value=st.fractions())
@settings(deadline=None)
def test_rounding_moves_a_value_by_at_most_a_half(value: Fraction) -> None:
    rounded = round_half_up(value)
    assert abs(rounded - value) <= Fraction(1, 2)
    assert round_half_up(-value) == -rounded


@given(
    minor=st.integers(-(10**18) + 1, 10**18 - 1), currency=st.sampled_from(["JPY", "INR", "KWD"])
)
@settings(deadline=None)
def test_the_text_of_an_amount_reads_back_as_the_same_amount(minor: int, currency: str) -> None:
    money = Money(minor, currency)
    assert Money.parse(money.text, currency=currency) == money


def test_end_zeros_are_dropped_only_after_the_point() -> None:
    assert scaled_text(1000000, places=3, trim=True) == "1000"
    assert scaled_text(1000, places=0, trim=True) == "1000"


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("-0.05 per kWh", "−0.05 per kWh"),
        ("from -1 to -2", "from −1 to −2"),
        ("(-3)", "(−3)"),
        ("2026-11-12", "2026-11-12"),
        ("INV-000117", "INV-000117"),
        ("10-20", "10-20"),
        ("a high-use home", "a high-use home"),
    ],
)
def test_people_read_a_minus_sign_before_negative_numbers_and_hyphens_elsewhere(
    text: str, read: str
) -> None:
    assert with_minus_signs(text) == read


@pytest.mark.parametrize("currency", ["INR", "USD", "KWD", "JPY", "CHF"])
def test_an_amount_below_0_has_the_minus_sign_and_its_text_the_hyphen(currency: str) -> None:
    amount = Money(-12_345, currency)
    assert amount.display().startswith("−")
    assert "-" not in amount.display()
    assert amount.text.startswith("-")
