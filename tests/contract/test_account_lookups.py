"""What the cash desk looks up, on both transports, with the same answers."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from services.database.errors import NotFound
from services.records.entries import (
    DepositUse,
    NewPayment,
    NewReturn,
)
from tests.contract.over import Json, Over
from tests.contract.test_accounts import bill_of, receive, returned
from tests.integration.utility import ADMIN


def test_a_bill_and_an_account_are_found_by_their_numbers(over: Over) -> None:
    bill = bill_of(over)
    assert over.same("bill_numbered", 1).id == bill.id
    assert over.same("account_numbered", "A-M1").id == bill.customer_id
    for method, number in (("bill_numbered", 2), ("account_numbered", "A-M")):
        with pytest.raises(NotFound):
            getattr(over.here, method)(number)


def test_what_is_open_on_an_account_is_listed(over: Over) -> None:
    bill = bill_of(over)
    (debit,) = over.same("open_debits", customer_id=bill.customer_id)
    assert [b.id for b in over.same("open_bills", customer_id=bill.customer_id)] == [bill.id]
    assert (debit.bill_id, debit.open_minor) == (bill.id, 54_035)
    receive(over, 60_000, bill_id=bill.id)
    (credit,) = over.same("open_credits", customer_id=bill.customer_id)
    assert (credit.kind, credit.open_minor) == ("payment", -5_965)
    assert over.same("open_debits", customer_id=bill.customer_id) == []
    assert over.same("open_bills", customer_id=bill.customer_id) == []
    assert over.same("ledger_entry", credit.id) == credit


def test_a_desks_payment_is_stored_once_or_those_it_may_repeat_are_named(over: Over) -> None:
    bill = bill_of(over)
    there = receive(over, 500, bill_id=bill.id, reference="UTR 1")
    row: dict[str, Any] = {"id": str(uuid4()), "customer_id": bill.customer_id, "currency": "INR"}
    row |= {"amount_minor": 700, "method": "bank", "reference": "utr-1", "bill_id": None}
    row |= {"received_at": over.utility.now.isoformat()}
    row |= {"received_on": over.utility.today.isoformat()}
    given: dict[str, Any] = {"actor": ADMIN.user, "payment": NewPayment.model_validate(row)}
    recorded, alike = over.here.record_office_payment(**given, confirmed=False)
    assert (recorded, [one.id for one in alike]) == (0, [there])
    assert over.here.record_office_payment(**given, confirmed=True) == (1, ())
    assert over.here.record_office_payment(**given, confirmed=True) == (0, ())


def test_bills_whose_money_went_back_are_listed_until_they_are_collected(over: Over) -> None:
    bill = bill_of(over)
    paid = receive(over, 54_035, bill_id=bill.id)
    over.here.record_return(
        actor=ADMIN.user, entry=NewReturn.model_validate(returned(over, payment_id=paid))
    )
    (waits,) = over.same("returned_bills").items
    assert (waits.bill_id, waits.open_minor) == (bill.id, 54_035)
    assert over.same("bill", bill.id).spared_because == "money_returned"
    given: dict[str, Any] = {"actor": ADMIN.user, "bill_id": bill.id, "reason": "a mistake"}
    for _ in range(2):
        over.here.collect_again(**given, outbox=None)
    assert over.same("returned_bills").total == 0
    with pytest.raises(NotFound):
        over.here.collect_again(**given | {"bill_id": str(uuid4())}, outbox=None)


def test_why_a_message_is_not_sent_and_as_of_when_bills_are_overdue(over: Over) -> None:
    bill = bill_of(over)
    assert bill.due_date is not None
    asked = {"bill_id": bill.id, "kind": "payment_reminder", "occasion": ""}
    assert over.same("why_unsaid", **asked, today=bill.due_date) == ""
    late = bill.due_date + timedelta(days=1)
    assert "has passed" in over.same("why_unsaid", **asked, today=late)
    assert over.same("overdue_as_of") is None
    day = over.utility.today
    claim: dict[str, Any] = {"owner": "a", "lease_seconds": 60, "started_by": "test"}
    _, run = over.here.claim_job_run(job="overdue_marking", scheduled_on=day, **claim)
    over.here.finish_job_run(run=run.ref(lease_seconds=60), status="done", detail="")
    assert over.same("overdue_as_of") == day


def test_collected_is_net_of_what_went_back_and_without_deposits_held(over: Over) -> None:
    bill = bill_of(over)
    paid = receive(over, 60_000, bill_id=bill.id)
    receive(over, 20_000, customer_id=bill.customer_id, book="deposit")

    def collected() -> int:
        figures = over.same("overview", today=over.utility.today, currency="INR")
        return int(figures.currencies[0].months[-1].collected_minor)

    assert collected() == 60_000
    over.here.record_return(
        actor=ADMIN.user,
        entry=NewReturn.model_validate(returned(over, payment_id=paid, amount_minor=60_000)),
    )
    assert collected() == 0
    use: Json = {"id": str(uuid4()), "customer_id": bill.customer_id, "currency": "INR"}
    use |= {"amount_minor": 15_000, "note": "Moved out", "on_date": over.utility.today}
    over.here.use_deposit(actor=ADMIN.user, entry=DepositUse.model_validate(use))
    assert collected() == 15_000
    assert over.same("check_ledger").problems == ()
