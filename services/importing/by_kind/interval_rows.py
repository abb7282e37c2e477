"""Interval series from a file: a row an interval, put together to whole local days of meters."""

from array import array
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from operator import le, sub
from typing import Any, Final
from zoneinfo import ZoneInfo

from services.importing.meter_files.local_days import shortened
from services.importing.meter_files.stretches import EPOCH, MOST_WH
from services.importing.report import ImportProblem, moment_in_words
from services.importing.rows import quality_code
from services.importing.table import Cells
from services.languages.sentence import N_, Sentence, nsentence, sentence
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
# The times of a day at which an interval may begin, as nearly all files write them.
_CLOCK: Final = {
    f"{sign}{minute // 60:02}:{minute % 60:02}{seconds}": minute
    for minute in range(0, 24 * 60, 15)
    for sign in "T "
    for seconds in ("", ":00")
}
_NOT_SAID: Final = -1
_MOST_KNOWN: Final = 50_000
Row = dict[str, Any]


@dataclass(slots=True)
class _Series:
    """The intervals of one meter in the order of the file, a few bytes each.

    `minutes` are their first minutes, counted from 1970-01-01 in UTC; `quality` is _NOT_SAID where
    the file does not say it.
    """

    minutes: "array[int]" = field(default_factory=lambda: array("i"))
    wh: "array[int]" = field(default_factory=lambda: array("i"))
    rows: "array[int]" = field(default_factory=lambda: array("i"))
    quality: "array[int]" = field(default_factory=lambda: array("b"))
    length: int | None = None

    def add(self, minute: int, wh: int, row: int, quality: int) -> None:
        self.minutes.append(minute)
        self.wh.append(wh)
        self.rows.append(row)
        self.quality.append(quality)

    def sort(self) -> None:
        """Put the intervals in the order of time; those of one time stay as they are."""
        minutes = self.minutes
        if all(map(le, minutes, islice(minutes, 1, None))):
            return
        order = sorted(range(len(minutes)), key=minutes.__getitem__)
        for name in ("minutes", "wh", "rows", "quality"):
            kept = getattr(self, name)
            setattr(self, name, array(kept.typecode, map(kept.__getitem__, order)))


@dataclass
class IntervalFile:
    """The intervals of a file, row by row; what is wrong goes to `problems`. `now` is in UTC.

    A start without a zone is local; where the clock shows an hour twice, the first rows of it are
    the first hour.
    """

    zone: ZoneInfo
    now: datetime
    problems: list[ImportProblem]
    _of_meter: dict[str, _Series] = field(default_factory=dict)
    _first_hours: set[tuple[str, datetime]] = field(default_factory=set)
    # The local days with one offset from UTC, which is nearly all.
    _offsets: dict[date, timedelta | None] = field(default_factory=dict)
    # Few texts stand in many rows: each is looked at once. These hold what was right.
    _known_wh: dict[str, int] = field(default_factory=dict)
    _known_days: dict[str, int] = field(default_factory=dict)

    def add(self, cells: Cells) -> None:
        """One row of the file."""
        said = cells.values
        serial = said["meter_serial"]
        if serial not in self._of_meter:
            refused = len(self.problems)
            serial = cells.identifier("meter_serial")
            # Named in each of its rows.
            serial = serial if len(self.problems) == refused else ""
        minute = self._minute(cells, serial)
        wh = self._known_wh.get(said["kwh"])
        if wh is None:
            wh = self._wh(cells)
        quality = _NOT_SAID
        if said.get("quality"):
            quality = cells.parsed("quality", quality_code) or 0
        if said.get("minutes") and serial:
            self._keep_length(cells, serial)
        if serial and minute is not None and wh is not None:
            self._of_meter.setdefault(serial, _Series()).add(minute, wh, cells.row, quality)

    def first_rows(self) -> list[Row]:
        """Each meter with the first row of the file that names it."""
        return [
            {"row": min(series.rows), "meter_serial": serial}
            for serial, series in self._of_meter.items()
            if series.rows
        ]

    def days(self) -> Iterator[Row]:
        """The days of all meters as import_intervals takes them; may be walked through again."""
        for serial, series in self._of_meter.items():
            series.sort()
            series.length = series.length or self._guessed_length(serial, series)
            if series.length:
                yield from self._days(serial, series, series.length)

    def _wh(self, cells: Cells) -> int | None:
        wh = cells.parsed("kwh", _wh)
        if wh is not None and len(self._known_wh) < _MOST_KNOWN:
            self._known_wh[cells.values["kwh"]] = wh
        return wh

    def _keep_length(self, cells: Cells, serial: str) -> None:
        text = cells.values["minutes"]
        series = self._of_meter.setdefault(serial, _Series())
        if text not in map(str, _LENGTHS):
            cells.refuse(
                "minutes", sentence("must be 15, 30 or 60, not {typed}.", typed=repr(text[:20]))
            )
        elif (series.length or int(text)) != int(text):
            cells.refuse(
                "minutes",
                sentence(
                    "is another length than in earlier rows of meter {serial}.", serial=serial
                ),
            )
        else:
            series.length = int(text)

    def _guessed_length(self, serial: str, series: _Series) -> int | None:
        """The shortest step between two intervals."""
        steps = set(map(sub, islice(series.minutes, 1, None), series.minutes)) - {0}
        shortest = min(steps, default=0)
        if shortest in _LENGTHS:
            return shortest
        if not series.rows:
            return None
        why: Sentence = nsentence(
            "the rows of meter {serial} are {count} minute apart: intervals have 15, 30 or 60 "
            "minutes.",
            "the rows of meter {serial} are {count} minutes apart: intervals have 15, 30 or 60 "
            "minutes.",
            shortest,
            serial=serial,
        )
        if not steps:
            why = sentence(
                "meter {serial} has only this row: intervals have 15, 30 or 60 minutes.",
                serial=serial,
            )
        self._refuse(series.rows[0], "start", why)
        return None

    def _minute(self, cells: Cells, serial: str) -> int | None:
        """The first minute; a plain time of a usual day is its day's begin and a clock time."""
        text = cells.values["start"]
        if (begin := self._known_days.get(text[:10])) is not None and (
            clock := _CLOCK.get(text[10:])
        ) is not None:
            return begin + clock
        start = cells.parsed("start", lambda written: self._instant(written, serial))
        if start is None:
            return None
        minute = (start - EPOCH) // _MINUTE
        self._know_day(text, minute)
        return minute

    def _know_day(self, text: str, minute: int) -> None:
        """Keep when a day begins, where it has one offset and all of it is in the past."""
        clock = _CLOCK.get(text[10:])
        if clock is None or self._offsets.get(date.fromisoformat(text[:10])) is None:
            return
        begin = EPOCH + (minute - clock) * _MINUTE
        if begin >= EARLIEST and begin + _DAY <= self.now:
            self._known_days[text[:10]] = minute - clock

    def _instant(self, text: str, serial: str) -> datetime:
        """A start in UTC."""
        try:
            written = datetime.fromisoformat(text)
            start = self._in_utc(written, serial)
        except (ValueError, OverflowError) as error:
            if isinstance(error, _NoSuchTime):
                raise
            raise ValueError(
                sentence(
                    "must be a date and time such as 2026-03-01T10:30, not {typed}.",
                    typed=repr(text[:30]),
                )
            ) from None
        if start < EARLIEST or start >= self.now:
            raise ValueError(
                sentence("{typed} is in the future.", typed=text)
                if start >= self.now
                else sentence("{typed} is too long ago.", typed=text)
            )
        if start.second or start.microsecond or start.minute % 15:
            raise ValueError(sentence("{typed} is not on a whole quarter of an hour.", typed=text))
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
            raise _NoSuchTime(
                sentence(
                    "{typed} does not exist: the clock goes forward over it that day.",
                    typed=str(written),
                )
            )
        if first.utcoffset() != second.utcoffset():
            key = (serial, written)
            if key in self._first_hours:
                return second.astimezone(UTC)
            self._first_hours.add(key)
        return first.astimezone(UTC)

    def _days(self, serial: str, series: _Series, length: int) -> Iterator[Row]:
        first, end = 0, len(series.minutes)
        while first < end:
            day = (EPOCH + series.minutes[first] * _MINUTE).astimezone(self.zone).date()
            begin, over = (
                (start_of_day(one, self.zone) - EPOCH) // _MINUTE for one in (day, day + _DAY)
            )
            past = bisect_left(series.minutes, over, lo=first)
            if self._is_whole(series, range(first, past), (begin, over), length):
                row: Row = {
                    "row": series.rows[first],
                    "meter_serial": serial,
                    "day": day.isoformat(),
                    "minutes": length,
                    "wh": series.wh[first:past].tolist(),
                }
                quality = series.quality[first:past].tolist()
                if any(code != _NOT_SAID for code in quality):
                    row["quality"] = shortened([max(code, 0) for code in quality])
                yield row
            first = past

    def _is_whole(
        self, series: _Series, found: range, bounds: tuple[int, int], length: int
    ) -> bool:
        """Whether a day has each of its intervals once; the first that it has not is reported."""
        begin, end = bounds
        minutes = series.minutes[found.start : found.stop]
        if minutes == array("i", range(begin, end, length)):
            return True
        expected = begin
        for at in found:
            if series.minutes[at] != expected:
                if expected == begin and (past := (series.minutes[at] - begin) % length):
                    why = nsentence(
                        "begins {count} minute beside the intervals of its day, which have "
                        "{length} and begin at {begin}.",
                        "begins {count} minutes beside the intervals of its day, which have "
                        "{length} and begin at {begin}.",
                        past,
                        length=length,
                        begin=self._clock(begin),
                    )
                else:
                    why = self._why(series.minutes[at], expected, length)
                self._refuse(series.rows[at], "start", why)
                return False
            expected += length
        why = sentence(
            "the day ends after this row: {missing} is missing.", missing=self._clock(expected)
        )
        self._refuse(series.rows[found[-1]], "start", why)
        return False

    def _why(self, minute: int, expected: int, length: int) -> Sentence:
        if minute == expected - length:
            return sentence("the same interval stands in another row already: keep one of the two.")
        if (minute - expected) % length:
            return nsentence(
                "is not {count} minute after the interval before it.",
                "is not {count} minutes after the interval before it.",
                length,
            )
        return sentence("the interval of {missing} is missing.", missing=self._clock(expected))

    def _clock(self, minute: int) -> Sentence:
        return moment_in_words((EPOCH + minute * _MINUTE).astimezone(self.zone))

    def _refuse(self, row: int, column: str, message: str) -> None:
        self.problems.append(ImportProblem(row, column, message))


class _NoSuchTime(ValueError):
    """The clock on the wall never shows this time."""


def _wh(text: str) -> int:
    wh = parse_kwh(text, what=N_("energy"))
    if wh > MOST_WH:
        raise ValueError(sentence("The energy is larger than any meter measures in an interval."))
    return wh
