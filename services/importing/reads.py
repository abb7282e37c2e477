"""Reads that come in by file: checked against their meter, and judged in the order of time."""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from services.domain.records import ReadingSource
from services.domain.validation import (
    ReadingTooLong,
    ReadPoint,
    UnableToCompareReads,
    Validation,
    check_fits_dials,
    validate_reading,
)
from services.importing.report import ImportProblem
from services.importing.rows import derived_id
from services.importing.table import Cells
from services.submission import InvalidReading, parse_submission

READING_COLUMNS = ("meter_serial", "reading_kwh", "read_at")
HISTORY = timedelta(days=400)
LIVE = ("accepted", "needs_review")


class FileRead(NamedTuple):
    """A read as a file has it: Wh before the multiplier, an instant in UTC, a local date."""

    row: int
    serial: str
    register_wh: int
    read_at: datetime
    read_on: date


def file_read(cells: Cells, *, zone: ZoneInfo, now: datetime) -> FileRead | None:
    """A row as a read, under the rules of a submission; a bare date is the start of that day."""
    body = {name: cells.values[name] for name in READING_COLUMNS}
    try:
        read = parse_submission(body, zone=zone, now=now)
    except InvalidReading as error:
        cells.refuse("", str(error))
        return None
    return FileRead(cells.row, read.meter_serial, read.register_wh, read.read_at, read.read_on)


def by_meter(reads: Iterable[FileRead], problems: list[ImportProblem]) -> dict[str, list[FileRead]]:
    """The reads of each serial in order of time; two of one instant are named in `problems`."""
    grouped: dict[str, list[FileRead]] = {}
    for read in reads:
        grouped.setdefault(read.serial, []).append(read)
    for group in grouped.values():
        group.sort(key=lambda read: read.read_at)
        for before, after in pairwise(group):
            if before.read_at == after.read_at:
                first, second = sorted((before, after))
                same = first.register_wh == second.register_wh
                why = f"is the same reading as row {first.row}: keep one of the two."
                if not same:
                    why = f"has another value than row {first.row} at the very same time."
                problems.append(ImportProblem(second.row, "reading_kwh" * (not same), why))
    return grouped


@dataclass
class Judged:
    """What becomes of some reads: rows to store, and what is wrong or known already."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    problems: list[ImportProblem] = field(default_factory=list)
    unchanged: int = 0


@dataclass
class MeterHistory:
    """What is stored of one meter's reads, growing with each read that is judged."""

    meter_id: str
    serial: str
    dials: int
    multiplier_milli: int
    # Of the accepted reads, in order of time; the first is the opening read.
    times: list[datetime] = field(default_factory=list)
    points: list[ReadPoint] = field(default_factory=list)
    live: dict[datetime, int] = field(default_factory=dict)
    # Decided reads too: what a person rejected does not come back with the next import.
    known: set[tuple[datetime, int]] = field(default_factory=set)
    days: set[tuple[date, int]] = field(default_factory=set)

    @classmethod
    def of(cls, meter: Mapping[str, Any]) -> "MeterHistory":
        """From an answer of DatabaseService.meter_reads with reads of every status."""
        history = cls(meter["id"], meter["serial"], meter["dials"], meter["multiplier_milli"])
        for read in meter["reads"]:
            history._add(
                at=datetime.fromisoformat(read["read_at"]),
                point=ReadPoint(read["register_wh"], date.fromisoformat(read["read_on"])),
                status=read["status"],
            )
        return history

    def judge(self, reads: Sequence[FileRead], *, source: ReadingSource, into: Judged) -> None:
        """Judge reads in order of time, each by the accepted ones before it."""
        for read in reads:
            if self._is_known(read):
                into.unchanged += 1
                continue
            try:
                validation = self._validate(read)
            except (InvalidReading, ReadingTooLong, UnableToCompareReads) as error:
                into.problems.append(ImportProblem(read.row, "", str(error)))
                continue
            point = ReadPoint(read.register_wh, read.read_on)
            self._add(at=read.read_at, point=point, status=validation.verdict)
            into.rows.append(self._row(read, validation, source))

    def _add(self, *, at: datetime, point: ReadPoint, status: str) -> None:
        self.known.add((at, point.register_wh))
        if status not in LIVE:
            return
        self.live[at] = point.register_wh
        self.days.add((point.read_on, point.register_wh))
        if status == "accepted":
            self.points.insert(bisect_left(self.times, at), point)
            insort(self.times, at)

    def _is_known(self, read: FileRead) -> bool:
        return (read.read_at, read.register_wh) in self.known or (
            read.read_on,
            read.register_wh,
        ) in self.days

    def _validate(self, read: FileRead) -> Validation:
        check_fits_dials(read.register_wh, self.dials)
        if read.read_at in self.live:
            raise InvalidReading("Another value is stored for this meter at this very time.")
        after = bisect_right(self.times, read.read_at)
        if not after:
            opened = f"{self.points[0].read_on:%d %b %Y}" if self.points else "no day yet"
            raise InvalidReading(
                f"Meter {self.serial} was connected on {opened}; the reading is dated before that."
            )
        first = bisect_right(self.times, self.times[after - 1] - HISTORY)
        return validate_reading(
            register_wh=read.register_wh,
            read_on=read.read_on,
            last_read=self.points[after - 1],
            next_read=self.points[after] if after < len(self.points) else None,
            history=self.points[first:after],
            dials=self.dials,
            multiplier_milli=self.multiplier_milli,
        )

    def _row(self, read: FileRead, validation: Validation, source: ReadingSource) -> dict[str, Any]:
        instant = read.read_at.isoformat()
        return {
            "id": derived_id("reading", self.serial, instant, str(read.register_wh)),
            "meter_id": self.meter_id,
            "read_at": instant,
            "read_on": read.read_on.isoformat(),
            "register_wh": read.register_wh,
            "source": source,
            "status": validation.verdict,
            "validation": validation.to_json(),
        }
