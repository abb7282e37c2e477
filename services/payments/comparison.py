"""Our payments held against Stripe's: what only one of us has, and where the amounts differ."""

from collections import Counter
from collections.abc import Collection

from services.records.reconciliation import (
    Comparison,
    Difference,
    DifferenceKind,
    Equal,
    PaymentHere,
    PaymentThere,
)


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
