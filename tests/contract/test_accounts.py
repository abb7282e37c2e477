"""Every question and write about customers' money, on both transports, with the same answers."""

import hashlib
from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import pytest

from services.database.errors import IllegalChange, NotFound
from services.database.transport import DatabaseRefused
from services.records.bills import Bill
from services.records.entries import (
    DepositUse,
    NewAdjustment,
    NewPayment,
    NewPlan,
    NewReturn,
    ReturnOutcome,
)
from tests.contract.over import Json, Over
from tests.integration.utility import ADMIN


def bill_of(over: Over) -> Bill:
    """An issued bill of ₹540.35."""
    over.utility.add_meter("M1")
    bill = over.utility.submit("M1", 1117).bill
    assert bill is not None
    return bill


def receive(over: Over, minor: int, **what: Any) -> str:
    """Record a payment; its id."""
    row: Json = {"id": str(uuid4()), "amount_minor": minor, "currency": "INR", "method": "bank"}
    row |= {"received_at": over.utility.now, "received_on": over.utility.today}
    outbox = over.utility.services.outbox.on_money()
    recorded = over.here.record_payments(
        actor=ADMIN.user, payments=[NewPayment.model_validate(row | what)], outbox=outbox
    )
    assert recorded == 1
    return str(row["id"])


def returned(over: Over, **what: Any) -> Json:
    row: Json = {"id": str(uuid4()), "kind": "refund", "method": "bank", "reason": "asked for it"}
    return row | {"on_date": over.utility.today} | what


def test_a_payment_is_listed_with_what_it_paid_and_what_is_left(over: Over) -> None:
    bill = bill_of(over)
    paid = receive(over, 60_000, bill_id=bill.id)
    payment = over.same("payment", paid)
    assert (payment.status, payment.open_minor) == ("partly_applied", 60_000 - 54_035)
    assert over.same("payments", text="INV-000001").total == 1
    assert over.same("payments", status="applied").total == 0
    assert over.same("payments", customer_id=bill.customer_id).total == 1
    (of_bill,) = over.same("allocations", bill_id=bill.id)
    assert over.same("allocations", payment_id=paid) == [of_bill]
    assert (of_bill.amount_minor, of_bill.payment_id) == (54_035, paid)
    assert over.same("accounts", text="A-M1").items[0].balance_minor == -5965
    assert over.same("accounts", owing_only=True).total == 0
    ledger = over.same("ledger", customer_id=bill.customer_id, book="account")
    assert [(e.kind, e.balance_minor) for e in ledger.items] == [
        ("payment", -5965),
        ("bill", 54_035),
    ]
    with pytest.raises(NotFound):
        over.here.payment(str(uuid4()))
    with pytest.raises(NotFound):
        receive(over, 1, bill_id=str(uuid4()))


def test_money_goes_back_once_and_never_more_than_came(over: Over) -> None:
    bill = bill_of(over)
    paid = receive(over, 54_035, bill_id=bill.id)
    row = returned(over, payment_id=paid, amount_minor=4_035)
    first = over.here.record_return(actor=ADMIN.user, entry=NewReturn.model_validate(row))
    assert over.here.record_return(actor=ADMIN.user, entry=NewReturn.model_validate(row)) == first
    assert over.same("bill", bill.id).balance_minor == 4_035
    too_much = returned(over, payment_id=paid, amount_minor=50_001)
    with pytest.raises(IllegalChange, match="more than"):
        over.here.record_return(actor=ADMIN.user, entry=NewReturn.model_validate(too_much))
    (listed,) = over.same("returns", payment_id=paid)
    assert (listed.amount_minor, listed.status) == (4_035, "done")
    over.same("returns", customer_id=bill.customer_id, status="done")


def test_a_refund_asked_of_stripe_holds_its_amount_back_until_it_is_over(over: Over) -> None:
    bill = bill_of(over)
    paid = receive(over, 54_035, bill_id=bill.id, method="stripe", provider_id="pi_1")
    row = returned(over, payment_id=paid, amount_minor=50_000, method="stripe", status="pending")
    pending = over.here.record_return(actor=ADMIN.user, entry=NewReturn.model_validate(row))
    assert over.same("bill", bill.id).status == "paid"
    assert over.same("payment", paid).returnable_minor == 4_035
    end: Json = {"actor": ADMIN.user, "return_id": pending.id}
    away = ReturnOutcome(status="pending", error="away", retry_in_seconds=15)
    later = over.here.end_return(**end, outcome=away)
    assert (later.attempts, later.error) == (1, "away")
    done = over.here.end_return(**end, outcome=ReturnOutcome(status="done", provider_id="re_1"))
    assert (done.status, done.provider_id) == ("done", "re_1")
    failed = over.here.end_return(**end, outcome=ReturnOutcome(status="failed"))
    assert failed.status == "done"
    assert over.same("bill", bill.id).balance_minor == 50_000


def test_credits_fees_and_deposits_pay_and_are_undone(over: Over) -> None:
    bill = bill_of(over)
    today = over.utility.today
    fee: Json = {"id": str(uuid4()), "customer_id": bill.customer_id, "kind": "fee"}
    fee |= {"amount_minor": 500, "currency": "INR", "note": "Reconnection", "on_date": today}
    for _ in range(2):
        over.here.add_adjustment(actor=ADMIN.user, entry=NewAdjustment.model_validate(fee))
        over.same("account", bill.customer_id)
    undo: Json = {"actor": ADMIN.user, "entry_id": fee["id"], "reason": "waived"}
    over.here.undo_adjustment(**undo, on_date=today)
    over.here.undo_adjustment(**undo, on_date=today)
    receive(over, 10_000, customer_id=bill.customer_id, book="deposit")
    use = fee | {"id": str(uuid4()), "amount_minor": 4_035, "note": "Moved out"}
    del use["kind"]
    over.here.use_deposit(actor=ADMIN.user, entry=DepositUse.model_validate(use))
    with pytest.raises(IllegalChange, match="not so much"):
        over.here.use_deposit(
            actor=ADMIN.user,
            entry=DepositUse.model_validate(use | {"id": str(uuid4()), "amount_minor": 5966}),
        )
    account = over.same("account", bill.customer_id)
    assert (account.balance_minor, account.deposit_minor) == (50_000, 5_965)
    assert over.same("check_ledger").problems == ()


def test_a_credit_is_taken_off_a_bill_and_put_on_it_again(over: Over) -> None:
    bill = bill_of(over)
    paid = receive(over, 100, bill_id=bill.id)
    entry = over.same("payment", paid).entry_id
    allocate: Json = {"actor": ADMIN.user, "entry_id": entry}
    over.here.allocate_credit(**allocate, bill_id=None)
    assert over.same("bill", bill.id).amount_paid_minor == 0
    over.here.allocate_credit(**allocate, bill_id=bill.id)
    over.here.allocate_credit(**allocate, bill_id=None)
    over.here.settle_account(actor=ADMIN.user, customer_id=bill.customer_id)
    assert over.same("bill", bill.id).amount_paid_minor == 100
    with pytest.raises(IllegalChange, match="Nothing is left"):
        over.here.allocate_credit(**allocate, bill_id=bill.id)


def test_a_payment_in_an_account_already_is_not_assigned_to_another(over: Over) -> None:
    bill = bill_of(over)
    paid = receive(over, 100, bill_id=bill.id)
    over.utility.add_meter("M2")
    other = over.same("accounts", text="A-M2").items[0].id
    assign: Json = {"actor": ADMIN.user, "payment_id": paid}
    over.here.assign_payment(**assign, customer_id=bill.customer_id)
    with pytest.raises(IllegalChange, match="in an account already"):
        over.here.assign_payment(**assign, customer_id=other)
    assert over.same("payment_flags", payment_id=paid) == []
    assert over.same("open_payment_flags").total == 0
    over.here.resolve_payment_flag(
        actor=ADMIN.user, payment_id=paid, reason=None, resolution="looked at"
    )


def test_a_plan_is_agreed_for_exactly_what_is_open_and_ends(over: Over) -> None:
    bill = bill_of(over)
    today = over.utility.today
    parts = [{"due_on": today + timedelta(days=30 * n), "amount_minor": 27_000} for n in (0, 1)]
    plan: Json = {"id": str(uuid4()), "customer_id": bill.customer_id, "currency": "INR"}
    plan |= {"bills": [bill.id], "instalments": parts, "on": today}
    with pytest.raises(IllegalChange, match="add up"):
        over.here.agree_plan(actor=ADMIN.user, plan=NewPlan.model_validate(plan))
    parts[1]["amount_minor"] = 27_035
    over.here.agree_plan(actor=ADMIN.user, plan=NewPlan.model_validate(plan))
    receive(over, 27_000, bill_id=bill.id)
    (agreed,) = over.same("plans", customer_id=bill.customer_id)
    assert (agreed.status, [i.paid for i in agreed.instalments]) == ("active", [True, False])
    _, claimed = over.here.claim_job_run(
        job="overdue_marking", scheduled_on=today, owner="a", lease_seconds=60, started_by="test"
    )
    run = claimed.ref(lease_seconds=60)
    assert over.here.break_plans(actor=ADMIN.user, run=run, today=today) == 0
    late = today + timedelta(days=31)
    assert over.here.break_plans(actor=ADMIN.user, run=run, today=late) == 1
    over.here.end_plan(actor=ADMIN.user, plan_id=str(plan["id"]), reason="talked")
    assert over.same("plans")[0].status == "broken"


def test_a_closed_month_takes_no_more_entries(over: Over) -> None:
    bill = bill_of(over)
    today = over.utility.today
    this_month = today.replace(day=1)
    last_month: date = (this_month - timedelta(days=1)).replace(day=1)
    close: Json = {"actor": ADMIN.user, "today": today}
    with pytest.raises(IllegalChange, match="over"):
        over.here.close_month(**close, month=this_month)
    over.here.close_month(**close, month=last_month)
    assert over.same("month_end_report", last_month).closing.closed_by == ADMIN.user
    receive(over, 100, bill_id=bill.id, received_on=last_month)
    newest = over.same("ledger", customer_id=bill.customer_id).items[0]
    assert newest.on_date == this_month
    (book,) = over.same("month_end_report", this_month).books
    assert book.closing_minor == 54_035 - 100


def test_a_bill_is_printed_once_and_kept_byte_by_byte(over: Over) -> None:
    bill = bill_of(over)
    today = over.utility.today
    facts = over.same("bill_document_facts", bill.id)
    assert (facts.bill.number, facts.brought_forward_minor) == (1, 0)
    assert over.same("bill_document", bill.id) is None
    assert over.same("bills_to_print", since=today, limit=10) == [bill.id]
    over.here.note_unprinted_bill(bill_id=bill.id, reason="No font has U+0378.")
    assert over.same("unprinted_because", bill.id) == "No font has U+0378."
    assert [one.bill_id for one in over.same("unprinted_bills").items] == [bill.id]
    assert over.same("bills_to_print", since=today, limit=10) == []
    pdf = bytes(range(256)) * 200
    keep: Json = {"bill_id": bill.id, "sha256": hashlib.sha256(pdf).hexdigest(), "pdf": pdf}
    kept = over.here.keep_bill_document(**keep)
    other: Json = {"sha256": hashlib.sha256(pdf[1:]).hexdigest(), "pdf": pdf[1:]}
    again = over.here.keep_bill_document(**keep | other)
    assert kept == again == over.same("bill_document", bill.id)
    assert kept.pdf == pdf
    with pytest.raises(DatabaseRefused, match="bill_documents_check"):
        over.here.keep_bill_document(**keep | {"pdf": pdf[1:]})
    over.here.note_unprinted_bill(bill_id=bill.id, reason="Too late.")
    assert over.same("unprinted_because", bill.id) is None
    assert over.same("bills_to_print", since=today, limit=10) == []


def test_a_statement_of_account_has_the_entries_of_its_days(over: Over) -> None:
    over.utility.add_meter("M1")
    bill = over.utility.submit("M1", 1117).bill
    assert bill is not None
    start = over.utility.today - timedelta(days=1)
    asked: Json = {"customer_id": bill.customer_id, "start": start}
    asked |= {"end": over.utility.today + timedelta(days=2)}
    found = over.same("account_statement", **asked)
    assert [entry.bill_id for entry in found.entries] == [bill.id]
    assert [(b.number, b.total_minor) for b in found.bills] == [(bill.number, bill.total_minor)]
    assert not found.one_statement
    for _ in range(2):
        over.here.set_one_statement(
            actor=ADMIN.user, customer_id=bill.customer_id, one_statement=True
        )
    assert over.same("account_statement", **asked).one_statement
