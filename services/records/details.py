"""All that is looked at together about one bill, payment, account or meter: records."""

from datetime import date, datetime
from typing import Any, Literal

from services.records.ai import StoredOpinion
from services.records.base import Record
from services.records.bills import Bill, KwhBankEntry
from services.records.corrections import Correction
from services.records.ledger import (
    Account,
    Allocation,
    EntryKind,
    InstalmentPlan,
    LedgerEntry,
    Payment,
    PaymentFlag,
    PaymentReturn,
)
from services.records.outbox import OutboxEntry
from services.records.readings import Meter, Reading, ReadingSource


class PaidPart(Record):
    """What paid a part of a bill; `payment` is None for a credit or a deposit."""

    allocation: Allocation
    payment: Payment | None


class BillDetail(Record):
    """A bill with where it comes from and where it stands.

    `paid` is the oldest first; `read_since` are the first accepted readings after the bill, in
    order of time; `outbox` is what follows its commit, the oldest first. `kwh_bank` are the latest
    entries of the agreement's banks under net metering, the last first.
    """

    bill: Bill
    opening: Reading
    closing: Reading
    paid: tuple[PaidPart, ...]
    in_plan: bool
    corrections: tuple[Correction, ...]
    read_since: tuple[Reading, ...]
    outbox: tuple[OutboxEntry, ...]
    second_opinion: StoredOpinion | None
    unprinted_because: str | None
    kwh_bank: tuple[KwhBankEntry, ...] = ()

    @property
    def is_last_of_meter(self) -> bool:
        """Whether no reading after it is billed."""
        return self.bill.status != "void" and all(r.bill_id is None for r in self.read_since)


class PaymentDetail(Record):
    """A payment: what it paid (the oldest first), what went back of it, what is odd about it.

    `open_bills` are those that what is left of it could pay.
    """

    payment: Payment
    paid: tuple[Allocation, ...]
    returns: tuple[PaymentReturn, ...]
    flags: tuple[PaymentFlag, ...]
    open_bills: tuple[Bill, ...]


class Payer(Record):
    """Who is about to pay, and the bill that it is for, if it is for one."""

    account: Account
    bill: Bill | None


class AccountHead(Record):
    """An account, and the day that what is overdue on it is as of; None where nothing is.

    The instants (UTC) say since when mail to its address comes back, its number wants no texts, and
    texts do not arrive there; None where nothing is known of it.
    """

    account: Account
    overdue_as_of: date | None
    email_bounced_at: datetime | None = None
    sms_stopped_at: datetime | None = None
    phone_unreached_at: datetime | None = None


class OpenItems(Record):
    """What is to pay on an account (bills and fees), and credits that pay nothing yet."""

    bills: tuple[Bill, ...]
    fees: tuple[LedgerEntry, ...]
    credits_left: tuple[LedgerEntry, ...]


class AccountPlans(Record):
    """Instalment plans, the last agreed first, and the open bills that are in none."""

    plans: tuple[InstalmentPlan, ...]
    free_bills: tuple[Bill, ...]


class Changeable(Record):
    """What can be undone or paid out: credit that pays nothing yet, and what was adjusted.

    `open_credit_minor` is above 0; the adjustments stand, the newest first.
    """

    open_credit_minor: int
    adjustments: tuple[LedgerEntry, ...]


# What a timeline can be about.
Subject = Literal["customer", "meter", "service_point", "bill", "payment", "tariff"]


class Change(Record):
    """A row of the audit trail: of an update only the columns that changed.

    `inserted` is an updated row as it once was inserted. `key` is its place in the timeline.
    """

    key: tuple[str, str]
    at: datetime
    actor: str
    action: Literal["insert", "update", "delete"]
    table: str
    row_id: str
    before: dict[str, Any]
    after: dict[str, Any]
    inserted: dict[str, Any] | None


class ChangePage(Record):
    """Changes, the newest first, and what people call what they name; `more` are older."""

    changes: tuple[Change, ...]
    names: dict[str, str]
    more: bool


class CustomersMeter(Meter):
    """A meter that a customer has, with its last accepted read; since when its supply is cut."""

    last_read_on: date | None
    last_register_wh: int | None
    last_source: ReadingSource | None
    disconnected_on: date | None


class BilledUse(Record):
    """What a meter measured in the period of a bill, a half-open period of local dates."""

    meter_id: str
    meter_serial: str
    period_start: date
    period_end: date
    consumption_wh: int


class PrintedEntry(Record):
    """An entry of the account between two bills; a debit is above 0."""

    kind: EntryKind
    amount_minor: int
    on: date
    method: str
    reference: str


class BillDocumentFacts(Record):
    """A bill, its readings, and its account since the bill before it.

    `used_before` is the meter's Wh by month (its 1st); `replaces` is the number of a void bill;
    `payment_url` is the link that was made at its issue, `tax_number` the customer's. `autopaid`
    says that autopay was to pay it when it was issued.
    """

    bill: Bill
    opening: Reading
    closing: Reading
    tax_number: str
    contract_ends_on: date | None
    language: str
    replaces: int | None
    payment_url: str | None
    autopaid: bool
    brought_forward_minor: int
    entries: tuple[PrintedEntry, ...]
    used_before: dict[date, int]
