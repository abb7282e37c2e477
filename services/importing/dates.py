"""How a file writes dates: day or month first, decided once for the whole file, never guessed.

Dates leave here as 2026-03-01, with the time of day after a T where there is one.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final, Literal

from services.languages.sentence import Sentence, sentence

DateOrder = Literal["day_first", "month_first"]

_NUMBERS: Final = re.compile(r"([0-9]{1,2})([/.-])([0-9]{1,2})\2([0-9]{4})(?:[ T]+(.+))?")
_YEAR_FIRST: Final = re.compile(r"([0-9]{4})[/.-]([0-9]{1,2})[/.-]([0-9]{1,2})(?:[ T]+(.+))?")
_WITH_NAME: Final = re.compile(r"([0-9]{1,2})[ -]([A-Za-z]{3,9})[ ,-]+([0-9]{4})(?:[ T]+(.+))?")
_CLOCKS: Final = ("%H:%M", "%H:%M:%S", "%I:%M %p", "%I:%M:%S %p", "%H.%M")


class AmbiguousDate(ValueError):
    """A date that may be two; the message says how to say which."""


@dataclass(frozen=True, slots=True)
class DateStyle:
    """Which of day and month comes first in a file; without an order each date must be clear."""

    order: DateOrder | None = None

    @classmethod
    def of_cells(cls, cells: Iterable[str]) -> "DateStyle":
        """The style that the cells of a file show. Raises AmbiguousDate where they disagree."""
        seen: dict[DateOrder, str] = {}
        for text in cells:
            if (order := _order_of(text)) is not None:
                seen.setdefault(order, text)
            if len(seen) == 2:
                raise AmbiguousDate(
                    sentence(
                        "Some dates have the day first ({day_first}), others the month "
                        "({month_first}). Write all of them in one way.",
                        day_first=seen["day_first"][:20],
                        month_first=seen["month_first"][:20],
                    )
                )
        return cls(next(iter(seen), None))

    def plain(self, text: str) -> str:
        """The date as 2026-03-01; other texts come back as they are. Raises AmbiguousDate."""
        if found := _YEAR_FIRST.fullmatch(text):
            year, month, day, clock = found.groups()
            return _written(text, year, month, day, clock)
        if found := _WITH_NAME.fullmatch(text):
            day, name, year, clock = found.groups()
            number = _month(name)
            return _written(text, year, str(number), day, clock) if number else text
        found = _NUMBERS.fullmatch(text)
        if not found:
            return text
        first, sign, second, year, clock = found.groups()
        order = self.order or ("day_first" if sign == "." or first == second else None)
        if order is None:
            raise AmbiguousDate(_which(int(first), int(second), year, text))
        day, month = (first, second) if order == "day_first" else (second, first)
        return _written(text, year, month, day, clock)


def _order_of(text: str) -> DateOrder | None:
    """Which comes first, if it is certain; where points stand between them it is the day."""
    found = _NUMBERS.fullmatch(text)
    if not found:
        return None
    first, second = int(found[1]), int(found[3])
    if first > 12 >= second:
        return "day_first"
    if second > 12 >= first:
        return "month_first"
    return "day_first" if found[2] == "." and first != second else None


def _written(text: str, year: str, month: str, day: str, clock: str | None) -> str:
    """The ISO form; a text that is no day, or has no time after it, is left for the checks."""
    try:
        written = date(int(year), int(month), int(day)).isoformat()
    except ValueError:
        return text
    if clock is None:
        return written
    # What follows a date of the usual form stays as precise as it is, also its offset.
    if re.fullmatch(r"[0-9]{2}:[0-9]{2}(:[0-9]{2})?(\.[0-9]+)?(Z|[+-][0-9:]{2,6})?", clock):
        return f"{written}T{clock}"
    for form in _CLOCKS:
        try:
            at = datetime.strptime(clock.strip().upper().replace(".M.", "M"), form).time()  # noqa: DTZ007
        except ValueError:
            continue
        return f"{written}T{at.isoformat()}"
    return text


def _month(name: str) -> int | None:
    """An English month by its name or the first three letters."""
    for number in range(1, 13):
        full = date(2000, number, 1).strftime("%B").lower()
        if name.lower() in (full, full[:3]):
            return number
    return None


def _which(first: int, second: int, year: str, text: str) -> Sentence:
    day_first, month_first = f"{year}-{second:02}-{first:02}", f"{year}-{first:02}-{second:02}"
    return sentence(
        "{typed} may be {first} or {second}: nothing in the file tells. Say which comes first, "
        "the day or the month.",
        typed=text[:20],
        first=day_first,
        second=month_first,
    )
