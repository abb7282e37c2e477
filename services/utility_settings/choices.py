"""What the Settings page offers to choose from."""

from functools import cache
from zoneinfo import available_timezones

from babel import Locale
from babel.core import get_global
from babel.numbers import get_currency_name, get_territory_currencies

from services.quantities.money import UnknownCurrency, exponent


@cache
def currencies() -> tuple[str, ...]:
    """The currencies that are legal tender somewhere today, by their codes."""
    found = {c for place in get_global("territory_currencies") for c in _tender_in(place)}
    return tuple(sorted(filter(_can_be_billed, found)))


def _tender_in(territory: str) -> list[str]:
    found: list[str] = get_territory_currencies(territory)
    return found


def _can_be_billed(currency: str) -> bool:
    try:
        exponent(currency)
    except UnknownCurrency:
        return False
    return True


def currency_in_words(currency: str, locale: Locale) -> str:
    """A currency with its name in a language: INR, Indian Rupee."""
    return f"{currency}, {get_currency_name(currency, locale=locale)}"


@cache
def time_zones() -> tuple[str, ...]:
    """The time zones by place, such as Asia/Kolkata."""
    return tuple(sorted(name for name in available_timezones() if "/" in name or name == "UTC"))
