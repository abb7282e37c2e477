"""The texts a tariff is written in: exact decimals, codes, dates, times, and how they are read."""

import re
from collections.abc import Mapping
from datetime import date
from fractions import Fraction
from functools import lru_cache
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, StringConstraints
from pydantic_core import PydanticCustomError

from services.languages import writing
from services.languages.sentence import N_, Sentence, joined
from services.quantities.money import UnknownCurrency, exponent

_DECIMAL: Final = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,12})?")
_RATIO: Final = re.compile(r"[0-9]{1,12}(\.[0-9]{1,12})?|[0-9]{1,6}/[1-9][0-9]{0,5}")
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
# Pydantic's name of the error whose reason is that of UnknownCurrency.
UNKNOWN_CURRENCY: Final = "currency"
_CLOCK: Final = re.compile(r"(([01][0-9]|2[0-3]):(00|30))|24:00")


class Frozen(BaseModel):
    """A part of a tariff: read once, never changed, and without fields the format does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@lru_cache(maxsize=4096)
def exact(text: str) -> Fraction:
    """The exact value of a decimal string of a tariff, or of a ratio such as "1/3"."""
    return Fraction(text)


def decimal_of(value: object) -> Fraction | None:
    """The value of what may be a decimal string, None if it is not one."""
    return exact(value) if isinstance(value, str) and _DECIMAL.fullmatch(value) else None


def day_text(value: object) -> str:
    """A date as YYYY-MM-DD, which sorts as dates do; empty where there is no such text."""
    return value if isinstance(value, str) and _DATE.fullmatch(value) else ""


def mapped(value: object) -> Mapping[str, Any]:
    """The object that JSON should have here; an empty one where it has something else."""
    return value if isinstance(value, Mapping) else {}


def listed(value: object) -> list[Any]:
    """The list that JSON should have here; an empty one where it has something else."""
    return list(value) if isinstance(value, (list, tuple)) else []


def half_hour(clock: str) -> int:
    """The half hour of the day that begins at "HH:MM": 0 to 48, where 48 is "24:00"."""
    return int(clock[:2]) * 2 + (clock[3:] == "30")


def in_words(name: str) -> str:
    """A code as people read it: off_peak is "off peak"."""
    return name.replace("_", " ")


def day_of_year_in_words(text: str) -> Sentence:
    """A day of every year, from MM-DD: 1 Apr."""
    # Of any leap year: a season may end on 29 February.
    return joined([writing.DayOfYear(date.fromisoformat(f"2000-{text}"))])


def _refuse_numbers(value: object) -> None:
    if isinstance(value, (int, float)):
        raise PydanticCustomError(
            "not_exact", N_('must be a text of decimals such as "0.10": a JSON number is not exact')
        )


def _decimal_text(value: object) -> object:
    _refuse_numbers(value)
    if isinstance(value, str) and not _DECIMAL.fullmatch(value):
        raise PydanticCustomError(
            "not_decimal",
            N_("must be a number such as 3.25, with at most 12 digits on each side of the point"),
        )
    return value


def _ratio_text(value: object) -> object:
    _refuse_numbers(value)
    if isinstance(value, str) and not _RATIO.fullmatch(value):
        raise PydanticCustomError(
            "not_ratio", N_("must be a number such as 0.5, or a fraction such as 1/3")
        )
    return value


def _not_negative(value: str) -> str:
    if exact(value) < 0:
        raise PydanticCustomError("negative", N_("cannot be negative"))
    return value


def _positive(value: str) -> str:
    if exact(value) <= 0:
        raise PydanticCustomError("not_positive", N_("must be more than 0"))
    return value


def _calendar_date(value: object) -> object:
    if isinstance(value, date) or (isinstance(value, str) and _DATE.fullmatch(value)):
        return value
    raise PydanticCustomError("date", N_("must be a date such as 2025-04-01"))


def _day_of_year(value: str) -> str:
    try:
        # Any leap year: a season may end on 29 February.
        date.fromisoformat(f"2000-{value}")
    except ValueError:
        raise PydanticCustomError(
            "month_day", N_("must be a day of the year such as 04-01, the month first")
        ) from None
    return value


def _clock(value: str) -> str:
    if not _CLOCK.fullmatch(value):
        raise PydanticCustomError(
            "clock", N_("must be a full or half hour such as 06:30, up to 24:00")
        )
    return value


def _known_currency(value: str) -> str:
    try:
        exponent(value)
    except UnknownCurrency as problem:
        beside = {"why": str(problem), "error": problem}
        raise PydanticCustomError(UNKNOWN_CURRENCY, "{why}", beside) from problem
    return value


Rate = Annotated[str, BeforeValidator(_decimal_text)]
NotNegative = Annotated[Rate, AfterValidator(_not_negative)]
Positive = Annotated[Rate, AfterValidator(_positive)]
Ratio = Annotated[str, BeforeValidator(_ratio_text)]
CODE_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"
Code = Annotated[str, StringConstraints(pattern=CODE_PATTERN)]
# No control characters (Postgres keeps no NUL in jsonb), and not blank.
_PRINTABLE: Final = r"^[^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f][^\x00-\x1f\x7f]*$"
Text = Annotated[str, StringConstraints(pattern=_PRINTABLE)]
Description = Annotated[Text, StringConstraints(max_length=200)]
# An IETF tag of a language alone, as customers have them.
LANGUAGE_PATTERN: Final = r"^[a-z]{2,3}$"
LanguageTag = Annotated[str, StringConstraints(pattern=LANGUAGE_PATTERN)]
Day = Annotated[date, BeforeValidator(_calendar_date)]
DayOfYear = Annotated[str, AfterValidator(_day_of_year)]
Clock = Annotated[str, AfterValidator(_clock)]
Currency = Annotated[str, AfterValidator(_known_currency)]
