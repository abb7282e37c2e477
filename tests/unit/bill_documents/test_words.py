"""How a bill writes labels, amounts and dates in each language."""

from datetime import date

import pytest

from services.bill_documents.words import Words

LANGUAGES = ("en", "hi", "ar", "th")
TWELFTH = date(2026, 11, 12)


def words(language: str, currency: str = "INR") -> Words:
    return Words.of(language=language, currency=currency)


@pytest.mark.parametrize(
    ("language", "currency", "minor", "written"),
    [
        ("en", "INR", 123456789, "₹12,34,567.89"),
        ("hi", "INR", 123456789, "₹12,34,567.89"),
        ("en", "JPY", 1234567, "¥1,234,567"),
        ("en", "KWD", 1234567, "KWD1,234.567"),
        ("ar", "KWD", 1234567, "\u200f1,234.567\xa0د.ك.\u200f"),
        ("th", "THB", 123456, "฿1,234.56"),
    ],
)
def test_amounts_have_the_decimals_of_their_currency(
    language: str, currency: str, minor: int, written: str
) -> None:
    assert words(language, currency).money(minor) == written


@pytest.mark.parametrize(
    ("language", "written"),
    [
        ("en", "12 Nov 2026"),
        ("hi-IN", "12 नव॰ 2026"),
        ("ar-KW", "12 نوفمبر 2026"),
        ("th", "12 พ.ย. 2026"),
    ],
)
def test_dates_are_in_the_language_with_the_digits_of_the_amounts(
    language: str, written: str
) -> None:
    assert words(language).day(TWELFTH) == written


@pytest.mark.parametrize("language", ["", "xx", "ml", "zz-ZZ-zz", "../etc", "e" * 500])
def test_a_language_without_labels_is_english_throughout(language: str) -> None:
    unknown = words(language)
    assert unknown.label("amount_due") == "Amount due now"
    assert unknown.long_day(TWELFTH) == "12 November 2026"


def test_a_rate_keeps_its_decimals() -> None:
    assert words("en").number("0.048380") == "0.048380"


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("", "Total energy"),
        ("off_peak", "Off peak"),
        ("export:peak", "Sent to the grid, peak"),
        ("max_kva", "Maximum demand"),
    ],
)
def test_registers_are_called_by_what_they_count(name: str, written: str) -> None:
    assert words("en").register(name) == written
