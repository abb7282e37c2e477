"""What the system keeps, as it travels between the database and everything else: frozen records.

Energy is whole Wh, money whole minor units beside a currency, instants are aware and in UTC, and
dates are local to the utility.
"""

from datetime import date, datetime
from functools import cached_property
from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, field_validator

from services.domain.money import Money
from services.domain.rating import BillLine
from services.domain.tariff import Tariff, parse_tariff
from services.domain.use_limits import ClassUse, UseLimits
from services.domain.validation import ReadPoint

ReadingStatus = Literal["accepted", "needs_review", "rejected", "superseded"]
ReadingSource = Literal["field", "smart", "customer", "estimated", "imported"]
BillStatus = Literal["void", "paid", "overdue", "partially_paid", "issued", "draft"]
SparedBecause = Literal["bank_debit", "money_returned"]
OwedKind = Literal[
    "bill_issued",
    "payment_reminder",
    "overdue_notice",
    "payment_received",
    "balance_changed",
    "bill_corrected",
]
StepStatus = Literal["running", "done", "pending", "skipped", "failed"]
Item = TypeVar("Item")


class Record(BaseModel):
    """A row as the database answered it; columns that a record does not name are left out."""

    model_config = ConfigDict(frozen=True, extra="ignore", arbitrary_types_allowed=True)


class Meter(Record):
    """A meter with the customer and the tariff that it connects."""

    id: str
    serial: str
    kind: Literal["manual", "smart"]
    dials: int
    multiplier_milli: int
    status: Literal["active", "closed"]
    opened_on: date
    customer_id: str
    account_no: str
    customer_name: str
    address: str
    tariff_id: str
    tariff_code: str
    tariff_name: str
    currency: str
    # What is read beside the total (services/domain/registers.py), and the connected load.
    registers: tuple[str, ...] = ()
    connected_w: int | None = None
    connected_va: int | None = None


class Read(Record):
    """One read of a meter, as the chain of bills needs it; further registers by their names."""

    id: str
    read_at: datetime
    read_on: date
    register_wh: int
    registers: dict[str, int] = {}
    # A person said that the register rolled over before it.
    rolled_over: bool = False

    @property
    def point(self) -> ReadPoint:
        """The read as the validation rules take it."""
        return ReadPoint(
            register_wh=self.register_wh, read_on=self.read_on, registers=self.registers
        )


class ReadBetween(Read):
    """A read at which a bill may end and the next open; void bills that opened there count."""

    reissues: int = 0


class Reading(Read):
    """A reading with everything that is known of it."""

    meter_id: str
    meter_serial: str
    customer_id: str
    account_no: str
    customer_name: str
    address: str
    source: ReadingSource
    status: ReadingStatus
    is_opening: bool
    submitted_by: str
    validation: dict[str, Any]
    supersedes_id: str | None
    decided_by: str | None
    decided_at: datetime | None
    decision_reason: str | None
    created_at: datetime
    bill_id: str | None
    bill_number: int | None
    bill_total_minor: int | None
    bill_currency: str | None


class TariffVersion(Record):
    """A tariff as it stands from `effective_from` (local date) until its next version."""

    id: str
    tariff_id: str
    code: str
    name: str
    currency: str
    effective_from: date
    definition: dict[str, Any]

    @cached_property
    def tariff(self) -> Tariff:
        """The definition, parsed once; raises InvalidTariff."""
        return parse_tariff(self.definition)


def invoice_reference(number: int) -> str:
    """A bill's number as people write it, and pay by it at the office: INV-000117."""
    return f"INV-{number:06d}"


class Bill(Record):
    """A bill with its lines; `status` is the one that people see."""

    id: str
    number: int | None
    meter_id: str
    meter_serial: str
    customer_id: str
    account_no: str
    customer_name: str
    address: str
    tariff_code: str
    tariff_name: str
    opening_reading_id: str
    closing_reading_id: str
    period_start: date
    period_end: date
    opening_wh: int
    closing_wh: int
    consumption_wh: int
    multiplier_milli: int
    currency: str
    lines: tuple[BillLine, ...]
    subtotal_minor: int
    tax_minor: int
    total_minor: int
    amount_paid_minor: int
    balance_minor: int
    status: BillStatus
    issued_at: datetime | None
    issued_on: date | None
    due_date: date | None
    overdue_since: date | None
    payment_url: str | None
    void_reason: str | None
    created_at: datetime
    # What the bill was priced from beside its consumption (services/domain/metered_usage.py).
    usage: dict[str, Any] | None = None
    # The void bill that it was made anew for, and of a void one the bill made for it.
    replaces_id: str | None = None
    replaced_by_id: str | None = None
    # Why a person was to look at it before its issue (services/domain/bill_periods.py).
    held_because: str | None = None
    # Why nobody is pressed for it now: the bank is paying it, or its money went back.
    spared_because: SparedBecause | None = None

    @field_validator("lines", mode="before")
    @classmethod
    def _parse_lines(cls, lines: Any) -> Any:
        return tuple(
            line if isinstance(line, BillLine) else BillLine.from_json(line) for line in lines
        )

    @property
    def reference(self) -> str:
        """The number as people write it, which is also the reference for paying at the office."""
        return invoice_reference(self.number) if self.number is not None else "draft"

    def money(self, minor: int) -> Money:
        """An amount of minor units in this bill's currency."""
        return Money(minor, self.currency)


class StepState(Record):
    """Where one owed step stands."""

    status: StepStatus
    detail: str = ""
    # What later steps need of this one, such as the text of the message.
    facts: dict[str, str] = {}


class OwedWork(Record):
    """What is still owed for a bill after its commit, a state a step (design: steps 8 to 13)."""

    id: str
    bill_id: str
    kind: OwedKind
    steps: dict[int, StepState]
    status: Literal["open", "finished", "given_up"]
    attempts: int
    lease_owner: str | None
    created_at: datetime
    bill: Bill | None = None
    # Which one, where a bill has several of a kind, and what it is about.
    occasion: str = ""
    facts: dict[str, str] = {}


class PastBill(Record):
    """What an earlier bill leaves to later ones; `charged` is by code, in minor units."""

    period_start: date
    period_end: date
    usage: dict[str, Any] | None
    charged: dict[str, int]


class IntervalDay(Record):
    """A local day of a meter's interval series: Wh of each interval, in order of time."""

    day: date
    minutes: int
    wh: tuple[int, ...]


class PricingFacts(Record):
    """What pricing a bill needs beside its two reads; nothing of it for most meters.

    `opening_registers` are those of the opening read, `between` those of the reads since then;
    `past` holds the last bill first, and is empty where the tariff looks at no past bill;
    `rolled_over` says that the register did so before one of the reads since then.
    """

    opening_registers: dict[str, int] = {}
    between: tuple[dict[str, int], ...] = ()
    past: tuple[PastBill, ...] = ()
    intervals: tuple[IntervalDay, ...] = ()
    rolled_over: bool = False


class ReadingContext(Record):
    """Everything that validating and pricing one read of a meter needs."""

    meter: Meter
    tariffs: tuple[TariffVersion, ...]
    opening: Reading
    reissue_no: int
    last_read: Reading | None
    next_read: Reading | None
    history: tuple[ReadPoint, ...]
    same_day: bool
    replay: "StoredReading | None"
    # The accepted reads after the opening one, in order.
    between: tuple[ReadBetween, ...] = ()
    pricing: PricingFacts = PricingFacts()
    # Asked only while the meter has no use of its own to be judged by.
    class_use: ClassUse | None = None

    def limits(self, *, unknown_daily_wh: int) -> UseLimits:
        """What limits its use beside its own past; Wh a day, before the multiplier."""
        return UseLimits(
            connected_w=self.meter.connected_w,
            connected_va=self.meter.connected_va,
            class_use=self.class_use,
            unknown_daily_wh=unknown_daily_wh,
        )

    @property
    def neighbours(self) -> tuple[str | None, str | None]:
        """The ids of the accepted reads before and after the one in question."""
        before, after = self.last_read, self.next_read
        return before.id if before else None, after.id if after else None

    @field_validator("history", mode="before")
    @classmethod
    def _parse_history(cls, history: Any) -> Any:
        return tuple(
            ReadPoint(
                register_wh=h["register_wh"],
                read_on=date.fromisoformat(h["read_on"]),
                registers=h["registers"],
            )
            for h in history
        )


class StoredReading(Record):
    """What the database keeps of a submission, whether just stored or found to be a replay."""

    outcome: Literal["stored", "replay"]
    reading: Reading
    bill: Bill | None
    # Where the reading brought several bills, those before the last.
    earlier: tuple[Bill, ...] = ()
    owed: OwedWork | None


class BillCandidate(Record):
    """A meter that a monthly run may bill; `closing` is None when there is no read to close at."""

    meter_id: str
    serial: str
    tariff_id: str
    dials: int
    multiplier_milli: int
    opening: Read
    closing: Read | None
    reissue_no: int
    registers: tuple[str, ...] = ()
    connected_w: int | None = None
    connected_va: int | None = None
    # The accepted reads between the two, in order, where they are more than a month apart.
    between: tuple[ReadBetween, ...] = ()
    pricing: PricingFacts = PricingFacts()


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
    last_bill_id: str | None


class JobRun(Record):
    """One run of a job for its scheduled local date."""

    job: str
    scheduled_on: date
    attempt: int
    owner: str
    started_by: str
    status: Literal["running", "done", "failed", "interrupted", "disregarded"]
    done_count: int
    failed_count: int
    detail: str
    started_at: datetime
    finished_at: datetime | None


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


class ApiKey(Record):
    """A program's key as administrators see it: never the key itself, nor its hash."""

    id: str
    name: str
    role: Literal["engineer", "admin"]
    scope: Literal["all", "submit_readings", "read_bills"]
    created_at: datetime
    created_by: str
    # None: a key from before keys expired.
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None
    revoked_by: str | None


class Session(Record):
    """A token that was used here, as administrators see it: never the token itself.

    `via` "link" is a browser that opened the terminal's link and may choose a role.
    """

    id: str
    user_id: str
    role: Literal["engineer", "admin"] | None
    via: Literal["token", "demo", "link"]
    address: str
    issued_at: datetime
    expires_at: datetime
    first_used_at: datetime
    last_used_at: datetime
    ended_at: datetime | None
    ended_by: str | None
    # Since when every token of this user is refused.
    dismissed_at: datetime | None


class SecurityEvent(Record):
    """A row of the security log."""

    id: int
    at: datetime
    event: str
    who: str
    address: str
    detail: str


class Page(BaseModel, Generic[Item]):
    """Some rows of a longer list, and how long the list is."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    items: tuple[Item, ...]
    total: int
