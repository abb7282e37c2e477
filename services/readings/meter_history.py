"""A meter's reads as they are judged: each by the accepted ones before it, and by other meters."""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import Any, NamedTuple

from services.languages.sentence import sentence
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
from services.quantities.quality import Quality
from services.readings.submission import CONNECTED_LATER, InvalidReading
from services.records.imports import Installed, MeterReads
from services.records.readings import ReadingSource, ReadingStatus, ReadPoint
from services.records.tariffs import TariffVersion
from services.records.use_limits import LimitBook, UseLimits

HISTORY = timedelta(days=500)
LIVE = ("accepted", "needs_review")
# Seven periods and some days: what peers are compared by.
PEER_WINDOWS = timedelta(days=250)
# Why a read cannot be judged at all; each says it in its message.
UNUSABLE_READ = (InvalidReading, WrongRegisters, ReadingTooLong, UnableToCompareReads)
# The value of each register, with the total's first: what makes two reads of a day the same.
Shown = tuple[int | tuple[str, int], ...]


class FileRead(NamedTuple):
    """A read in a row of a file, or in none (0), of a meter.

    Its point is Wh before the multiplier on a local date, its instant in UTC.
    """

    row: int
    serial: str
    point: ReadPoint
    read_at: datetime
    quality: Quality | None = None
    source: ReadingSource | None = None


def by_day(reads: Iterable[FileRead]) -> Iterator[list[FileRead]]:
    """The reads of each local date, in order of time."""
    in_order = sorted(reads, key=lambda read: (read.read_at, read.row))
    for _, of_day in groupby(in_order, key=lambda read: read.point.read_on):
        yield list(of_day)


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
    tariff_id: str | None = None
    book: LimitBook = field(default_factory=LimitBook)
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
        book: LimitBook | None = None,
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
                unknown_daily_wh=(book or LimitBook()).unknown_daily_wh,
                occupied=meter.agreement_id is not None,
            ),
            versions=versions,
            installed=meter.installed,
            peers=peers or PeerUses(),
            tariff_id=meter.tariff_id,
            book=book or LimitBook(),
        )
        for read in meter.reads:
            history._add(at=read.read_at, point=read.point, status=read.status)
        return history

    def take(self, read: FileRead, *, status: ReadingStatus) -> None:
        """Take in a read with what was decided about it."""
        if status == "accepted" and (uses := self._last_uses(read)):
            self.peers.add_use(self.serial, uses[-1], load_w=self.limits.load_w)
        elif status == "needs_review":
            self.peers.doubt(self.serial, read.point.read_on)
        self._add(at=read.read_at, point=read.point, status=status)

    def show_peers(self, read: FileRead) -> None:
        """Let other meters be compared with what a read says, before any of its day is judged."""
        self.peers.add_uses(self.serial, read.point.read_on, self._last_uses(read))

    def show_first_use(self, read: FileRead) -> None:
        """Let the use of a meter's first reading count for its class, before it is judged."""
        if len(self.points) == 1 and (uses := self._last_uses(read)):
            self.peers.add_use(self.serial, uses[-1], load_w=self.limits.load_w)

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
        self.known.add((at, values_shown(point)))
        if status not in LIVE:
            return
        self.live.add(at)
        self.days.add((point.read_on, values_shown(point)))
        if status == "accepted":
            self.points.insert(bisect_left(self.times, at), point)
            insort(self.times, at)
        else:
            self.waiting.append(point)

    def is_known(self, read: FileRead) -> bool:
        """Whether the same value of that instant or local date is stored already."""
        shown = values_shown(read.point)
        return (read.read_at, shown) in self.known or (read.point.read_on, shown) in self.days

    def validation_of(self, read: FileRead) -> Validation:
        """What the rules find of a read. Raises one of UNUSABLE_READ."""
        point = read.point
        check_fits_dials(point.register_wh, self.dials)
        check_registers(
            point.registers, of_meter=self.registers, serial=self.serial, dials=self.dials
        )
        if read.read_at in self.live:
            raise InvalidReading(
                sentence("Another value is stored for this meter at this very time.")
            )
        after = bisect_right(self.times, read.read_at)
        if not after:
            if not self.points:
                raise InvalidReading(
                    sentence("Meter {meter} is not installed anywhere.", meter=self.serial)
                )
            opened = self.points[0].read_on
            raise InvalidReading(sentence(CONNECTED_LATER, meter=self.serial, day=opened))
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
            limits=self._limits_on(point.read_on),
            waiting=[one for one in self.waiting if one.read_on > since_first],
            peers=self.peers.beside(self.serial, point.read_on),
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
            limits=self._limits_on(read.point.read_on),
            peers=self.peers.beside(self.serial, read.point.read_on),
        )
        return Doubtful(read.point.register_wh, last, use, self.dials, self.multiplier_milli)

    def _limits_on(self, day: date) -> UseLimits:
        """What limits its use up to a local date."""
        return replace(self.limits, validation=self.book.of(self.tariff_id, day))

    def _installed_since(self, at: datetime) -> datetime:
        """When the meter was installed where it was at an instant; raises InvalidReading."""
        for one in self.installed:
            if one.since <= at and (one.until is None or at <= one.until):
                return one.since
        raise InvalidReading(
            sentence("Meter {meter} was not installed anywhere at that time.", meter=self.serial)
        )


def values_shown(point: ReadPoint) -> Shown:
    """What makes two reads of a day the same."""
    return (point.register_wh, *sorted(point.registers.items()))
