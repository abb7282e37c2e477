"""How a bill writes things in its customer's language: labels, numbers, amounts and dates."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cache, lru_cache
from pathlib import Path
from typing import Final, Self

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_skeleton
from babel.numbers import NumberPattern, format_currency, format_decimal, parse_pattern

from services.metering.registers import measure_of
from services.quantities.energy import format_kwh
from services.quantities.money import MINUS, Money, exponent, scaled_text

_LABELS: Final = Path(__file__).with_name("labels.toml")
_FALLBACK: Final = "en"
# Rupees are grouped by lakh in English too.
_ENGLISH: Final = {"INR": "en_IN"}
# "12 Nov 2026", as the rest of the system has it; Babel's plain English has that of the US.
_DATES: Final = {"en": "en_GB"}
_QUANTITIES: Final = {"import": "", "export": "export", "kvah": "kvah", "kvarh": "kvarh"}
_LEFT_TO_RIGHT: Final = "\u200e"


@cache
def labels() -> Mapping[str, Mapping[str, str]]:
    """The printed words by language tag, each language complete: English where it lacks one."""
    with _LABELS.open("rb") as file:
        by_language = tomllib.load(file)
    return {tag: by_language[_FALLBACK] | own for tag, own in by_language.items()}


@dataclass(frozen=True, slots=True)
class Words:
    """Writes in one language and currency."""

    locale: Locale
    dates: Locale
    currency: str
    labels: Mapping[str, str]

    @classmethod
    def of(cls, *, language: str, currency: str) -> Self:
        """Those of a language (an IETF tag) or, where it has no labels, English."""
        tag = language.replace("_", "-").lower()
        known = tag if tag in labels() else tag.partition("-")[0]
        if known not in labels():
            tag = known = _FALLBACK
        locale = _locale(_ENGLISH.get(currency, tag) if tag == "en" else tag)
        return cls(locale, _locale(_DATES.get(tag, tag)), currency, labels()[known])

    @property
    def is_right_to_left(self) -> bool:
        """Whether a page in this language runs from right to left."""
        return self.locale.text_direction == "rtl"

    def label(self, name: str, **values: object) -> str:
        """A label with its places filled in."""
        return self.labels[name].format(**values) if values else self.labels[name]

    def number(self, decimal_text: str) -> str:
        """A decimal text with all its decimals, grouped: 1234.50 -> 1,234.50."""
        places = len(decimal_text.partition(".")[2])
        pattern = _pattern(self.locale, places)
        decimal: str = format_decimal(Decimal(decimal_text), pattern, locale=self.locale)
        written = decimal.replace("-", MINUS)
        # Or the minus would stand behind its number.
        return f"{_LEFT_TO_RIGHT}{written}" if self._needs_mark(written) else written

    def _needs_mark(self, written: str) -> bool:
        return self.is_right_to_left and written.startswith(MINUS)

    def quantity(self, thousandths: int) -> str:
        """Whole Wh (or W) as kWh (or kW), or a multiplier, without end zeros: 1,117.5."""
        return self.number(format_kwh(thousandths))

    def amount(self, minor: int) -> str:
        """An amount without its currency, for a column that names it: 1,234.50."""
        return self.number(scaled_text(minor, places=exponent(self.currency)))

    def money(self, minor: int) -> str:
        """An amount with its currency: ₹1,234.50."""
        written: str = format_currency(
            Decimal(Money(minor, self.currency).text),
            self.currency,
            _currency_pattern(self.locale, exponent(self.currency)),
            locale=self.locale,
            currency_digits=False,
        )
        return written.replace("-", MINUS)

    def day(self, value: date) -> str:
        """A local date: 12 Nov 2026."""
        written: str = format_skeleton("yMMMd", value, locale=self.dates)
        return written

    def long_day(self, value: date) -> str:
        """A local date in full: 12 November 2026."""
        written: str = format_date(value, "long", locale=self.dates)
        return written

    def month(self, value: date) -> str:
        """A month of a year: Nov 2026."""
        written: str = format_skeleton("yMMM", value, locale=self.dates)
        return written

    def month_alone(self, value: date) -> str:
        """A month: Nov."""
        written: str = format_date(value, "LLL", locale=self.dates)
        return written

    def unit(self, unit: str, *, quantity: str) -> str:
        """A line's unit: kWh and its kin are the same everywhere, days are not."""
        one = {"bill": "bill_one"}.get(unit, unit)
        name = one if quantity == "1" else f"{unit}_many"
        return self.labels.get(name, unit)

    def register(self, name: str) -> str:
        """What a register counts; a period of the tariff keeps the name the tariff gives it."""
        if not name:
            return self.labels["total_energy"]
        measure = measure_of(name)
        label = "maximum" if measure.is_maximum else _QUANTITIES[measure.quantity]
        words = [self.labels[label]] if label else []
        words += [measure.period.replace("_", " ")] if measure.period else []
        text = ", ".join(words)
        return text[:1].upper() + text[1:]

    def method(self, name: str) -> str:
        """How money was paid; a method that is not among the labels as it is."""
        return self.labels.get(f"by_{name}", name.replace("_", " "))


@lru_cache(maxsize=64)
def _locale(tag: str) -> Locale:
    for candidate in (tag.replace("-", "_"), tag.partition("-")[0], _FALLBACK):
        try:
            return Locale.parse(candidate)
        except (ValueError, UnknownLocaleError):
            continue
    raise LookupError(tag)


@lru_cache(maxsize=256)
def _pattern(locale: Locale, places: int) -> NumberPattern:
    pattern = parse_pattern(locale.decimal_formats[None].pattern)
    pattern.frac_prec = (places, places)
    return pattern


@lru_cache(maxsize=256)
def _currency_pattern(locale: Locale, places: int) -> NumberPattern:
    pattern = parse_pattern(locale.currency_formats["standard"].pattern)
    pattern.frac_prec = (places, places)
    return pattern
