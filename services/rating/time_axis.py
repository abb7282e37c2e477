"""The time axis of interval data, and the local day and hour of each of its intervals."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from services.quantities.period import InstantWithoutZone
from services.rating.rated_bill import UnableToPriceBill

Labels = npt.NDArray[np.int64]

# Clocks change, and periods of calendars begin, on whole quarters of an hour.
QUARTER: Final = timedelta(minutes=15)
_QUARTERS_IN_DAY: Final = 96
_QUARTERS_IN_HALF_HOUR: Final = 2
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class TimeAxis:
    """When the intervals of a series are: the first begins at `start`, each has so many minutes.

    Days and hours are those of the clock on the wall in `zone`: a day on which clocks change has
    23 or 25 hours. Raises InstantWithoutZone, UnableToPriceBill.
    """

    start: datetime
    minutes: int
    count: int
    zone: ZoneInfo

    def __post_init__(self) -> None:
        if self.start.utcoffset() is None:
            raise InstantWithoutZone(f"{self.start.isoformat()} does not say its time zone.")
        if self.minutes not in (15, 30, 60):
            raise UnableToPriceBill("Intervals must have 15, 30 or 60 minutes.")
        if (self.start - _EPOCH) % QUARTER:
            raise UnableToPriceBill("Intervals must begin on a whole quarter of an hour.")

    @property
    def per_hour(self) -> int:
        """How many intervals an hour has: Wh times this are the average W of an interval."""
        return 60 // self.minutes

    @property
    def quarters(self) -> int:
        """How many quarters of an hour an interval has."""
        return self.minutes // 15


@dataclass(frozen=True, slots=True, eq=False)
class WallClock:
    """The local day (from 1970-01-01) and half hour of each quarter of an hour: (T, quarters)."""

    days: Labels
    half_hours: Labels


@lru_cache(maxsize=16)
def wall_clock(axis: TimeAxis) -> WallClock:
    """What the clock on the wall shows during each interval of an axis."""
    first = (axis.start - _EPOCH) // QUARTER
    instants = np.arange(first, first + axis.count * axis.quarters)
    local = (instants + _offsets(instants, axis.zone)).reshape(axis.count, axis.quarters)
    days, quarters = np.divmod(local, _QUARTERS_IN_DAY)
    return WallClock(days, quarters // _QUARTERS_IN_HALF_HOUR)


def one_label(labels: Labels, *, of: str) -> Labels:
    """The label of each interval, from those of its quarters of an hour: (T, quarters) to (T,).

    Raises UnableToPriceBill if an interval has two labels: its energy cannot be separated.
    """
    if (labels != labels[:, :1]).any():
        raise UnableToPriceBill(f"An interval lies across the boundary of two {of}.")
    only: Labels = labels[:, 0]
    return only


def _offsets(instants: Labels, zone: ZoneInfo) -> Labels:
    """By how many quarters of an hour the clock on the wall is ahead of UTC at each of them."""
    offset = _offset_in(zone)
    offsets = np.empty(len(instants), dtype=np.int64)
    ends = [*range(0, len(instants), _QUARTERS_IN_DAY), len(instants)]
    for start, end in pairwise(ends):
        day = instants[start:end]
        # Only a day on which the clocks change is looked at quarter by quarter.
        same = offset(day[0]) == offset(day[-1])
        offsets[start:end] = offset(day[0]) if same else [offset(one) for one in day]
    return offsets


def _offset_in(zone: ZoneInfo) -> Callable[[int], int]:
    def offset(instant: int) -> int:
        ahead = (_EPOCH + int(instant) * QUARTER).astimezone(zone).utcoffset()
        return (ahead or timedelta()) // QUARTER

    return offset
