"""The jobs: when each is due, what it does, and which missed runs it makes up for."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal
from zoneinfo import ZoneInfo

from services.jobs import (
    autopay,
    backup,
    interval_collection,
    ledger_check,
    meter_collection,
    monthly_bills,
    overdue_marking,
    payment_reminders,
    retention,
)
from services.jobs.runs import Work
from services.jobs.timetable import Occurrence, Timetable
from services.records.jobs import BillingCycle, JobHistory


@dataclass(frozen=True, slots=True)
class Job:
    """A job: when it is due on the utility's clock, its work, and which missed runs it makes up.

    `late` is the work of a run that is over on what came after it, `is_late` whether there is
    such work; a failed run that is `taken_up` so is not started again. One that goes `by_cycle` is
    due on each billing day; its `cron` is that of a utility which bills everybody on the 1st.
    """

    id: str
    cron: str
    work: Work
    catch_up: Literal["every", "latest"]
    late: Work | None = None
    is_late: Callable[[JobHistory], bool] = lambda _: False
    taken_up: Callable[[JobHistory], bool] = lambda _: False
    by_cycle: bool = False

    def cron_with(self, cycles: Iterable[BillingCycle]) -> str:
        """Its cron, on all billing days in use."""
        if not self.by_cycle:
            return self.cron
        days = sorted({cycle.billing_day for cycle in cycles}) or [1]
        return self._on(",".join(map(str, days)))

    def due_between(
        self, first: datetime, last: datetime, *, cycles: Iterable[BillingCycle], zone: ZoneInfo
    ) -> list[Occurrence]:
        """When it is due from `first` up to and with `last`, in order; of a cycle, since it is."""
        if not self.by_cycle:
            return Timetable(self.cron, zone).between(first, last)
        of_cycles = list(cycles) or [BillingCycle(billing_day=1, since=None)]
        found = (
            occurrence
            for cycle in of_cycles
            for occurrence in Timetable(self._on(str(cycle.billing_day)), zone).between(
                max(first, cycle.since or first), last
            )
        )
        return sorted(found, key=lambda occurrence: occurrence.at)

    def _on(self, days: str) -> str:
        minute, hour, _, *rest = self.cron.split()
        return " ".join((minute, hour, days, *rest))


JOBS: Final = (
    Job(
        "monthly_bills",
        "0 2 1 * *",
        monthly_bills.run,
        "every",
        late=monthly_bills.take_up_late,
        is_late=lambda history: history.late_reads,
        by_cycle=True,
    ),
    # Before the reminders and the marks: what it is at is neither reminded of nor overdue.
    Job("autopay", "0 9 * * *", autopay.run, "latest"),
    Job("payment_reminders", "0 10 * * *", payment_reminders.run, "latest"),
    Job("overdue_marking", "0 11 * * *", overdue_marking.run, "latest"),
    Job(
        "meter_collection",
        "0 8 * * sun",
        meter_collection.run,
        "latest",
        late=meter_collection.try_again,
        is_late=lambda history: history.meters_due,
        taken_up=lambda history: history.meters_wait,
    ),
    Job("interval_collection", "0 6 * * *", interval_collection.run, "latest"),
    # Before the monthly bills, so that there is one from before what they did.
    Job("backup", "0 1 * * *", backup.run, "latest"),
    # After the monthly bills and before the office opens.
    Job("ledger_check", "0 5 * * *", ledger_check.run, "latest"),
    Job("retention", "30 3 * * *", retention.run, "latest"),
)


class UnknownJob(ValueError):
    """There is no job of that name."""


def job_of(job_id: str) -> Job:
    """The job of this id; raises UnknownJob."""
    for job in JOBS:
        if job.id == job_id:
            return job
    raise UnknownJob(f"There is no job {job_id!r}; there are {', '.join(j.id for j in JOBS)}.")
