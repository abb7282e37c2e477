"""Nobody is pressed for what a bank is paying, for what was refunded, or for what credit covers."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from services.identity.auth import NotAllowed
from services.jobs import overdue_marking
from services.messages.wording import how_to_pay
from services.payments.entry_forms import InvalidEntry
from services.payments.stripe.payment_links import is_payable
from services.records.bills import Bill
from services.records.entries import NewPayment, NewReturn, ReturnOutcome
from services.records.outbox import OutboxKind
from tests.integration.correcting import Correcting
from tests.integration.payments import told
from tests.integration.payments.office import Office, open_office
from tests.integration.test_plans import mark_overdue
from tests.integration.utility import ADMIN, ENGINEER

TOTAL = 54_035
LONG = timedelta(days=40)


@pytest.fixture
def office(database: str, tmp_path: Path) -> Iterator[Office]:
    made = open_office(database, tmp_path)
    yield made
    made.assert_sound()
    made.utility.services.close()


def overdue_after(office: Office, bill: Bill, days: timedelta = LONG) -> bool:
    """Whether the job of a later day marks a bill."""
    office.utility.now += days
    mark_overdue(office.utility)
    return office.now(bill).status == "overdue"


def test_a_bank_debit_under_way_is_waited_for_and_its_failure_ends_that(office: Office) -> None:
    bill = office.bill()
    office.tell(told.completed(bill, "pi_1", payment_status="unpaid"))
    assert office.now(bill).spared_because == "bank_debit"
    assert not overdue_after(office, bill)
    failed = "checkout.session.async_payment_failed"
    office.tell(told.event(failed, told.session(bill, "pi_1", payment_status="unpaid"), at=9))
    assert office.now(bill).spared_because is None
    assert overdue_after(office, bill, timedelta(days=1))


def test_a_debit_that_was_answered_before_it_was_told_of_spares_nothing(office: Office) -> None:
    bill = office.bill()
    failed = "checkout.session.async_payment_failed"
    office.tell(told.event(failed, told.session(bill, "pi_1", payment_status="unpaid"), at=9))
    office.tell(told.completed(bill, "pi_1", payment_status="unpaid"))
    assert overdue_after(office, bill)


def test_a_debit_that_nobody_answers_is_waited_for_three_weeks_at_most(
    office: Office, database: str
) -> None:
    bill = office.bill()
    office.tell(told.completed(bill, "pi_1", payment_status="unpaid"))
    with psycopg.connect(database) as connection:
        connection.execute("select set_config('billing.actor', 'test', false)")
        cursor = connection.execute("select until - since from public.spared_bills")
        assert cursor.fetchone() == (timedelta(days=21),)
        connection.execute("update public.spared_bills set until = now()")
    assert overdue_after(office, bill)
    with psycopg.connect(database) as connection:
        cursor = connection.execute("select released_because from public.spared_bills")
        assert cursor.fetchone() == ("No answer came in time.",)
    assert is_payable(office.now(bill))


@pytest.mark.parametrize("what", ["refund", "dispute"])
def test_a_bill_whose_money_went_back_waits_for_somebody_to_say_so(
    office: Office, what: str
) -> None:
    bill = office.bill()
    office.tell(told.completed(bill, "pi_1"))
    if what == "refund":
        office.tell(told.refunded("pi_1", TOTAL, at=3600))
    else:
        office.tell(told.dispute("created", "pi_1", TOTAL, at=10))
        office.tell(told.dispute("funds_withdrawn", "pi_1", TOTAL, at=11))
    assert office.now(bill).balance_minor == TOTAL
    assert not overdue_after(office, bill)
    database, desk = office.utility.services.database, office.utility.services.account_adjustments
    (waits,) = database.returned_bills().items
    assert (waits.bill_id, waits.open_minor) == (bill.id, TOTAL)
    with pytest.raises(NotAllowed):
        desk.collect_again(bill_id=bill.id, reason="no", principal=ENGINEER)
    with pytest.raises(InvalidEntry):
        desk.collect_again(bill_id=bill.id, reason=" ", principal=ADMIN)
    desk.collect_again(bill_id=bill.id, reason="asked the customer", principal=ADMIN)
    assert database.returned_bills().total == 0
    assert overdue_after(office, bill, timedelta(days=1))
    notices = [w for w in database.outbox_of(bill.id) if w.kind == "overdue_notice"]
    assert len(notices) == 1


def corrected(office: Office, bill: Bill, kwh: str = "1110") -> Bill:
    """The bill that takes the place of one whose closing read was another."""
    correcting = Correcting(office.utility)
    correcting.execute(correcting.closed_at(bill, kwh), check=False)
    new: Bill = office.utility.bills_of(bill.meter_serial)[-1]
    return new


def test_a_bill_made_anew_while_a_bank_pays_the_old_one_is_waited_for_too(office: Office) -> None:
    bill = office.bill()
    office.tell(told.completed(bill, "pi_1", payment_status="unpaid"))
    new = corrected(office, bill)
    assert (new.spared_because, is_payable(new)) == ("bank_debit", False)
    assert not overdue_after(office, new)
    failed = "checkout.session.async_payment_failed"
    office.tell(told.event(failed, told.session(bill, "pi_1", payment_status="unpaid"), at=9))
    assert office.now(new).spared_because is None
    assert overdue_after(office, new, timedelta(days=1))


def test_a_debit_that_is_told_of_after_a_correction_spares_the_bill_made_anew(
    office: Office,
) -> None:
    bill = office.bill()
    new = corrected(office, bill)
    office.tell(told.completed(bill, "pi_1", payment_status="unpaid"))
    assert office.now(new).spared_because == "bank_debit"


def test_a_bill_whose_money_went_back_waits_for_a_decision_after_its_correction(
    office: Office,
) -> None:
    bill = office.bill()
    office.tell(told.completed(bill, "pi_1"))
    office.tell(told.refunded("pi_1", TOTAL, at=3600))
    new = corrected(office, bill)
    assert not overdue_after(office, new)
    (waits,) = office.utility.services.database.returned_bills().items
    assert waits.bill_id == new.id


def test_a_dispute_that_is_won_leaves_nothing_to_decide(office: Office) -> None:
    bill = office.bill()
    office.tell(told.completed(bill, "pi_1"))
    for at, what in enumerate(("created", "funds_withdrawn", "funds_reinstated"), start=10):
        office.tell(told.dispute(what, "pi_1", TOTAL, at=at))
    assert office.now(bill).status == "paid"
    assert office.utility.services.database.returned_bills().total == 0


def test_an_account_at_nothing_is_not_dunned_its_credit_pays(office: Office) -> None:
    bill = office.bill()
    database = office.utility.services.database
    credit(office, bill)
    assert office.balance(bill.customer_id) == 0
    assert not overdue_after(office, bill)
    assert office.now(bill).status == "paid"
    assert all(w.kind != "overdue_notice" for w in database.outbox_of(bill.id))


def test_month_books_overview_and_account_name_one_overdue_figure(office: Office) -> None:
    late, planned, fresh = office.bill(), office.bill(), office.bill()
    utility, services = office.utility, office.utility.services
    assert overdue_after(office, late)
    desk = services.account_adjustments
    parts = desk.parts(bills=[planned], now=utility.now, equal=2, first_on=utility.today + LONG)
    assert office.now(planned).status == "overdue"
    desk.agree_plan(
        plan_id=str(uuid4()),
        bills=[office.now(planned)],
        parts=parts,
        note="",
        principal=ADMIN,
        now=utility.now,
    )
    assert office.now(planned).status == "issued"
    office.tell(told.completed(fresh, "pi_9", payment_status="unpaid"))
    (total,) = services.books.receivables(utility.today.replace(day=1)).totals
    overview = services.database.overview(today=utility.today, currency="INR")
    assert overview.currencies[0].overdue_minor == total.past_due_minor == TOTAL
    assert services.database.account(late.customer_id).overdue_minor == TOTAL
    assert overview.overdue_as_of == utility.today
    assert services.books.receivables(utility.today.replace(day=1)).as_of == utility.today


@pytest.mark.parametrize("at_once", [1, 2, 500])
def test_bills_that_are_spared_keep_no_others_from_being_marked(
    office: Office, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(overdue_marking, "BATCH", at_once)
    bills = [office.bill() for _ in range(5)]
    for number in (0, 2, 3):
        office.tell(told.completed(bills[number], f"pi_{number}", payment_status="unpaid"))
    overdue_after(office, bills[0])
    assert [office.now(bill).status == "overdue" for bill in bills] == [
        False,
        True,
        False,
        False,
        True,
    ]


def test_what_falls_due_later_this_month_is_not_past_due(office: Office) -> None:
    office.bill()
    utility = office.utility
    mark_overdue(utility)
    (total,) = utility.services.books.receivables(utility.today.replace(day=1)).totals
    assert (total.past_due_minor, total.not_due_minor) == (0, TOTAL)


def open_link(office: Office, bill: Bill) -> list[datetime]:
    """When the bill's link was last to be looked at, by the outbox."""
    outbox = office.utility.services.database.outbox_of(bill.id)
    return [work.created_at for work in outbox if work.kind == "balance_changed"]


def test_no_link_invites_to_pay_twice_while_a_bank_is_paying(office: Office) -> None:
    bill = office.bill()
    assert is_payable(office.now(bill))
    office.tell(told.completed(bill, "pi_1", payment_status="unpaid"))
    assert not is_payable(office.now(bill))
    assert open_link(office, bill)
    assert how_to_pay(office.now(bill)) == "nothing now: your bank is paying it"
    failed = "checkout.session.async_payment_failed"
    office.tell(told.event(failed, told.session(bill, "pi_1", payment_status="unpaid"), at=9))
    assert is_payable(office.now(bill))


def test_an_account_at_nothing_is_not_dunned_while_its_credit_is_going_back(
    office: Office,
) -> None:
    bill = office.bill()
    database = office.utility.services.database
    office.tell(told.completed(bill, "pi_1"))
    (paid,) = database.payments().items
    desk = office.utility.services.account_adjustments
    desk.leave_unapplied(entry_id=str(paid.entry_id), principal=ADMIN)
    back: dict[str, Any] = {"id": str(uuid4()), "payment_id": paid.id, "kind": "refund"}
    back |= {"method": "stripe", "reason": "asked for it", "status": "pending"}
    back |= {"on_date": office.utility.today}
    database.record_return(actor=ADMIN.user, entry=NewReturn.model_validate(back))
    assert not overdue_after(office, bill)
    assert why_unsaid(office, bill) == "credit on the account covers the bill"
    ended: dict[str, Any] = {"status": "done", "on_date": office.utility.today.isoformat()}
    outcome = ReturnOutcome.model_validate(ended)
    database.end_return(actor=ADMIN.user, return_id=back["id"], outcome=outcome)
    assert overdue_after(office, bill, timedelta(days=1))


def test_what_is_true_of_a_bill_no_more_is_not_said(office: Office) -> None:
    bill = office.bill()
    database = office.utility.services.database
    kinds: tuple[OutboxKind, ...] = ("bill_issued", "payment_reminder", "overdue_notice")
    corrected: tuple[OutboxKind, ...] = ("payment_received", "bill_corrected")
    assert [why_unsaid(office, bill, kind) for kind in kinds] == ["", "", ""]
    pay = {"id": str(uuid4()), "bill_id": bill.id, "amount_minor": TOTAL, "currency": "INR"}
    pay |= {"method": "cash", "reference": "", "received_at": office.utility.now}
    pay |= {"received_on": office.utility.today}
    database.record_payments(actor=ADMIN.user, payments=[NewPayment.model_validate(pay)])
    unsaid = "the bill is paid by now"
    assert [why_unsaid(office, bill, kind) for kind in kinds] == ["", unsaid, unsaid]
    assert [why_unsaid(office, bill, kind) for kind in corrected] == ["", ""]
    database.void_bill(actor=ADMIN.user, bill_id=bill.id, reason="a test")
    unsaid = "the bill is void by now"
    assert [why_unsaid(office, bill, kind) for kind in kinds] == [unsaid] * 3
    assert [why_unsaid(office, bill, kind) for kind in corrected] == ["", unsaid]


def why_unsaid(office: Office, bill: Bill, kind: OutboxKind = "payment_reminder") -> str:
    """Why a message of a bill is not sent today, or nothing."""
    today = office.now(bill).due_date
    assert today is not None
    return office.utility.services.database.why_unsaid(
        bill_id=bill.id, kind=kind, occasion="", today=today
    )


def credit(office: Office, bill: Bill) -> None:
    """A payment of the bill's total that lies open on its account."""
    row: dict[str, Any] = {"id": str(uuid4()), "customer_id": bill.customer_id, "apply": "none"}
    row |= {"amount_minor": TOTAL, "currency": "INR", "method": "cash", "reference": ""}
    row |= {"received_at": office.utility.now, "received_on": office.utility.today}
    office.utility.services.database.record_payments(
        actor=ADMIN.user, payments=[NewPayment.model_validate(row)]
    )
