"""Interval series from a file: a row an interval, put together to whole local days of meters."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import groupby, pairwise
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from services.importing.meter_files.local_days import shortened
from services.importing.meter_files.stretches import EPOCH, MOST_WH
from services.importing.reads import quality_code
from services.importing.report import ImportProblem
from services.importing.table import Cells
from services.quantities.counting import count
from services.quantities.energy import parse_kwh
from services.quantities.period import start_of_day
from services.readings.submission import EARLIEST

INTERVAL_COLUMNS = ("meter_serial", "start", "kwh")
# The quality is a code of ESPI (services/quantities/quality.py).
INTERVAL_OPTIONS = ("minutes", "quality")
INTERVAL_NUMBERS = ("kwh",)
INTERVAL_DATES = ("start",)

_LENGTHS: Final = (15, 30, 60)
_MINUTE: Final = timedelta(minutes=1)
_DAY: Final = timedelta(days=1)
Row = dict[str, Any]


class _Interval(NamedTuple):
    """An interval by its first minute, counted from 1970-01-01 in UTC."""

    minute: int
    wh: int
    row: int
    quality: int | None


@dataclass
class IntervalFile:
    """The intervals of a file, row by row; what is wrong goes to `problems`. `now` is in UTC.

    A start without a zone is local; where the clock shows an hour twice, the first rows of it are
    the first hour.
    """

    zone: ZoneInfo
    now: datetime
    problems: list[ImportProblem]
    _of_meter: dict[str, list[_Interval]] = field(default_factory=dict)
    _minutes: dict[str, int] = field(default_factory=dict)
    _first_hours: set[tuple[str, datetime]] = field(default_factory=set)
    # The local days with one offset from UTC, which is nearly all.
    _offsets: dict[date, timedelta | None] = field(default_factory=dict)

    def add(self, cells: Cells) -> None:
        """One row of the file."""
        serial = cells.identifier("meter_serial")
        start = cells.parsed("start", lambda text: self._instant(text, serial))
        wh = cells.parsed("kwh", _wh)
        said = cells.values.get("quality")
        quality = cells.parsed("quality", quality_code) if said else None
        if cells.values.get("minutes"):
            self._keep_minutes(cells, serial)
        if serial and start is not None and wh is not None:
            minute = (start - EPOCH) // _MINUTE
            self._of_meter.setdefault(serial, []).append(_Interval(minute, wh, cells.row, quality))

    def rows(self) -> list[Row]:
        """The days of all meters as import_intervals takes them."""
        rows: list[Row] = []
        for serial, intervals in self._of_meter.items():
            intervals.sort()
            minutes = self._minutes.get(serial) or self._guessed_minutes(serial, intervals)
            if minutes:
                rows += self._days(serial, intervals, minutes)
        return rows

    def _keep_minutes(self, cells: Cells, serial: str) -> None:
        text = cells.values["minutes"]
        if text not in map(str, _LENGTHS):
            cells.refuse("minutes", f"must be 15, 30 or 60, not {text[:20]!r}.")
        elif self._minutes.setdefault(serial, int(text)) != int(text):
            cells.refuse("minutes", f"is another length than in earlier rows of meter {serial}.")

    def _guessed_minutes(self, serial: str, intervals: list[_Interval]) -> int | None:
        """The shortest step between two intervals."""
        steps = {after.minute - before.minute for before, after in pairwise(intervals)} - {0}
        shortest = min(steps, default=0)
        if shortest in _LENGTHS:
            return shortest
        why = f"the rows of meter {serial} are {count(shortest, 'minute')} apart"
        if not steps:
            why = f"meter {serial} has only this row"
        self._refuse(intervals[0].row, "start", f"{why}: intervals have 15, 30 or 60 minutes.")
        return None

    def _instant(self, text: str, serial: str) -> datetime:
        """A start in UTC."""
        try:
            written = datetime.fromisoformat(text)
            start = self._in_utc(written, serial)
        except (ValueError, OverflowError) as error:
            if isinstance(error, _NoSuchTime):
                raise
            raise ValueError(
                f"must be a date and time such as 2026-03-01T10:30, not {text[:30]!r}."
            ) from None
        if start < EARLIEST or start >= self.now:
            when = "in the future" if start >= self.now else "too long ago"
            raise ValueError(f"{text} is {when}.")
        if start.second or start.microsecond or start.minute % 15:
            raise ValueError(f"{text} is not on a whole quarter of an hour.")
        return start

    def _in_utc(self, written: datetime, serial: str) -> datetime:
        if written.tzinfo is not None:
            return written.astimezone(UTC)
        day = written.date()
        if day not in self._offsets:
            self._offsets[day] = self._offset_of(day)
        offset = self._offsets[day]
        if offset is not None:
            return (written - offset).replace(tzinfo=UTC)
        return self._on_a_day_of_change(written, serial)

    def _offset_of(self, day: date) -> timedelta | None:
        """The day's offset from UTC, None where it changes."""
        start, end = (start_of_day(one, self.zone) for one in (day, day + _DAY))
        offsets = {start.astimezone(self.zone).utcoffset(), end.astimezone(self.zone).utcoffset()}
        return offsets.pop() if len(offsets) == 1 and end - start == _DAY else None

    def _on_a_day_of_change(self, written: datetime, serial: str) -> datetime:
        """Where the hour comes twice, its second row is the second hour."""
        first, second = (written.replace(tzinfo=self.zone, fold=fold) for fold in (0, 1))
        if first.astimezone(UTC) > second.astimezone(UTC):
            raise _NoSuchTime(f"{written} does not exist: the clock goes forward over it that day.")
        if first.utcoffset() != second.utcoffset():
            key = (serial, written)
            if key in self._first_hours:
                return second.astimezone(UTC)
            self._first_hours.add(key)
        return first.astimezone(UTC)

    def _days(self, serial: str, intervals: list[_Interval], minutes: int) -> Iterator[Row]:
        for day, group in groupby(intervals, key=self._day_of):
            found = list(group)
            begin, end = (
                (start_of_day(one, self.zone) - EPOCH) // _MINUTE for one in (day, day + _DAY)
            )
            if self._is_whole(found, begin, end, minutes):
                row: Row = {
                    "row": found[0].row,
                    "meter_serial": serial,
                    "day": day.isoformat(),
                    "minutes": minutes,
                    "wh": [interval.wh for interval in found],
                }
                if any(interval.quality is not None for interval in found):
                    row["quality"] = shortened([interval.quality or 0 for interval in found])
                yield row

    def _day_of(self, interval: _Interval) -> date:
        return (EPOCH + interval.minute * _MINUTE).astimezone(self.zone).date()

    def _is_whole(self, found: list[_Interval], begin: int, end: int, minutes: int) -> bool:
        """Whether a day has each of its intervals once; the first that it has not is reported."""
        expected = begin
        for interval in found:
            if interval.minute != expected:
                self._refuse(interval.row, "start", self._why(interval, expected, minutes))
                return False
            expected += minutes
        if expected != end:
            why = f"the day ends after this row: {self._clock(expected)} is missing."
            self._refuse(found[-1].row, "start", why)
        return expected == end

    def _why(self, interval: _Interval, expected: int, minutes: int) -> str:
        if interval.minute == expected - minutes:
            return "the same interval stands in another row already: keep one of the two."
        if (interval.minute - expected) % minutes:
            return f"is not {count(minutes, 'minute')} after the interval before it."
        return f"the interval of {self._clock(expected)} is missing."

    def _clock(self, minute: int) -> str:
        local = (EPOCH + minute * _MINUTE).astimezone(self.zone)
        return f"{local:%d %b %Y, %H:%M}"

    def _refuse(self, row: int, column: str, message: str) -> None:
        self.problems.append(ImportProblem(row, column, message))


class _NoSuchTime(ValueError):
    """The clock on the wall never shows this time."""


def _wh(text: str) -> int:
    wh = parse_kwh(text, what="energy")
    if wh > MOST_WH:
        raise ValueError("The energy is larger than any meter measures in an interval.")
    return wh
