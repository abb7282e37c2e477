"""Money as whole minor units beside a currency, and the one place where amounts are rounded."""

import re
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Final, Self

from babel import Locale
from babel.numbers import format_currency, get_currency_precision, list_currencies, parse_pattern

from services.languages.sentence import nsentence, sentence

# What people read has a minus sign, what programs read (CSV, JSON, fields) a hyphen.
MINUS: Final = "\N{MINUS SIGN}"
_NEGATIVE: Final = re.compile(r"(?<![\w.,)-])-(?=[0-9.])")
_PLAIN_NUMBER: Final = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18})?")

# Babel carries CLDR's decimals, which for these follow daily use and not ISO 4217.
_ISO_4217_WHERE_CLDR_DIFFERS: Final = {
    **dict.fromkeys(("AFN", "ALL", "IRR", "KPW", "LAK", "LBP", "MGA", "MMK"), 2),
    **dict.fromkeys(("RSD", "SOS", "SYP", "YER"), 2),
    "IQD": 3,
}
# ISO 4217 gives metals, bond units and test codes no minor unit, so nothing can be billed in them.
_WITHOUT_MINOR_UNIT: Final = frozenset(
    ("XAG", "XAU", "XBA", "XBB", "XBC", "XBD", "XDR", "XPD", "XPT", "XSU", "XTS", "XUA", "XXX")
)


class UnknownCurrency(ValueError):
    """The currency is not one of ISO 4217 that amounts can be written in."""


class InvalidMoney(ValueError):
    """The value is not an exact amount of its currency."""


class CurrencyMismatch(ValueError):
    """Two currencies cannot be added."""


@lru_cache(maxsize=512)
def exponent(currency: str) -> int:
    """Decimals of a currency by ISO 4217: JPY 0, INR 2, KWD 3. Raises UnknownCurrency."""
    if currency in _WITHOUT_MINOR_UNIT or currency not in list_currencies():
        raise UnknownCurrency(
            sentence(
                "{typed} is not a currency code of ISO 4217, such as INR.",
                typed=repr(currency[:20]),
            )
        )
    return _ISO_4217_WHERE_CLDR_DIFFERS.get(currency, get_currency_precision(currency))


def round_half_up(value: Fraction) -> int:
    """The nearest whole number; a half goes away from zero, so credits mirror charges."""
    whole = (2 * abs(value.numerator) + value.denominator) // (2 * value.denominator)
    return -whole if value < 0 else whole


def scaled_text(units: int, *, places: int, trim: bool = False) -> str:
    """`units` × 10^-places as decimal text: (54035, 2) -> "540.35"; `trim` drops end zeros."""
    whole, rest = divmod(abs(units), 10**places)
    decimals = f"{rest:0{places}d}" if places else ""
    if trim:
        decimals = decimals.rstrip("0")
    return f"{'-' if units < 0 else ''}{whole}{'.' if decimals else ''}{decimals}"


def with_minus_signs(text: str) -> str:
    """A text with its negative numbers as people read them: "-0.05 per kWh" -> "−0.05 per kWh"."""
    return _NEGATIVE.sub(MINUS, text)


def _is_plain_number(text: object) -> bool:
    return isinstance(text, str) and _PLAIN_NUMBER.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class Money:
    """An exact amount: `minor` units (paise, cents) of an ISO 4217 `currency`."""

    minor: int
    currency: str

    def __post_init__(self) -> None:
        if isinstance(self.minor, bool) or not isinstance(self.minor, int):
            raise InvalidMoney(sentence("Money is kept as a whole number of minor units."))
        exponent(self.currency)

    @classmethod
    def parse(cls, text: str, *, currency: str) -> Self:
        """Read "540.35" exactly. Raises InvalidMoney, UnknownCurrency."""
        places = exponent(currency)
        if not _is_plain_number(text):
            raise InvalidMoney(
                sentence(
                    "{typed} is not an amount written as text like 540.35.",
                    typed=repr(str(text)[:40]),
                )
            )
        whole, _, decimals = text.partition(".")
        # "12.000" dollars may be a thousands point, so end zeros beyond the currency's are refused.
        if len(decimals) > places:
            most = nsentence("{count} decimal", "{count} decimals", places)
            raise InvalidMoney(
                sentence(
                    "{typed} has more than the {most} of {currency}.",
                    typed=repr(text),
                    most=most,
                    currency=currency,
                )
            )
        return cls(minor=int(whole + decimals.ljust(places, "0")), currency=currency)

    @property
    def text(self) -> str:
        """The amount as plain decimal text, without the currency: "540.35"."""
        return scaled_text(self.minor, places=exponent(self.currency))

    def display(self) -> str:
        """The amount as people read it: "₹540.35", "−₹0.50"."""
        locale = Locale.parse("en_IN" if self.currency == "INR" else "en")
        pattern = parse_pattern(locale.currency_formats["standard"].pattern)
        places = exponent(self.currency)
        pattern.frac_prec = (places, places)
        shown: str = format_currency(
            Decimal(self.text), self.currency, pattern, locale=locale, currency_digits=False
        )
        return shown.replace("-", MINUS)

    def __add__(self, other: "Money") -> "Money":
        self._check_same_currency(other)
        return Money(minor=self.minor + other.minor, currency=self.currency)

    def __sub__(self, other: "Money") -> "Money":
        self._check_same_currency(other)
        return Money(minor=self.minor - other.minor, currency=self.currency)

    def _check_same_currency(self, other: "Money") -> None:
        if self.currency != other.currency:
            raise CurrencyMismatch(
                sentence(
                    "{currency} and {other} cannot be added or subtracted.",
                    currency=self.currency,
                    other=other.currency,
                )
            )


def decimal_text(value: Fraction, *, least_places: int = 0) -> str:
    """A number that ends as a decimal, with all its places and at least so many."""
    places, units = least_places, 10**least_places
    while units % value.denominator:
        places, units = places + 1, units * 10
    return scaled_text(value.numerator * (units // value.denominator), places=places)
