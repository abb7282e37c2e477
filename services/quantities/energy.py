"""Energy as whole watt-hours: reading what people and meters send, and writing it back."""

import re
from decimal import Decimal, InvalidOperation
from typing import Final

from services.languages.sentence import N_, sentence
from services.quantities.money import scaled_text

_NUMBER: Final = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)")
_EXPONENT: Final = re.compile(r"[+-]?[0-9.]+[eE][+-]?[0-9]+")
_NOT_FINITE: Final = re.compile(r"[+-]?(s?nan[0-9]*|inf(inity)?)", re.IGNORECASE)
_LONGEST_TEXT: Final = 60
_DECIMALS: Final = N_("The {what} can have at most 3 decimals.")
# What is parsed here, as sentences name it.
_NAMES: Final = (N_("reading"), N_("multiplier"))
_LARGEST_EXPONENT: Final = 11  # below 10^12: more than any register shows, and exact everywhere


class InvalidEnergy(ValueError):
    """The value is not a quantity of energy, or not a multiplier; the message says why."""


def parse_kwh(value: str | int | Decimal, *, what: str = "reading") -> int:
    """Wh of a kWh value with at most 3 decimals, exactly. Raises InvalidEnergy, which names `what`.

    Zeros after the third decimal change nothing and are accepted, as meters send them.
    """
    return _thousandths(value, what)


def parse_multiplier(value: str | int | Decimal) -> int:
    """Thousandths of a meter's multiplier: "1" -> 1000, "0.5" -> 500. Raises InvalidEnergy."""
    milli = _thousandths(value, "multiplier")
    if milli == 0:
        raise InvalidEnergy("The multiplier must be more than 0; most meters have 1.")
    return milli


def format_kwh(wh: int) -> str:
    """Wh written as kWh without end zeros: 1117500 -> "1117.5"."""
    return scaled_text(wh, places=3, trim=True)


def kwh_value(wh: int) -> Decimal:
    """Wh as kWh, exactly, for a sentence to write in its language: 1117500 -> 1117.5."""
    return Decimal(format_kwh(wh))


def _thousandths(value: str | int | Decimal, what: str) -> int:
    number = _decimal(value, what)
    if not number.is_finite():
        raise InvalidEnergy(
            sentence(
                "The {what} must be a number, not {typed}.",
                what=sentence(what),
                typed=str(number)[:20],
            )
        )
    if number < 0:
        raise InvalidEnergy(sentence("The {what} cannot be negative.", what=sentence(what)))
    # Looked at before any integer is made: 1e400 and 1e-999999 must cost nothing to refuse.
    if not number:
        return 0
    if number.adjusted() > _LARGEST_EXPONENT:
        raise InvalidEnergy(
            sentence("The {what} is larger than any meter can show.", what=sentence(what))
        )
    if number.adjusted() < -3:
        raise InvalidEnergy(sentence(_DECIMALS, what=sentence(what)))
    return _exact_thousandths(number, what)


def _exact_thousandths(number: Decimal, what: str) -> int:
    numerator, denominator = number.as_integer_ratio()
    thousandths, rest = divmod(numerator * 1000, denominator)
    if rest:
        raise InvalidEnergy(sentence(_DECIMALS, what=sentence(what)))
    return thousandths


def _decimal(value: object, what: str) -> Decimal:
    if isinstance(value, Decimal):
        return value
    if isinstance(value, str):
        return _decimal_from_text(value.strip(), what)
    if isinstance(value, int) and not isinstance(value, bool):
        # A giant integer is slow to convert, so its size is judged by its bits.
        return Decimal(value) if value.bit_length() < 200 else Decimal(-1 if value < 0 else "1e60")
    raise InvalidEnergy(
        sentence(
            "The {what} must be written as a number such as 1117 or 1117.5.", what=sentence(what)
        )
    )


def _decimal_from_text(text: str, what: str) -> Decimal:
    if not text:
        raise InvalidEnergy(
            sentence(
                "The {what} is missing: write a number such as 1117 or 1117.5.", what=sentence(what)
            )
        )
    if _NOT_FINITE.fullmatch(text):
        raise InvalidEnergy(
            sentence(
                "The {what} must be a number, not {typed}.", what=sentence(what), typed=text[:20]
            )
        )
    if "," in text:
        raise InvalidEnergy(
            sentence("Write the {what} without commas: 1117 or 1117.5.", what=sentence(what))
        )
    if _EXPONENT.fullmatch(text):
        raise InvalidEnergy(
            sentence(
                "Write the {what} with all its digits: 10000, not {typed}.",
                what=sentence(what),
                typed=text[:20],
            )
        )
    if len(text) > _LONGEST_TEXT or not _NUMBER.fullmatch(text):
        raise InvalidEnergy(
            sentence(
                "The {what} must be a number such as 1117 or 1117.5, not {typed}.",
                what=sentence(what),
                typed=repr(text[:20]),
            )
        )
    try:
        return Decimal(text)
    except InvalidOperation as problem:
        raise InvalidEnergy(
            sentence("The {what} is not a number a meter can show.", what=sentence(what))
        ) from problem
