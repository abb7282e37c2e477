"""What a tick starts: the runs that are due by the database's clock and that nobody has done."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from services.container import Services
from services.jobs import jobs
from services.jobs.clock import Clock
from services.jobs.jobs import Job
from services.jobs.missing_reads import EstimateRule
from services.jobs.runs import JobContext, Work, claim
from services.jobs.timetable import (
    PastRun,
    Timetable,
    left_behind,
    next_of_every,
    next_of_latest,
)
from services.languages.sentence import sentence
from services.quantities.period import local_date
from services.records.jobs import JobHistory

STARTED_BY: Final = "scheduler"
# Older occurrences of a job of which only the latest counts need no look: none is so far apart.
LOOK_BACK: Final = timedelta(days=8)


@dataclass(frozen=True, slots=True)
class DueRuns:
    """Finds and claims the runs that are due; `stop` ends what was begun."""

    services: Services
    clock: Clock
    stop: threading.Event

    @property
    def zone(self) -> ZoneInfo:
        """The utility's time zone."""
        return self.services.settings.timezone

    def history(self, now: datetime) -> JobHistory:
        """What ran, as far as it matters at `now`. Raises DatabaseError."""
        recent = local_date(now - LOOK_BACK, self.zone)
        rule = EstimateRule.of(self.services.settings)
        return self.services.database.job_history(
            since={job.id: recent for job in jobs.JOBS if job.catch_up == "latest"},
            estimate_before=rule.last_day(local_date(now, self.zone)) if rule else None,
            at=now,
        )

    def claim(self, job: Job, history: JobHistory, now: datetime) -> tuple[JobContext, Work] | None:
        """The run of a job to do now, claimed, with its work; None when there is none.

        Runs that nobody will go on with are closed. Raises DatabaseError.
        """
        past, every = _past_runs(history, job), job.catch_up == "every"
        runs = self._true_runs(job, past, history, now)
        wanted = self._wanted(job, runs, history, now)
        if not every:
            self._close(job, left_behind(wanted, runs))
        if wanted is None:
            return self._late(job, history, runs, now)
        if wanted in runs and runs[wanted].status in ("running", "paused"):
            return None
        seen = past.get(wanted)
        # One that is over and does not count, as it was seen: another process may be first.
        over = seen.attempt if seen is not None and seen.over else None
        context = self._claimed(job, wanted, now, instead_of_attempt=over)
        return (context, job.work) if context is not None else None

    def waiting_since(self, job: Job, history: JobHistory, now: datetime) -> datetime | None:
        """When the run to do now was due, if nobody has begun it; None when all is on time."""
        runs = self._true_runs(job, _past_runs(history, job), history, now)
        wanted = self._wanted(job, runs, history, now)
        if wanted is None or wanted in runs:
            return None
        return Timetable(job.cron_with(history.cycles), self.zone).due_on(wanted)

    def _wanted(
        self, job: Job, runs: Mapping[date, PastRun], history: JobHistory, now: datetime
    ) -> date | None:
        """The date whose run is to be done at `now`, or None."""
        every = job.catch_up == "every"
        first = history.installed_at if every else max(history.installed_at, now - LOOK_BACK)
        found = job.due_between(first, now, cycles=history.cycles, zone=self.zone)
        due = [occurrence.on for occurrence in found]
        return next_of_every(due, runs) if every else next_of_latest(due, runs)

    def _late(
        self, job: Job, history: JobHistory, runs: Mapping[date, PastRun], now: datetime
    ) -> tuple[JobContext, Work] | None:
        """The latest run, which is over, to go on with what came after it."""
        if job.late is None or not job.is_late(history) or not runs:
            return None
        on = max(runs)
        context = self._claimed(job, on, now, resume_attempt=runs[on].attempt)
        return (context, job.late) if context is not None else None

    def _claimed(
        self,
        job: Job,
        on: date,
        clock_at: datetime,
        *,
        instead_of_attempt: int | None = None,
        resume_attempt: int | None = None,
    ) -> JobContext | None:
        context, _ = claim(
            self.services,
            job=job.id,
            scheduled_on=on,
            started_by=STARTED_BY,
            clock=self.clock,
            clock_at=clock_at,
            stop=self.stop,
            instead_of_attempt=instead_of_attempt,
            resume_attempt=resume_attempt,
        )
        return context

    def _true_runs(
        self, job: Job, past: Mapping[date, PastRun], history: JobHistory, now: datetime
    ) -> dict[date, PastRun]:
        """The runs up to today, without those that were over before their time had come."""
        timetable = Timetable(job.cron_with(history.cycles), self.zone)
        today = local_date(now, self.zone)
        return {
            on: run
            for on, run in past.items()
            # A run by hand for a date to come must not hide what is due until then.
            if on <= today and (not run.over or run.counts(due_at=timetable.due_on(on), now=now))
        }

    def _close(self, job: Job, dates: Sequence[date]) -> None:
        """End interrupted runs that nobody will go on with."""
        for on in dates:
            context = self._claimed(job, on, self.clock())
            if context is not None:
                self.services.database.finish_job_run(
                    run=context.ref,
                    status="failed",
                    detail=sentence("Interrupted; a later run took over."),
                )


def _past_runs(history: JobHistory, job: Job) -> dict[date, PastRun]:
    taken_up = job.taken_up(history)
    return {
        run.scheduled_on: PastRun(
            status=run.status,
            over=run.over or (run.status == "failed" and taken_up),
            attempt=run.attempt,
            clock_at=run.clock_at,
        )
        for run in history.runs
        if run.job == job.id
    }
