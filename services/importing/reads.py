"""Reads that come in by file: checked against their meter, and judged in the order of time."""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import groupby, pairwise
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from services.importing.report import ImportProblem
from services.importing.rows import derived_id
from services.importing.table import Cells
from services.metering.digit_rules import Doubtful
from services.metering.expected_use import daily_uses
from services.metering.outcomes import Validation
from services.metering.peers import PeerUses
from services.metering.recent_use import UnableToCompareReads, Use
from services.metering.register_arithmetic import ReadingTooLong, capacity_wh, check_fits_dials
from services.metering.register_validation import RegisterRules, calendars_in_force
from services.metering.registers import WrongRegisters, check_registers
from services.metering.use_limits import windows_of
from services.metering.validation import validate_reading
from services.readings.submission import InvalidReading, parse_submission
from services.records.imports import Installed, MeterReads
from services.records.readings import ReadingSource, ReadingStatus, ReadPoint
from services.records.tariffs import TariffVersion
from services.records.use_limits import DEFAULT_DAILY_WH, UseLimits

READING_COLUMNS = ("meter_serial", "reading_kwh", "read_at")
READING_NUMBERS = ("reading_kwh",)
READING_DATES = ("read_at",)
# A column for each further register, such as register:peak; its cell is empty in other rows.
REGISTER_PREFIX = "register:"
HISTORY = timedelta(days=400)
LIVE = ("accepted", "needs_review")
# Three periods and some days: what peers are compared by.
PEER_WINDOWS = timedelta(days=110)
# Why a read cannot be judged at all; each says it in its message.
UNUSABLE_READ = (InvalidReading, WrongRegisters, ReadingTooLong, UnableToCompareReads)
# The value of each register, with the total's first: what makes two reads of a day the same.
Shown = tuple[int | tuple[str, int], ...]


class FileRead(NamedTuple):
    """A read as a file has it: Wh before the multiplier, an instant in UTC, a local date."""

    row: int
    serial: str
    point: ReadPoint
    read_at: datetime


def file_read(cells: Cells, *, zone: ZoneInfo, now: datetime) -> FileRead | None:
    """A row as a read, under the rules of a submission; a bare date is the start of that day."""
    known = len(cells.problems)
    cells.identifier("meter_serial", required=False)
    if len(cells.problems) > known:
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
        cells.refuse("", str(error))
        return None
    point = ReadPoint(read.register_wh, read.read_on, read.registers)
    return FileRead(cells.row, read.meter_serial, point, read.read_at)


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
                why = f"is the same reading as row {first.row}: keep one of the two."
                if not same:
                    why = f"has another value than row {first.row} at the very same time."
                problems.append(ImportProblem(second.row, "reading_kwh" * (not same), why))
    return grouped


def by_day(reads: Iterable[FileRead]) -> Iterator[list[FileRead]]:
    """The reads of each local date, in order of time."""
    in_order = sorted(reads, key=lambda read: (read.read_at, read.row))
    for _, of_day in groupby(in_order, key=lambda read: read.point.read_on):
        yield list(of_day)


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
    registers: tuple[str, ...]
    limits: UseLimits = field(default_factory=UseLimits)
    # Of its tariff, where it has further registers.
    versions: Sequence[TariffVersion] = ()
    installed: Sequence[Installed] = ()
    # Other meters, whose use is compared and which this one's accepted reads are added to.
    peers: PeerUses = field(default_factory=PeerUses)
    # Of the accepted reads, in order of time; the first is the opening read.
    times: list[datetime] = field(default_factory=list)
    points: list[ReadPoint] = field(default_factory=list)
    # Those that wait for review.
    waiting: list[ReadPoint] = field(default_factory=list)
    live: set[datetime] = field(default_factory=set)
    # Decided reads too: what a person rejected does not come back with the next import.
    known: set[tuple[datetime, Shown]] = field(default_factory=set)
    days: set[tuple[date, Shown]] = field(default_factory=set)

    @classmethod
    def of(
        cls,
        meter: MeterReads,
        *,
        versions: Sequence[TariffVersion] = (),
        unknown_daily_wh: int = DEFAULT_DAILY_WH,
        peers: PeerUses | None = None,
    ) -> "MeterHistory":
        """From an answer of DatabaseService.meter_reads with reads of every status."""
        history = cls(
            meter_id=meter.id,
            serial=meter.serial,
            dials=meter.dials,
            multiplier_milli=meter.multiplier_milli,
            registers=meter.registers,
            limits=UseLimits(
                connected_w=meter.connected_w,
                connected_va=meter.connected_va,
                class_use=meter.class_use,
                unknown_daily_wh=unknown_daily_wh,
                occupied=meter.agreement_id is not None,
            ),
            versions=versions,
            installed=meter.installed,
            peers=peers or PeerUses(),
        )
        for read in meter.reads:
            history._add(at=read.read_at, point=read.point, status=read.status)
        return history

    def judge(self, read: FileRead, *, source: ReadingSource, into: Judged) -> None:
        """Judge a read by the accepted ones before it; reads come in the order of time."""
        if self.is_known(read):
            into.unchanged += 1
            return
        try:
            validation = self.validation_of(read)
        except UNUSABLE_READ as error:
            into.problems.append(ImportProblem(read.row, "", str(error)))
            return
        self.take(read, status=validation.verdict)
        into.rows.append(self._row(read, validation, source))

    def take(self, read: FileRead, *, status: ReadingStatus) -> None:
        """Take in a read with what was decided about it."""
        if status == "accepted" and (uses := self._last_uses(read)):
            self.peers.add_use(self.serial, uses[-1], load_w=self.limits.load_w)
        self._add(at=read.read_at, point=read.point, status=status)

    def show_peers(self, read: FileRead) -> None:
        """Let other meters be compared with what a read says, before any of its day is judged."""
        self.peers.add_move(read.point.read_on, self._last_uses(read))

    def _last_uses(self, read: FileRead) -> list[int]:
        """Wh a day of the last periods up to a newest read; nothing of one that comes in late."""
        if not self.times or read.read_at <= self.times[-1]:
            return []
        first = bisect_left(self.times, read.read_at - PEER_WINDOWS)
        reads = [*self.points[first:], read.point]
        windows = windows_of(reads, capacity_wh=capacity_wh(self.dials))
        if not windows or windows[-1].until != read.point.read_on:
            return []
        return daily_uses(windows, self.multiplier_milli)

    def _add(self, *, at: datetime, point: ReadPoint, status: ReadingStatus) -> None:
        self.known.add((at, _shown(point)))
        if status not in LIVE:
            return
        self.live.add(at)
        self.days.add((point.read_on, _shown(point)))
        if status == "accepted":
            self.points.insert(bisect_left(self.times, at), point)
            insort(self.times, at)
        else:
            self.waiting.append(point)

    def is_known(self, read: FileRead) -> bool:
        """Whether the same value of that instant or local date is stored already."""
        shown = _shown(read.point)
        return (read.read_at, shown) in self.known or (read.point.read_on, shown) in self.days

    def validation_of(self, read: FileRead) -> Validation:
        """What the rules find of a read. Raises one of UNUSABLE_READ."""
        point = read.point
        check_fits_dials(point.register_wh, self.dials)
        check_registers(
            point.registers, of_meter=self.registers, serial=self.serial, dials=self.dials
        )
        if read.read_at in self.live:
            raise InvalidReading("Another value is stored for this meter at this very time.")
        after = bisect_right(self.times, read.read_at)
        if not after:
            opened = f"{self.points[0].read_on:%d %b %Y}" if self.points else "no day yet"
            raise InvalidReading(
                f"Meter {self.serial} was connected on {opened}; the reading is dated before that."
            )
        since = self._installed_since(read.read_at)
        first = bisect_right(self.times, self.times[after - 1] - HISTORY)
        first = max(first, bisect_left(self.times, since))
        against: dict[str, Any] = {
            "last_read": self.points[after - 1],
            "next_read": self.points[after] if after < len(self.points) else None,
            "history": self.points[first:after],
            "dials": self.dials,
            "multiplier_milli": self.multiplier_milli,
        }
        since_first = self.points[first].read_on
        found = validate_reading(
            register_wh=point.register_wh,
            read_on=point.read_on,
            limits=self.limits,
            waiting=[one for one in self.waiting if one.read_on > since_first],
            peers=self.peers.moves(point.read_on),
            other_registers=self.points[after - 1].registers,
            **against,
        )
        if not self.registers:
            return found
        calendars = calendars_in_force(self.versions, on=point.read_on)
        rules = RegisterRules(read=point, calendars=calendars, **against)
        return found.with_outcomes(rules.outcomes())

    def doubtful(self, read: FileRead) -> Doubtful | None:
        """A read as the rules that explain doubts take it; None where none is before it."""
        after = bisect_right(self.times, read.read_at)
        if not after:
            return None
        first = bisect_right(self.times, self.times[after - 1] - HISTORY)
        history, last = self.points[first:after], self.points[after - 1]
        use = Use.of(
            read.point.read_on,
            last,
            history,
            self.dials,
            self.multiplier_milli,
            limits=self.limits,
            peers=self.peers.moves(read.point.read_on),
        )
        return Doubtful(read.point.register_wh, last, use, self.dials, self.multiplier_milli)

    def _installed_since(self, at: datetime) -> datetime:
        """When the meter was installed where it was at an instant; raises InvalidReading."""
        for one in self.installed:
            if one.since <= at and (one.until is None or at <= one.until):
                return one.since
        raise InvalidReading(f"Meter {self.serial} was not installed anywhere at that time.")

    def _row(self, read: FileRead, validation: Validation, source: ReadingSource) -> dict[str, Any]:
        instant = read.read_at.isoformat()
        return {
            "id": derived_id("reading", self.serial, instant, *map(str, _shown(read.point))),
            "meter_id": self.meter_id,
            "read_at": instant,
            "read_on": read.point.read_on.isoformat(),
            "register_wh": read.point.register_wh,
            "registers": dict(read.point.registers),
            "source": source,
            "status": validation.verdict,
            "validation": validation.to_json(),
        }


def _shown(point: ReadPoint) -> Shown:
    return (point.register_wh, *sorted(point.registers.items()))
