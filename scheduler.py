"""The scheduler: it runs the jobs when they are due, and sweeps what was left, beside the pages.

A tick each minute compares what is due with the runs in the database, so it matters neither how
many processes do so nor how long none of them ran.
"""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date, datetime
from functools import partial

from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from services.autopay.charging import PAGE
from services.container import Services
from services.graph import FOLLOWED_AT_ONCE, GraphCheck, PassHalted
from services.health.provider_checks import MailboxCheck
from services.identity.auth import Principal, require
from services.identity.permissions import Permission
from services.integrations.failures import FinalFailure, TemporaryFailure
from services.jobs import jobs
from services.jobs.background import Guard, Threads
from services.jobs.by_hand import claim_by_hand
from services.jobs.clock import (
    Clock,
    ClockWatch,
    Doubt,
    Uptime,
    uptime_of_machine,
    utc_now,
)
from services.jobs.due_runs import STARTED_BY, DueRuns
from services.jobs.jobs import Job
from services.jobs.runs import JobContext, StopRequested, Work, perform
from services.jobs.timetable import Timetable
from services.operation.alerts import Alerts
from services.outbox.steps import LANE_STEPS
from services.quantities.period import local_date
from services.records.jobs import JobHistory, JobRun, JobStatus, SchedulerStatus
from services.records.outbox import Lane
from services.telemetry.journal import say_what_was_left_out

log = logging.getLogger(__name__)

SWEEP_SECONDS = 15
SWEEP_LIMIT = 20
STOP_SECONDS = 20.0
# A channel is asked again at least so often while something waits for its turn there.
LONGEST_TURN_SECONDS = 15.0
# So long one look at the mailbox goes on; there is one each 5 minutes.
LONGEST_LOOK_SECONDS = 120.0


class SchedulerNotRunning(Exception):
    """The scheduler has not been started, or was stopped."""


class Scheduler:
    """Runs the jobs of one process on `threads`.

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
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self.threads = Threads()
        self._guarded = Guard(services.revive_database)
        self._at_work: set[str] = set()
        self._timer: BackgroundScheduler | None = None
        self._alerts = Alerts(
            services, why_jobs_are_held=lambda: self._doubt.why if self._doubt else None
        )

    @property
    def running(self) -> bool:
        """True between start() and stop()."""
        return self._timer is not None

    @property
    def doubt(self) -> Doubt | None:
        """Why the last tick did nothing: the clock was not to be believed. None when it was."""
        return self._doubt

    def confirm_clock(self, principal: Principal) -> None:
        """Go on with the clock as it is, because a person says that it is right.

        Raises NotAllowed, ClockInDoubt where this cannot be so, DatabaseError.
        """
        self._watch.confirm(by=require(principal, Permission.RUN_JOBS).user)
        self._doubt = None
        self.threads.start_once("tick", self.tick)

    def start(self) -> None:
        """Begin: a first tick and sweeps at once, then one each minute and each 15 s.

        Does nothing when running.
        """
        if self._timer is not None:
            return
        # A new one: a thread that outlived the last stop is still to stop.
        self._stop = threading.Event()
        logging.getLogger("apscheduler").setLevel(logging.WARNING)
        timer = BackgroundScheduler(timezone=UTC, executors={"default": {"type": "debug"}})
        each_minute = CronTrigger(second=0, timezone=UTC)
        every_5_minutes = IntervalTrigger(minutes=5, timezone=UTC)
        every_15_s = IntervalTrigger(seconds=SWEEP_SECONDS, timezone=UTC)
        for name, what, trigger in (
            ("tick", self.tick, each_minute),
            *((f"sweep of {lane}", partial(self.sweep, lane), every_15_s) for lane in LANE_STEPS),
            *(
                (f"delivery over {channel}", partial(self.deliver, channel), every_15_s)
                for channel in self._services.delivery.per_minute
            ),
            ("issuing", self.issue_drafts, every_15_s),
            ("graph", self.follow_bills, every_15_s),
            ("graph pass", self.carry_graph_on, each_minute),
            ("graph balances", self.keep_balances, each_minute),
            ("refunds", self.take_up_refunds, each_minute),
            ("autopay", self.take_up_autopay, each_minute),
            ("work orders", self.follow_work_orders, each_minute),
            ("sums", self.work_out_sums, each_minute),
            ("printing", self.print_bills, each_minute),
            ("mailbox", self.read_mailbox, every_5_minutes),
            ("copies", self.copy_backups, each_minute),
            ("operation", self.watch_operation, each_minute),
        ):
            timer.add_job(
                self.threads.start_once,
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
        self.threads.start("reconciliation", self.reconcile)

    def stop(self, *, wait_seconds: float = STOP_SECONDS) -> None:
        """Ask running jobs to end after their batch and wait for them, so many seconds at most."""
        timer, self._timer = self._timer, None
        self._stop.set()
        if timer is not None:
            timer.shutdown(wait=False)
        self.threads.wait(seconds=wait_seconds)

    def status(self, now: datetime) -> SchedulerStatus:
        """Whether this process runs the jobs; of each its cron, next time and last run.

        Raises DatabaseError.
        """
        history = self._services.database.job_history(
            since=dict.fromkeys((job.id for job in jobs.JOBS), date.max)
        )
        crons = {job.id: job.cron_with(history.cycles) for job in jobs.JOBS}
        return SchedulerStatus(
            running=self.running,
            held=self._doubt.why if self._doubt else None,
            jobs=tuple(
                JobStatus(
                    id=job.id,
                    cron=crons[job.id],
                    next_run_at=self._next_run_at(crons[job.id], now),
                    last_run=history.last_runs.get(job.id),
                )
                for job in jobs.JOBS
            ),
        )

    def run_now(
        self, job_id: str, principal: Principal, now: datetime, on: date | None = None
    ) -> JobRun:
        """Start a job on a thread of this scheduler, whatever ran before; the run as it begins.

        `on` tries the run of that date again; without it the run is today's. Raises NotAllowed,
        UnknownJob, DateToCome, ClockInDoubt, JobAlreadyRunning, SchedulerNotRunning, DatabaseError.
        """
        require(principal, Permission.RUN_JOBS)
        job = jobs.job_of(job_id)
        if self._timer is None:
            raise SchedulerNotRunning("The scheduler of this process is not running.")
        context = claim_by_hand(
            self._services,
            job,
            on=on or local_date(now, self._zone),
            by=principal.user,
            at=self._watch.now(),
            clock=self._clock,
            stop=self._stop,
        )
        self._start(job, context, job.work)
        return context.run

    def tick(self) -> None:
        """Start each job that has a run to do; never raises."""
        self._guarded("the scheduler's tick", self._start_what_is_due)

    def sweep(self, lane: Lane | None = None) -> None:
        """Take up the outbox entries that are due, until none is left; never raises.

        With `lane` the steps of it alone: slow or away, a provider keeps back no other.
        """
        self._guarded("the sweep of the outbox", partial(self._sweep, lane))

    def issue_drafts(self) -> None:
        """Issue the drafts that somebody approved together, until none is left; never raises."""
        self._guarded("the issuing of drafts", self._issue_drafts)

    def issue_soon(self) -> None:
        """Begin with that now; where this process runs no jobs, another one does within 15 s."""
        if self.running:
            self.threads.start_once("issuing", self.issue_drafts)

    def deliver(self, channel: str) -> None:
        """Send the messages that wait for their turn on a channel, until none is left."""
        self._guarded(f"the delivery over {channel}", partial(self._deliver, channel))

    def follow_bills(self) -> None:
        """Bring what is new of bills into the graph, until nothing is left; never raises."""
        self._guarded("the graph's look at changed bills", self._follow_bills)

    def carry_graph_on(self) -> None:
        """Go on comparing the graph with the database where that was asked for; never raises."""
        self._guarded("the pass over the graph", self._carry_graph_on)

    def keep_balances(self) -> None:
        """Work out the energy balances of which something changed in the graph; never raises."""
        self._guarded("the graph's energy balances", self._keep_balances)

    def take_up_refunds(self) -> None:
        """Ask Stripe again for the refunds that wait for it; never raises."""
        self._guarded("the sweep of refunds", self._take_up_refunds)

    def take_up_autopay(self) -> None:
        """Settle what is unsure of autopay's charges and cards; never raises."""
        self._guarded("the sweep of autopay", self._take_up_autopay)

    def follow_work_orders(self) -> None:
        """Cancel disconnections of who paid, and order reconnections; never raises."""
        follow = partial(self._services.dunning.follow_work_orders, now=self._clock())
        self._guarded("the look at work orders", follow)

    def work_out_sums(self) -> None:
        """Add up what was posted, and what was open when months ended; never raises."""
        services, stop = self._services, self._stop.is_set
        self._guarded("the sums of reports", partial(services.reports.add_up, stop=stop))
        work_out = partial(services.books.work_out, now=self._clock(), stop=stop)
        self._guarded("the receivables of months", work_out)

    def print_bills(self) -> None:
        """Render new bills as PDFs, until each has one; never raises."""
        self._guarded("the printing of bills", self._print_bills)

    def watch_operation(self) -> None:
        """Look at what whoever operates the system must know, and tell them; never raises."""
        say_what_was_left_out()
        look = partial(self._alerts.look, self._clock())
        self._guarded("the look at the operation", look)

    def read_mailbox(self) -> None:
        """Take up the mail that came back, and answers of customers; never raises."""
        self._guarded("the look at the mailbox", self._read_mailbox)

    def copy_backups(self) -> None:
        """Copy the backups that are not where they are copied to yet; never raises."""
        backups = self._services.backups
        self._guarded("the copying of backups", lambda: backups.copy_if_due(now=self._clock()))

    def reconcile(self) -> None:
        """Take up what the webhook missed while no process of ours listened; never raises."""
        self._guarded("the look at Stripe", self._reconcile)

    # -- the tick ------------------------------------------------------------------------------

    def _start_what_is_due(self) -> None:
        now = self._believed_now()
        if now is None:
            return
        due = DueRuns(self._services, self._clock, self._stop)
        history = due.history(now)
        for job in jobs.JOBS:
            if self._stop.is_set():
                return
            if job.id not in self._at_work:
                start = partial(self._start_if_due, job, due, history, now)
                self._guarded(f"the start of {job.id}", start)

    def _believed_now(self) -> datetime | None:
        """The database's time, or None while it is in doubt, which is logged as it begins."""
        now, doubt = self._watch.look(note=True)
        if doubt is not None and self._doubt is None:
            log.error("No job runs: %s", doubt.why)
        self._doubt = doubt
        return now if doubt is None else None

    def _start_if_due(self, job: Job, due: DueRuns, history: JobHistory, now: datetime) -> None:
        claimed = due.claim(job, history, now)
        if claimed is not None:
            self._start(job, *claimed)

    def _start(self, job: Job, context: JobContext, work: Work) -> None:
        with self._lock:
            self._at_work.add(job.id)
        self.threads.start(job.id, partial(self._work, job, context, work))

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
            self.threads.start("tick", self.tick)

    # -- the sweeps ----------------------------------------------------------------------------

    def _sweep(self, lane: Lane | None) -> None:
        while not self._stop.is_set():
            if self._services.outbox.sweep(limit=SWEEP_LIMIT, lane=lane) < SWEEP_LIMIT:
                return

    def _issue_drafts(self) -> None:
        while not self._stop.is_set():
            if self._services.bill_approval.issue_next(now=self._clock()) is None:
                return

    def _deliver(self, channel: str) -> None:
        while not self._stop.is_set():
            seconds = self._services.delivery.deliver(channel)
            if seconds is None:
                return
            self._stop.wait(min(seconds, LONGEST_TURN_SECONDS))

    def _follow_bills(self) -> None:
        graph = self._services.graph.graph
        if graph is None:
            return
        database, last_errors = self._services.database, self._services.last_errors
        try:
            for some in (partial(graph.follow, database), partial(graph.deliver, database)):
                while not self._stop.is_set():
                    if last_errors.of(GraphCheck.name, some) < FOLLOWED_AT_ONCE:
                        break
        except (TemporaryFailure, FinalFailure) as failure:
            log.info("the graph could not follow changed bills yet: %s", failure)

    def _carry_graph_on(self) -> None:
        graph = self._services.graph.graph
        if graph is None:
            return
        try:
            state = graph.pass_state()
            if state is not None and state.to_go_on:
                graph.rebuild(self._services.database, thorough=False, go_on=self._go_on)
        except (TemporaryFailure, FinalFailure, PassHalted) as failure:
            log.info("the graph is not compared with the database yet: %s", failure)
        except StopRequested:
            log.info("the pass over the graph goes on at the next start")

    def _keep_balances(self) -> None:
        graph = self._services.graph.graph
        if graph is None:
            return
        try:
            while not self._stop.is_set():
                if graph.keep_balances() == 0:
                    return
        except (TemporaryFailure, FinalFailure) as failure:
            log.info("the graph's energy balances are not kept yet: %s", failure)

    def _take_up_autopay(self) -> None:
        while not self._stop.is_set():
            charging = self._services.autopay.charging
            if charging.take_up(now=self._clock(), limit=PAGE) < PAGE:
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

    def _read_mailbox(self) -> None:
        inbox = self._services.inbox
        if inbox is None:
            return
        # Strangers can send more than is read in any time: what is left waits for the next look.
        until = time.monotonic() + LONGEST_LOOK_SECONDS
        try:
            while not self._stop.is_set() and time.monotonic() < until:
                # What came back is on its other channels soon: the sweep looks each 15 s.
                if self._services.last_errors.of(MailboxCheck.name, inbox.look) == 0:
                    return
        except (TemporaryFailure, FinalFailure) as failure:
            log.info("the mailbox is not read yet: %s", failure)

    def _reconcile(self) -> None:
        reconciliation = self._services.reconciliation
        if reconciliation is None:
            return
        with suppress(StopRequested):
            reconciliation.catch_up(actor=STARTED_BY, now=self._clock(), pulse=self._go_on)

    def _go_on(self) -> None:
        if self._stop.is_set():
            raise StopRequested

    def _next_run_at(self, cron: str, now: datetime) -> datetime:
        following = Timetable(cron, self._zone).next_after(now)
        return following.at.astimezone(self._zone)
