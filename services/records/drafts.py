"""What waits for a person's approval: drafts of bills, and what somebody asked to be done."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal, NamedTuple

from services.records.base import Page, Record
from services.records.jobs import JobRun


@dataclass(frozen=True, slots=True)
class DraftFilter:
    """Which drafts: those of a month (its 1st; the period ends in it or on the next 1st), …"""

    text: str = ""
    month: date | None = None
    tariff: str | None = None
    currency: str | None = None
    outliers_only: bool = False
    # Made since the last bill run began, for periods up to its date; and without those held.
    of_last_run: bool = False
    without_held: bool = False


@dataclass(frozen=True, slots=True)
class DraftChoice:
    """The drafts that fit a filter, without some; or, of those, only some (their ids)."""

    fitting: DraftFilter = DraftFilter()
    without: frozenset[str] = frozenset()
    only: frozenset[str] | None = None


class PastUse(NamedTuple):
    """The last 12 issued bills of a meter: how many, and the quartiles of their Wh a day."""

    bills: int
    lower_wh: int
    median_wh: int
    upper_wh: int


class Draft(Record):
    """A draft as a reviewer sees it; `outlier` is the database's word that it has signs."""

    id: str
    meter_serial: str
    customer_id: str
    account_no: str
    customer_name: str
    tariff_code: str
    period_start: date
    period_end: date
    consumption_wh: int
    currency: str
    subtotal_minor: int
    tax_minor: int
    total_minor: int
    created_at: datetime
    estimated: bool
    tariff_changes: bool
    opinion_differs: bool
    held_because: str | None = None
    past_use: PastUse
    outlier: bool

    @property
    def days(self) -> int:
        """Local days of its period."""
        return (self.period_end - self.period_start).days


class Sums(Record):
    """What bills of one currency add up to, in Wh and minor units."""

    currency: str
    number: int
    consumption_wh: int
    subtotal_minor: int
    tax_minor: int
    total_minor: int
    outliers: int = 0


class IssuedSums(Sums):
    """What was issued for a month (its 1st)."""

    month: date


class Waiting(Record):
    """How many drafts there are for a month, in a tariff and a currency."""

    month: date
    tariff_code: str
    currency: str
    number: int


class DraftTotals(Record):
    """What issuing some drafts would bill; `mark` is the same only for the same drafts."""

    mark: str
    totals: tuple[Sums, ...]
    issued: tuple[IssuedSums, ...]
    waiting: tuple[Waiting, ...]

    @property
    def number(self) -> int:
        """How many drafts, of every currency."""
        return sum(sums.number for sums in self.totals)


class IssueRun(Record):
    """Drafts that somebody approved together, and how far issuing them has come.

    Of `number` drafts those up to the place `reached` were looked at and `issued` became bills;
    the others were sent back or issued meanwhile, or refused, the last with the `refusal`.
    """

    id: str
    started_by: str
    started_at: datetime
    status: Literal["running", "done"]
    number: int
    reached: int
    issued: int
    first_number: int | None
    last_number: int | None
    refusal: str
    finished_at: datetime | None


class BillRunSums(Record):
    """What bills of a run in one currency add up to; `drafts` of them are drafts still."""

    currency: str
    number: int
    held: int
    drafts: int = 0
    consumption_wh: int
    total_minor: int


class BillRunPreviewed(Record):
    """What a run was to make by its last preview; all of it if that was `whole`."""

    worked_out_at: datetime
    looked_at: int
    whole: bool
    totals: tuple[BillRunSums, ...]


class BillRunResult(Record):
    """The bill run that began last, what its preview said, and what it made."""

    run: JobRun | None
    preview: BillRunPreviewed | None
    made: tuple[BillRunSums, ...]


class DraftReview(Record):
    """What issuing the chosen drafts would bill, and a page of those that fit a filter."""

    totals: DraftTotals
    drafts: Page[Draft]


ApprovalKind = Literal[
    "refund",
    "refund_again",
    "payout",
    "correction",
    "credit",
    "waiver",
    "tariff",
    "tariff_correction",
    "supply",
]
ApprovalState = Literal["pending", "approved", "rejected", "done", "failed", "expired"]


class ApprovalRequest(Record):
    """A request. `action_id` is of the row that the action makes, `payload` what it takes."""

    id: str
    kind: ApprovalKind
    action_id: str
    payload: dict[str, Any]
    summary: str
    reason: str
    over_limit: bool
    asked_by: str
    asked_at: datetime
    expires_at: datetime
    # approved: and not done yet. failed: approved, and refused when it was to be done.
    state: ApprovalState
    decided_by: str | None
    decided_at: datetime | None
    decision_reason: str
    outcome: str


class AskedApproval(Record):
    """Whether an action may be done now; `same` says that it is what the request is about."""

    state: Literal["not_needed", "pending", "approved", "done"]
    id: str | None = None
    same: bool = True
