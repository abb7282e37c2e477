"""A customer's money as it travels from the database: entries, payments, what went back, plans.

Amounts are whole minor units of `currency`. In an account a debit is above 0 (owed by the
customer) and a credit below 0; payments and returns themselves are always above 0.
"""

from datetime import date, datetime
from typing import Literal

from services.quantities.money import Money
from services.records.base import Record

Book = Literal["account", "deposit"]
EntryKind = Literal[
    "bill",
    "bill_void",
    "payment",
    "refund",
    "reversal",
    "dispute",
    "payout",
    "return_undone",
    "credit",
    "credit_undone",
    "fee",
    "fee_undone",
    "deposit_used",
    "opening_balance",
    "opening_balance_undone",
]
PaymentMethod = Literal["cash", "cheque", "bank", "mobile_money", "card", "stripe"]
PaymentStatus = Literal[
    "unidentified", "returned", "deposit", "applied", "unapplied", "partly_applied"
]
FlagReason = Literal[
    "amount_differs",
    "currency_differs",
    "bill_void",
    "bill_not_issued",
    "unknown_bill",
    "already_paid",
    "disputed",
    "reference_repeated",
]
ReturnKind = Literal["refund", "reversal", "dispute", "payout"]
ReturnStatus = Literal["pending", "done", "failed", "undone"]


class Amounts(Record):
    """A record whose amounts are in one currency."""

    currency: str

    def money(self, minor: int) -> Money:
        """An amount of minor units in the record's currency."""
        return Money(minor, self.currency)


class Account(Record):
    """A customer with what they owe; below 0 they are in credit. `deposit_minor` is held."""

    id: str
    account_no: str
    name: str
    address: str
    email: str
    phone: str
    language: str
    currency: str | None
    balance_minor: int
    deposit_minor: int
    open_bills: int
    overdue_minor: int
    tax_number: str = ""


class PastPayment(Amounts):
    """A payment that another system took: history, which is in no ledger and pays nothing."""

    id: str
    amount_minor: int
    method: str
    reference: str
    received_on: date


class LedgerEntry(Amounts):
    """An entry of an account with the balance after it; `open_minor` is not yet allocated."""

    id: str
    customer_id: str
    account_no: str
    book: Book
    entry_no: int
    kind: EntryKind
    amount_minor: int
    balance_minor: int
    open_minor: int
    bill_id: str | None
    bill_number: int | None
    period_start: date | None
    period_end: date | None
    payment_id: str | None
    method: PaymentMethod | None
    reference: str | None
    return_id: str | None
    undoes_id: str | None
    undone: bool
    on_date: date
    note: str
    actor: str
    created_at: datetime


class StatementOfBill(Record):
    """A bill on a statement of account, with its place; Wh and minor units."""

    bill_id: str
    number: int
    period_start: date
    period_end: date
    consumption_wh: int
    total_minor: int
    meter_serial: str
    place: str


class AccountStatement(Record):
    """What happened on a customer's account in some days; `opening_minor` is the balance before."""

    account_no: str
    name: str
    address: str
    tax_number: str
    language: str
    currency: str
    one_statement: bool
    opening_minor: int
    entries: tuple[LedgerEntry, ...]
    bills: tuple[StatementOfBill, ...]


class Allocation(Amounts):
    """How much of a credit pays a debit now."""

    credit_entry_id: str
    debit_entry_id: str
    amount_minor: int
    allocated_at: datetime
    credit_kind: EntryKind
    payment_id: str | None
    customer_id: str
    debit_kind: EntryKind
    bill_id: str | None
    bill_number: int | None


class ReturnedBill(Amounts):
    """A bill opened again by money that went back: is it collected again?"""

    bill_id: str
    bill_number: int
    account_no: str
    customer_name: str
    open_minor: int
    detail: str
    since: datetime


class Payment(Amounts):
    """Money received; `open_minor` of it pays nothing yet, `returned_minor` went back."""

    id: str
    bill_id: str | None
    bill_number: int | None
    customer_id: str | None
    account_no: str | None
    customer_name: str | None
    amount_minor: int
    method: PaymentMethod
    reference: str
    received_at: datetime
    received_on: date
    book: Book
    provider_id: str | None
    recorded_by: str
    created_at: datetime
    entry_id: str | None
    open_minor: int
    returned_minor: int
    pending_minor: int
    flags: tuple[FlagReason, ...]
    status: PaymentStatus
    # Paid out as credit, or used of a deposit.
    spent_minor: int

    @property
    def returnable_minor(self) -> int:
        """What of it can still go back."""
        left = self.amount_minor - self.returned_minor - self.pending_minor - self.spent_minor
        return max(left, 0)


class PaymentFlag(Amounts):
    """What a person must look at about a payment."""

    payment_id: str
    reason: FlagReason
    detail: str
    raised_at: datetime
    resolved_at: datetime | None
    resolved_by: str | None
    resolution: str | None
    amount_minor: int
    received_on: date
    account_no: str | None


class PaymentReturn(Amounts):
    """Money that went back, or is about to: `pending` while Stripe has not answered."""

    id: str
    payment_id: str | None
    customer_id: str | None
    book: Book
    kind: ReturnKind
    amount_minor: int
    method: PaymentMethod
    reference: str
    reason: str
    status: ReturnStatus
    provider_id: str | None
    on_date: date
    attempts: int
    next_attempt_at: datetime
    error: str
    created_by: str
    created_at: datetime
    account_no: str | None = None
    payment_provider_id: str | None = None


class PlanBill(Record):
    """A bill of an instalment plan, and what was open of it when the plan was agreed."""

    bill_id: str
    number: int
    amount_minor: int


class Instalment(Record):
    """A part of a plan and its due date; `paid` when all up to it has been paid."""

    instalment_no: int
    due_on: date
    amount_minor: int
    paid: bool


class InstalmentPlan(Amounts):
    """An agreement to pay bills in parts."""

    id: str
    customer_id: str
    account_no: str
    customer_name: str
    status: Literal["active", "kept", "broken", "cancelled"]
    reason: str
    created_by: str
    agreed_on: date
    ended_at: datetime | None
    total_minor: int
    paid_minor: int
    bills: tuple[PlanBill, ...]
    instalments: tuple[Instalment, ...]

    def has_bill(self, bill_id: str) -> bool:
        """Whether it is for this bill."""
        return any(bill.bill_id == bill_id for bill in self.bills)
