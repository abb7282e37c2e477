"""Trying limits for readings on those of the last year, before they hold."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from services.database.service import DatabaseService
from services.identity.auth import Principal, require
from services.identity.permissions import Permission
from services.metering.peers import PeerUses
from services.quantities.period import local_date
from services.readings.meter_history import (
    HISTORY,
    UNUSABLE_READ,
    FileRead,
    MeterHistory,
    by_day,
)
from services.records.imports import MeterReads
from services.records.use_limits import LimitBook, LimitsFor
from services.utility_settings.current import CurrentSettings

METERS_TRIED: Final = 500
METERS_AT_ONCE: Final = 100
EXAMPLES: Final = 10
_YEAR: Final = timedelta(days=365)


@dataclass
class Trial:
    """How many readings of a year limits would flag, and the present ones do.

    `examples` are serials and local dates of the first that only the tried limits flag; with
    `is_sample` there are more meters than were tried.
    """

    meters: int = 0
    readings: int = 0
    flagged: int = 0
    flagged_now: int = 0
    is_sample: bool = False
    examples: list[tuple[str, date]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class LimitsTrial:
    """Limits for readings, tried by administrators; nothing is stored."""

    database: DatabaseService
    current: CurrentSettings
    zone: ZoneInfo

    def run(self, rows: Sequence[LimitsFor], *, principal: Principal, now: datetime) -> Trial:
        """Judge the last year's readings of all meters, or a sample of 500, again; `now` in UTC.

        Each is judged by what was accepted before it, as people decided. Raises NotAllowed,
        DatabaseError.
        """
        require(principal, Permission.VIEW_READINGS)
        book = self.current.limit_book()
        tried = replace(book, rows=tuple(rows))
        serials = self.database.meter_sample(limit=METERS_TRIED + 1)
        trial = Trial(is_sample=len(serials) > METERS_TRIED)
        since = local_date(now, self.zone) - _YEAR
        for first in range(0, min(len(serials), METERS_TRIED), METERS_AT_ONCE):
            some = serials[first : min(first + METERS_AT_ONCE, METERS_TRIED)]
            meters = self.database.meter_reads(
                serials=some, since=since - HISTORY, every_status=True
            )
            self._judge(meters, since, (tried, book), trial)
        return trial

    def _judge(
        self,
        meters: Sequence[MeterReads],
        since: date,
        books: tuple[LimitBook, LimitBook],
        trial: Trial,
    ) -> None:
        peers = PeerUses()
        histories = {
            meter.serial: MeterHistory.of(
                meter.model_copy(update={"reads": ()}), book=books[1], peers=peers
            )
            for meter in meters
        }
        trial.meters += len(meters)
        decided = [(meter.serial, read) for meter in meters for read in meter.reads]
        reads = (
            FileRead(number, serial, read.point, read.read_at)
            for number, (serial, read) in enumerate(decided)
        )
        for of_day in by_day(reads):
            for read in of_day:
                histories[read.serial].show_peers(read)
            for read in of_day:
                history = histories[read.serial]
                if history.points and read.point.read_on >= since:
                    _compare(history, read, books, trial)
                history.take(read, status=decided[read.row][1].status)


def _compare(
    history: MeterHistory, read: FileRead, books: tuple[LimitBook, LimitBook], trial: Trial
) -> None:
    """Judge a read by the tried limits and by the present ones."""
    doubted = []
    for book in books:
        history.book = book
        try:
            doubted.append(history.validation_of(read).verdict == "needs_review")
        except UNUSABLE_READ:
            return
    trial.readings += 1
    trial.flagged += doubted[0]
    trial.flagged_now += doubted[1]
    if doubted == [True, False] and len(trial.examples) < EXAMPLES:
        trial.examples.append((read.serial, read.point.read_on))
