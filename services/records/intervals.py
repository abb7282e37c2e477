"""A meter's interval series as columns: a day is made an object of only when it is asked for."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Annotated, Any, Self, overload

import numpy as np
import numpy.typing as npt
from pydantic import BeforeValidator

from services.records.readings import IntervalDay

Wh = npt.NDArray[np.int64]


class IntervalDays(Sequence[IntervalDay]):
    """Local days of an interval series, in order, with the Wh of all their intervals in one array.

    `dates` and `minutes` have an entry a day; so has `quality`, of codes of ESPI as in IntervalDay,
    or it is empty where nothing was said of any day.
    """

    __slots__ = ("_ends", "dates", "minutes", "quality", "wh")

    def __init__(
        self,
        *,
        dates: Sequence[date],
        minutes: Sequence[int],
        sizes: Sequence[int],
        wh: Wh,
        quality: Sequence[tuple[int, ...]] = (),
    ) -> None:
        self.dates, self.minutes, self.wh = tuple(dates), tuple(minutes), wh
        self.quality = tuple(quality)
        self._ends = (0, *np.cumsum(sizes, dtype=np.int64).tolist())

    @classmethod
    def of(cls, days: Iterable[IntervalDay]) -> Self:
        """The same days."""
        if isinstance(days, cls):
            return days
        listed = tuple(days)
        said = any(day.quality for day in listed)
        return cls(
            dates=[day.day for day in listed],
            minutes=[day.minutes for day in listed],
            sizes=[len(day.wh) for day in listed],
            wh=np.array([wh for day in listed for wh in day.wh], dtype=np.int64),
            quality=[day.quality for day in listed] if said else (),
        )

    @classmethod
    def unpacked(cls, packed: Mapping[str, str]) -> Self:
        """As `private.interval_days` packs them: numbers with spaces between, in texts.

        Of a month of hours that is a tenth of the work that JSON's numbers are.
        """
        quality = packed.get("quality")
        return cls(
            dates=[date.fromisoformat(day) for day in packed["days"].split()],
            minutes=[int(minutes) for minutes in packed["minutes"].split()],
            sizes=[int(size) for size in packed["sizes"].split()],
            wh=np.fromstring(packed["wh"], dtype=np.int64, sep=" "),
            quality=[_codes(day) for day in quality.split(",")] if quality else (),
        )

    def between(self, start: date, end: date) -> Self:
        """Those from a date to before another."""
        chosen = [n for n, day in enumerate(self.dates) if start <= day < end]
        if len(chosen) == len(self):
            return self
        parts = [self.wh[self._ends[n] : self._ends[n + 1]] for n in chosen]
        return type(self)(
            dates=[self.dates[n] for n in chosen],
            minutes=[self.minutes[n] for n in chosen],
            sizes=[len(part) for part in parts],
            wh=np.concatenate([self.wh[:0], *parts]),
            quality=[self.quality[n] for n in chosen] if self.quality else (),
        )

    @property
    def total_wh(self) -> int:
        """What they come to."""
        return int(self.wh.sum())

    @property
    def qualities(self) -> Iterator[tuple[tuple[int, ...], int]]:
        """Of each day the quality as it is said, and how many intervals it has."""
        for n, codes in enumerate(self.quality):
            yield codes, self._ends[n + 1] - self._ends[n]

    def __len__(self) -> int:
        return len(self.dates)

    @overload
    def __getitem__(self, index: int) -> IntervalDay: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[IntervalDay, ...]: ...

    def __getitem__(self, index: int | slice) -> IntervalDay | tuple[IntervalDay, ...]:
        if isinstance(index, slice):
            return tuple(self[n] for n in range(len(self))[index])
        n = range(len(self))[index]
        return IntervalDay.model_construct(
            day=self.dates[n],
            minutes=self.minutes[n],
            wh=tuple(self.wh[self._ends[n] : self._ends[n + 1]].tolist()),
            quality=self.quality[n] if self.quality else (),
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, IntervalDays):
            return NotImplemented
        same = (self.dates, self.minutes, self._ends) == (other.dates, other.minutes, other._ends)
        return same and self.quality == other.quality and np.array_equal(self.wh, other.wh)

    __hash__ = None  # type: ignore[assignment]


def _codes(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split()))


def _read(value: Any) -> IntervalDays:
    return IntervalDays.unpacked(value) if isinstance(value, Mapping) else IntervalDays.of(value)


NO_DAYS = IntervalDays(dates=(), minutes=(), sizes=(), wh=np.zeros(0, dtype=np.int64))
# A field of a record, from the database or from days.
PackedDays = Annotated[IntervalDays, BeforeValidator(_read)]
