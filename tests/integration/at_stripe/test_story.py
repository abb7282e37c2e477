"""From a reading to a bill, its link, the payment, the thanks, a refund, and a webhook that got
lost: over real HTTP, every row looked at.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from app import create_app
from services.records.bills import Bill
from services.records.ledger import Payment
from tests.integration.api.serving import serving
from tests.integration.at_stripe.shop import Shop
from tests.integration.at_stripe.stripe_server import Deliver, Stripe
from tests.integration.utility import ADMIN

Rows = Callable[..., list[tuple[Any, ...]]]


@pytest.fixture
def webhook(shop: Shop) -> Iterator[Deliver]:
    """The address that Stripe knows, served as in the one process."""
    with serving(create_app(shop.services)) as port:

        def deliver(payload: bytes, signature: str) -> int:
            answer = requests.post(
                f"http://127.0.0.1:{port}/webhook/stripe",
                data=payload,
                headers={"Stripe-Signature": signature, "Content-Type": "application/json"},
                timeout=10,
            )
            return answer.status_code

        yield deliver


def test_a_bill_goes_from_its_link_to_paid_to_refunded_and_nothing_gets_lost(
    shop: Shop, stripe: Stripe, webhook: Deliver
) -> None:
    bill = a_reading_becomes_a_bill_with_a_link(shop, stripe)
    payment = the_customer_pays_and_the_webhook_tells(shop, stripe, webhook, bill)
    the_customer_is_thanked(shop, bill, payment)
    half_of_it_goes_back(shop, stripe, webhook, bill, payment)
    a_lost_webhook_is_found(shop, stripe, bill)
    every_row_is_as_it_should_be(shop, bill, payment)


def a_reading_becomes_a_bill_with_a_link(shop: Shop, stripe: Stripe) -> Bill:
    bill = shop.bill()
    (link,) = stripe.links.active
    assert bill.payment_url == link["url"]
    assert link["form"]["line_items[0][price_data][unit_amount]"] == "54035"
    assert (bill.status, bill.balance_minor) == ("issued", 54_035)
    return bill


def the_customer_pays_and_the_webhook_tells(
    shop: Shop, stripe: Stripe, webhook: Deliver, bill: Bill
) -> Payment:
    intent = stripe.pay(bill.payment_url or "")
    (event,) = stripe.outgoing
    body, signature = stripe.signed(event)
    assert webhook(body, signature.replace("v1=", "v1=0")) == 400, "forged"
    assert shop.database.payments().total == 0
    assert stripe.deliver(webhook) == [200]
    assert webhook(body, signature) == 200, "a replay is acknowledged and changes nothing"
    payment = shop.payment_of(intent["id"])
    assert (payment.amount_minor, payment.currency, payment.method) == (54_035, "INR", "stripe")
    assert (payment.bill_id, payment.status, payment.flags) == (bill.id, "applied", ())
    paid = shop.database.bill(bill.id)
    assert (paid.status, paid.balance_minor) == ("paid", 0)
    return payment


def the_customer_is_thanked(shop: Shop, bill: Bill, payment: Payment) -> None:
    shop.services.outbox.sweep()
    (thanks,) = shop.database.notifications(bill_id=bill.id, kind="payment_received").items
    assert thanks.occasion == payment.id
    assert "received your payment of ₹540.35" in thanks.body
    assert "INV-000001 is paid" in thanks.body
    assert shop.database.bill(bill.id).payment_url is None


def half_of_it_goes_back(
    shop: Shop, stripe: Stripe, webhook: Deliver, bill: Bill, payment: Payment
) -> None:
    row = shop.refund(payment, "270.17", reason="Read twice")
    assert (row.status, row.amount_minor, row.created_by) == ("done", 27_017, ADMIN.user)
    (refund,) = stripe.refunds.values()
    assert (refund["amount"], refund["id"]) == (27_017, row.provider_id)
    assert stripe.deliver(webhook) == [200]
    part = shop.database.bill(bill.id)
    assert (part.status, part.balance_minor) == ("partially_paid", 27_017)
    shop.services.outbox.sweep()
    assert stripe.links.active == [], "nobody has said yet that it is collected again"
    shop.services.account_adjustments.collect_again(
        bill_id=bill.id, reason="half of it was right", principal=ADMIN
    )
    shop.services.outbox.sweep()
    (link,) = stripe.links.active
    assert link["url"] == shop.database.bill(bill.id).payment_url
    assert link["form"]["line_items[0][price_data][unit_amount]"] == "27017"


def a_lost_webhook_is_found(shop: Shop, stripe: Stripe, bill: Bill) -> None:
    url = shop.database.bill(bill.id).payment_url or ""
    stripe.pay(url)
    stripe.lose()
    assert shop.database.bill(bill.id).status == "partially_paid"
    run = shop.reconciliation.catch_up(actor="test", now=datetime.now(UTC) + timedelta(seconds=2))
    assert (run.applied, run.error) == (1, "")
    assert shop.database.bill(bill.id).status == "paid"
    shop.services.outbox.sweep()
    today = shop.utility.today
    look = shop.reconciliation.look(first=today, last=today, principal=ADMIN, now=datetime.now(UTC))
    assert look.found == ()
    assert [(e.currency, e.number, e.minor) for e in look.equal] == [("INR", 2, 81_052)]


def every_row_is_as_it_should_be(shop: Shop, bill: Bill, payment: Payment) -> None:
    entries = shop.database.ledger(customer_id=bill.customer_id).items
    assert [(e.kind, e.amount_minor, e.balance_minor, e.open_minor) for e in entries[::-1]] == [
        ("bill", 54_035, 54_035, 0),
        ("payment", -54_035, 0, 0),
        ("refund", 27_017, 27_017, 0),
        ("payment", -27_017, 0, 0),
    ]
    assert shop.database.payment(payment.id).returned_minor == 27_017
    told = shop.sql("select type, arrived_by, outcome from public.stripe_events")
    assert sorted(told) == [
        ("charge.refunded", "webhook", "applied"),
        ("checkout.session.completed", "reconciliation", "applied"),
        ("checkout.session.completed", "webhook", "applied"),
    ]
    allocated = shop.sql(
        "select credit_kind, debit_kind, sum(amount_minor) from public.allocation_list"
        " group by 1, 2 order by 1, 2"
    )
    assert allocated == [("payment", "bill", 54_035), ("payment", "refund", 27_017)]
    assert shop.sql("select count(*) from public.payment_flags") == [(0,)]
    assert shop.sql("select kind, status from public.outbox order by kind, occasion") == [
        ("balance_changed", "finished"),
        ("bill_issued", "finished"),
        ("payment_received", "finished"),
        ("payment_received", "finished"),
    ]
    assert shop.sql("select active from public.payment_links") == [(False,), (False,)]
    audited = shop.sql("select distinct actor from public.audit_log where table_name = 'payments'")
    assert audited == [("system:stripe",)]
