"""Whether each job ran when it was due."""

import threading
from datetime import datetime, timedelta
from typing import Final

from services.container import Services
from services.jobs import jobs
from services.jobs.clock import Clock
from services.jobs.due_runs import DueRuns
from services.records.jobs import JobHistory

# A tick comes each minute, and a start takes some: what is due is begun well within this.
GRACE: Final = timedelta(minutes=15)


def late_jobs(services: Services, now: datetime) -> dict[str, datetime]:
    """The jobs that did not begin within GRACE of when they were due, and when that was (UTC).

    Raises DatabaseError.
    """
    clock: Clock = lambda: now  # noqa: E731 - nothing here asks it
    due = DueRuns(services, clock, threading.Event())
    return late_among(due, due.history(now), now)


def late_among(due: DueRuns, history: JobHistory, now: datetime) -> dict[str, datetime]:
    """The same of a history that is known."""
    found = {job.id: due.waiting_since(job, history, now) for job in jobs.JOBS}
    return {job: since for job, since in found.items() if since and now - since > GRACE}
