"""Amounts and energy as people type them: as they are printed, with currency, unit and grouping.

Programs send plain decimals instead (`Money.parse`, `parse_kwh`).
"""

from babel.numbers import get_currency_symbol

from services.languages.sentence import sentence_of
from services.quantities.energy import InvalidEnergy, parse_kwh
from services.quantities.money import MINUS, InvalidMoney, Money, exponent
from services.quantities.written_numbers import AmbiguousNumber, plain_number

_KWH_PLACES = 3


def typed_money(text: str, *, currency: str) -> Money:
    """The amount that "₹1,000.50", "INR 1000.50" or "1 000,50" says, exactly.

    Raises InvalidMoney, also for an amount that may be two.
    """
    number = _without_currency(text.strip().replace(MINUS, "-"), currency)
    try:
        plain = plain_number(number, places=exponent(currency))
    except AmbiguousNumber as error:
        raise InvalidMoney(sentence_of(error)) from None
    return Money.parse(plain, currency=currency)


def typed_kwh(text: str, *, what: str = "reading", unit: str = "kWh") -> int:
    """Wh of "1,117.5", "1117,5 kWh" or "1 117,5"; raises InvalidEnergy, which names `what`."""
    return parse_kwh(plain_kwh(text, unit=unit), what=what)


def plain_kwh(text: str, *, unit: str = "kWh") -> str:
    """A typed value as programs send it: 1117.5. Raises InvalidEnergy where it may be two.

    What is no number comes back as it is, for `parse_kwh` to refuse.
    """
    number = text.strip()
    if number.lower().endswith(unit.lower()):
        number = number[: -len(unit)]
    try:
        return plain_number(number, places=_KWH_PLACES)
    except AmbiguousNumber as error:
        raise InvalidEnergy(sentence_of(error)) from None


def _without_currency(text: str, currency: str) -> str:
    sign = "-" if text.startswith("-") else ""
    amount = text.removeprefix("-")
    for name in (currency, get_currency_symbol(currency, locale="en")):
        if amount.lower().startswith(name.lower()):
            return sign + amount[len(name) :].strip()
        if amount.lower().endswith(name.lower()):
            return sign + amount[: -len(name)].strip()
    return text
