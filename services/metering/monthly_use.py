"""Use by calendar month, from periods that do not keep to months; whole Wh, local dates."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Final

from services.quantities.period import first_of_month, next_month

MONTHS: Final = 13


@dataclass(frozen=True, slots=True)
class Billed:
    """What bills say of a month: the use in Wh, on how many of its days."""

    wh: int = 0
    days: int = 0


@dataclass(frozen=True, slots=True)
class MonthOfUse:
    """A month (its first day) and the same month a year before it."""

    month: date
    this_year: Billed
    year_before: Billed

    @property
    def days(self) -> int:
        """How many days the month has."""
        return (next_month(self.month) - self.month).days

    @property
    def days_before(self) -> int:
        """How many days it had the year before."""
        begins = _year_before(self.month)
        return (next_month(begins) - begins).days


def by_month(periods: Iterable[tuple[date, date, int]]) -> dict[date, Billed]:
    """Periods [start, end) with their Wh, spread over the months that they touch by days.

    The parts of a period are whole Wh and come to exactly its own: what is left of dividing goes
    to the days that come last.
    """
    months: dict[date, Billed] = {}
    for start, end, wh in periods:
        day, given = start, 0
        while day < end:
            until = min(next_month(day), end)
            up_to = wh * (until - start).days // (end - start).days
            before = months.get(first_of_month(day), Billed())
            months[first_of_month(day)] = Billed(
                before.wh + up_to - given, before.days + (until - day).days
            )
            day, given = until, up_to
    return months


def last_months(months: dict[date, Billed], *, today: date) -> tuple[MonthOfUse, ...]:
    """The last 13 months up to that of `today`, the oldest first, each with the year before."""
    found = []
    month = _year_before(first_of_month(today))
    for _ in range(MONTHS):
        found.append(
            MonthOfUse(
                month,
                months.get(month, Billed()),
                months.get(_year_before(month), Billed()),
            )
        )
        month = next_month(month)
    return tuple(found)


def first_day_shown(today: date) -> date:
    """The first day of the months that `last_months` looks at."""
    return _year_before(_year_before(first_of_month(today)))


def _year_before(first: date) -> date:
    return first.replace(year=first.year - 1)
