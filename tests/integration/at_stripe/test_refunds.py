"""Refunds: once at Stripe and once in the ledger, whoever asks and whatever fails in between."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from services.database.errors import IllegalChange
from services.identity.audit_reason import ReasonMissing
from services.identity.auth import NotAllowed
from services.outbox.outbox import MAX_ATTEMPTS
from services.quantities.money import InvalidMoney
from tests.integration.at_stripe.shop import Shop
from tests.integration.at_stripe.stripe_server import Stripe
from tests.integration.providers.published import stripe_error
from tests.integration.providers.stand_in import Reply
from tests.integration.utility import ADMIN, ENGINEER


def test_half_goes_back_and_the_bill_is_partly_paid(shop: Shop, stripe: Stripe) -> None:
    bill, payment = shop.paid()
    assert bill.status == "paid"
    row = shop.refund(payment, "270.17")
    assert (row.status, row.kind, row.amount_minor) == ("done", "refund", 27_017)
    (refund,) = stripe.refunds.values()
    assert (refund["amount"], refund["id"]) == (27_017, row.provider_id)
    assert refund["metadata"] == {"return_id": row.id}
    assert stripe.deliver(shop.take) == [200]
    assert len(shop.database.returns(payment_id=payment.id)) == 1
    again = shop.database.bill(bill.id)
    assert (again.status, again.balance_minor) == ("partially_paid", 27_017)


def test_the_webhook_may_be_faster_than_the_answer(shop: Shop, stripe: Stripe) -> None:
    _, payment = shop.paid()
    shop.server.faults.append(Reply(200, b"", hang_up=True))
    row = shop.refund(payment, "100.00")
    assert row.status == "pending"
    stripe.refund(payment.provider_id or "", 10_000, {"return_id": row.id})
    stripe.deliver(shop.take)
    (known,) = shop.database.returns(payment_id=payment.id)
    assert (known.id, known.status) == (row.id, "done")
    assert shop.later() == 0


def test_more_than_is_left_goes_back_neither_here_nor_there(shop: Shop, stripe: Stripe) -> None:
    _, payment = shop.paid()
    shop.refund(payment, "500.00")
    with pytest.raises(IllegalChange, match="more than what is left"):
        shop.refund(payment, "40.36")
    assert shop.refund(payment).amount_minor == 4_035, "without an amount it is what is left"
    with pytest.raises(IllegalChange, match="went back already"):
        shop.refund(payment)
    assert sum(refund["amount"] for refund in stripe.refunds.values()) == 54_035


@pytest.mark.parametrize("amount", ["0", "-1", "1.001", "1,0000", "x", ""])
def test_what_is_no_amount_is_refused_before_anything_is_stored(shop: Shop, amount: str) -> None:
    _, payment = shop.paid()
    with pytest.raises(InvalidMoney):
        shop.refund(payment, amount)
    assert shop.database.returns(payment_id=payment.id) == []


def test_who_may_not_or_says_not_why_refunds_nothing(shop: Shop) -> None:
    _, payment = shop.paid()
    with pytest.raises(NotAllowed):
        shop.refund(payment, principal=ENGINEER)
    with pytest.raises(ReasonMissing):
        shop.refund(payment, reason="  ")
    assert shop.database.returns(payment_id=payment.id) == []


def test_while_stripe_is_away_the_refund_waits_and_is_held_back(shop: Shop, stripe: Stripe) -> None:
    bill, payment = shop.paid()
    with shop.server.away():
        row = shop.refund(payment, "540.00")
        assert (row.status, row.attempts, row.error) == ("pending", 1, "Stripe cannot be reached.")
        assert shop.database.bill(bill.id).status == "paid"
        with pytest.raises(IllegalChange, match="more than what is left"):
            shop.refund(payment, "1.00")
        assert shop.later() == 1
    assert shop.services.refunds.take_up(now=datetime.now(UTC)) == 0, "its pause is not over"
    assert shop.later() == 1
    assert shop.later() == 0
    (done,) = shop.database.returns(payment_id=payment.id)
    assert (done.status, done.attempts) == ("done", 3)
    assert len(stripe.refunds) == 1


def test_an_answer_that_got_lost_refunds_nothing_twice_even_days_later(
    shop: Shop, stripe: Stripe
) -> None:
    _, payment = shop.paid()
    refuse = stripe.behave

    def carried_out_but_unheard(seen):  # type: ignore[no-untyped-def]
        refuse(seen)
        return Reply(200, b"", hang_up=True)

    shop.server.behave = carried_out_but_unheard
    assert shop.refund(payment, "100.00").status == "pending"
    shop.server.behave = refuse
    stripe.forget_keys()
    assert shop.later() == 1
    (done,) = shop.database.returns(payment_id=payment.id)
    (refund,) = stripe.refunds.values()
    assert (done.status, done.provider_id) == ("done", refund["id"])


def test_what_stripe_refuses_fails_with_its_reason_and_can_be_tried_anew(
    shop: Shop, stripe: Stripe
) -> None:
    bill, payment = shop.paid()
    shop.server.faults.append(stripe_error(400, "Insufficient funds in your account."))
    row = shop.refund(payment)
    assert row.status == "failed"
    assert row.error == "Stripe refused the refund (400): Insufficient funds in your account."
    assert shop.database.bill(bill.id).status == "paid"
    again = [
        shop.services.refunds.retry(return_id=row.id, principal=ADMIN, now=datetime.now(UTC))
        for _ in range(2)
    ]
    assert again[0].id == again[1].id != row.id
    assert {one.status for one in again} == {"done"}
    assert len(stripe.refunds) == 1
    with pytest.raises(IllegalChange, match="nothing to try again"):
        shop.services.refunds.retry(return_id=again[0].id, principal=ADMIN, now=datetime.now(UTC))


def test_a_refund_that_stripe_could_not_make_is_failed(shop: Shop, stripe: Stripe) -> None:
    bill, payment = shop.paid()
    stripe.refunds_end = "failed"
    row = shop.refund(payment)
    assert row.error == "It failed at Stripe: expired or canceled card."
    assert row.status == "failed"
    stripe.deliver(shop.take)
    assert shop.database.bill(bill.id).status == "paid"


def test_after_enough_attempts_it_is_given_up(shop: Shop) -> None:
    _, payment = shop.paid()
    with shop.server.away():
        row = shop.refund(payment)
        for _ in range(MAX_ATTEMPTS - 1):
            assert shop.later() == 1
        assert shop.later() == 0
    failed = shop.database.payment_return(row.id)
    assert failed.status == "failed"
    assert failed.error == f"given up after {MAX_ATTEMPTS} attempts: Stripe cannot be reached."
    assert shop.database.payment(payment.id).returnable_minor == 54_035


def test_one_given_up_that_stripe_made_after_all_is_not_made_again(
    shop: Shop, stripe: Stripe
) -> None:
    _, payment = shop.paid()
    with shop.server.away():
        row = shop.refund(payment, "100.00")
        for _ in range(MAX_ATTEMPTS - 1):
            shop.later()
    stripe.refund(payment.provider_id or "", 10_000, {"return_id": row.id})
    with pytest.raises(IllegalChange, match="after all"):
        shop.services.refunds.retry(return_id=row.id, principal=ADMIN, now=datetime.now(UTC))
    stripe.deliver(shop.take)
    assert shop.database.payment(payment.id).returned_minor == 10_000
    assert len(stripe.refunds) == 1


def test_two_processes_at_once_refund_once(shop: Shop, stripe: Stripe) -> None:
    _, payment = shop.paid()
    wanted = str(uuid4())
    with ThreadPoolExecutor(4) as pool:
        rows = list(pool.map(lambda _: shop.refund(payment, "100.00", return_id=wanted), range(4)))
    assert {row.id for row in rows} == {wanted}
    shop.later()
    (done,) = shop.database.returns(payment_id=payment.id)
    assert (done.status, done.amount_minor) == ("done", 10_000)
    assert len(stripe.refunds) == 1


def test_without_stripe_money_goes_back_by_hand(shop: Shop, stripe: Stripe) -> None:
    bill, payment = shop.paid()
    row = shop.refund(payment, "40.35", by_stripe=False, method="cash", reference="Slip 7")
    assert (row.status, row.method, row.reference) == ("done", "cash", "Slip 7")
    assert stripe.refunds == {}
    assert shop.database.bill(bill.id).balance_minor == 4_035
