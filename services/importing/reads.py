"""Reads that come in by file: checked against their meter, and judged in the order of time."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from services.importing.report import ImportProblem
from services.importing.rows import quality_code, reading_source
from services.importing.table import Cells
from services.languages.sentence import sentence, sentence_of
from services.metering.outcomes import Validation
from services.readings.meter_history import UNUSABLE_READ, FileRead, MeterHistory
from services.readings.submission import InvalidReading, parse_submission
from services.records.readings import ReadingSource, ReadPoint

READING_COLUMNS = ("meter_serial", "reading_kwh", "read_at")
# How sure it is: a code of ESPI (services/quantities/quality.py); and who or what read it.
READING_OPTIONS = ("quality", "read_source")
READING_NUMBERS = ("reading_kwh",)
READING_DATES = ("read_at",)
# A column for each further register, such as register:peak; its cell is empty in other rows.
REGISTER_PREFIX = "register:"


def file_read(
    cells: Cells, *, zone: ZoneInfo, now: datetime, not_read: list[int] | None = None
) -> FileRead | None:
    """A row as a read, under the rules of a submission; a bare date is the start of that day.

    None for a row that is refused. With `not_read` also for one that names a meter and nothing
    that it shows, as in a round's file that comes back: its number goes there.
    """
    known = len(cells.problems)
    serial = cells.identifier("meter_serial", required=False)
    if len(cells.problems) > known:
        return None
    if not_read is not None and serial and _was_not_read(cells):
        not_read.append(cells.row)
        return None
    body: dict[str, Any] = {name: cells.values[name] for name in READING_COLUMNS}
    body["registers"] = {
        column.removeprefix(REGISTER_PREFIX): text
        for column, text in cells.values.items()
        if column.startswith(REGISTER_PREFIX) and text
    }
    try:
        read = parse_submission(body, zone=zone, now=now)
    except InvalidReading as error:
        cells.refuse("", sentence_of(error))
        return None
    quality = cells.parsed("quality", quality_code) if cells.values.get("quality") else None
    said = cells.values.get("read_source")
    source = cells.parsed("read_source", reading_source) if said else None
    point = ReadPoint(read.register_wh, read.read_on, read.registers)
    return FileRead(cells.row, read.meter_serial, point, read.read_at, quality, source)


def _was_not_read(cells: Cells) -> bool:
    return not any(
        value.strip()
        for column, value in cells.values.items()
        if column in READING_COLUMNS[1:] or column.startswith(REGISTER_PREFIX)
    )


def by_meter(reads: Iterable[FileRead], problems: list[ImportProblem]) -> dict[str, list[FileRead]]:
    """The reads of each serial in order of time; two of one instant are named in `problems`."""
    grouped: dict[str, list[FileRead]] = {}
    for read in reads:
        grouped.setdefault(read.serial, []).append(read)
    for group in grouped.values():
        group.sort(key=lambda read: read.read_at)
        for before, after in pairwise(group):
            if before.read_at == after.read_at:
                first, second = sorted((before, after), key=lambda read: read.row)
                same = first.point == second.point
                why = (
                    sentence(
                        "is the same reading as row {row}: keep one of the two.", row=str(first.row)
                    )
                    if same
                    else sentence(
                        "has another value than row {row} at the very same time.",
                        row=str(first.row),
                    )
                )
                problems.append(ImportProblem(second.row, "reading_kwh" * (not same), why))
    return grouped


@dataclass
class Judged:
    """What becomes of some reads: rows to store, and what is wrong or known already."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    problems: list[ImportProblem] = field(default_factory=list)
    unchanged: int = 0


def judge(history: MeterHistory, read: FileRead, *, source: ReadingSource, into: Judged) -> None:
    """Judge a read by the accepted ones before it; reads come in the order of time."""
    if history.is_known(read):
        into.unchanged += 1
        return
    try:
        validation = history.validation_of(read)
    except UNUSABLE_READ as error:
        into.problems.append(ImportProblem(read.row, "", sentence_of(error)))
        return
    history.take(read, status=validation.verdict)
    into.rows.append(_row(history, read, validation, source))


def _row(
    history: MeterHistory, read: FileRead, validation: Validation, source: ReadingSource
) -> dict[str, Any]:
    said: dict[str, Any] = {}
    source = read.source or source
    if read.quality is not None:
        said = {"quality": int(read.quality)}
        # An estimate of another system's is one here too: the next actual read settles it.
        source = "estimated" if read.quality.is_estimated else source
    return {
        "meter_id": history.meter_id,
        "read_at": read.read_at.isoformat(),
        "read_on": read.point.read_on.isoformat(),
        "register_wh": read.point.register_wh,
        "registers": dict(read.point.registers),
        "source": source,
        "status": validation.verdict,
        "validation": validation.to_json() | said,
    }
