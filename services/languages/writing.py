"""Numbers, amounts and dates as a place writes them (CLDR, by Babel), in digits 0 to 9."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, localcontext
from functools import lru_cache
from typing import Final, Protocol, runtime_checkable

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_skeleton
from babel.numbers import NumberPattern, format_currency, format_decimal, parse_pattern

ENGLISH: Final = "en"
MINUS: Final = "\N{MINUS SIGN}"
_LEFT_TO_RIGHT: Final = "\u200e"
# Rupees are grouped by lakh in English too.
_ENGLISH_OF: Final = {"INR": "en_IN"}
_ORDINALS: Final = (
    "first", "second", "third", "fourth", "fifth",
    "sixth", "seventh", "eighth", "ninth", "tenth",
)  # fmt: skip
# "12 Nov 2026": Babel's plain English has the order of the US.
_ENGLISH_DATES: Final = {"yMMMd": "d MMM y", "yMMM": "MMM y", "MMMd": "d MMM", "long": "d MMMM y"}


@runtime_checkable
class Amount(Protocol):
    """An amount of money: its decimal text with all decimals of its currency."""

    @property
    def text(self) -> str:
        """Plain decimal text: 540.35."""
        ...

    @property
    def currency(self) -> str:
        """ISO 4217."""
        ...


@dataclass(frozen=True, slots=True)
class DayOfYear:
    """A day of every year: 1 Apr."""

    value: date


@dataclass(frozen=True, slots=True)
class Month:
    """A month of every year by its number: Mar, or March where it is `full`."""

    number: int
    full: bool = False


@dataclass(frozen=True, slots=True)
class Ordinal:
    """A position, 1 being the first: "first" in English, 1 in other languages.

    There an ordinal would have to agree with its noun: "slab no. 1" is right in all.
    """

    number: int


@dataclass(frozen=True, slots=True)
class Capitalized:
    """A text or a sentence as it begins a line: with a capital, where the language has them."""

    said: str


def capitalized(text: str) -> str:
    """A text with a capital at its beginning."""
    return f"{text[:1].upper()}{text[1:]}"


# What has a form of its own in each place.
Placed = Amount | DayOfYear | Month | Ordinal


def placed(value: Placed, locale: Locale) -> str:
    """An amount with its currency, a day or a month without its year, or a position."""
    if isinstance(value, DayOfYear):
        return day_of_month(value.value, locale)
    if isinstance(value, Ordinal):
        return _ordinal(value.number, locale)
    if isinstance(value, Month):
        first = date(2000, value.number, 1)
        written: str = format_date(first, "LLLL" if value.full else "LLL", locale=locale)
        return written
    return money(value.text, value.currency, locale)


@lru_cache(maxsize=64)
def locale_of(tag: str) -> Locale:
    """The locale of an IETF tag, that of its language alone, or English."""
    for candidate in _candidates(tag):
        try:
            return Locale.parse(candidate)
        except (ValueError, UnknownLocaleError):
            continue
    raise LookupError(tag)


def _candidates(tag: str) -> Iterator[str]:
    yield tag.replace("-", "_")
    yield tag.replace("_", "-").partition("-")[0]
    yield ENGLISH


def number(decimal_text: str, locale: Locale) -> str:
    """A decimal text with all its decimals, grouped: 1234.50 -> 1,234.50."""
    pattern = _decimal_pattern(locale, _places(decimal_text))
    with localcontext() as context:
        # An exact amount may have more digits than decimals are computed with by default.
        context.prec = max(context.prec, len(decimal_text))
        written: str = format_decimal(Decimal(decimal_text), pattern, locale=locale)
    written = written.replace("-", MINUS)
    # Or the minus would stand behind its number.
    mark = locale.text_direction == "rtl" and written.startswith(MINUS)
    return f"{_LEFT_TO_RIGHT}{written}" if mark else written


def number_of_currency(decimal_text: str, currency: str, locale: Locale) -> str:
    """The same, grouped as amounts of the currency are."""
    return number(decimal_text, _locale_for(locale, currency))


def money(decimal_text: str, currency: str, locale: Locale) -> str:
    """An amount with its currency and all its decimals: ₹1,234.50."""
    place = _locale_for(locale, currency)
    written: str = format_currency(
        Decimal(decimal_text),
        currency,
        _currency_pattern(place, _places(decimal_text)),
        locale=place,
        currency_digits=False,
    )
    return written.replace("-", MINUS)


def day(value: date, locale: Locale) -> str:
    """A local date: 12 Nov 2026."""
    return _dated(value, "yMMMd", locale)


def day_of_month(value: date, locale: Locale) -> str:
    """A local date without its year: 12 Nov."""
    return _dated(value, "MMMd", locale)


def month(value: date, locale: Locale) -> str:
    """The month of a local date: Nov 2026."""
    return _dated(value, "yMMM", locale)


def short_month(value: date, locale: Locale) -> str:
    """The month of a local date below a chart: Nov 26."""
    written: str = format_date(value, "MMM yy", locale=locale)
    return written


def long_day(value: date, locale: Locale) -> str:
    """A local date in full: 12 November 2026."""
    if locale.language == ENGLISH:
        return _pattern_date(value, "long", locale)
    written: str = format_date(value, "long", locale=locale)
    return written


def month_alone(value: date, locale: Locale) -> str:
    """A month: Nov."""
    written: str = format_date(value, "LLL", locale=locale)
    return written


def month_letter(value: date, locale: Locale) -> str:
    """A month in one letter: N."""
    written: str = format_date(value, "LLLLL", locale=locale)
    return written


def _dated(value: date, skeleton: str, locale: Locale) -> str:
    if locale.language == ENGLISH:
        return _pattern_date(value, skeleton, locale)
    written: str = format_skeleton(skeleton, value, locale=locale)
    return written


def _pattern_date(value: date, skeleton: str, locale: Locale) -> str:
    written: str = format_date(value, _ENGLISH_DATES[skeleton], locale=locale)
    return written


def _locale_for(locale: Locale, currency: str) -> Locale:
    if locale.language == ENGLISH and locale.territory is None and currency in _ENGLISH_OF:
        return locale_of(_ENGLISH_OF[currency])
    return locale


def _places(decimal_text: str) -> int:
    return len(decimal_text.partition(".")[2])


def _ordinal(position: int, locale: Locale) -> str:
    """A position in words (English), or its number."""
    if locale.language != ENGLISH:
        return str(position)
    if position <= len(_ORDINALS):
        return _ORDINALS[position - 1]
    ending = {1: "st", 2: "nd", 3: "rd"}.get(position % 10, "th")
    return f"{position}{'th' if position % 100 in (11, 12, 13) else ending}"


@lru_cache(maxsize=256)
def _decimal_pattern(locale: Locale, places: int) -> NumberPattern:
    pattern = parse_pattern(locale.decimal_formats[None].pattern)
    pattern.frac_prec = (places, places)
    return pattern


@lru_cache(maxsize=256)
def _currency_pattern(locale: Locale, places: int) -> NumberPattern:
    pattern = parse_pattern(locale.currency_formats["standard"].pattern)
    pattern.frac_prec = (places, places)
    return pattern
