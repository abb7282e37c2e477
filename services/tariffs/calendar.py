"""A calendar as a table: the period of any half hour of any date, for one look or for arrays."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import reduce
from operator import or_
from typing import Final

import numpy as np
import numpy.typing as npt

from services.tariffs.rules import CalendarRule, DayType, Season, Window
from services.tariffs.values import half_hour

Days = npt.NDArray[np.int64]
Indices = npt.NDArray[np.int8]
Cells = npt.NDArray[np.bool_]

DAY_TYPES: Final[tuple[DayType, ...]] = ("weekday", "weekend", "holiday")
HALF_HOURS: Final = 48
_HOLIDAY: Final = DAY_TYPES.index("holiday")
# The table has a row for each day of a leap year, so that 29 February has one.
LEAP_YEAR: Final = np.arange("2000-01-01", "2001-01-01", dtype="datetime64[D]")
_MONTHS: Final = LEAP_YEAR.astype("datetime64[M]").astype(np.int64) % 12
_FIRST_OF_MONTH: Final = np.searchsorted(_MONTHS, np.arange(12))
_DAYS_OF_MONTH: Final = tuple(
    sum(1 << int(day) for day in np.flatnonzero(month == _MONTHS)) for month in range(12)
)
_EPOCH: Final = date(1970, 1, 1)
_NO_PERIOD: Final = -1


@dataclass(frozen=True, slots=True, eq=False)
class Calendar:
    """A calendar of a tariff, ready to be asked; days are counted from 1970-01-01.

    `table` holds for [day of a leap year, day type, half hour] the index into `periods`, which
    are in the order of the bill. `is_seasonal`: the period never changes within a day nor with
    the kind of day, so that energy read once a bill can be shared among the periods by days.
    """

    periods: tuple[str, ...]
    table: Indices
    holidays: Days
    is_seasonal: bool

    def rows(self, days: Days) -> Indices:
        """For n days the index of the period of each of their 48 half hours: (n, 48)."""
        row: Indices = self.table[_days_of_leap_year(days), self._day_types(days)]
        return row

    def season_of(self, days: Days) -> Indices:
        """For n days the index of their period, in a calendar that is seasonal: (n,)."""
        season: Indices = self.table[_days_of_leap_year(days), 0, 0]
        return season

    def of(self, day: date, half_hour_of_day: int) -> str:
        """The period of a half hour (0 to 47, of the clock on the wall) of a local date."""
        days = np.array([day_number(day)])
        return self.periods[int(self.rows(days)[0, half_hour_of_day])]

    def _day_types(self, days: Days) -> Days:
        # Day 0 was a Thursday.
        types = np.where((days + 3) % 7 >= 5, 1, 0)
        return np.where(np.isin(days, self.holidays), _HOLIDAY, types)


def day_number(day: date) -> int:
    """Days since 1970-01-01, as numpy counts them."""
    return (day - _EPOCH).days


def compile_calendar(
    *, rule: CalendarRule, seasons: Mapping[str, Season], holidays: Sequence[date]
) -> Calendar:
    """The table of a calendar whose windows cover each half hour once."""
    table = np.full((len(LEAP_YEAR), len(DAY_TYPES), HALF_HOURS), _NO_PERIOD, dtype=np.int8)
    for index, name in enumerate(rule.period_names):
        for window in rule.periods[name]:
            table[box_of(window, seasons).cells()] = index
    kinds = len(used_day_types(rule))
    numbers = [day_number(day) for day in holidays] if kinds > _HOLIDAY else []
    return Calendar(
        periods=rule.period_names,
        table=table,
        holidays=np.array(sorted(numbers), dtype=np.int64),
        is_seasonal=bool((table[:, :kinds] == table[:, :1, :1]).all()),
    )


@dataclass(frozen=True, slots=True)
class Box:
    """What a window covers: the days of a leap year, kinds of day and half hours, as bits.

    A window is the product of the three, so that two windows meet where all three do.
    """

    days: int
    kinds: int
    hours: int

    def __and__(self, other: "Box") -> "Box":
        return Box(self.days & other.days, self.kinds & other.kinds, self.hours & other.hours)

    def size(self) -> int:
        """How many cells of the table are covered."""
        return self.days.bit_count() * self.kinds.bit_count() * self.hours.bit_count()

    def cells(self) -> tuple[Days, ...]:
        """Where they are in the table, to index it with."""
        sizes = (len(LEAP_YEAR), len(DAY_TYPES), HALF_HOURS)
        bits = (self.days, self.kinds, self.hours)
        return np.ix_(*(flags(mask, size) for mask, size in zip(bits, sizes, strict=True)))


def box_of(window: Window, seasons: Mapping[str, Season]) -> Box:
    """Which days, kinds of day and half hours a window covers."""
    days = _within(0, len(LEAP_YEAR) - 1, len(LEAP_YEAR))
    if window.months is not None:
        days = reduce(or_, (_DAYS_OF_MONTH[month - 1] for month in window.months))
    if window.seasons is not None:
        days = reduce(or_, (days_of_season(seasons[name]) for name in window.seasons))
    kinds = sum(
        1 << index
        for index, kind in enumerate(DAY_TYPES)
        if window.days is None or kind in window.days
    )
    last = (half_hour(window.end) - 1) % HALF_HOURS
    return Box(days, kinds, _within(half_hour(window.begin), last, HALF_HOURS))


def days_of_season(season: Season) -> int:
    """The days of a leap year that are in a season, as bits."""
    first, last = (_day_of_leap_year(text) for text in (season.begin, season.end))
    return _within(first, last, len(LEAP_YEAR))


def flags(bits: int, size: int) -> Cells:
    """The lowest `size` bits as an array of yes and no."""
    packed = np.frombuffer(bits.to_bytes((size + 7) // 8, "little"), dtype=np.uint8)
    return np.unpackbits(packed, count=size, bitorder="little").astype(np.bool_)


def used_day_types(rule: CalendarRule) -> tuple[DayType, ...]:
    """The kinds of day a calendar knows: holidays only if some window names them."""
    named = (window.days or () for windows in rule.periods.values() for window in windows)
    return DAY_TYPES if any("holiday" in days for days in named) else DAY_TYPES[:_HOLIDAY]


def _within(first: int, last: int, size: int) -> int:
    """Bits from first to last, both included; with the first after the last around the end."""
    if first <= last:
        return (1 << (last + 1)) - (1 << first)
    return (1 << size) - (1 << first) | (1 << (last + 1)) - 1


def _day_of_leap_year(text: str) -> int:
    month, day = map(int, text.split("-"))
    return int(_FIRST_OF_MONTH[month - 1]) + day - 1


def _days_of_leap_year(days: Days) -> Days:
    dates = days.astype("datetime64[D]")
    months = dates.astype("datetime64[M]")
    day_of_month = (dates - months.astype("datetime64[D]")).astype(np.int64)
    found: Days = _FIRST_OF_MONTH[months.astype(np.int64) % 12] + day_of_month
    return found
