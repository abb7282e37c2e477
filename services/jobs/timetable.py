"""When a job is due: cron times on the utility's clock, and which runs a tick should try."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import takewhile
from zoneinfo import ZoneInfo

from apscheduler.triggers.cron import CronTrigger

from services.records.jobs import RunStatus

_SECOND = timedelta(seconds=1)
# What clocks that are kept in time are put back by now and then.
_SLACK = timedelta(minutes=5)
# More than clocks are ever put back or forward.
_CLOCK_CHANGE = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One time that a job is due: the local date that names its run, and the instant in UTC."""

    on: date
    at: datetime


@dataclass(frozen=True, slots=True)
class PastRun:
    """What a tick must know of a run; `over` says that nobody tries it again by itself.

    `clock_at` is what the clock said when its last attempt was claimed; None is a clock that
    turned out to be wrong.
    """

    status: RunStatus
    over: bool
    attempt: int = 1
    clock_at: datetime | None = None

    def counts(self, *, due_at: datetime | None, now: datetime) -> bool:
        """Whether a run that is over did its date's work: the date had come, and truly had."""
        if self.clock_at is None or self.clock_at > now + _SLACK:
            return False
        return due_at is None or self.clock_at >= due_at


@dataclass(frozen=True, slots=True)
class Timetable:
    """A cron expression on the wall clock of a zone; a date has at most the times it names."""

    cron: str
    zone: ZoneInfo

    def next_after(self, instant: datetime) -> Occurrence:
        """The first occurrence later than an instant."""
        return next(o for o in self._from(instant) if o.at > instant)

    def between(self, first: datetime, last: datetime) -> list[Occurrence]:
        """The occurrences from `first` up to and with `last`, in order."""
        found = takewhile(lambda occurrence: occurrence.at <= last, self._from(first))
        return [occurrence for occurrence in found if occurrence.at >= first]

    def due_on(self, on: date) -> datetime | None:
        """When it is due on a local date, or None on a date that it does not name."""
        return _due_on(self.cron, self.zone, on)

    def _from(self, instant: datetime) -> Iterator[Occurrence]:
        """Occurrences without end, beginning somewhat before an instant."""
        return _on_the_wall(self.cron, self.zone, instant.astimezone(self.zone))


# A tick each minute, and each visit of the page Jobs, asks it of every date that a run was for.
@lru_cache(maxsize=4096)
def _due_on(cron: str, zone: ZoneInfo, on: date) -> datetime | None:
    midnight = datetime.combine(on, time(), zone)
    found = next((one for one in _on_the_wall(cron, zone, midnight) if one.on >= on), None)
    return found.at if found is not None and found.on == on else None


def _on_the_wall(cron: str, zone: ZoneInfo, wall: datetime) -> Iterator[Occurrence]:
    """Occurrences without end, beginning somewhat before what the zone's clocks show."""
    # The trigger sees a clock that nobody ever changes, the one on the wall. Given the zone
    # itself, it repeats 02:00 for ever on a date that has 02:00 twice.
    trigger = CronTrigger.from_crontab(cron, timezone=UTC)
    wall = wall.replace(tzinfo=UTC) - _CLOCK_CHANGE
    while (wall_time := trigger.get_next_fire_time(None, wall)) is not None:
        # Fold 0: of two 02:00s the first, and 03:00 for a 02:00 that is skipped.
        at = wall_time.replace(tzinfo=zone, fold=0).astimezone(UTC)
        yield Occurrence(on=wall_time.date(), at=at)
        wall = wall_time + _SECOND


def next_of_every(due: Sequence[date], runs: Mapping[date, PastRun]) -> date | None:
    """The run to try of a job that makes up for every missed date: the earliest one not over."""
    unfinished = {on for on, run in runs.items() if not run.over}
    missed = {on for on in due if on not in runs}
    return min(unfinished | missed, default=None)


def next_of_latest(due: Sequence[date], runs: Mapping[date, PastRun]) -> date | None:
    """The run to try of a job of which only the newest counts; None when that one is over."""
    newest = max([*due[-1:], *runs], default=None)
    if newest is None or (newest in runs and runs[newest].over):
        return None
    return newest


def left_behind(newest: date | None, runs: Mapping[date, PastRun]) -> list[date]:
    """Interrupted runs that a newer one has made pointless, oldest first."""
    last = max([*runs, *([newest] if newest else [])], default=date.min)
    return sorted(on for on, run in runs.items() if run.status == "interrupted" and on < last)
