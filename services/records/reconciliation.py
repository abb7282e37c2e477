"""Stripe's events and what Stripe has beside us, and the lines of the bank: records."""

from datetime import date, datetime
from typing import Any, Literal

from services.quantities.money import Money
from services.records.base import Record
from services.records.ledger import Amounts

ArrivedBy = Literal["webhook", "reconciliation"]
EventOutcome = Literal["applied", "waiting", "kept", "ignored"]
DifferenceKind = Literal["only_there", "only_here", "amount", "refunds"]


class PaymentThere(Record):
    """A payment that succeeded at Stripe, in our minor units, and what of it went back."""

    payment_intent: str
    amount_minor: int
    currency: str
    refunded_minor: int
    at: datetime
    bill_reference: str | None


class PaymentHere(Record):
    """A payment of ours that came by Stripe; `refunded_minor` went back by it."""

    id: str
    payment_intent: str
    amount_minor: int
    currency: str
    received_at: datetime
    account_no: str | None
    bill_reference: str | None
    refunded_minor: int


class Difference(Record):
    """Where the two do not agree about a payment; amounts are None where there is no payment."""

    kind: DifferenceKind
    payment_intent: str
    at: datetime
    there_minor: int | None
    there_currency: str | None
    there_refunded_minor: int
    here_minor: int | None
    here_currency: str | None
    here_refunded_minor: int
    account_no: str | None
    bill_reference: str | None

    @property
    def there(self) -> Money | None:
        """What Stripe has."""
        if self.there_minor is None or self.there_currency is None:
            return None
        return Money(self.there_minor, self.there_currency)

    @property
    def here(self) -> Money | None:
        """What we have."""
        if self.here_minor is None or self.here_currency is None:
            return None
        return Money(self.here_minor, self.here_currency)


class Equal(Record):
    """Payments of a currency that both have alike: how many, and their sum."""

    currency: str
    number: int
    minor: int


class Comparison(Record):
    """What both have alike, by currency, and what not, the oldest first."""

    differences: tuple[Difference, ...]
    equal: tuple[Equal, ...]


class NewReconciliationRun(Record):
    """What a look at Stripe found, about to be kept; of "events" what had not come."""

    id: str
    kind: Literal["events", "payments"]
    since: datetime
    until: datetime
    applied: int
    differences: list[dict[str, object]]
    equal: tuple[Equal, ...]
    detail: str
    error: str


class ReconciliationRun(NewReconciliationRun):
    """A look at Stripe as it is kept."""

    at: datetime
    actor: str

    @property
    def found(self) -> tuple[Difference, ...]:
        """The differences of a comparison; none of a run over events."""
        if self.kind != "payments":
            return ()
        return tuple(Difference.model_validate(one) for one in self.differences)


class RecentRuns(Record):
    """The last looks at Stripe, the newest first, and when its newest event of ours happened."""

    runs: tuple[ReconciliationRun, ...]
    newest_event_at: datetime | None


class AppliedEvent(Record):
    """The answer to an event: `replay` when it was here before, and then nothing changed."""

    replay: bool
    outcome: EventOutcome
    detail: str
    payment_id: str | None


class StripeEvent(Record):
    """An event with the payment that it is about; `effect` is what it means in our own words."""

    id: str
    type: str
    created_at: datetime
    received_at: datetime
    arrived_by: ArrivedBy
    livemode: bool
    object_id: str
    payment_intent: str | None
    effect: dict[str, Any] | None
    outcome: EventOutcome
    detail: str
    payment_id: str | None
    payment_minor: int | None
    payment_currency: str | None
    bill_id: str | None
    bill_number: int | None
    account_no: str | None


BankLineStatus = Literal["matched", "open", "set_aside", "out"]
MatchedBy = Literal["bill", "account", "meter", "person"]
WhyOpen = Literal["no_reference", "several", "other_currency", "not_payable", "entered_already"]


class BankLine(Amounts):
    """A line of a bank statement with what became of it; below 0 it left the account.

    `detail` is what the text names, or what `why` is about; `expected_minor` what was open of the
    bill, or owed on the account, when it was matched.
    """

    id: str
    account: str
    booked_on: date
    amount_minor: int
    reference: str
    payer: str
    bank_reference: str
    status: BankLineStatus
    matched_by: MatchedBy | None
    why: WhyOpen | None
    detail: str
    expected_minor: int | None
    payment_id: str | None
    customer_id: str | None
    account_no: str | None
    customer_name: str | None
    bill_number: int | None
    decided_by: str | None
    decided_at: datetime | None
    reason: str
    imported_by: str
