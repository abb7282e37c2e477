"""Autopay: what customers agreed to, what is charged when, each try at Stripe: records."""

from datetime import date, datetime
from typing import Any, Final, Literal

from services.quantities.money import Money
from services.records.base import Record
from services.records.bills import invoice_reference
from services.records.customers.debits import BillAutopay

MandateStatus = Literal["opened", "confirming", "active", "paused", "ended"]
ChargeStatus = Literal["planned", "announced", "charging", "waiting", "paid", "failed", "dropped"]
AttemptStatus = Literal["asking", "processing", "confirming", "succeeded", "failed"]
# Why a try failed: it may pass by itself, it will not, the bank wants the customer to confirm it,
# or Stripe does not take the amount.
Decline = Literal["", "soft", "hard", "authentication", "amount"]
RUNNING: Final[tuple[MandateStatus, ...]] = ("active", "paused")


class AutopayPolicy(Record):
    """How autopay charges; version 0 is the default, which nobody has set. All in days.

    `retry_days` count from the first try, the others before a charge, after a bank asked the
    customer to confirm one, and before a card expires.
    """

    id: str | None
    version: int
    notice_days: int
    retry_days: tuple[int, ...]
    confirm_days: int
    expiry_days: int
    created_by: str = ""
    created_at: datetime | None = None

    def row(self) -> dict[str, Any]:
        """What is stored of a new version."""
        names = {"id", "notice_days", "retry_days", "confirm_days", "expiry_days"}
        return self.model_dump(mode="json", include=names)


class Mandate(Record):
    """A customer's consent, and the card or account that Stripe keeps for it."""

    id: str
    customer_id: str
    currency: str
    status: MandateStatus
    consent: str
    consented_at: datetime
    limit_minor: int | None
    session_id: str | None
    stripe_customer: str | None
    payment_method: str | None
    kind: str
    brand: str
    last4: str
    exp_month: int | None
    exp_year: int | None
    charges_from: date | None
    active_since: datetime | None
    paused_at: datetime | None
    paused_because: str
    ended_at: datetime | None
    ended_by: str | None
    ended_because: str
    detached_at: datetime | None
    looks: int = 0

    @property
    def runs(self) -> bool:
        """Whether it is there to be ended: charged by, or paused."""
        return self.status in RUNNING

    @property
    def method(self) -> str:
        """As people recognise it: Visa …4242."""
        name = (self.brand or self.kind).replace("_", " ").title()
        return " ".join(part for part in (name, f"…{self.last4}" if self.last4 else "") if part)

    @property
    def limit(self) -> Money | None:
        """More is never charged at once; None: no limit."""
        return Money(self.limit_minor, self.currency) if self.limit_minor else None


class Charge(Record):
    """What is charged of an account's bills with one due date.

    `amount_minor` is what it comes to now; of one that is over what came, else what was tried or
    announced. `confirm_id` is the try that the customer's bank wants confirmed. `since` is the
    local date since which a try is under way, `kind` what is charged.
    """

    id: str
    mandate_id: str
    customer_id: str
    account_no: str
    customer_name: str
    currency: str
    due_on: date
    bill_id: str
    bill_number: int
    status: ChargeStatus
    notice_on: date
    charge_on: date
    announced_minor: int | None
    attempts: int
    code: str
    detail: str
    amount_minor: int
    paid_minor: int
    method: str
    confirm_id: str | None
    ended_at: datetime | None
    kind: str = ""
    since: date | None = None

    @property
    def progress(self) -> BillAutopay:
        """How it stands, as its bills have it."""
        return BillAutopay(
            status=self.status,
            charge_on=self.charge_on,
            since=self.since,
            confirming=self.confirm_id is not None,
            kind=self.kind,
        )

    @property
    def amount(self) -> Money:
        """What it comes to."""
        return Money(self.amount_minor, self.currency)

    @property
    def reference(self) -> str:
        """The bill whose message says so to the customer."""
        return invoice_reference(self.bill_number)


class ChargeBill(Record):
    """What a try charges of a bill."""

    bill_id: str
    amount_minor: int


class Attempt(Record):
    """A try to charge, with what Stripe needs to know for it.

    `open_minor` is what the charge comes to by now: less, where it was paid another way since.
    `held` is whether the account is on hold, `owner` the process that asks for it.
    """

    id: str
    charge_id: str
    mandate_id: str
    customer_id: str
    number: int
    amount_minor: int
    currency: str
    bills: tuple[ChargeBill, ...]
    status: AttemptStatus
    payment_intent: str | None
    decline: Decline
    code: str
    detail: str
    payment_id: str | None
    started_at: datetime
    stripe_customer: str = ""
    payment_method: str = ""
    kind: str = ""
    mandate_status: MandateStatus = "active"
    bill_number: int = 0
    open_minor: int = 0
    held: bool = False
    owner: str = ""

    @property
    def wanted(self) -> bool:
        """Whether it is still to be charged as it was begun."""
        unpaid = self.open_minor >= self.amount_minor
        return unpaid and not self.held and self.mandate_status == "active"


class AttemptResult(Record):
    """What Stripe said of a try; `amount_minor` and the like only of money that came.

    "unknown" is tried or looked at again after `retry_in_seconds`; `away` is whether that is
    because Stripe did not answer.
    """

    status: Literal["succeeded", "failed", "confirming", "processing", "unknown"]
    payment_intent: str | None = None
    decline: Decline = ""
    code: str = ""
    detail: str = ""
    amount_minor: int = 0
    currency: str = ""
    payment_id: str | None = None
    received_at: datetime | None = None
    on: date
    retry_in_seconds: int = 60
    away: bool = False

    def row(self) -> dict[str, Any]:
        """What is kept of it."""
        return self.model_dump(mode="json", exclude={"away"})


class SavedMethod(Record):
    """What Stripe saved: a card's brand, last digits and expiry, or an account's last digits."""

    stripe_customer: str
    payment_method: str
    kind: str
    brand: str = ""
    last4: str = ""
    exp_month: int | None = None
    exp_year: int | None = None


class AutopayOfCustomer(Record):
    """How a customer's autopay stands: the mandate that runs, else the last; the last charges.

    `opened` is what the customer is at, or was, on Stripe's page.
    """

    mandate: Mandate | None
    opened: Mandate | None = None
    charges: tuple[Charge, ...]


class ChargesAfter(Record):
    """Where the next page of charges begins."""

    on: str
    id: str


class Claimed(Record):
    """What Stripe is to be asked about, leased."""

    attempts: tuple[Attempt, ...]
    mandates: tuple[Mandate, ...]
