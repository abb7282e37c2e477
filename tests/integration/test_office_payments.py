"""The cash desk on a real database: each payment counted once, each mistake told in a sentence."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from services.database.errors import IllegalChange, NotFound
from services.identity.auth import NotAllowed
from services.payments.entry_forms import InvalidEntry
from services.payments.office_payments import LooksLikeTwice, OfficePayments, Receipt
from services.records.bills import Bill
from services.records.entries import NewPayment, NewReturn
from tests.integration.utility import ADMIN, ENGINEER, Utility, make_utility

TOTAL = 54_035  # of the bill of 117 kWh: ₹540.35


@dataclass
class Office:
    """A utility with one bill, and short ways to its desks."""

    utility: Utility
    bill: Bill

    @property
    def desk(self) -> OfficePayments:
        """The cash desk."""
        return self.utility.services.office_payments

    def now_of(self, bill: Bill) -> Bill:
        """A bill as it stands now."""
        return self.utility.services.database.bill(bill.id)

    def pay(self, amount: str, *, bill: Bill | None = None, **what: Any) -> Receipt:
        """Record a payment, of cash for the customer if not told otherwise."""
        who: dict[str, Any] = {"customer_id": self.bill.customer_id}
        who |= {"bill_id": bill.id} if bill else {}
        who |= {k: what.pop(k) for k in ("payment_id", "confirmed", "principal") if k in what}
        body = {"amount": amount, "method": "cash", "received_on": self.utility.today} | what
        call: dict[str, Any] = {"payment_id": str(uuid4()), "principal": ADMIN} | who
        return self.desk.record_payment(body=body, now=self.utility.now, **call)

    def another_bill(self, kwh: int = 1200) -> Bill:
        """The meter's next bill, a month later."""
        self.utility.now += timedelta(days=31)
        bill = self.utility.submit("M1", kwh).bill
        assert bill is not None
        return bill


@pytest.fixture
def office(database: str, tmp_path: Path) -> Iterator[Office]:
    utility = make_utility(database, tmp_path)
    utility.now -= timedelta(days=200)
    utility.add_meter("M1")
    bill = utility.submit("M1", 1117).bill
    assert bill is not None
    yield Office(utility, bill)
    assert utility.services.database.check_ledger().problems == ()
    utility.services.close()


# -- payments ------------------------------------------------------------------------------------


def test_cash_for_a_bill_pays_it_and_the_receipt_says_so(office: Office) -> None:
    receipt = office.pay("540.35", bill=office.bill)
    assert receipt.is_new
    assert [(a.bill_id, a.amount_minor) for a in receipt.paid] == [(office.bill.id, TOTAL)]
    assert (receipt.payment.status, receipt.payment.recorded_by) == ("applied", ADMIN.user)
    assert office.now_of(office.bill).status == "paid"


def test_what_is_more_than_the_bill_pays_the_oldest_or_lies_open_as_asked(office: Office) -> None:
    later = office.another_bill()
    for_it_alone = office.pay("640.35", bill=office.bill, apply="bill")
    assert for_it_alone.payment.open_minor == 10_000
    assert office.now_of(later).amount_paid_minor == 0
    office.utility.services.account_adjustments.settle(
        customer_id=office.bill.customer_id, principal=ADMIN
    )
    assert office.now_of(later).amount_paid_minor == 10_000


def test_without_a_bill_the_oldest_is_paid_first_or_nothing(office: Office) -> None:
    later = office.another_bill()
    assert office.pay("100", apply="none").paid == ()
    receipt = office.pay("600")
    assert receipt.paid[0].bill_id == office.bill.id
    assert office.now_of(office.bill).status == "paid"
    assert office.now_of(later).amount_paid_minor == 70_000 - TOTAL
    with pytest.raises(InvalidEntry, match="which bill"):
        office.pay("5", apply="bill")


def test_payments_of_one_call_pay_the_bills_they_name_before_any_other(office: Office) -> None:
    later = office.another_bill()
    today, now = office.utility.today.isoformat(), office.utility.now.isoformat()
    same = {"currency": "INR", "method": "cash", "received_at": now, "received_on": today}
    amounts = ((office.bill, 54_000), (office.bill, 1_000), (later, 100), (None, 50))
    rows: list[dict[str, Any]] = [
        {**same, "id": str(uuid4()), "bill_id": bill and bill.id, "amount_minor": minor}
        for bill, minor in amounts
    ]
    rows += [{**same, "id": str(uuid4()), "amount_minor": 700, "apply": "none"}, rows[0]]
    for row in rows:
        row["customer_id"] = office.bill.customer_id
    database = office.utility.services.database
    assert (
        database.record_payments(
            actor="test", payments=[NewPayment.model_validate(one) for one in rows]
        )
        == 5
    )
    assert (
        database.record_payments(
            actor="test", payments=[NewPayment.model_validate(one) for one in rows]
        )
        == 0
    )
    assert office.now_of(office.bill).status == "paid"
    # What was too much for the first bill, and what named none, went to the later one.
    assert office.now_of(later).amount_paid_minor == 100 + 55_000 - TOTAL + 50
    left = {
        e.payment_id: e.open_minor
        for e in database.open_credits(customer_id=office.bill.customer_id)
    }
    assert left == {rows[4]["id"]: -700}
    entries = database.ledger(customer_id=office.bill.customer_id).items
    assert [e.amount_minor for e in entries[:5]] == [-700, -50, -100, -1_000, -54_000]


def test_two_clicks_at_once_count_once(office: Office) -> None:
    one, together = str(uuid4()), threading.Barrier(2)

    def click(_: int) -> Receipt:
        together.wait()
        return office.pay("540.35", bill=office.bill, payment_id=one)

    with ThreadPoolExecutor(2) as pool:
        receipts = list(pool.map(click, range(2)))
    assert sorted(r.is_new for r in receipts) == [False, True]
    assert receipts[0].payment == receipts[1].payment
    assert office.utility.services.database.payments().total == 1
    assert office.now_of(office.bill).amount_paid_minor == TOTAL


def test_a_form_that_was_stored_and_then_changed_is_not_taken_for_its_first_self(
    office: Office,
) -> None:
    one = str(uuid4())
    office.pay("100", payment_id=one)
    with pytest.raises(InvalidEntry, match=r"recorded a payment of ₹100\.00 already"):
        office.pay("200", payment_id=one)


def test_a_payment_just_like_another_is_asked_about_and_not_refused(office: Office) -> None:
    first = office.pay("200", method="bank", reference="T1")
    two_days_ago = office.utility.today - timedelta(days=2)
    with pytest.raises(LooksLikeTwice) as twice:
        office.pay("200", method="bank", reference="T1", received_on=two_days_ago)
    assert [p.id for p in twice.value.alike] == [first.payment.id]
    office.pay("200", method="bank", reference="T2")
    office.pay("200", method="cash")
    office.pay("200", method="bank", reference="T1", confirmed=True)
    three_days_ago = office.utility.today - timedelta(days=3)
    with pytest.raises(LooksLikeTwice):
        office.pay("75", method="bank", reference="t 1", received_on=three_days_ago)
    assert office.utility.services.database.payments().total == 4


def test_a_banks_reference_booked_to_another_customer_is_asked_about(office: Office) -> None:
    first = office.pay("200", method="bank", reference="UTR-77 01")
    office.utility.add_meter("M2")
    other = office.utility.submit("M2", 1117).bill
    assert other is not None
    with pytest.raises(LooksLikeTwice) as twice:
        pay_for(office, other, reference="utr7701")
    assert [p.id for p in twice.value.alike] == [first.payment.id]
    with pytest.raises(LooksLikeTwice):
        pay_for(office, other, reference="UTR7701", method="mobile_money")
    assert pay_for(office, other, reference="UTR7701", method="cheque").is_new
    assert pay_for(office, other, reference="utr7701", confirmed=True).is_new
    assert pay_for(office, other, reference="UTR7702").is_new


def test_what_went_back_whole_may_be_entered_again(office: Office) -> None:
    wrong = office.pay("200", method="bank", reference="UTR-5")
    office.utility.services.refunds.reverse(
        payment_id=wrong.payment.id,
        reason="wrong account",
        principal=ADMIN,
        now=office.utility.now,
    )
    office.utility.add_meter("M2")
    other = office.utility.submit("M2", 1117).bill
    assert other is not None
    assert pay_for(office, other, reference="UTR-5").is_new


def test_where_nobody_can_be_asked_a_repeated_reference_is_flagged(office: Office) -> None:
    first = office.pay("200", method="bank", reference="UTR-9")
    database = office.utility.services.database
    rows: list[dict[str, Any]] = [
        {"id": str(uuid4()), "customer_id": office.bill.customer_id, "amount_minor": 300}
        | {"currency": "INR", "method": "bank", "reference": reference}
        | {"received_at": office.utility.now, "received_on": office.utility.today}
        for reference in ("utr 9", "UTR-10", "")
    ]
    assert (
        database.record_payments(
            actor=ADMIN.user, payments=[NewPayment.model_validate(one) for one in rows]
        )
        == 3
    )
    (flag,) = database.open_payment_flags().items
    assert (flag.payment_id, flag.reason) == (rows[0]["id"], "reference_repeated")
    assert "The reference utr 9 is booked already, to account A-M1" in flag.detail
    assert office.pay("200", method="bank", reference="UTR-9", confirmed=True).is_new
    assert database.open_payment_flags().total == 1
    assert database.payment_flags(payment_id=first.payment.id) == []


def test_two_desks_that_book_one_reference_at_once_are_asked(office: Office) -> None:
    office.utility.add_meter("M2")
    other = office.utility.submit("M2", 1117).bill
    assert other is not None
    together = threading.Barrier(2)

    def book(bill: Bill) -> bool:
        together.wait()
        try:
            return pay_for(office, bill, reference="UTR1").is_new
        except LooksLikeTwice:
            return False

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(book, (office.bill, other))) == [False, True]


def pay_for(
    office: Office, bill: Bill, *, reference: str, confirmed: bool = False, method: str = "bank"
) -> Receipt:
    """Record ₹100 for the customer of a bill, unless said otherwise by a bank transfer."""
    body = {"amount": "100", "method": method, "received_on": office.utility.today}
    return office.desk.record_payment(
        payment_id=str(uuid4()),
        customer_id=bill.customer_id,
        body=body | {"reference": reference},
        principal=ADMIN,
        now=office.utility.now,
        confirmed=confirmed,
    )


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ({"amount": "-540.35"}, "-540.35 is not above 0.*refund or reverse"),
        ({"amount": "0"}, "above 0"),
        ({"amount": "five"}, "not an amount"),
        ({"amount": "5.001"}, "more than the 2 decimals of INR"),
        ({"amount": "5", "method": "cheque"}, "number of the cheque"),
        ({"amount": "5", "method": "bank", "reference": "  "}, "reference of the transfer"),
        ({"amount": "5", "method": "stripe"}, "how it was paid"),
        ({"amount": "5", "received_on": "1999-12-31"}, "too long ago"),
    ],
)
def test_bad_input_is_told_in_a_sentence_and_nothing_is_stored(
    office: Office, what: dict[str, Any], said: str
) -> None:
    with pytest.raises(InvalidEntry, match=said):
        office.pay(**what)
    with pytest.raises(InvalidEntry, match="future"):
        office.pay("5", received_on=office.utility.today + timedelta(days=1))
    assert office.utility.services.database.payments().total == 0


def test_a_void_bill_and_an_unknown_one_take_no_payment(office: Office) -> None:
    office.utility.services.database.void_bill(
        actor=ADMIN.user, bill_id=office.bill.id, reason="a test"
    )
    with pytest.raises(IllegalChange, match="Only an issued bill"):
        office.pay("5", bill=office.bill)
    with pytest.raises(NotFound):
        office.desk.record_payment(
            payment_id=str(uuid4()),
            customer_id=str(uuid4()),
            body={"amount": "5", "method": "cash", "received_on": office.utility.today},
            principal=ADMIN,
            now=office.utility.now,
        )


def test_an_engineer_takes_no_money(office: Office) -> None:
    with pytest.raises(NotAllowed):
        office.pay("5", principal=ENGINEER)
    with pytest.raises(NotAllowed):
        office.desk.find("INV-000001", principal=ENGINEER)
    desk = office.utility.services.account_adjustments
    with pytest.raises(NotAllowed):
        desk.settle(customer_id=office.bill.customer_id, principal=ENGINEER)
    with pytest.raises(NotAllowed):
        desk.leave_unapplied(entry_id=str(uuid4()), principal=ENGINEER)
    with pytest.raises(NotAllowed):
        desk.cancel_plan(plan_id=str(uuid4()), reason="x", principal=ENGINEER)


def test_who_pays_is_found_by_bill_account_or_name(office: Office) -> None:
    find = office.desk.find
    for text in ("INV-000001", "inv-1", " INV 000001 "):
        found = find(text, principal=ADMIN)
        assert found.bill is not None
        assert found.bill.id == office.bill.id
    for text in ("A-M1", "House M1", "hill road"):
        found = find(text, principal=ADMIN)
        assert found.bill is None
        assert [a.id for a in found.accounts] == [office.bill.customer_id]
    with pytest.raises(NotFound, match="nobody at all"):
        find("nobody at all", principal=ADMIN)
    with pytest.raises(NotFound):
        find("INV-000099", principal=ADMIN)
    with pytest.raises(InvalidEntry):
        find("  ", principal=ADMIN)


# -- deposits ------------------------------------------------------------------------------------


def test_a_deposit_is_held_used_for_a_bill_and_the_rest_given_back(office: Office) -> None:
    desk, customer = office.desk, office.bill.customer_id
    who: dict[str, Any] = {"customer_id": customer, "principal": ADMIN, "now": office.utility.now}
    cash = {"amount": "600", "method": "cash", "received_on": office.utility.today}
    taken = desk.take_deposit(payment_id=str(uuid4()), body=cash, **who)
    assert (taken.payment.status, taken.paid) == ("deposit", ())
    assert office.now_of(office.bill).amount_paid_minor == 0
    with pytest.raises(InvalidEntry, match=r"more than the deposit held, ₹600\.00"):
        desk.use_deposit(entry_id=str(uuid4()), body={"amount": "601", "note": "x"}, **who)
    use: dict[str, Any] = {
        "entry_id": str(uuid4()),
        "body": {"amount": "540.35", "note": "Moved out"},
    }
    for _ in range(2):
        try:
            desk.use_deposit(**use, **who)
        except InvalidEntry:  # The same click again, when less is held by now.
            assert office.utility.services.database.account(customer).deposit_minor == 5_965
    assert office.now_of(office.bill).status == "paid"
    given = office.utility.services.refunds.pay_out(
        amount="59.65", method="bank", reference="T9", reason="Moved out", book="deposit", **who
    )
    assert (given.book, given.amount_minor, given.status) == ("deposit", 5_965, "done")
    account = office.utility.services.database.account(customer)
    assert (account.deposit_minor, account.balance_minor) == (0, 0)
    payment = office.utility.services.database.payment(taken.payment.id)
    assert payment.returnable_minor == 0


def test_a_customer_without_a_meter_leaves_a_deposit(office: Office) -> None:
    row: dict[str, Any] = {"row": 1, "id": str(uuid4()), "account_no": "NEW-1", "name": "New"}
    row |= {"email": "", "phone": "", "address": ""}
    database = office.utility.services.database
    database.import_rows(what="customers", actor="test", rows=[row], dry_run=False)
    assert database.account(row["id"]).currency is None
    office.desk.take_deposit(
        payment_id=str(uuid4()),
        customer_id=row["id"],
        body={"amount": "600", "method": "cash", "received_on": office.utility.today},
        principal=ADMIN,
        now=office.utility.now,
    )
    account = database.account(row["id"])
    assert (account.currency, account.deposit_minor) == ("INR", 60_000)


# -- credits, fees, what pays what ---------------------------------------------------------------


def test_a_fee_and_a_credit_are_given_once_and_taken_back(office: Office) -> None:
    desk, customer = office.utility.services.account_adjustments, office.bill.customer_id
    who: dict[str, Any] = {"customer_id": customer, "principal": ADMIN, "now": office.utility.now}
    fee: dict[str, Any] = {"entry_id": str(uuid4())}
    fee["body"] = {"kind": "fee", "amount": "50", "note": "Cheque bounced"}
    credit: dict[str, Any] = {"entry_id": str(uuid4())}
    credit["body"] = {"kind": "credit", "amount": "10", "note": "Sorry"}
    for _ in range(2):
        desk.adjust(**fee, **who)
        desk.adjust(**credit, **who)
    database = office.utility.services.database
    assert database.account(customer).balance_minor == TOTAL + 4_000
    other = fee | {"body": {"kind": "fee", "amount": "60", "note": "Cheque bounced"}}
    with pytest.raises(InvalidEntry, match=r"has entered ₹50\.00 already"):
        desk.adjust(**other, **who)
    undo: dict[str, Any] = {"principal": ADMIN, "now": office.utility.now, "reason": "waived"}
    for _ in range(2):
        desk.undo_adjustment(entry_id=fee["entry_id"], **undo)
    assert database.account(customer).balance_minor == TOTAL - 1_000
    with pytest.raises(InvalidEntry, match="why"):
        desk.undo_adjustment(entry_id=credit["entry_id"], **undo | {"reason": " "})
    for kind, said in (("credit", "charge a fee"), ("fee", "give a credit")):
        body = {"kind": kind, "amount": "-1", "note": "x"}
        with pytest.raises(InvalidEntry, match=said):
            desk.adjust(entry_id=str(uuid4()), body=body, **who)


def test_what_a_payment_paid_is_taken_off_and_put_on_another_bill(office: Office) -> None:
    later = office.another_bill()
    desk = office.utility.services.account_adjustments
    entry = office.pay("100", bill=office.bill).payment.entry_id
    assert entry is not None
    desk.leave_unapplied(entry_id=entry, principal=ADMIN)
    assert office.now_of(office.bill).amount_paid_minor == 0
    desk.apply_credit(entry_id=entry, bill_id=later.id, principal=ADMIN)
    assert office.now_of(later).amount_paid_minor == 10_000
    with pytest.raises(IllegalChange, match="Nothing is left"):
        desk.apply_credit(entry_id=entry, bill_id=later.id, principal=ADMIN)


# -- what went back ------------------------------------------------------------------------------


def test_money_paid_out_that_goes_back_once_more_is_owed_by_the_customer(office: Office) -> None:
    database = office.utility.services.database
    payment = office.pay("600", bill=office.bill).payment
    today = office.utility.today.isoformat()
    back: dict[str, Any] = {"reason": "asked", "on_date": today, "method": "bank"}
    payout: dict[str, Any] = {
        "customer_id": office.bill.customer_id,
        "currency": "INR",
        "kind": "payout",
    }
    payout |= {"id": str(uuid4()), "amount_minor": 5_965}
    database.record_return(actor=ADMIN.user, entry=NewReturn.model_validate(back | payout))
    assert database.payment(payment.id).returnable_minor == TOTAL
    # The payment's provider does not ask us: what it sends back did go back.
    refund = {"id": str(uuid4()), "payment_id": payment.id, "kind": "dispute"}
    database.record_return(actor=ADMIN.user, entry=NewReturn.model_validate(back | refund))
    assert database.account(office.bill.customer_id).balance_minor == TOTAL + 5_965
    assert office.now_of(office.bill).amount_paid_minor == 0
