"""Stripe's events are stored once with all that they change, on both transports alike."""

from datetime import timedelta
from zoneinfo import ZoneInfo

from services.payments.stripe.events import TranslatedEvent, translate
from services.records.bills import Bill
from services.records.reconciliation import AppliedEvent
from tests.contract.over import Json, Over
from tests.integration.payments.told import AT, completed, event, refunded


def bill_of(over: Over) -> Bill:
    """An issued bill of ₹540.35."""
    over.utility.add_meter("M1")
    bill = over.utility.submit("M1", 1117).bill
    assert bill is not None
    return bill


def told(raw: Json) -> TranslatedEvent:
    return translate(raw, zone=ZoneInfo("Asia/Kolkata"), live=False, now=AT + timedelta(days=1))


def take(over: Over, raw: Json) -> AppliedEvent:
    it = told(raw)
    outbox = over.utility.services.outbox.on_money()
    return over.here.apply_stripe_event(
        actor="system:stripe",
        event=it.event,
        arrived_by="webhook",
        effect=it.effect,
        outcome=it.outcome,
        detail=it.detail,
        outbox=outbox,
    )


def test_an_event_counts_once_and_is_listed_with_its_payment(over: Over) -> None:
    assert over.same("last_stripe_event_at") is None
    bill = bill_of(over)
    paid = completed(bill, "pi_1")
    first = take(over, paid)
    assert (first.replay, first.outcome, first.detail) == (False, "applied", "Counted.")
    again = take(over, paid)
    assert again == first.model_copy(update={"replay": True})
    assert over.same("bill", bill.id).status == "paid"
    assert over.same("last_stripe_event_at") == AT
    (listed,) = over.same("stripe_events", payment_id=first.payment_id).items
    assert (listed.bill_number, listed.payment_minor) == (1, 54_035)
    assert "Private" not in str(listed)
    assert over.same("check_ledger").problems == ()


def test_events_are_found_by_what_became_of_them(over: Over) -> None:
    bill_of(over)
    take(over, refunded("pi_2", 100, at=60))
    take(over, event("customer.created", {"id": "cus_1", "object": "customer"}))
    take(over, event("customer.created", {"id": "cus_2"}, at=500, livemode=True))
    assert over.same("stripe_events").total == 3
    for outcome, kind in (("waiting", "charge.refunded"), ("kept", "customer.created")):
        (only,) = over.same("stripe_events", outcome=outcome, arrived_by="webhook").items
        assert only.type == kind
    assert over.same("stripe_events", text="cus_1").total == 1
    assert over.same("stripe_events", arrived_by="reconciliation").total == 0
    assert over.same("last_stripe_event_at") == AT + timedelta(seconds=60)


def test_an_event_is_found_by_what_is_known_of_its_payment(over: Over) -> None:
    bill = bill_of(over)
    take(over, completed(bill, "pi_1"))
    take(over, refunded("pi_2", 100, at=60))
    take(over, event("customer.created", {"id": "cus_1", "object": "customer"}))
    (paid,) = over.same("stripe_events", text="pi_1").items
    account_no = over.here.account(bill.customer_id).account_no
    for text in (
        paid.id,
        paid.object_id,
        "INV-000001",
        "1",
        account_no,
        account_no.lower(),
        f"  completed  {account_no} ",
        "session.COMPLETED",
    ):
        assert over.same("stripe_events", text=text).items == (paid,), text
    (back,) = over.same("stripe_events", text="refunded").items
    assert back.payment_intent == "pi_2"
    for text in ("pi_", "INV-000002", "refunded INV-000001", "%", "cus_1' or true --", "inv-"):
        assert over.same("stripe_events", text=text).items == (), text
    assert over.same("stripe_events", text="c", page_size=1, page=2).total == 3
    assert len(over.same("stripe_events", page_size=2, page=2).items) == 1
    assert over.same("stripe_events", page_size=2, page=3).items == ()
