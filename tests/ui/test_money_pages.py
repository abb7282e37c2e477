"""Payments and customers' accounts as administrators use them, without a browser."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import time, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from streamlit.testing.v1 import AppTest

from pages import registry
from scheduler import Scheduler
from services.bootstrap import run_with
from services.identity.permissions import Role
from services.records.bills import Bill
from services.records.ledger import Payment
from tests.integration.utility import ACTOR, ADMIN, KSEB, Utility, make_utility
from tests.servers import NewDatabase
from tests.ui.list_rows import list_words

pytestmark = pytest.mark.postgres
PAGES = (
    "payments/payments.py",
    "payments/payment.py",
    "payments/record_payment.py",
    "customers/customers.py",
    "customers/customer.py",
)
# Whatever these link to.
OTHERS = tuple(p.script for p in vars(registry).values() if isinstance(p, registry.PageEntry))


@dataclass
class Office:
    """A utility, and the pages over it as somebody of a role sees them."""

    utility: Utility
    folder: Path
    numbers: Iterator[int] = field(default_factory=lambda: iter(range(1, 1000)))

    def open(self, file: str, role: Role = Role.ADMIN, **query: str) -> AppTest:
        """The page in that file, under an address with this query."""
        pages = [file, *(other for other in OTHERS if other != file)]
        listed = ", ".join(f'st.Page("{p}", default={p == file})' for p in pages)
        # Never a name that the folder has: those are links to the real pages.
        entry = self.folder / f"open-{Path(file).name}"
        entry.write_text(
            f"import streamlit as st\nst.navigation([{listed}], position='hidden').run()\n"
        )
        app = AppTest.from_file(str(entry), default_timeout=20)
        tokens: Any = self.utility.services.tokens
        app.session_state["token"] = tokens.issue("some.one", role, self.utility.now)
        for name, value in query.items():
            app.query_params[name] = value
        return app.run()

    def new_bill(self) -> Bill:
        """An issued bill of ₹540.35, of a customer of its own."""
        serial = f"M{next(self.numbers)}"
        self.utility.add_meter(serial)
        bill = self.utility.submit(serial, 1117).bill
        assert bill is not None
        return bill

    def pay(self, bill: Bill, amount: str, **what: Any) -> Payment:
        """A payment of cash for a bill, recorded as another administrator would have."""
        body = {"amount": amount, "method": "cash", "received_on": self.utility.today} | what
        receipt = self.utility.services.office_payments.record_payment(
            payment_id=str(uuid4()),
            bill_id=bill.id,
            body=body,
            principal=ADMIN,
            now=self.utility.now,
        )
        return receipt.payment

    def now_of(self, bill: Bill) -> Bill:
        """A bill as it stands now."""
        return self.utility.services.database.bill(bill.id)


@pytest.fixture(scope="module")
def dsn_and_folder(fresh_database: NewDatabase, page_folder: Path) -> tuple[str, Path]:
    return fresh_database(), page_folder


@pytest.fixture(scope="module")
def office(dsn_and_folder: tuple[str, Path]) -> Iterator[Office]:
    dsn, folder = dsn_and_folder
    utility = make_utility(dsn, folder)
    run_with(utility.services, Scheduler(utility.services))
    yield Office(utility, folder)
    run_with(None)
    assert utility.services.database.check_ledger().problems == ()
    utility.services.close()


def words(app: AppTest) -> str:
    """All that stands on the page, as it is read."""
    assert not app.exception
    kinds = (app.title, app.subheader, app.markdown, app.caption, app.success)
    found = [str(e.value) for kind in (*kinds, app.error, app.warning, app.info) for e in kind]
    found += [str(link.proto.label) for link in app.get("page_link")]
    found += [f"{m.label} {m.value}" for m in app.metric]
    found += [button.label for button in app.button]
    found += list_words(app)
    return "\n".join(found).replace("\\", "")


def fill(app: AppTest, **fields: str) -> AppTest:
    """Type into the fields whose labels begin so; `_` is a space."""
    for label, value in fields.items():
        starts = label.replace("_", " ")
        (box,) = [one for one in app.text_input if one.label.startswith(starts)]
        box.set_value(value)
    return app


def press(app: AppTest, label: str) -> AppTest:
    (button,) = [one for one in app.button if one.label == label]
    return button.click().run()


@pytest.mark.parametrize("file", PAGES)
def test_an_engineer_is_told_that_it_is_for_administrators(office: Office, file: str) -> None:
    assert "this page is for" in words(office.open(file, Role.ENGINEER))


def test_a_payment_is_recorded_and_its_page_is_the_receipt(office: Office) -> None:
    bill = office.new_bill()
    app = office.open("payments/record_payment.py", bill=bill.id)
    assert f"{bill.reference}" in words(app)
    receipt = words(press(app, "Record the payment"))
    assert "The payment of **₹540.35** is recorded." in receipt
    assert "Payment of ₹540.35" in receipt
    assert office.now_of(bill).status == "paid"
    assert "540.35" not in words(app.run()).split("Payment of")[0], "it is said once"


def test_bad_input_gets_a_sentence_and_the_form_keeps_what_was_typed(office: Office) -> None:
    bill = office.new_bill()
    app = office.open("payments/record_payment.py", bill=bill.id)
    app.selectbox[0].set_value("cheque")
    app = press(fill(app, Amount="540.35"), "Record the payment")
    assert "Give the number of the cheque" in words(app)
    app = press(fill(app, Amount="-5", Reference="CHQ 1"), "Record the payment")
    assert "-5 is not above 0. To give money back, refund or reverse" in words(app)
    assert [box.value for box in app.text_input] == ["-5", "CHQ 1"]
    assert app.selectbox[0].value == "cheque"
    assert "is recorded" in words(press(fill(app, Amount="5"), "Record the payment"))
    assert office.now_of(bill).amount_paid_minor == 500


@pytest.mark.parametrize("typed", ["₹1,000.50", "1,000.50", "1 000,50", "INR 1000.50"])
def test_amounts_may_be_typed_as_they_are_printed(office: Office, typed: str) -> None:
    bill = office.new_bill()
    app = fill(office.open("payments/record_payment.py", bill=bill.id), Amount=typed)
    assert "The payment of **₹1,000.50** is recorded." in words(press(app, "Record the payment"))
    (payment,) = office.utility.services.database.payments(text=bill.account_no).items
    app = fill(office.open("payments/payment.py", id=payment.id), Amount=typed)
    next(one for one in app.text_input if one.label == "Reason").set_value("asked")
    assert "The refund is stored." in words(press(app, "Refund"))


def test_an_amount_that_may_be_two_is_asked_about(office: Office) -> None:
    bill = office.new_bill()
    app = fill(office.open("payments/record_payment.py", bill=bill.id), Amount="1.000")
    assert "has more than the 2 decimals of INR" in words(press(app, "Record the payment"))
    assert office.now_of(bill).amount_paid_minor == 0


def test_one_just_like_another_is_asked_about_and_recorded_when_meant(office: Office) -> None:
    bill = office.new_bill()
    office.pay(bill, "100")
    app = fill(office.open("payments/record_payment.py", bill=bill.id), Amount="100")
    app = press(app, "Record the payment")
    assert "or just like this one, is there already" in words(app)
    assert office.now_of(bill).amount_paid_minor == 10_000
    assert "is recorded" in words(press(app, "Yes, book it all the same"))
    assert office.now_of(bill).amount_paid_minor == 20_000


def test_who_pays_is_looked_for(office: Office) -> None:
    bill, other = office.new_bill(), office.new_bill()
    app = press(fill(office.open("payments/record_payment.py"), Who_pays="House"), "Find")
    assert "Several fit" in words(app)
    app = press(fill(app, Who_pays="nobody at all"), "Find")
    assert "Nobody is found" in words(app)
    app = press(fill(app, Who_pays=bill.reference), "Find")
    assert app.query_params["bill"] == bill.id
    app = press(fill(office.open("payments/record_payment.py"), Who_pays=other.account_no), "Find")
    assert app.query_params["customer"] == other.customer_id


def test_a_payment_is_refunded_in_part_and_the_rest_reversed(office: Office) -> None:
    bill = office.new_bill()
    payment = office.pay(bill, "540.35")
    app = office.open("payments/payment.py", id=payment.id)
    assert "At most **₹540.35** can still go back" in words(app)
    assert "why" in words(press(fill(app, Amount="40.35"), "Refund")).lower()
    refund = [one for one in app.text_input if one.label == "Reason"]
    refund[0].set_value("paid too much")
    said = words(press(app, "Refund"))
    assert "The refund is stored." in said
    assert "At most **₹500.00**" in said
    assert office.now_of(bill).balance_minor == 4_035
    # The fields of a new form; the old one's button is no more.
    reasons = [one for one in app.text_input if one.label == "Reason"]
    assert reasons[0].value == ""
    reasons[-1].set_value("entered wrongly")
    said = words(press(app, "Reverse the payment"))
    assert "The payment is reversed." in said
    assert "Reversal of **₹500.00**" in said
    assert office.now_of(bill).balance_minor == 54_035


def test_a_refund_of_more_than_is_left_is_refused_and_kept_on_the_form(office: Office) -> None:
    payment = office.pay(office.new_bill(), "100")
    app = fill(office.open("payments/payment.py", id=payment.id), Amount="100.01")
    next(one for one in app.text_input if one.label == "Reason").set_value("asked")
    app = press(app, "Refund")
    assert "more than what is left" in words(app)
    assert app.text_input[0].value == "100.01"


def test_what_a_payment_paid_is_taken_off_and_put_to_a_bill_again(office: Office) -> None:
    bill = office.new_bill()
    app = office.open("payments/payment.py", id=office.pay(bill, "100").id)
    app = press(app, "Take it off")
    assert "unapplied" in words(app)
    assert office.now_of(bill).amount_paid_minor == 0
    app = press(app, "Pay this bill")
    assert "The bill is paid with it." in words(app)
    assert office.now_of(bill).amount_paid_minor == 10_000


def test_a_payment_of_nobody_known_is_flagged_first_assigned_and_settled(
    office: Office, dsn_and_folder: tuple[str, Path]
) -> None:
    bill = office.new_bill()
    payment = str(uuid4())
    with psycopg.connect(dsn_and_folder[0]) as connection:
        connection.execute("select set_config('billing.actor', 'stripe', true)")
        connection.execute(
            "insert into public.payments (id, amount_minor, currency, method, reference,"
            " received_at, received_on, provider_id, recorded_by) values"
            " (%s, 54035, 'INR', 'stripe', '', now(), %s, 'pi_1', 'stripe')",
            (payment, office.utility.today),
        )
        connection.execute(
            "insert into public.payment_flags (payment_id, reason, detail) values"
            " (%s, 'unknown_bill', 'It says *bill 9*'), (%s, 'amount_differs', 'Odd')",
            (payment, payment),
        )
    said = words(office.open("payments/payments.py", status="Unidentified"))
    assert "Nobody knows which bill or account it is for. It says *bill 9*" in said
    assert "1 payment" in said
    app = office.open("payments/payment.py", id=payment)
    app = press(fill(app, Bill_or="INV-999999"), "Put it in that account")
    assert "no bill INV-999999" in words(app)
    app = press(fill(app, Bill_or=bill.reference), "Put it in that account")
    assert "has paid what is open" in words(app)
    assert office.now_of(bill).status == "paid"
    app = press(app, "It is settled")
    assert "Say why" in words(app)
    said = words(press(fill(app, What_was="Called them"), "It is settled"))
    assert "Called them (some.one" in said
    assert office.utility.services.database.open_payment_flags().total == 0


def test_the_customers_are_found_and_shown_with_what_they_owe(office: Office) -> None:
    bill = office.new_bill()
    office.pay(bill, "600")
    said = words(office.open("customers/customers.py", q=bill.account_no))
    assert "1 customer" in said
    assert "₹59.65 in credit" in said
    assert "No customer fits." in words(
        office.open("customers/customers.py", q=bill.account_no, owing="true")
    )


def test_an_account_shows_open_bills_statement_and_timeline(office: Office) -> None:
    bill = office.new_bill()
    office.pay(bill, "100", method="bank", reference="T*1")

    def view(name: str) -> str:
        return words(office.open("customers/customer.py", id=bill.customer_id, view=name))

    assert "Owes ₹440.35" in view("Overview")
    assert f"**{bill.reference}**" in view("Overview")
    statement = view("Statement")
    assert "Payment, bank transfer" in statement
    assert "T*1" in statement
    assert "balance ₹440.35" in statement
    timeline = view("Timeline")
    assert timeline.index("Payment of ₹100.00") < timeline.index(f"Bill {bill.reference} issued")


def test_credits_fees_and_deposits_are_given_and_taken_back(office: Office) -> None:
    bill = office.new_bill()
    app = office.open("customers/customer.py", id=bill.customer_id, view="Payments")
    fields = [one for one in app.text_input if one.label in ("Amount (INR)", "What for")]
    for field_of, typed in zip(fields[:4], ("", "", "50", "Reconnection"), strict=True):
        field_of.set_value(typed)
    assert "The fee is charged." in words(press(app, "Charge the fee"))
    database = office.utility.services.database
    assert database.account(bill.customer_id).balance_minor == 54_035 + 5_000
    next(one for one in app.text_input if one.label == "Why").set_value("waived")
    assert "The fee is taken back." in words(press(app, "Take it back"))
    assert database.account(bill.customer_id).balance_minor == 54_035
    app.text_input[4].set_value("600")
    assert "The deposit of **₹600.00** is recorded." in words(press(app, "Take the deposit"))
    app = office.open("customers/customer.py", id=bill.customer_id, view="Payments")
    next(one for one in app.text_input if one.label == "Why").set_value("Moved out")
    assert "The deposit has paid what is open." in words(press(app, "Use it"))
    assert office.now_of(bill).status == "paid"


def test_contact_details_are_changed_and_what_cannot_be_right_is_said(office: Office) -> None:
    bill = office.new_bill()
    app = office.open("customers/customer.py", id=bill.customer_id, view="Details")
    press(fill(app, Name="Meera Nair", **{"E-mail": "meera"}), "Save")
    assert "is not an e-mail address" in words(app)
    press(fill(app, **{"E-mail": "meera@example.org"}, Address="12 Canal Road"), "Save")
    shown = words(app)
    assert "The details are changed." in shown
    assert "Meera Nair" in shown
    assert "12 Canal Road" in shown
    details = office.utility.services.contacts.details(
        customer_id=bill.customer_id, principal=ADMIN
    )
    assert (details.name, details.email) == ("Meera Nair", "meera@example.org")


def test_what_a_customer_wants_of_messages_is_set_and_taken_back(office: Office) -> None:
    bill = office.new_bill()

    def opened() -> AppTest:
        return office.open("customers/customer.py", id=bill.customer_id, view="Details")

    def field(kind: Any, label: str) -> Any:
        return next(one for one in kind if one.label == label)

    app = opened()
    field(app.time_input, "Quiet from").set_value(time(22))
    press(app, "Save")
    assert "Quiet hours need both a beginning and an end." in words(app)
    field(app.time_input, "Quiet until").set_value(time(7))
    field(app.selectbox, "Messages by").select("email")
    press(fill(app, **{"E-mail": "meera@example.org"}), "Save")
    contacts = office.utility.services.contacts
    details = contacts.details(customer_id=bill.customer_id, principal=ADMIN)
    assert (details.preferred, details.quiet_from, details.quiet_until) == (
        "email",
        time(22),
        time(7),
    )
    app = opened()
    field(app.checkbox, "No quiet hours").check()
    field(app.checkbox, "Wants no messages").check()
    press(app, "Save")
    details = contacts.details(customer_id=bill.customer_id, principal=ADMIN)
    assert (details.quiet_from, details.opted_out) == (None, True)


def test_contact_details_that_somebody_else_changed_are_not_overwritten(office: Office) -> None:
    bill = office.new_bill()
    app = office.open("customers/customer.py", id=bill.customer_id, view="Details")
    contacts = office.utility.services.contacts
    seen = contacts.details(customer_id=bill.customer_id, principal=ADMIN)
    contacts.change(
        customer_id=bill.customer_id,
        body={"name": "Changed elsewhere"},
        seen=seen,
        principal=ADMIN,
        now=office.utility.now,
    )
    press(fill(app, Name="Changed here"), "Save")
    assert "Somebody else changed these details" in words(app)
    press(app, "Begin again with them")
    assert [box.value for box in app.text_input if box.label == "Name"] == ["Changed elsewhere"]


def test_a_plan_is_shown_agreed_and_cancelled(office: Office) -> None:
    bill = office.new_bill()
    app = office.open("customers/customer.py", id=bill.customer_id, view="Plans")
    assert "₹180.13" in words(press(app, "Show the instalments"))
    app = press(app, "Agree on this plan")
    assert "The plan is agreed." in words(app)
    (plan,) = office.utility.services.database.plans(customer_id=bill.customer_id)
    assert [i.amount_minor for i in plan.instalments] == [18_013, 18_011, 18_011]
    assert "In an instalment plan" in words(office.open("bills/bill.py", id=bill.id))
    next(one for one in app.text_input if one.label == "Why").set_value("paid at once")
    assert "The plan is cancelled." in words(press(app, "Cancel the plan"))


def test_a_bill_shows_its_payments_and_the_way_to_another(office: Office) -> None:
    bill = office.new_bill()
    office.pay(bill, "100", method="bank", reference="UTR-OF-ITS-OWN")
    said = words(office.open("bills/bill.py", id=bill.id))
    assert "₹100.00 · Bank transfer" in said
    assert "Record a payment" in said
    assert "The customer's account" in said
    office.pay(bill, "440.35")
    assert "Record a payment" not in words(office.open("bills/bill.py", id=bill.id))


def test_each_detail_names_its_state_and_tells_what_happened(office: Office) -> None:
    bill = office.new_bill()
    paid = office.pay(bill, "100", method="bank", reference="T-7")
    details = (
        (
            "bills/bill.py",
            bill.id,
            f"Bill {bill.reference}",
            "Partly paid",
            f"Bill {bill.reference} issued: ₹540.35",
        ),
        ("payments/payment.py", paid.id, "Payment of ₹100.00", "Applied", f"Paid {bill.reference}"),
        (
            "customers/customer.py",
            bill.customer_id,
            bill.customer_name,
            "Owes",
            "Payment of ₹100.00",
        ),
    )
    for file, found, title, state, happened in details:
        app = office.open(file, id=found, view="Timeline")
        assert [one.value.replace("\\", "") for one in app.title] == [title]
        said = words(app)
        assert f"-badge[{state}]" in said
        assert happened in said
        assert str(office.utility.today.year) in said


def test_a_customer_of_two_meters_sees_both_and_the_use_of_each(office: Office) -> None:
    bill = office.new_bill()
    utility = office.utility
    serial = f"M{next(office.numbers)}"
    row = {"row": 1, "id": str(uuid4()), "opening_reading_id": str(uuid4()), "serial": serial}
    row |= {"account_no": bill.account_no, "tariff_code": KSEB["code"], "kind": "manual"}
    row |= {"dials": 5, "multiplier_milli": 1000, "opening_wh": 5_000_000}
    row |= {"opened_on": (utility.today - timedelta(days=31)).isoformat()}
    row |= {"opened_at": (utility.now - timedelta(days=31)).isoformat()}
    database = utility.services.database
    answer = database.import_rows(what="meters", actor=ACTOR, rows=[row], dry_run=False)
    assert not answer.errors
    assert utility.submit(serial, 5010).bill is not None
    page = "customers/customer.py"
    said = words(office.open(page, id=bill.customer_id))
    for meter, read in ((bill.meter_serial, "1,117 kWh"), (serial, "5,010 kWh")):
        assert f"**{meter}**" in said
        assert read in said
    used = {}
    for meter in (bill.meter_serial, serial):
        asked = {"id": bill.customer_id, "use-of": meter}
        app = office.open(page, Role.ADMIN, **asked)
        (table,) = [one.value for one in app.markdown if "A year earlier, kWh" in one.value]
        used[meter] = table
    assert used[serial] != used[bill.meter_serial]
    assert office.open("meters/meter.py", id=str(row["id"])).title[0].value == f"Meter {serial}"


def test_the_last_notes_stand_on_the_overview(office: Office) -> None:
    bill = office.new_bill()
    app = office.open("customers/customer.py", id=bill.customer_id)
    press(app, "Keep the note")
    assert "The note is empty" in words(app)
    app.text_area[0].set_value("Reads *the* meter\non Friday")
    assert "The note is kept." in words(press(app, "Keep the note"))
    assert [one.value for one in app.text] == ["Reads *the* meter\non Friday"]


@pytest.mark.parametrize("page", ["customers/customer.py", "meters/meter.py"])
def test_an_engineer_sees_nothing_of_a_customer_or_a_meters_past(office: Office, page: str) -> None:
    bill = office.new_bill()
    found = bill.customer_id if "customer" in page else bill.meter_id
    said = words(office.open(page, role=Role.ENGINEER, id=found, view="Timeline"))
    assert "Not allowed" in said
    assert bill.customer_name not in said
    assert "issued" not in said
