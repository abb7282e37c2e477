"""Runs of jobs, what they could not bill, and what an operator watches: records."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from services.records.ai import AiSpending
from services.records.base import Record
from services.records.messages import QueuedMessages

RunStatus = Literal["running", "paused", "done", "failed", "interrupted", "disregarded"]


@dataclass(frozen=True, slots=True)
class RunRef:
    """An attempt of a run, by which every write of it is checked, and how long its lease is."""

    job: str
    scheduled_on: date
    attempt: int
    lease_seconds: int

    def to_json(self) -> dict[str, str | int]:
        """As the database's functions take it."""
        return {
            "job": self.job,
            "scheduled_on": self.scheduled_on.isoformat(),
            "attempt": self.attempt,
            "lease_seconds": self.lease_seconds,
        }


class JobRun(Record):
    """One run of a job for its scheduled local date."""

    job: str
    scheduled_on: date
    attempt: int
    owner: str
    started_by: str
    status: RunStatus
    done_count: int
    failed_count: int
    detail: str
    started_at: datetime
    finished_at: datetime | None
    # How much there is to look at in all, about; None where nobody counted.
    expected_count: int | None = None

    @property
    def share_done(self) -> float | None:
        """From 0 to 1, how much of it has been looked at; None where nobody knows."""
        if not self.expected_count:
            return None
        return min((self.done_count + self.failed_count) / self.expected_count, 1.0)

    def ref(self, *, lease_seconds: int) -> RunRef:
        """What the writes of this attempt are checked by."""
        return RunRef(
            job=self.job,
            scheduled_on=self.scheduled_on,
            attempt=self.attempt,
            lease_seconds=lease_seconds,
        )


@dataclass(frozen=True, slots=True)
class JobStatus:
    """A job of the scheduler, when it is due next and how its last run stands."""

    id: str
    cron: str
    next_run_at: datetime
    last_run: JobRun | None

    @property
    def is_running(self) -> bool:
        """Whether its last run is under way."""
        return self.last_run is not None and self.last_run.status == "running"


@dataclass(frozen=True, slots=True)
class SchedulerStatus:
    """Whether a process runs the jobs; `held` says why no job runs now, or is None."""

    running: bool
    held: str | None
    jobs: tuple[JobStatus, ...]


class RunSeen(Record):
    """What a tick must know of a run; `over` says that nobody tries it again by itself."""

    job: str
    scheduled_on: date
    status: RunStatus
    over: bool
    attempt: int
    clock_at: datetime | None


class BillingCycle(Record):
    """A day of the month (1 to 28) on which agreements are billed, and since when; None: always."""

    billing_day: int
    since: datetime | None


class CycleInUse(BillingCycle):
    """A billing cycle with how many agreements last that it bills."""

    agreements: int


class ReadingRoute(Record):
    """A reading route, how many places it has, and its billing day; None: each has its own."""

    route: str
    places: int
    billing_day: int | None


class BillingDays(Record):
    """The billing days in use, and the reading routes, in order."""

    cycles: tuple[CycleInUse, ...]
    routes: tuple[ReadingRoute, ...]


class JobHistory(Record):
    """What jobs ran since the installation (UTC); `late_reads` wait for the monthly bills.

    Smart meters wait to be asked for again (`meters_wait`), some by now (`meters_due`).
    """

    late_reads: bool
    meters_wait: bool
    meters_due: bool
    cycles: tuple[BillingCycle, ...]
    installed_at: datetime
    # By job.
    last_runs: dict[str, JobRun]
    runs: tuple[RunSeen, ...]


class SetAside(Record):
    """A meter or a bill that a run left out: why, where it is mended, what the reason is about.

    Of a meter that is set aside now, the reads that it was to be billed between say whether it is
    looked at again; with `again` it is in any case.
    """

    subject: str
    reason: str
    code: str = "other"
    ref: str | None = None
    meter_id: str | None = None
    agreement_id: str | None = None
    opening_id: str | None = None
    closing_id: str | None = None
    again: bool = False


class QueuedAgreement(Record):
    """An agreement that a read or a tariff came for after the monthly run, and when."""

    agreement_id: str
    queued_at: datetime


class DueCursor(Record):
    """Where the next batch of bills begins, in the order of their due dates."""

    due_date: date
    id: str


class KeptBack(Record):
    """A read that no bill closes at: it waits for review, or was rejected."""

    id: str
    read_on: date
    register_wh: int
    status: Literal["needs_review", "rejected"]


class UnbilledFacts(Record):
    """What a meter has instead of a closing read; `next_on` is of its first one after the month."""

    kept_back: KeptBack | None
    next_on: date | None
    # Whether the supply was cut when the cycle ended.
    disconnected: bool
    last_bill_id: str | None


class ClockSeen(Record):
    """A time of the database's clock, and how long the machine had been up then."""

    seen_at: datetime
    uptime_seconds: int


class ClockState(Record):
    """The database's clock, and what is known of it; `seen` is this machine's last look."""

    now: datetime
    newest_seen: datetime | None
    seen: ClockSeen | None
    doubted_at: datetime | None
    doubt: str


class OutboxStepCount(Record):
    """How many open outbox entries have a step in a state."""

    step: str
    state: str
    entries: int


class JobFigures(Record):
    """How a job went last, and when it last went well (UTC)."""

    job: str
    status: str
    started_at: datetime
    finished_at: datetime | None
    done_count: int
    failed_count: int
    succeeded_at: datetime | None


class OperationFigures(Record):
    """Figures of the system at a moment; readings by source and bills are of the local day."""

    at: datetime
    outbox_open: int
    outbox_oldest_at: datetime | None
    outbox_failed: int
    outbox_steps: tuple[OutboxStepCount, ...]
    messages: tuple[QueuedMessages, ...]
    readings: dict[str, int]
    bills: int
    ai: AiSpending
    database_bytes: int
    jobs: tuple[JobFigures, ...]
    alerts_open: int


class OperationsAlert(Record):
    """Something that was wrong, from when until when, and when each channel was notified (UTC).

    `told` has an instant for "<channel>/begin" and "<channel>/end".
    """

    id: int
    condition: str
    sentence: str
    since: datetime
    last_seen_at: datetime
    resolved_at: datetime | None
    told: dict[str, datetime]

    def is_untold(self, channel: str, what: Literal["begin", "end"]) -> bool:
        """Whether a channel was not notified yet that it began, or that it is over."""
        return f"{channel}/{what}" not in self.told and (
            what == "begin" or self.resolved_at is not None
        )


class BillsInCurrency(Record):
    """Bills of a span in one currency: how many, and their sum in minor units."""

    currency: str
    bills: int
    total_minor: int


class BillsOfSpan(Record):
    """The bills whose period ends in (after, until]."""

    after: date
    until: date
    currencies: tuple[BillsInCurrency, ...]
