"""The four jobs: when each is due, what it does, and which missed runs it makes up for."""

from dataclasses import dataclass
from typing import Final, Literal

from services.jobs import meter_collection, monthly_bills, overdue_marking, payment_reminders
from services.jobs.runs import Work


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


JOBS: Final = (
    Job("monthly_bills", "0 2 1 * *", monthly_bills.run, "every", late=monthly_bills.take_up_late),
    Job("payment_reminders", "0 10 * * *", payment_reminders.run, "latest"),
    Job("overdue_marking", "0 11 * * *", overdue_marking.run, "latest"),
    Job("meter_collection", "0 8 * * sun", meter_collection.run, "latest"),
)


class UnknownJob(ValueError):
    """There is no job of that name."""


def job_of(job_id: str) -> Job:
    """The job of this id; raises UnknownJob."""
    for job in JOBS:
        if job.id == job_id:
            return job
    raise UnknownJob(f"There is no job {job_id!r}; there are {', '.join(j.id for j in JOBS)}.")
