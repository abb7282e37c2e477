"""Our payments held against Stripe's: what only one of us has, and where the amounts differ."""

from collections import Counter
from collections.abc import Collection
from datetime import datetime
from typing import Literal

from services.domain.money import Money
from services.domain.records import Record

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


class ReconciliationRun(Record):
    """A look at Stripe as it is kept; of "events" `missed` says what had not come."""

    id: str
    kind: Literal["events", "payments"]
    at: datetime
    actor: str
    since: datetime
    until: datetime
    applied: int
    differences: list[dict[str, object]]
    equal: tuple[Equal, ...]
    detail: str
    error: str

    @property
    def found(self) -> tuple[Difference, ...]:
        """The differences of a comparison; none of a run over events."""
        if self.kind != "payments":
            return ()
        return tuple(Difference.model_validate(one) for one in self.differences)


def compare(*, there: Collection[PaymentThere], here: Collection[PaymentHere]) -> Comparison:
    """Hold payments against each other by Stripe's id of the payment."""
    ours = {payment.payment_intent: payment for payment in here}
    theirs = {payment.payment_intent: payment for payment in there}
    number: Counter[str] = Counter()
    minor: Counter[str] = Counter()
    differences = []
    for intent in sorted(ours.keys() | theirs.keys()):
        found = _difference(theirs.get(intent), ours.get(intent))
        if found is not None:
            differences.append(found)
            continue
        number[theirs[intent].currency] += 1
        minor[theirs[intent].currency] += theirs[intent].amount_minor
    differences.sort(key=lambda one: one.at)
    equal = [Equal(currency=c, number=number[c], minor=minor[c]) for c in sorted(number)]
    return Comparison(differences=tuple(differences), equal=tuple(equal))


def _difference(there: PaymentThere | None, here: PaymentHere | None) -> Difference | None:
    kind = _kind(there, here)
    if kind is None:
        return None
    either = there or here
    assert either is not None  # noqa: S101 - one of the two has the payment
    return Difference(
        kind=kind,
        payment_intent=either.payment_intent,
        at=there.at if there else here.received_at,  # type: ignore[union-attr]
        there_minor=there.amount_minor if there else None,
        there_currency=there.currency if there else None,
        there_refunded_minor=there.refunded_minor if there else 0,
        here_minor=here.amount_minor if here else None,
        here_currency=here.currency if here else None,
        here_refunded_minor=here.refunded_minor if here else 0,
        account_no=here.account_no if here else None,
        bill_reference=(here.bill_reference if here else None) or either.bill_reference,
    )


def _kind(there: PaymentThere | None, here: PaymentHere | None) -> DifferenceKind | None:
    if here is None:
        return "only_there"
    if there is None:
        return "only_here"
    if (there.amount_minor, there.currency) != (here.amount_minor, here.currency):
        return "amount"
    return None if there.refunded_minor == here.refunded_minor else "refunds"
