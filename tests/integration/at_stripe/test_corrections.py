"""What an administrator sets right: bounced cheques, credit paid out, payments of nobody known."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from services.database.errors import IllegalChange, NotFound
from services.identity.audit_reason import ReasonMissing
from services.identity.auth import NotAllowed
from services.quantities.money import InvalidMoney
from services.records.entries import NewPayment
from services.records.ledger import Payment
from tests.integration.at_stripe.shop import Shop
from tests.integration.at_stripe.stripe_server import Stripe
from tests.integration.utility import ACTOR, ADMIN, ENGINEER

BY = {"principal": ADMIN, "now": datetime.now(UTC)}


def receive(shop: Shop, minor: int, **what: Any) -> Payment:
    """Enter a payment at the office."""
    now = datetime.now(UTC)
    row = {"id": str(uuid4()), "amount_minor": minor, "currency": "INR", "method": "cheque"}
    row |= {"reference": "C-1", "received_at": now, "received_on": now.date()} | what
    shop.database.record_payments(actor=ACTOR, payments=[NewPayment.model_validate(row)])
    return shop.database.payment(str(row["id"]))


def test_a_cheque_that_bounced_leaves_the_bill_open_again(shop: Shop) -> None:
    bill = shop.bill()
    cheque = receive(shop, 54_035, bill_id=bill.id)
    for wrong, error in (({"reason": " "}, ReasonMissing), ({"principal": ENGINEER}, NotAllowed)):
        with pytest.raises(error):
            shop.services.refunds.reverse(
                **({"payment_id": cheque.id, "reason": "Bounced"} | BY | wrong)  # type: ignore[arg-type]
            )
    row = shop.services.refunds.reverse(payment_id=cheque.id, reason="Bounced", **BY)  # type: ignore[arg-type]
    assert (row.kind, row.method, row.amount_minor) == ("reversal", "cheque", 54_035)
    assert shop.database.bill(bill.id).balance_minor == 54_035
    with pytest.raises(IllegalChange, match="went back already"):
        shop.services.refunds.reverse(payment_id=cheque.id, reason="Again", **BY)  # type: ignore[arg-type]


def test_a_payment_by_stripe_is_refunded_and_not_reversed(shop: Shop) -> None:
    _, payment = shop.paid()
    with pytest.raises(IllegalChange, match="refund it"):
        shop.services.refunds.reverse(payment_id=payment.id, reason="x", **BY)  # type: ignore[arg-type]


def test_credit_is_paid_out_once_and_never_more_than_there_is(shop: Shop) -> None:
    bill = shop.bill()
    receive(shop, 60_000, bill_id=bill.id)
    ask: dict[str, Any] = {"customer_id": bill.customer_id, "method": "bank", "reference": "T-1"}
    ask |= {"reason": "Moved away", **BY}
    for amount in ("0", "-5"):
        with pytest.raises(InvalidMoney):
            shop.services.refunds.pay_out(amount=amount, **ask)
    with pytest.raises(IllegalChange, match="not so much credit"):
        shop.services.refunds.pay_out(amount="59.66", **ask)
    for _ in range(2):
        shop.services.refunds.pay_out(amount="59.65", return_id=str(bill.id), **ask)
    assert shop.database.account(bill.customer_id).balance_minor == 0


def test_a_deposit_is_given_back(shop: Shop) -> None:
    bill = shop.bill()
    receive(shop, 10_000, customer_id=bill.customer_id, book="deposit")
    shop.services.refunds.pay_out(
        customer_id=bill.customer_id,
        amount="100",
        method="cash",
        reference="",
        reason="Moved away",
        book="deposit",
        **BY,  # type: ignore[arg-type]
    )
    assert shop.database.account(bill.customer_id).deposit_minor == 0


@pytest.mark.parametrize("to", ["A-M1", "INV-000001", "inv-1", " INV-000001 "])
def test_a_payment_of_nobody_known_is_given_to_an_account_or_a_bill(
    shop: Shop, stripe: Stripe, to: str
) -> None:
    bill = shop.bill()
    payment = stray(shop, stripe)
    assert (payment.status, payment.flags) == ("unidentified", ("unknown_bill",))
    shop.services.refunds.assign(payment_id=payment.id, to=to, **BY)  # type: ignore[arg-type]
    assert shop.database.bill(bill.id).balance_minor == 54_035 - 30_000
    assert shop.database.payment(payment.id).flags == ()


@pytest.mark.parametrize("to", ["", "A-M", "INV-000002", "INV-", "%"])
def test_an_account_that_is_not_there_gets_nothing(shop: Shop, stripe: Stripe, to: str) -> None:
    shop.bill()
    payment = stray(shop, stripe)
    with pytest.raises(NotFound):
        shop.services.refunds.assign(payment_id=payment.id, to=to, **BY)  # type: ignore[arg-type]


def test_a_flag_is_done_with_once_somebody_says_what_it_was(shop: Shop) -> None:
    _, payment = shop.paid(amount=60_000)
    assert payment.flags == ("amount_differs",)
    ask: dict[str, Any] = {"payment_id": payment.id, "flag": "amount_differs", **BY}
    with pytest.raises(ReasonMissing):
        shop.services.refunds.resolve_flag(reason="", **ask)
    shop.services.refunds.resolve_flag(reason="Paid in advance", **ask)
    assert shop.database.payment(payment.id).flags == ()
    (flag,) = shop.database.payment_flags(payment_id=payment.id)
    assert (flag.resolved_by, flag.resolution) == (ADMIN.user, "Paid in advance")


def stray(shop: Shop, stripe: Stripe) -> Payment:
    """A payment at Stripe that names no bill of ours."""
    intent = stripe.charge(30_000, "inr", {})
    session: dict[str, Any] = {
        "id": "cs_stray",
        "object": "checkout.session",
        "payment_status": "paid",
    }
    session |= {"payment_intent": intent["id"], "amount_total": 30_000, "currency": "inr"}
    stripe.happened("checkout.session.completed", session)
    stripe.deliver(shop.take)
    return shop.payment_of(intent["id"])
