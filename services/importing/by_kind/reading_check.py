"""Judging a file of readings as the system would, without storing anything."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any, Final
from zoneinfo import ZoneInfo

from services.importing.dates import DateOrder
from services.importing.reads import (
    READING_COLUMNS,
    READING_DATES,
    READING_NUMBERS,
    file_read,
)
from services.importing.report import ImportProblem
from services.importing.source import Source, UnreadableFile
from services.importing.table import Cells, read_table
from services.languages.sentence import N_, sentence, sentence_of
from services.metering.outcomes import RuleOutcome, Validation
from services.metering.peers import PeerUses
from services.metering.register_arithmetic import ReadingTooLong, capacity_wh, check_fits_dials
from services.metering.swapped_reads import SwappedReads
from services.quantities.energy import parse_kwh, parse_multiplier
from services.quantities.written_numbers import DecimalSign
from services.readings.meter_history import UNUSABLE_READ, FileRead, MeterHistory, by_day
from services.records.imports import Installed
from services.records.use_limits import LimitBook, UseLimits

CONSTANTS: Final = ("dials", "multiplier", "connected_kw")
DECIDED: Final = "true"
FEWEST_DIALS, MOST_DIALS = 3, 9
USUAL_DIALS: Final = 5
_ALWAYS: Final = Installed(since=datetime(1900, 1, 1, tzinfo=UTC), until=None)
_YES_NO: Final = {"yes": True, "no": False}


@dataclass(frozen=True, slots=True)
class CheckedReading:
    """A row of the file, numbered as a spreadsheet numbers it, and what the rules find of it."""

    row: int
    serial: str
    validation: Validation

    def to_json(self) -> dict[str, Any]:
        """{"row", "meter_serial", "verdict", "rules": [{"rule", "outcome", "message"}]}."""
        rules = [
            {"rule": one.rule, "outcome": one.outcome, "message": one.message}
            for one in self.validation.outcomes
        ]
        return {
            "row": self.row,
            "meter_serial": self.serial,
            "verdict": self.validation.verdict,
            "rules": rules,
        }


@dataclass
class _Row:
    """A row that can be judged: its read, what a person would decide, and its meter's constants.

    `right` is None where nobody decides.
    """

    read: FileRead
    right: bool | None
    constants: dict[str, int]


@dataclass
class ReadingCheck:
    """Judges the rows of a file in the order of time, each by those before it that are accepted.

    With `reviewed` a doubted row counts as its column `true` says; else, or where that is empty, it
    waits, as when nobody has looked at it. `now` is in UTC.
    """

    zone: ZoneInfo
    now: datetime
    reviewed: bool = False
    book: LimitBook = field(default_factory=LimitBook)
    decimal: DecimalSign | None = None
    date_order: DateOrder | None = None
    _peers: PeerUses = field(default_factory=PeerUses)
    _meters: dict[str, MeterHistory] = field(default_factory=dict)

    def check(self, source: Source) -> list[CheckedReading]:
        """What the rules find of each row, in the order of the file. Raises UnreadableFile."""
        needed = (*READING_COLUMNS, DECIDED) if self.reviewed else READING_COLUMNS
        table = read_table(
            source,
            required=needed,
            optional=CONSTANTS,
            numbers=(*READING_NUMBERS, "multiplier", "connected_kw"),
            dates=READING_DATES,
            decimal=self.decimal,
            date_order=self.date_order,
        )
        rows: list[_Row] = []
        serials: dict[int, str] = {}
        for cells in table.rows():
            serials[cells.row] = cells.values["meter_serial"]
            if (row := self._row(cells)) is not None:
                rows.append(row)
        if (of_file := next((p for p in table.problems if p.row is None), None)) is not None:
            raise UnreadableFile(of_file.message)
        serials |= {row: named["meter_serial"] for row, named in table.refused.items()}
        found = {p.row or 0: _unreadable(p, serials) for p in reversed(table.problems)}
        found |= {checked.row: checked for checked in self._judged(rows)}
        return [found[row] for row in sorted(found)]

    def _row(self, cells: Cells) -> _Row | None:
        known = len(cells.problems)
        read = file_read(cells, zone=self.zone, now=self.now)
        constants = {
            name: value
            for name, parse in (("dials", _dials), ("multiplier", parse_multiplier))
            if cells.values.get(name) and (value := cells.parsed(name, parse)) is not None
        }
        if cells.values.get("connected_kw"):
            load = cells.parsed("connected_kw", lambda kw: parse_kwh(kw, what=N_("connected load")))
            constants |= {"connected_kw": load} if load else {}
        right = cells.parsed(DECIDED, _yes_or_no) if self.reviewed else None
        return _Row(read, right, constants) if read and len(cells.problems) == known else None

    def _judged(self, rows: Sequence[_Row]) -> Iterator[CheckedReading]:
        by_row = {row.read.row: row for row in rows}
        self._open_meters(rows)
        swaps = SwappedReads()
        checked: list[CheckedReading] = []
        for of_day in by_day(row.read for row in rows):
            for read in of_day:
                self._meters[read.serial].show_peers(read)
            for read in of_day:
                # All first uses of a day make the class: the order of rows decides nothing.
                self._meters[read.serial].show_first_use(read)
            for read in of_day:
                history = self._meters[read.serial]
                validation = self._validation(history, read)
                if validation.verdict == "needs_review" and (doubtful := history.doubtful(read)):
                    swaps.add(len(checked), read.serial, read.point.read_on, doubtful)
                checked.append(CheckedReading(read.row, read.serial, validation))
                self._take(history, by_row[read.row], validation)
        for at, outcome in swaps.outcomes():
            found = checked[at].validation.with_outcomes([outcome])
            checked[at] = replace(checked[at], validation=found)
        return iter(checked)

    def _open_meters(self, rows: Iterable[_Row]) -> None:
        """A meter for each serial, with the constants that its rows first give."""
        given: dict[str, dict[str, int]] = defaultdict(dict)
        shown: dict[str, list[int]] = defaultdict(list)
        for row in rows:
            serial = row.read.serial
            given[serial] = {**row.constants, **given[serial]}
            shown[serial].append(row.read.point.register_wh)
        for serial, constants in given.items():
            self._meters[serial] = MeterHistory(
                meter_id="",
                serial=serial,
                dials=constants.get("dials") or _dials_shown(shown[serial]),
                multiplier_milli=constants.get("multiplier", 1000),
                registers=(),
                limits=UseLimits(
                    connected_w=constants.get("connected_kw"),
                    unknown_daily_wh=self.book.unknown_daily_wh,
                ),
                book=self.book,
                installed=(_ALWAYS,),
                peers=self._peers,
            )

    def _validation(self, history: MeterHistory, read: FileRead) -> Validation:
        if history.is_known(read):
            return Validation(())
        if len(history.points) == 1:
            history.limits = replace(history.limits, class_use=self._peers.class_use())
        try:
            if not history.points:
                # The first row of a meter that it can show is its opening read.
                check_fits_dials(read.point.register_wh, history.dials)
                return Validation(())
            return history.validation_of(read)
        except ReadingTooLong as error:
            return Validation((RuleOutcome("too_many_digits", "review", sentence_of(error)),))
        except UNUSABLE_READ as error:
            return Validation((RuleOutcome("unusable", "review", sentence_of(error)),))

    def _take(self, history: MeterHistory, row: _Row, validation: Validation) -> None:
        """Into the meter's history, with what is decided about it."""
        if validation.verdict == "accepted" or (self.reviewed and row.right):
            if row.read.read_at not in history.live:
                history.take(row.read, status="accepted")
        elif row.right is None:
            history.take(row.read, status="needs_review")


def _dials_shown(registers_wh: Sequence[int]) -> int:
    """How many digits a meter has by what it shows: five at least, unless it rolls over before.

    One reading may have a digit too many; two say that the meter has it.
    """
    digits = sorted(len(str(wh // 1000)) for wh in registers_wh)[-2:][0]
    if FEWEST_DIALS <= digits < USUAL_DIALS:
        capacity = capacity_wh(digits)
        turned = any(
            before > capacity * 9 // 10 and after < capacity // 10
            for before, after in pairwise(registers_wh)
        )
        return digits if turned else USUAL_DIALS
    return min(max(digits, USUAL_DIALS), MOST_DIALS)


def _dials(text: str) -> int:
    # A column of whole numbers with gaps is often written as 5.0.
    text = text.removesuffix(".0")
    if not text.isdecimal() or not FEWEST_DIALS <= int(text) <= MOST_DIALS:
        raise ValueError(
            sentence(
                "must be a whole number from {fewest} to {most}.",
                fewest=FEWEST_DIALS,
                most=MOST_DIALS,
            )
        )
    return int(text)


def _yes_or_no(text: str) -> bool | None:
    if not text:
        return None
    if text.lower() not in _YES_NO:
        raise ValueError(sentence("must be yes or no: what a person would say of the reading."))
    return _YES_NO[text.lower()]


def _unreadable(problem: ImportProblem, serials: Mapping[int, str]) -> CheckedReading:
    """A row that is no reading is looked at by a person, who sees why."""
    row = problem.row or 0
    said = f"{problem.column} {problem.message}" if problem.column else problem.message
    outcome = RuleOutcome("unusable", "review", f"{said[0].upper()}{said[1:]}")
    return CheckedReading(row, serials.get(row, ""), Validation((outcome,)))
