"""What happened to one thing, from the audit trail, page by key on both transports."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from services.database.errors import IllegalChange, NotFound
from services.database.transport import DatabaseRefused
from services.records.base import PageRequest
from services.records.details import Change, Subject
from services.records.entries import NewAdjustment, NewPlan, NewReturn, ReturnOutcome
from services.records.lists import BillFilter, PaymentFilter
from tests.contract.over import Json, Over
from tests.contract.test_accounts import bill_of, receive, returned
from tests.integration.utility import ADMIN, ENGINEER


def tables(changes: tuple[Change, ...]) -> list[str]:
    return [change.table for change in changes]


def test_a_customers_timeline_has_all_that_happened_the_newest_first(over: Over) -> None:
    bill = bill_of(over)
    customer = bill.customer_id
    paid = receive(over, 60_000, bill_id=bill.id, method="stripe", provider_id="pi_1")
    pending = returned(over, payment_id=paid, amount_minor=60_000, method="stripe")
    over.here.record_return(
        actor=ADMIN.user, entry=NewReturn.model_validate(pending | {"status": "pending"})
    )
    away = ReturnOutcome(status="failed", error="away")
    over.here.end_return(actor=ADMIN.user, return_id=pending["id"], outcome=away)
    fee: Json = {"id": str(uuid4()), "customer_id": customer, "kind": "fee", "amount_minor": 9_965}
    fee |= {"currency": "INR", "note": "Reconnection", "on_date": over.utility.today}
    over.here.add_adjustment(actor=ADMIN.user, entry=NewAdjustment.model_validate(fee))
    claim = over.here.begin_notification(
        notification_id=str(uuid4()),
        bill_id=bill.id,
        kind="bill_issued",
        channel="discord",
        recipient="",
        body="A bill",
    )
    assert claim.send
    found = over.same("timeline", of="customer", subject_id=customer)
    assert set(tables(found.changes)) == {
        *("customers", "meters", "readings", "bills", "payments", "payment_returns"),
        *("adjustments", "notifications"),
        *("meter_installations", "service_agreements", "agreement_tariffs", "service_points"),
    }
    assert [c.at for c in found.changes] == sorted((c.at for c in found.changes), reverse=True)
    assert found.names[bill.id] == bill.reference
    failed = next(c for c in found.changes if c.table == "payment_returns" and c.after)
    assert failed.inserted is not None
    assert failed.inserted["amount_minor"] == 60_000


def test_a_bill_that_was_paid_twice_is_told_as_it_was_made(over: Over) -> None:
    bill = bill_of(over)
    for amount in (10_000, 20_000):
        receive(over, amount, bill_id=bill.id, method="cash")
    changes = over.same("timeline", of="bill", subject_id=bill.id).changes
    paid = [c for c in changes if c.table == "bills" and c.action == "update"]
    (made,) = [c for c in changes if c.table == "bills" and c.action == "insert"]
    assert [c.after["amount_paid_minor"] for c in paid] == [30_000, 10_000]
    figures = {"status": "issued", "amount_paid_minor": 0, "number": bill.number}
    figures |= {"total_minor": bill.total_minor, "due_date": str(bill.due_date)}
    assert {name: made.after[name] for name in figures} == figures
    assert "void_reason" not in made.after
    assert all(c.inserted == made.after for c in paid)


def test_a_bill_that_credit_paid_at_once_was_made_before_it_was_paid(over: Over) -> None:
    over.utility.add_meter("M1")
    first = over.utility.submit("M1", 1050, at=over.utility.now - timedelta(days=10)).bill
    assert first is not None
    receive(over, 200_000, customer_id=first.customer_id)
    bill = over.utility.submit("M1", 1117).bill
    assert bill is not None
    assert bill.status == "paid"
    for of, subject in (
        ("bill", bill.id),
        ("customer", bill.customer_id),
        ("meter", bill.meter_id),
    ):
        changes = over.same("timeline", of=of, subject_id=subject).changes
        told = [(c.action, c.actor) for c in changes if c.row_id == bill.id]
        by_whom = ENGINEER.user
        expected = (
            [("insert", by_whom)] if of == "meter" else [("update", by_whom), ("insert", by_whom)]
        )
        assert told[-len(expected) :] == expected
        made = next(c for c in changes if c.row_id == bill.id and c.action == "insert")
        assert made.after["amount_paid_minor"] == 0
        read = next(c for c in changes if c.row_id == bill.closing_reading_id)
        assert changes.index(made) < changes.index(read)


def test_a_timeline_is_paged_by_key_without_a_gap_or_a_repeat(over: Over) -> None:
    customer = bill_of(over).customer_id
    for number in range(7):
        receive(over, 100 + number, customer_id=customer)
    whole = over.same("timeline", of="customer", subject_id=customer, limit=200)
    assert not whole.more
    walked: list[Change] = []
    key = None
    while True:
        page = over.same("timeline", of="customer", subject_id=customer, limit=3, after=key)
        walked += page.changes
        if not page.more:
            break
        key = page.changes[-1].key
    assert [c.key for c in walked] == [c.key for c in whole.changes]
    assert len({c.key for c in walked}) == len(walked) > 15
    # What happens while somebody pages moves nothing.
    first = over.here.timeline(of="customer", subject_id=customer, limit=3)
    receive(over, 999, customer_id=customer)
    second = over.here.timeline(
        of="customer", subject_id=customer, limit=3, after=first.changes[-1].key
    )
    assert [c.key for c in second.changes] == [c.key for c in whole.changes[3:6]]


def test_a_timeline_is_filtered_by_table_and_deposits_are_payments_held(over: Over) -> None:
    bill = bill_of(over)
    receive(over, 500, bill_id=bill.id)
    held = receive(over, 700, customer_id=bill.customer_id, book="deposit")

    def told(*of: str) -> set[tuple[str, str]]:
        page = over.same("timeline", of="customer", subject_id=bill.customer_id, tables=list(of))
        return {(c.table, c.row_id) for c in page.changes}

    assert told("deposits") == {("payments", held)}
    assert {table for table, _ in told("bills")} == {"bills"}
    assert len(told("payments")) == 2
    assert told("instalment_plans") == set()
    assert told() == set()


def test_a_bill_a_payment_a_meter_and_a_tariff_have_their_own(over: Over) -> None:
    bill = bill_of(over)
    paid = receive(over, 10_000, bill_id=bill.id)
    part = {"due_on": over.utility.today, "amount_minor": 44_035}
    plan: Json = {"id": str(uuid4()), "customer_id": bill.customer_id, "currency": "INR"}
    plan |= {"bills": [bill.id], "instalments": [part], "on": over.utility.today}
    over.here.agree_plan(actor=ADMIN.user, plan=NewPlan.model_validate(plan))
    over.here.end_plan(actor=ADMIN.user, plan_id=str(plan["id"]), reason="talked")
    # What another customer's meter does belongs to none of them.
    over.utility.add_meter("M2")
    assert over.utility.submit("M2", 1090).bill is not None

    def told(of: Subject, subject_id: str) -> list[str]:
        return tables(over.same("timeline", of=of, subject_id=subject_id, limit=100).changes)

    # Drawn up and issued, then paid in part; two reads; a plan agreed and ended.
    assert sorted(told("bill", bill.id)) == sorted(
        ["bills", "bills", "readings", "readings", "payments"] + ["instalment_plans"] * 2
    )
    assert sorted(told("payment", paid)) == ["allocations", "payments"]
    assert sorted(set(told("meter", bill.meter_id))) == [
        *("agreement_tariffs", "bills", "meter_installations", "meters", "readings"),
        *("service_agreements", "service_points"),
    ]
    tariffs = over.here.tariffs()
    assert sorted(told("tariff", tariffs[0].id)) == ["tariff_versions", "tariffs"]


def test_what_nobody_knows_and_keys_of_nobody_are_refused(over: Over) -> None:
    assert over.same("timeline", of="bill", subject_id=str(uuid4())).changes == ()
    with pytest.raises(NotFound):
        over.here.timeline(of="bill", subject_id="INV-000001")
    with pytest.raises(DatabaseRefused):
        over.here.timeline(of="bill", subject_id=str(uuid4()), after=("long ago", "a"))


def test_a_note_is_kept_once_as_it_is(over: Over) -> None:
    customer = bill_of(over).customer_id
    note: dict[str, Any] = {"actor": ADMIN.user, "note_id": str(uuid4()), "customer_id": customer}
    for _ in range(2):
        over.here.add_customer_note(**note, note="Rang about the bill")
    with pytest.raises(IllegalChange, match="Another note"):
        over.here.add_customer_note(**note, note="Something else")
    with pytest.raises(NotFound):
        over.here.add_customer_note(
            **note | {"customer_id": str(uuid4()), "note_id": str(uuid4())}, note="Whose?"
        )
    page = over.same("timeline", of="customer", subject_id=customer, tables=["customer_notes"])
    (kept,) = page.changes
    assert (kept.actor, kept.after["note"]) == (ADMIN.user, "Rang about the bill")


def test_a_customers_meters_bills_payments_messages_and_use(over: Over) -> None:
    bill = bill_of(over)
    paid = receive(over, 500, bill_id=bill.id)
    over.utility.add_meter("M2")
    other = over.utility.submit("M2", 1090).bill
    assert other is not None
    receive(over, 700, bill_id=other.id)
    (meter,) = over.same("meters_of_customer", customer_id=bill.customer_id)
    assert (meter.serial, meter.last_register_wh) == ("M1", 1_117_000)
    assert (meter.last_read_on, meter.last_source) == (over.utility.today, "field")
    assert over.same("meter", meter.id).serial == "M1"
    with pytest.raises(NotFound):
        over.here.meter(str(uuid4()))
    (use,) = over.same("billed_use", customer_id=bill.customer_id, since=bill.period_start)
    assert (use.meter_serial, use.consumption_wh) == ("M1", 117_000)
    assert (use.period_start, use.period_end) == (bill.period_start, bill.period_end)
    assert over.same("billed_use", meter_id=bill.meter_id, since=bill.period_start) == [use]
    assert over.same("billed_use", meter_id=bill.meter_id, since=bill.period_end) == []
    wanted = BillFilter(customer_id=bill.customer_id)
    page = PageRequest("period", descending=True)
    assert [b.id for b in over.same("list_bills", wanted=wanted, page=page).items] == [bill.id]
    payments = PaymentFilter(customer_id=bill.customer_id)
    page = PageRequest("received", descending=True)
    assert [y.id for y in over.same("list_payments", wanted=payments, page=page).items] == [paid]
    assert over.same("notifications", customer_id=bill.customer_id).total == 0
