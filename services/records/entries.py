"""What is entered into customers' accounts, on its way to the database: records.

Amounts are whole minor units above 0; dates are local. Ids are made by whoever enters: the same one
again changes nothing.
"""

import datetime as dt
from typing import Any, Literal

from pydantic import ConfigDict

from services.records.base import Record
from services.records.ledger import Book, PaymentMethod, ReturnKind

Apply = Literal["oldest", "bill", "none"]


class Entry(Record):
    """Something to enter; a name that it does not know is a mistake."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str

    def row(self) -> dict[str, Any]:
        """As the database's functions take it."""
        return self.model_dump(mode="json", exclude_none=True)


class NewPayment(Entry):
    """Money received for a bill or a customer; it pays the `oldest` open bill if not said."""

    bill_id: str | None = None
    customer_id: str | None = None
    amount_minor: int
    currency: str
    method: PaymentMethod
    reference: str = ""
    received_at: dt.datetime
    received_on: dt.date
    book: Book | None = None
    apply: Apply | None = None
    provider_id: str | None = None


class NewAdjustment(Entry):
    """A credit or a fee."""

    customer_id: str
    kind: Literal["credit", "fee"]
    amount_minor: int
    currency: str
    note: str
    on_date: dt.date


class DepositUse(Entry):
    """A part of the deposit that pays what is open."""

    customer_id: str
    amount_minor: int
    currency: str
    note: str
    on_date: dt.date


class NewReturn(Entry):
    """Money that goes back of a payment, or of a customer's credit in a currency.

    All that is left of the payment where no amount is given; "pending" is asked back of Stripe.
    """

    payment_id: str | None = None
    customer_id: str | None = None
    book: Book | None = None
    kind: ReturnKind
    amount_minor: int | None = None
    currency: str | None = None
    method: PaymentMethod
    reference: str | None = None
    reason: str
    on_date: dt.date
    status: Literal["done", "pending"] | None = None
    provider_id: str | None = None


class ReturnOutcome(Record):
    """What became of a refund asked of Stripe; a pending one is tried again after the pause."""

    status: Literal["done", "failed", "pending"]
    provider_id: str | None = None
    error: str | None = None
    on_date: dt.date | None = None
    retry_in_seconds: int | None = None


class PlanPart(Record):
    """A part of a plan and its due date."""

    due_on: dt.date
    amount_minor: int


class NewPlan(Entry):
    """An agreement, of a local date, to pay bills of one customer in parts."""

    customer_id: str
    currency: str
    bills: tuple[str, ...]
    instalments: tuple[PlanPart, ...]
    on: dt.date
    reason: str = ""
