"""What looks at Stripe found and which refunds wait for it, on both transports alike."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from services.database.errors import NotFound
from services.records.entries import NewPayment, NewReturn, ReturnOutcome
from services.records.reconciliation import NewReconciliationRun
from tests.contract.over import Json, Over
from tests.integration.utility import ADMIN

AT = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)


def paid_by_stripe(over: Over, intent: str, at: datetime = AT) -> str:
    """A payment of ₹540.35 by Stripe; its id."""
    serial = f"M-{intent}"
    over.utility.add_meter(serial)
    bill = over.utility.submit(serial, 1117).bill
    assert bill is not None
    row: Json = {"id": str(uuid4()), "bill_id": bill.id, "amount_minor": 54_035, "currency": "INR"}
    row |= {"method": "stripe", "provider_id": intent, "reference": "", "received_at": at}
    over.here.record_payments(
        actor=ADMIN.user, payments=[NewPayment.model_validate(row | {"received_on": at.date()})]
    )
    return str(row["id"])


def refund(over: Over, payment_id: str, minor: int, status: str) -> str:
    row: Json = {"id": str(uuid4()), "payment_id": payment_id, "kind": "refund", "status": status}
    row |= {"method": "stripe", "reason": "asked for", "on_date": AT.date(), "amount_minor": minor}
    over.here.record_return(actor=ADMIN.user, entry=NewReturn.model_validate(row))
    return str(row["id"])


def test_a_refund_is_due_once_its_pause_is_over(over: Over) -> None:
    payment = paid_by_stripe(over, "pi_1")
    done, waiting = refund(over, payment, 100, "done"), refund(over, payment, 200, "pending")
    assert over.same("payment_return", done).status == "done"
    assert over.same("payment_return", waiting).payment_provider_id == "pi_1"
    soon = datetime.now(UTC) + timedelta(minutes=1)
    assert [row.id for row in over.same("returns_due", before=soon, limit=5)] == [waiting]
    later = ReturnOutcome(status="pending", error="away", retry_in_seconds=3600)
    over.here.end_return(actor=ADMIN.user, return_id=waiting, outcome=later)
    assert over.same("returns_due", before=soon, limit=5) == []
    with pytest.raises(NotFound):
        over.here.payment_return(str(uuid4()))


def test_payments_by_stripe_are_found_by_time_and_by_its_id(over: Over) -> None:
    payment = paid_by_stripe(over, "pi_1")
    refund(over, payment, 4_035, "done")
    refund(over, payment, 35, "pending")
    paid_by_stripe(over, "pi_2", AT + timedelta(days=2))
    (found,) = over.same("stripe_payments", since=AT, until=AT + timedelta(days=1))
    assert (found.payment_intent, found.amount_minor, found.refunded_minor) == (
        "pi_1",
        54_035,
        4_035,
    )
    assert (found.account_no, found.bill_reference) == ("A-M-pi_1", "INV-000001")
    assert over.same("stripe_payments", since=AT - timedelta(days=1), until=AT) == []
    by_id = over.same("stripe_payments_of", ["pi_2", "pi_x", "pi_1"])
    assert {p.payment_intent for p in by_id} == {"pi_1", "pi_2"}
    assert over.same("stripe_payments_of", []) == []


def test_looks_are_kept_once_and_only_a_whole_one_says_how_far_it_reached(over: Over) -> None:
    assert over.same("reconciled_until") is None
    run: Json = {"id": str(uuid4()), "kind": "events", "since": AT, "until": AT, "applied": 1}
    run |= {"differences": [{"event": "evt_1"}], "equal": [], "detail": "", "error": ""}
    later = AT + timedelta(days=1)
    for one in (
        run,
        run,
        run | {"id": str(uuid4()), "until": later, "error": "Stripe cannot be reached."},
        run | {"id": str(uuid4()), "until": later, "kind": "payments", "differences": []},
    ):
        over.here.record_reconciliation(actor="test", run=NewReconciliationRun.model_validate(one))
    assert over.same("reconciled_until") == AT
    assert len(over.same("reconciliations")) == 3
    first = over.same("reconciliations", kind="events", limit=5)[-1]
    assert (first.applied, first.differences) == (1, [{"event": "evt_1"}])
