"""A job that a person or a command runs, whatever ran before."""

import threading
import time
from datetime import date, datetime, timedelta

from services.container import Services
from services.jobs import jobs
from services.jobs.clock import Clock
from services.jobs.jobs import Job
from services.jobs.runs import JobContext, claim, perform
from services.languages.sentence import sentence
from services.quantities.period import local_date
from services.records.jobs import JobRun


class JobAlreadyRunning(Exception):
    """The job is under way, here or in another process."""


class DateToCome(ValueError):
    """A run is for a date that the clock has not reached."""


def run_job(
    services: Services, job_id: str, at: datetime, by: str, *, on: date | None = None
) -> JobRun:
    """Do a job here and now, when it is `at` (aware); the run as it ended.

    `by` is who asked. `on` is the run's date, today's without it: it chooses the month that is
    billed, while bills are issued at `at`. Raises UnknownJob, DateToCome, JobAlreadyRunning,
    DatabaseError.
    """
    job = jobs.job_of(job_id)
    began = time.monotonic()
    context = claim_by_hand(
        services,
        job,
        on=on or local_date(at, services.settings.timezone),
        by=by,
        at=at,
        clock=lambda: at + timedelta(seconds=time.monotonic() - began),
    )
    return perform(context, job.work) or context.run


def claim_by_hand(
    services: Services,
    job: Job,
    *,
    on: date,
    by: str,
    at: datetime,
    clock: Clock,
    stop: threading.Event | None = None,
) -> JobContext:
    """The run of a job for the date `on`, claimed by `by` when it is `at` (aware).

    Raises DateToCome, JobAlreadyRunning, DatabaseError.
    """
    today = local_date(at, services.settings.timezone)
    if on > today:
        raise DateToCome(
            sentence(
                "{day} is still to come: today is {today}. {job} runs for that date when it has "
                "come.",
                day=on,
                today=today,
                job=job.id,
            )
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
            sentence(
                "{job} is running already: the run of {day}, started by {user}.",
                job=job.id,
                day=run.scheduled_on,
                user=run.started_by,
            )
        )
    return context
