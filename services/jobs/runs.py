"""A job's run: claimed by one process, worked in batches under a lease, and ended in one place."""

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal, TypeVar

from services.container import Services
from services.database.errors import RunTakenOver
from services.database.transport import DatabaseError, TemporaryDatabaseError
from services.jobs.clock import Clock, utc_now
from services.languages.sentence import sentence
from services.payments.stripe.turns import of_a_job
from services.quantities.period import local_date
from services.records.jobs import JobRun, RunRef, SetAside
from services.telemetry.context import bound

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")
AsideCode = Literal[
    "no_reading",
    "not_estimated",
    "estimated_too_often",
    "flagged_reading",
    "fallen_register",
    "tariff_missing",
    "not_priced",
    "held_draft",
    "head_end",
    "not_collected",
    "moved",
    "other",
]

LEASE_SECONDS = 90
PAUSES_SECONDS = (1.0, 2.0, 4.0)


class JobFailed(Exception):
    """A run cannot go on; the message says why, for an administrator."""


class StopRequested(Exception):
    """The process is stopping: the run ends between two batches, and another start goes on."""


@dataclass
class JobContext:
    """What the work of one run has at hand. `now` is when the run began, in UTC."""

    services: Services
    run: JobRun
    now: datetime
    clock: Clock
    lease_seconds: int = LEASE_SECONDS
    stop: threading.Event = field(default_factory=threading.Event)
    _prolong_at: float = field(default=0.0, init=False, repr=False)

    @property
    def ref(self) -> RunRef:
        """What every write of the run is checked by: an older attempt is refused."""
        return self.run.ref(lease_seconds=self.lease_seconds)

    @property
    def actor(self) -> str:
        """Who the audit trail says did it; who started the run stands in the run."""
        return f"job:{self.run.job}"

    @property
    def label(self) -> str:
        """What lines of the log name this attempt by."""
        return f"{self.run.job}/{self.run.scheduled_on}/{self.run.attempt}"

    @property
    def today(self) -> date:
        """The utility's local date when the run began."""
        return local_date(self.now, self.services.settings.timezone)

    def go_on(self) -> None:
        """Called before each batch; raises StopRequested when the process is stopping."""
        if self.stop.is_set():
            raise StopRequested

    def patiently(self, call: Callable[[], Answer]) -> Answer:
        """Repeat a call while the database is away for some seconds; the call is safe to repeat.

        Raises StopRequested, and what the call raises in the end.
        """
        for pause in PAUSES_SECONDS:
            try:
                return call()
            except TemporaryDatabaseError as error:
                log.info("%s waits for the database: %s", self.run.job, error)
            if self.stop.wait(pause):
                raise StopRequested
        return call()

    def note(self, *, done: int = 0, set_aside: Sequence[SetAside] = ()) -> None:
        """Count what a batch did, keep what it could not do, and prolong the lease.

        Raises RunTakenOver.
        """
        database = self.services.database
        self.patiently(
            lambda: database.note_job_progress(run=self.ref, done=done, set_aside=set_aside)
        )

    def keep(self) -> None:
        """Prolong the lease if a third of it went by; called while others do the work.

        They need not get to their first batch within a lease: a busy machine begins processes
        slowly. A database that is away is left to them. Raises RunTakenOver.
        """
        if time.monotonic() < self._prolong_at:
            return
        try:
            self.services.database.note_job_progress(run=self.ref)
        except TemporaryDatabaseError as error:
            log.info("%s could not prolong its lease yet: %s", self.run.job, error)
            return
        self._prolong_at = time.monotonic() + self.lease_seconds / 3


Work = Callable[[JobContext], str]


def claim(
    services: Services,
    *,
    job: str,
    scheduled_on: date,
    started_by: str,
    clock: Clock = utc_now,
    stop: threading.Event | None = None,
    clock_at: datetime | None = None,
    rerun: bool = False,
    instead_of_attempt: int | None = None,
    resume_attempt: int | None = None,
    lease_seconds: int = LEASE_SECONDS,
) -> tuple[JobContext | None, JobRun]:
    """Try to take a run: its context, or None, and the run as it stands or that is in its way.

    `clock_at` is the present by the clock that the tick believes, without it the database's.
    """
    claimed, run = services.database.claim_job_run(
        job=job,
        scheduled_on=scheduled_on,
        owner=f"{socket.gethostname()}:{os.getpid()}",
        lease_seconds=lease_seconds,
        started_by=started_by,
        clock_at=clock_at,
        rerun=rerun,
        instead_of_attempt=instead_of_attempt,
        resume_attempt=resume_attempt,
    )
    if not claimed:
        return None, run
    context = JobContext(
        services=services,
        run=run,
        now=clock(),
        clock=clock,
        lease_seconds=lease_seconds,
        stop=stop or threading.Event(),
    )
    return context, run


def perform(context: JobContext, work: Work) -> JobRun | None:
    """Do the work of a claimed run and end the run; None when it goes on elsewhere or later.

    Raises nothing of the work's: what goes wrong ends in the run's own words and in the log.
    """
    run = f"{context.run.job} of {context.run.scheduled_on}"
    with bound(job_run=context.label, actor=context.actor):
        began = time.monotonic()
        log.info("%s begins, attempt %d", run, context.run.attempt)
        ended = _performed(context, work, run)
        if ended is not None:
            said = {"done": ended.done_count, "set_aside": ended.failed_count}
            said["ms"] = round((time.monotonic() - began) * 1000)
            level = logging.INFO if ended.status == "done" else logging.ERROR
            words = "%s ends: %s, %d done, %d set aside"
            counts = ended.status, ended.done_count, ended.failed_count
            log.log(level, words, run, *counts, extra=said)
        return ended


def _performed(context: JobContext, work: Work, run: str) -> JobRun | None:
    try:
        with of_a_job():
            return _end(context, "done", work(context))
    except RunTakenOver:
        log.warning("%s was taken over, or slept for too long; this attempt stops", run)
    except StopRequested:
        _give_back(context)
        log.info("%s stops between two batches and goes on at the next start", run)
    except JobFailed as error:
        log.warning("%s failed: %s", run, error)
        return _fail(context, str(error))
    except DatabaseError as error:
        log.exception("%s failed", run)
        return _fail(context, _database_trouble(error))
    except Exception:
        log.exception("%s failed", run)
        return _fail(
            context, sentence("An unexpected error stopped the run; the log has the details.")
        )
    except BaseException:
        # Ctrl-C on the command line: whoever comes next need not wait for the lease.
        _give_back(context)
        raise
    return None


def _database_trouble(error: DatabaseError) -> str:
    if isinstance(error, TemporaryDatabaseError):
        return sentence("The database was away or too busy.")
    return sentence("The database refused: {message}", message=error.message)


def _end(context: JobContext, status: str, detail: str) -> JobRun:
    database = context.services.database
    return context.patiently(
        lambda: database.finish_job_run(run=context.ref, status=status, detail=detail)
    )


def _fail(context: JobContext, reason: str) -> JobRun | None:
    try:
        return _end(context, "failed", reason)
    except (DatabaseError, StopRequested) as error:
        log.warning("%s: its lease runs out, for it could not be ended: %s", context.run.job, error)
        return None


def _give_back(context: JobContext) -> None:
    try:
        context.services.database.release_job_run(run=context.ref)
    except DatabaseError as error:
        log.warning("%s: the lease could not be given back: %s", context.run.job, error)
