"""What the webhook missed is found at Stripe; and where its payments and ours differ is shown."""

from datetime import UTC, datetime, timedelta
from unittest.mock import patch

import pytest

from scheduler import Scheduler
from services.identity.auth import NotAllowed
from services.integrations.http import ServiceUnavailable
from services.jobs.by_hand import run_job
from services.payments.reconciliation import RangeTooLong
from services.records.reconciliation import ReconciliationRun
from tests.integration.at_stripe.shop import Shop
from tests.integration.at_stripe.stripe_server import Stripe
from tests.integration.providers.published import stripe_error
from tests.integration.utility import ADMIN, ENGINEER

DAY = 86_400


def catch_up(shop: Shop) -> ReconciliationRun:
    return shop.reconciliation.catch_up(actor="test", now=datetime.now(UTC) + timedelta(seconds=2))


def look(shop: Shop, *, apply: bool = False) -> ReconciliationRun:
    today = shop.utility.today
    ask = shop.reconciliation.apply_missed if apply else shop.reconciliation.look
    return ask(first=today - timedelta(days=40), last=today, principal=ADMIN, now=datetime.now(UTC))


def missed(shop: Shop, stripe: Stripe, serial: str = "M1") -> str:
    """A bill that was paid, of which the webhook never heard; the payment intent."""
    bill = shop.bill(serial)
    assert bill.payment_url is not None
    intent = stripe.pay(bill.payment_url)
    stripe.lose()
    return str(intent["id"])


def last_looked(shop: Shop, *, days_ago: int) -> None:
    """As if nobody had looked for so long."""
    shop.sql("alter table public.reconciliations disable trigger user")
    shop.sql(
        "update public.reconciliations set since = since - %s * interval '1 day',"
        " until = until - %s * interval '1 day'",
        days_ago,
        days_ago,
    )


def test_what_the_webhook_missed_is_applied_once(shop: Shop, stripe: Stripe) -> None:
    intent = missed(shop, stripe)
    run = catch_up(shop)
    assert (run.applied, run.error) == (1, "")
    (told,) = run.differences
    assert (told["type"], told["detail"]) == ("checkout.session.completed", "Counted.")
    payment = shop.payment_of(intent)
    assert shop.database.bill(payment.bill_id or "").status == "paid"
    (event,) = shop.database.stripe_events(payment_id=payment.id).items
    assert event.arrived_by == "reconciliation"
    assert catch_up(shop).applied == 0
    # Late, Stripe's own delivery comes after all.
    assert shop.take(*stripe.signed(stripe.events[0])) == 200
    assert shop.database.payments().total == 1


def test_one_lost_between_others_is_found_though_later_ones_came(
    shop: Shop, stripe: Stripe
) -> None:
    shop.paid("M1")
    catch_up(shop)
    lost = missed(shop, stripe, "M2")
    shop.paid("M3")
    assert catch_up(shop).applied == 1
    assert shop.payment_of(lost).status == "applied"


def test_events_are_applied_oldest_first_across_pages_and_days(shop: Shop, stripe: Stripe) -> None:
    now = stripe.clock()
    stripe.clock = lambda: now - 3 * DAY
    intent = missed(shop, stripe)
    stripe.clock = lambda: now - 2 * DAY
    for _ in range(130):
        stripe.happened("charge.refund.updated", {"id": "re_x", "object": "refund"})
    stripe.refund(intent, 35, {})
    stripe.clock = lambda: now
    orders: list[int] = []
    apply = type(shop.reconciliation.payments).apply

    def noted(self, *, event, arrived_by, now):  # type: ignore[no-untyped-def]
        orders.append(event["number"])
        return apply(self, event=event, arrived_by=arrived_by, now=now)

    with patch.object(type(shop.reconciliation.payments), "apply", noted):
        run = catch_up(shop)
    assert len(orders) == 132
    assert orders == sorted(orders)
    assert run.error == ""
    assert shop.payment_of(intent).returned_minor == 35


def test_while_stripe_is_away_nothing_is_skipped(shop: Shop, stripe: Stripe) -> None:
    catch_up(shop)
    intent = missed(shop, stripe)
    last_looked(shop, days_ago=5)
    with shop.server.away():
        run = catch_up(shop)
    assert (run.applied, run.error) == (0, "Stripe cannot be reached.")
    (kept, _) = shop.database.reconciliations(kind="events")
    assert kept.error == run.error
    assert catch_up(shop).applied == 1
    assert shop.payment_of(intent).status == "applied"


def test_a_gap_longer_than_stripe_keeps_events_is_closed_by_its_payments(
    shop: Shop, stripe: Stripe
) -> None:
    catch_up(shop)
    last_looked(shop, days_ago=50)
    now = stripe.clock()
    stripe.clock = lambda: now - 40 * DAY
    intent = missed(shop, stripe)
    stripe.refund(intent, 4_035, {})
    stripe.lose()
    stripe.clock = lambda: now
    run = catch_up(shop)
    assert (run.applied, run.error) == (2, "")
    assert "Stripe keeps its events for 30 days" in run.detail
    payment = shop.payment_of(intent)
    assert (payment.amount_minor, payment.returned_minor) == (54_035, 4_035)
    assert payment.received_on == shop.utility.today - timedelta(days=40)
    assert catch_up(shop).detail == ""


def test_the_payments_of_both_are_held_against_each_other(shop: Shop, stripe: Stripe) -> None:
    _, equal = shop.paid("M1")
    only_there = missed(shop, stripe, "M2")
    _, refunded = shop.paid("M3")
    stripe.refund(refunded.provider_id or "", 4_035, {})
    stripe.lose()
    _, only_here = shop.paid("M4")
    del stripe.intents[only_here.provider_id or ""]
    elsewhere = stripe.charge(700, "inr", {})
    run = look(shop)
    assert {d.payment_intent: d.kind for d in run.found} == {
        only_there: "only_there",
        refunded.provider_id: "refunds",
        only_here.provider_id: "only_here",
        elsewhere["id"]: "only_there",
    }
    assert [(e.currency, e.number, e.minor) for e in run.equal] == [("INR", 1, equal.amount_minor)]
    assert shop.database.reconciliations(kind="payments")[0].found == run.found
    left = look(shop, apply=True)
    assert left.applied == 2
    assert {d.payment_intent for d in left.found} == {only_here.provider_id, elsewhere["id"]}
    assert shop.payment_of(only_there).status == "applied"
    assert shop.database.payment(refunded.id).returned_minor == 4_035
    assert look(shop, apply=True).applied == 0


def test_a_refund_at_stripes_dashboard_is_taken_up_with_a_payment_that_was_missed(
    shop: Shop, stripe: Stripe
) -> None:
    intent = missed(shop, stripe)
    stripe.refund(intent, 54_035, {})
    stripe.lose()
    assert look(shop, apply=True).applied == 2
    assert shop.payment_of(intent).status == "returned"


@pytest.mark.parametrize("days", [-1, 92])
def test_dates_the_wrong_way_round_or_too_many_are_refused(shop: Shop, days: int) -> None:
    first = shop.utility.today - timedelta(days=100)
    with pytest.raises(RangeTooLong):
        shop.reconciliation.look(
            first=first,
            last=first + timedelta(days=days),
            principal=ADMIN,
            now=datetime.now(UTC),
        )


def test_only_an_administrator_looks_and_stripe_may_be_away(shop: Shop) -> None:
    today = shop.utility.today
    with pytest.raises(NotAllowed):
        shop.reconciliation.look(first=today, last=today, principal=ENGINEER, now=datetime.now(UTC))
    with shop.server.away(), pytest.raises(ServiceUnavailable):
        look(shop)


def test_who_paid_is_counted_before_anybody_is_reminded(shop: Shop, stripe: Stripe) -> None:
    intent = missed(shop, stripe)
    at = datetime.now(UTC) + timedelta(days=shop.services.settings.due_days - 1)
    run = run_job(shop.services, "payment_reminders", at, "test")
    assert run.status == "done"
    assert run.detail.endswith("Stripe: 1 missed.")
    bill_id = shop.payment_of(intent).bill_id
    kinds = {work.kind for work in shop.database.outbox_of(bill_id or "")}
    assert "payment_reminder" not in kinds


def test_reminders_go_out_though_stripe_refuses(shop: Shop) -> None:
    bill = shop.bill()
    shop.server.faults.append(stripe_error(401, "Invalid API Key"))
    at = datetime.now(UTC) + timedelta(days=shop.services.settings.due_days - 1)
    run = run_job(shop.services, "payment_reminders", at, "test")
    assert run.status == "done"
    assert "Stripe was not looked at: Stripe does not let us in (401)" in run.detail
    kinds = {work.kind for work in shop.database.outbox_of(bill.id)}
    assert "payment_reminder" in kinds


def test_at_the_start_it_is_looked_at_in_the_background(shop: Shop, stripe: Stripe) -> None:
    intent = missed(shop, stripe)
    scheduler = Scheduler(shop.services, clock=lambda: datetime.now(UTC) + timedelta(seconds=2))
    scheduler.start()
    try:
        deadline = datetime.now(UTC) + timedelta(seconds=20)
        while not shop.database.payments().total and datetime.now(UTC) < deadline:
            pass
    finally:
        scheduler.stop()
    assert shop.payment_of(intent).status == "applied"


def test_a_scheduler_asks_again_for_refunds_that_wait(shop: Shop) -> None:
    _, payment = shop.paid()
    with shop.server.away():
        row = shop.refund(payment)
    shop.sql("update public.payment_returns set next_attempt_at = now() - interval '2 minutes'")
    Scheduler(shop.services).take_up_refunds()
    assert shop.database.payment_return(row.id).status == "done"
