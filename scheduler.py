"""The four jobs as a table, and the scheduler that runs them when they are due.

A tick each minute compares what is due with the runs in the database, so it matters neither how
many processes do so nor how long none of them ran.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any, Literal

from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from services.container import Services
from services.database.transport import DatabaseError
from services.jobs import meter_collection, monthly_bills, overdue_marking, payment_reminders
from services.jobs.clock import (
    Clock,
    ClockWatch,
    Doubt,
    Uptime,
    uptime_of_machine,
    utc_now,
)
from services.jobs.runs import JobContext, StopRequested, Work, claim, perform
from services.jobs.timetable import (
    PastRun,
    Timetable,
    left_behind,
    next_of_every,
    next_of_latest,
)
from services.quantities.period import local_date
from services.records.jobs import JobRun

log = logging.getLogger(__name__)

SWEEP_SECONDS = 15
SWEEP_LIMIT = 20
STOP_SECONDS = 20.0
OUTAGE_LOG_SECONDS = 60.0
STARTED_BY = "scheduler"
# Older occurrences of a job of which only the latest counts need no look: none is so far apart.
LOOK_BACK = timedelta(days=8)


@dataclass(frozen=True, slots=True)
class Job:
    """A job: when it is due on the utility's clock, its work, and which missed runs it makes up.

    `late` is the work of a run that is over on what came after it.
    """

    id: str
    cron: str
    work: Work
    catch_up: Literal["every", "latest"]
    late: Work | None = None


JOBS = (
    Job("monthly_bills", "0 2 1 * *", monthly_bills.run, "every", late=monthly_bills.take_up_late),
    Job("payment_reminders", "0 10 * * *", payment_reminders.run, "latest"),
    Job("overdue_marking", "0 11 * * *", overdue_marking.run, "latest"),
    Job("meter_collection", "0 8 * * sun", meter_collection.run, "latest"),
)


class UnknownJob(ValueError):
    """There is no job of that name."""


class JobAlreadyRunning(Exception):
    """The job is under way, here or in another process."""


class SchedulerNotRunning(Exception):
    """The scheduler has not been started, or was stopped."""


class DateToCome(ValueError):
    """A run is for a date that the clock has not reached."""


def job_of(job_id: str) -> Job:
    """The job of this id; raises UnknownJob."""
    for job in JOBS:
        if job.id == job_id:
            return job
    raise UnknownJob(f"There is no job {job_id!r}; there are {', '.join(j.id for j in JOBS)}.")


def run_job(
    services: Services, job_id: str, at: datetime, by: str, *, on: date | None = None
) -> JobRun:
    """Do a job here and now, when it is `at` (aware); the run as it ended.

    `by` is who asked. `on` is the run's date, today's without it: it chooses the month that is
    billed, while bills are issued at `at`. Raises UnknownJob, DateToCome, JobAlreadyRunning,
    DatabaseError.
    """
    job = job_of(job_id)
    began = time.monotonic()
    context = _claim_by_hand(
        services,
        job,
        on=on or local_date(at, services.settings.timezone),
        by=by,
        at=at,
        clock=lambda: at + timedelta(seconds=time.monotonic() - began),
    )
    return perform(context, job.work) or context.run


def _claim_by_hand(
    services: Services,
    job: Job,
    *,
    on: date,
    by: str,
    at: datetime,
    clock: Clock,
    stop: threading.Event | None = None,
) -> JobContext:
    today = local_date(at, services.settings.timezone)
    if on > today:
        raise DateToCome(
            f"{on:%d %B %Y} is still to come: today is {today:%d %B %Y}. "
            f"{job.id} runs for that date when it has come."
        )
    context, run = claim(
        services,
        job=job.id,
        scheduled_on=on,
        started_by=by,
        clock=clock,
        clock_at=at,
        stop=stop,
        rerun=True,
    )
    if context is None:
        raise JobAlreadyRunning(
            f"{job.id} is running already: the run of {run.scheduled_on:%d %B %Y}, "
            f"started by {run.started_by}."
        )
    return context


class Scheduler:
    """Runs the jobs of one process; every thread of it is a daemon, so that stopping is bounded.

    Jobs go by the database's clock, and only while the process's agrees with it. A test gives a
    `clock`, which is then also the database's if that has no `database_clock` of its own.
    """

    def __init__(
        self,
        services: Services,
        *,
        clock: Clock | None = None,
        database_clock: Clock | None = None,
        uptime: Callable[[], Uptime | None] | None = None,
    ) -> None:
        self._services = services
        self._clock = clock or utc_now
        self._zone = services.settings.timezone
        self._watch = ClockWatch(
            database=services.database,
            zone=self._zone,
            process_clock=self._clock,
            database_clock=database_clock or clock,
            # The machine's uptime says nothing about a clock that a test made up.
            uptime=uptime or ((lambda: None) if clock else uptime_of_machine),
        )
        self._doubt: Doubt | None = None
        self._timetables = {job.id: Timetable(job.cron, self._zone) for job in JOBS}
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._at_work: set[str] = set()
        self._timer: BackgroundScheduler | None = None
        self._outage_logged_at: float | None = None

    @property
    def running(self) -> bool:
        """True between start() and stop()."""
        return self._timer is not None

    @property
    def doubt(self) -> Doubt | None:
        """Why the last tick did nothing: the clock was not to be believed. None when it was."""
        return self._doubt

    def confirm_clock(self, by: str) -> None:
        """Go on with the clock as it is, because a person says that it is right.

        Raises ClockInDoubt where this cannot be so, DatabaseError.
        """
        self._watch.confirm(by=by)
        self._doubt = None
        self._spawn_once("tick", self.tick)

    def start(self) -> None:
        """Begin: a first tick and sweep at once, then one each minute and each 15 s.

        Does nothing when running.
        """
        if self._timer is not None:
            return
        # A new one: a thread that outlived the last stop is still to stop.
        self._stop = threading.Event()
        logging.getLogger("apscheduler").setLevel(logging.WARNING)
        timer = BackgroundScheduler(timezone=UTC, executors={"default": {"type": "debug"}})
        each_minute = CronTrigger(second=0, timezone=UTC)
        every_15_s = IntervalTrigger(seconds=SWEEP_SECONDS, timezone=UTC)
        for name, what, trigger in (
            ("tick", self.tick, each_minute),
            ("sweep", self.sweep, every_15_s),
            ("refunds", self.take_up_refunds, each_minute),
            ("printing", self.print_bills, each_minute),
            ("disk", self.watch_disk, each_minute),
        ):
            timer.add_job(
                self._spawn_once,
                trigger,
                args=(name, what),
                id=name,
                next_run_time=datetime.now(UTC),
                misfire_grace_time=None,
                coalesce=True,
                max_instances=1,
            )
        timer.start()
        self._timer = timer
        self._spawn("reconciliation", self.reconcile)

    def stop(self, *, wait_seconds: float = STOP_SECONDS) -> None:
        """Ask running jobs to end after their batch and wait for them, so many seconds at most."""
        timer, self._timer = self._timer, None
        self._stop.set()
        if timer is not None:
            timer.shutdown(wait=False)
        deadline = time.monotonic() + wait_seconds
        # Looked at anew each time: the last tick may have started a job meanwhile.
        while alive := self._alive():
            alive[0].join(max(0.0, deadline - time.monotonic()))
            if time.monotonic() >= deadline:
                names = ", ".join(thread.name for thread in alive)
                log.warning("%s did not stop in time; what it began is continued later", names)
                return

    def status(self, now: datetime) -> dict[str, Any]:
        """Whether this process runs the jobs; of each its cron, next time and last run, as JSON.

        `held` says why no job runs now, or is None. Raises DatabaseError.
        """
        last_runs = self._services.database.job_history(
            since=dict.fromkeys((job.id for job in JOBS), date.max)
        )["last_runs"]
        return {
            "running": self.running,
            "held": self._doubt.why if self._doubt else None,
            "jobs": [
                {
                    "id": job.id,
                    "cron": job.cron,
                    "next_run_at": self._next_run_at(job, now).isoformat(),
                    "last_run": _run_json(last_runs.get(job.id)),
                }
                for job in JOBS
            ],
        }

    def run_now(self, job_id: str, by: str, now: datetime, on: date | None = None) -> JobRun:
        """Start a job on a thread of this scheduler, whatever ran before; the run as it begins.

        `on` tries the run of that date again; without it the run is today's. Raises UnknownJob,
        DateToCome, ClockInDoubt, JobAlreadyRunning, SchedulerNotRunning, DatabaseError.
        """
        job = job_of(job_id)
        if self._timer is None:
            raise SchedulerNotRunning("The scheduler of this process is not running.")
        context = _claim_by_hand(
            self._services,
            job,
            on=on or local_date(now, self._zone),
            by=by,
            at=self._watch.now(),
            clock=self._clock,
            stop=self._stop,
        )
        self._start(job, context)
        return context.run

    def tick(self) -> None:
        """Start each job that has a run to do; never raises."""
        self._guarded("the scheduler's tick", self._start_what_is_due)

    def sweep(self) -> None:
        """Take up the outbox entries that are due, until none is left; never raises."""
        self._guarded("the sweep of the outbox", self._sweep)

    def take_up_refunds(self) -> None:
        """Ask Stripe again for the refunds that wait for it; never raises."""
        self._guarded("the sweep of refunds", self._take_up_refunds)

    def print_bills(self) -> None:
        """Render new bills as PDFs, until each has one; never raises."""
        self._guarded("the printing of bills", self._print_bills)

    def watch_disk(self) -> None:
        """Warn before the disk is full; never raises."""
        warnings = self._services.disk_warnings
        if warnings is not None:
            self._guarded("the look at the disk", warnings.look)

    def reconcile(self) -> None:
        """Take up what the webhook missed while no process of ours listened; never raises."""
        self._guarded("the look at Stripe", self._reconcile)

    # -- the tick ------------------------------------------------------------------------------

    def _start_what_is_due(self) -> None:
        now = self._believed_now()
        if now is None:
            return
        recent = local_date(now - LOOK_BACK, self._zone)
        history = self._services.database.job_history(
            since={job.id: recent for job in JOBS if job.catch_up == "latest"}
        )
        installed_at = datetime.fromisoformat(history["installed_at"])
        for job in JOBS:
            if self._stop.is_set():
                return
            if job.id not in self._at_work:
                runs = _past_runs(history["runs"], job)
                late = job.late if history["late_reads"] else None
                start = partial(self._start_if_due, job, now, installed_at, runs, late)
                self._guarded(f"the start of {job.id}", start)

    def _believed_now(self) -> datetime | None:
        """The database's time, or None while it is in doubt, which is logged as it begins."""
        now, doubt = self._watch.look(note=True)
        if doubt is not None and self._doubt is None:
            log.error("No job runs: %s", doubt.why)
        self._doubt = doubt
        return now if doubt is None else None

    def _start_if_due(
        self,
        job: Job,
        now: datetime,
        installed_at: datetime,
        past: Mapping[date, PastRun],
        late: Work | None,
    ) -> None:
        every = job.catch_up == "every"
        first = installed_at if every else max(installed_at, now - LOOK_BACK)
        due = {o.on: o.at for o in self._timetables[job.id].between(first, now)}
        runs = self._true_runs(job, past, now)
        wanted = next_of_every(list(due), runs) if every else next_of_latest(list(due), runs)
        if not every:
            self._close(job, left_behind(wanted, runs))
        if wanted is None and late is not None and runs:
            self._start_late(job, late, max(runs), runs[max(runs)], now)
        if wanted is None or (wanted in runs and runs[wanted].status == "running"):
            return
        seen = past.get(wanted)
        context, _ = claim(
            self._services,
            job=job.id,
            scheduled_on=wanted,
            started_by=STARTED_BY,
            clock=self._clock,
            clock_at=now,
            stop=self._stop,
            # One that is over and does not count, as it was seen: another process may be first.
            instead_of_attempt=seen.attempt if seen is not None and seen.over else None,
        )
        if context is not None:
            self._start(job, context)

    def _start_late(self, job: Job, work: Work, on: date, run: PastRun, now: datetime) -> None:
        """Let the latest run, which is over, go on with what came after it."""
        context, _ = claim(
            self._services,
            job=job.id,
            scheduled_on=on,
            started_by=STARTED_BY,
            clock=self._clock,
            clock_at=now,
            stop=self._stop,
            resume_attempt=run.attempt,
        )
        if context is not None:
            self._start(job, context, work)

    def _true_runs(
        self, job: Job, past: Mapping[date, PastRun], now: datetime
    ) -> dict[date, PastRun]:
        """The runs up to today, without those that were over before their time had come."""
        timetable, today = self._timetables[job.id], local_date(now, self._zone)
        return {
            on: run
            for on, run in past.items()
            # A run by hand for a date to come must not hide what is due until then.
            if on <= today and (not run.over or run.counts(due_at=timetable.due_on(on), now=now))
        }

    def _close(self, job: Job, dates: Sequence[date]) -> None:
        """End interrupted runs that nobody will go on with."""
        for on in dates:
            context, _ = claim(
                self._services,
                job=job.id,
                scheduled_on=on,
                started_by=STARTED_BY,
                clock=self._clock,
                clock_at=self._clock(),
            )
            if context is not None:
                self._services.database.finish_job_run(
                    run=context.ref, status="failed", detail="Interrupted; a later run took over."
                )

    # -- threads -------------------------------------------------------------------------------

    def _start(self, job: Job, context: JobContext, work: Work | None = None) -> None:
        with self._lock:
            self._at_work.add(job.id)
        self._spawn(job.id, partial(self._work, job, context, work or job.work))

    def _work(self, job: Job, context: JobContext, work: Work) -> None:
        try:
            run = perform(context, work)
        finally:
            with self._lock:
                self._at_work.discard(job.id)
        ended = run is not None and run.status == "done" and not context.stop.is_set()
        # Late work has the minute's time: what it leaves is queued again by something that moves.
        if ended and work is job.work:
            # The next missed month need not wait for the minute. A tick that is at work may have
            # passed this job by already.
            self._spawn("tick", self.tick)

    def _sweep(self) -> None:
        while not self._stop.is_set():
            if self._services.outbox.sweep(limit=SWEEP_LIMIT) < SWEEP_LIMIT:
                return

    def _take_up_refunds(self) -> None:
        while not self._stop.is_set():
            refunds = self._services.refunds
            if refunds.take_up(now=self._clock(), limit=SWEEP_LIMIT) < SWEEP_LIMIT:
                return

    def _print_bills(self) -> None:
        while not self._stop.is_set():
            archive = self._services.bill_archive
            if archive.print_recent(now=self._clock(), limit=SWEEP_LIMIT) == 0:
                return

    def _reconcile(self) -> None:
        reconciliation = self._services.reconciliation
        if reconciliation is None:
            return
        with suppress(StopRequested):
            reconciliation.catch_up(actor=STARTED_BY, now=self._clock(), pulse=self._go_on)

    def _go_on(self) -> None:
        if self._stop.is_set():
            raise StopRequested

    def _spawn_once(self, name: str, what: Callable[[], None]) -> None:
        """Run something on a thread of its own, unless one of that name is at work."""
        if name not in {thread.name for thread in self._alive()}:
            self._spawn(name, what)

    def _spawn(self, name: str, what: Callable[[], None]) -> None:
        thread = threading.Thread(target=what, name=name, daemon=True)
        # Started under the lock: one that is not yet alive must not be taken for one that ended.
        with self._lock:
            thread.start()
            self._threads.append(thread)

    def _alive(self) -> list[threading.Thread]:
        with self._lock:
            self._threads = [thread for thread in self._threads if thread.is_alive()]
            return list(self._threads)

    def _guarded(self, what: str, do: Callable[[], None]) -> None:
        """Do something that must not end the scheduler, whatever happens."""
        try:
            do()
        except DatabaseError as error:
            self._log_outage(what, error)
            self._revive_database()
        except Exception:
            log.exception("%s failed", what)

    def _revive_database(self) -> None:
        """A server of our own that was killed is started again; what cannot be is told."""
        try:
            self._services.revive_database()
        except Exception:
            log.exception("the database server could not be started again")

    def _log_outage(self, what: str, error: DatabaseError) -> None:
        """One line, once a minute at most: an outage lasts and its traceback says nothing."""
        at = time.monotonic()
        if self._outage_logged_at is None or at >= self._outage_logged_at + OUTAGE_LOG_SECONDS:
            self._outage_logged_at = at
            log.warning("%s could not use the database: %s", what, " ".join(str(error).split()))

    def _next_run_at(self, job: Job, now: datetime) -> datetime:
        return self._timetables[job.id].next_after(now).at.astimezone(self._zone)


def _past_runs(rows: Sequence[Mapping[str, Any]], job: Job) -> dict[date, PastRun]:
    return {
        date.fromisoformat(row["scheduled_on"]): PastRun(
            status=row["status"],
            over=row["over"],
            attempt=row["attempt"],
            clock_at=datetime.fromisoformat(row["clock_at"]) if row["clock_at"] else None,
        )
        for row in rows
        if row["job"] == job.id
    }


def _run_json(row: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """A run as the HTTP API shows it: {scheduled_on, status, attempt, …}, times in ISO 8601."""
    if row is None:
        return None
    run = JobRun.model_validate(row)
    return {
        "scheduled_on": run.scheduled_on.isoformat(),
        "status": run.status,
        "attempt": run.attempt,
        "started_at": run.started_at.isoformat(),
        "finished_at": run.finished_at.isoformat() if run.finished_at else None,
        "done": run.done_count,
        "set_aside": run.failed_count,
        "detail": run.detail,
    }
