"""Which runs ticks claim, whatever the zone's clocks do and however irregular the ticks are."""

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import pairwise
from types import SimpleNamespace
from typing import Any, cast
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from services.container import Services
from services.jobs.due_runs import DueRuns
from services.jobs.jobs import JOBS, Job
from services.jobs.timetable import Timetable
from services.records.jobs import JobHistory, JobRun, RunSeen

ZONES = (
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",  # by half an hour
    "Asia/Kolkata",  # never
    "Pacific/Apia",  # 30 December 2011 did not exist
    "America/Sao_Paulo",  # at midnight, until 2019
    "Asia/Beirut",  # at midnight
    "Africa/Casablanca",  # four times a year, back first
    "Europe/Istanbul",
    "Antarctica/Troll",  # by two hours
)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
CRONS = sorted({job.cron for job in JOBS} | {"0 2 * * *", "30 2 * * *", "0 0 * * *", "15 0 1 * *"})


@cache
def changes(zone: ZoneInfo) -> tuple[datetime, ...]:
    """The hours from 2009 to 2029 before which a zone's clocks were changed."""
    hours = [datetime(2009, 1, 1, tzinfo=UTC) + n * 12 * HOUR for n in range(20 * 730)]
    offsets = [hour.astimezone(zone).utcoffset() for hour in hours]
    found = [hours[n] for n in range(1, len(hours)) if offsets[n] != offsets[n - 1]]
    return tuple(found) or (hours[0],)


@st.composite
def moments(draw: st.DrawFn) -> tuple[ZoneInfo, datetime]:
    """A zone, and a moment within some days of a change of its clocks."""
    zone = ZoneInfo(draw(st.sampled_from(ZONES)))
    change = draw(st.sampled_from(changes(zone)))
    return zone, change + draw(st.integers(-4 * 24 * 60, 3 * 24 * 60)) * MINUTE


def wall(instant: datetime, zone: ZoneInfo) -> datetime:
    return instant.astimezone(zone).replace(tzinfo=None)


def dates(first: date, last: date) -> list[date]:
    return [first + n * DAY for n in range((last - first).days + 1)]


# -- the timetable -------------------------------------------------------------------------------


@given(moment=moments(), cron=st.sampled_from(CRONS))
@settings(deadline=None, max_examples=60)
def test_each_named_date_comes_once_when_its_wall_first_shows_the_time(
    moment: tuple[ZoneInfo, datetime], cron: str
) -> None:
    zone, middle = moment
    timetable = Timetable(cron, zone)
    found = timetable.between(middle - 40 * DAY, middle + 40 * DAY)
    on = [one.on for one in found]
    assert on == sorted(set(on))
    minute, hour, day, _, weekday = cron.split()
    due = time(int(hour), int(minute))
    named = {
        one
        for one in dates(wall(middle - 38 * DAY, zone).date(), wall(middle + 38 * DAY, zone).date())
        if day in {"*", str(one.day)} and weekday in {"*", f"{one:%a}".lower()}
    }
    assert named <= set(on)
    for one in found:
        said, shown = datetime.combine(one.on, due), wall(one.at, zone)
        # The first of two, and what is skipped as much later as was skipped.
        late = shown - said
        before = one.at - late - MINUTE
        assert late >= timedelta(0)
        assert wall(before, zone) < said
        assert not late or wall(one.at, zone) - wall(before, zone) == 2 * late + MINUTE
        assert timetable.due_on(one.on) == one.at


@given(moment=moments(), cron=st.sampled_from(CRONS), seconds=st.integers(0, 3 * 24 * 3600))
@settings(deadline=None)
def test_the_next_time_is_the_first_one_later(
    moment: tuple[ZoneInfo, datetime], cron: str, seconds: int
) -> None:
    zone, middle = moment
    now = middle + timedelta(seconds=seconds)
    timetable = Timetable(cron, zone)
    following = timetable.next_after(now)
    assert following.at > now
    assert timetable.between(now + MINUTE / 60, following.at - MINUTE / 60) == []
    assert following in timetable.between(now, following.at)


# -- the ticks -----------------------------------------------------------------------------------


@dataclass
class Runs:
    """A database of runs in memory, each done as soon as it is claimed."""

    installed_at: datetime
    done: dict[tuple[str, date], datetime] = field(default_factory=dict)

    def job_history(self, **_: Any) -> JobHistory:
        runs = tuple(
            RunSeen(job=job, scheduled_on=on, status="done", over=True, attempt=1, clock_at=at)
            for (job, on), at in self.done.items()
        )
        return JobHistory(
            late_reads=False,
            meters_wait=False,
            meters_due=False,
            cycles=(),
            installed_at=self.installed_at,
            last_runs={},
            runs=runs,
        )

    def claim_job_run(
        self, *, job: str, scheduled_on: date, clock_at: datetime, **_: Any
    ) -> tuple[bool, JobRun]:
        assert (job, scheduled_on) not in self.done
        self.done[job, scheduled_on] = clock_at
        run = JobRun(
            job=job,
            scheduled_on=scheduled_on,
            attempt=1,
            owner="",
            started_by="",
            status="running",
            done_count=0,
            failed_count=0,
            detail="",
            started_at=clock_at,
            finished_at=None,
        )
        return True, run

    def of(self, job: Job) -> dict[date, datetime]:
        """The moments of a job's runs, by their dates."""
        return {on: at for (name, on), at in self.done.items() if name == job.id}


def tick(runs: Runs, zone: ZoneInfo, now: datetime) -> None:
    """A tick, and those that follow at once on a run that ended."""
    rules = SimpleNamespace(timezone=zone, estimate_missing_reads=False)
    services = cast("Services", SimpleNamespace(database=runs, settings=rules))
    due = DueRuns(services, lambda: now, threading.Event())
    for job in JOBS:
        while due.claim(job, due.history(now), now) is not None:
            pass


def times(job: Job, zone: ZoneInfo, first: datetime, last: datetime) -> dict[date, datetime]:
    found = job.due_between(first, last, cycles=(), zone=zone)
    return {one.on: one.at for one in found}


def ticks(begin: datetime, pauses: Iterable[int]) -> list[datetime]:
    found = [begin]
    for pause in pauses:
        found.append(found[-1] + timedelta(seconds=pause))
    return found


@given(
    moment=moments(),
    pauses=st.lists(st.one_of(st.integers(1, 7_200), st.integers(1, 200_000)), max_size=25),
)
@settings(deadline=None, max_examples=40)
def test_each_run_comes_once_and_never_before_its_time(
    moment: tuple[ZoneInfo, datetime], pauses: list[int]
) -> None:
    zone, begin = moment
    runs = Runs(begin - DAY)
    moments_of_ticks = ticks(begin, pauses)
    for now in moments_of_ticks:
        tick(runs, zone, now)
    for job in JOBS:
        due = times(job, zone, runs.installed_at, moments_of_ticks[-1])
        done = runs.of(job)
        assert set(done) <= set(due)
        for on, at in done.items():
            assert at == next(now for now in moments_of_ticks if now >= due[on])
        # Of those that fell between two ticks the latest, or of the monthly bills each.
        for before, now in pairwise([runs.installed_at, *moments_of_ticks]):
            fell = [on for on, at in due.items() if before < at <= now]
            assert set(fell if job.catch_up == "every" else fell[-1:]) <= set(done)
        assert list(done) == sorted(done)


@given(
    moment=moments(),
    days=st.sampled_from([92, 430]),
    job=st.sampled_from(JOBS),
    off=st.sampled_from([-MINUTE, timedelta(0), MINUTE]),
)
@settings(deadline=None, max_examples=40)
def test_the_first_tick_after_a_long_sleep_makes_up_for_what_counts(
    moment: tuple[ZoneInfo, datetime], days: int, job: Job, off: timedelta
) -> None:
    zone, fell_asleep = moment
    # It wakes a moment before, at or after the time of a job.
    woken = Timetable(job.cron, zone).next_after(fell_asleep + days * DAY).at + off
    runs = Runs(fell_asleep - DAY)
    tick(runs, zone, fell_asleep)
    before = {one.id: set(runs.of(one)) for one in JOBS}
    tick(runs, zone, woken)
    tick(runs, zone, woken + MINUTE)
    for one in JOBS:
        made_up = [on for on in runs.of(one) if on not in before[one.id]]
        missed = list(times(one, zone, fell_asleep + MINUTE / 60, woken))
        wanted = missed if one.catch_up == "every" else missed[-1:]
        assert made_up == sorted({*wanted, *times(one, zone, woken, woken + MINUTE)})
