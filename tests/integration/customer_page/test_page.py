"""A customer's page from the mail with its link to what is shown and done there."""

import io
import re
from datetime import timedelta
from uuid import uuid4

from PIL import Image

from services.languages.language import Language
from tests.integration.customer_page.visitor import LINK, Town
from tests.integration.utility import ADMIN


def test_the_link_in_a_mail_opens_bills_alone(town: Town) -> None:
    town.home("M1")
    bill = town.bill("M1")
    link = town.link("M1")
    visitor = town.visitor()
    assert "Open the account" in visitor.get(link)
    # Looking at it opens nothing.
    assert town.sql("select count(*) from public.customer_sessions") == [(0,)]
    shown = visitor.post("/my/open", k=link.partition("k=")[2])
    assert "₹540.35" in shown
    assert bill.reference in shown
    shown = visitor.get(f"/my/bills/{bill.id}")
    assert "117 kWh" in shown
    for secret in ("House M1", "A-M1", "1 Hill Road", "m1@post.example"):
        assert secret not in visitor.get("/my") + visitor.get("/my/bills") + shown
    for closed in ("payments", "usage", "reading", "contact", "moving-out", f"bills/{bill.id}/pdf"):
        assert "A code is needed" in visitor.get(f"/my/{closed}")


def test_no_log_has_a_link(town: Town) -> None:
    customer = town.home("M1")
    town.bill("M1")
    assert LINK.search(town.mail_to("m1@post.example"))
    found = town.utility.services.database.notifications(customer_id=customer).items
    assert any("https://bills.example/my/…" in one.body for one in found)
    kept = str(town.sql("select * from public.notifications")) + str(
        town.sql("select * from public.outbox")
    )
    assert "?k=" not in kept


def test_a_code_opens_all(town: Town) -> None:
    town.home("M1")
    bill = town.bill("M1")
    visitor = town.confirmed("M1")
    assert "A-M1, House M1" in visitor.get("/my")
    visitor.get(f"/my/bills/{bill.id}/pdf")
    assert visitor.page is not None
    assert visitor.page.data.startswith(b"%PDF")
    assert visitor.page.headers["Content-Disposition"] == 'attachment; filename="INV-000001.pdf"'
    assert "Meter M1" in visitor.get("/my/usage")
    assert "1 Hill Road" in visitor.get("/my/contact")


def test_an_account_number_and_a_code_let_in_without_a_link(town: Town) -> None:
    town.home("M1")
    visitor = town.visitor()
    visitor.get("/my")
    assert "Account number" in visitor.text
    known = visitor.post("/my/sign-in", account=" A-M1 ")
    visitor.post("/my/code", account="A-M1", code=town.code("M1", 1))
    assert "A-M1, House M1" in visitor.text
    stranger = town.visitor()
    stranger.get("/my/sign-in")
    unknown = stranger.post("/my/sign-in", account="A-M9")
    hidden = re.compile(r'value="[^"]*"')
    assert hidden.sub("", known) == hidden.sub("", unknown)


def test_a_dispute_holds_the_dunning_until_the_office_closes_it(town: Town) -> None:
    customer = town.home("M1")
    bill = town.bill("M1")
    visitor = town.confirmed("M1")
    visitor.get(f"/my/bills/{bill.id}/dispute")
    form_id = visitor.form_id
    for _ in range(2):
        visitor.post(f"/my/bills/{bill.id}/dispute", id=form_id, reason="The meter is not mine")
    assert "We are looking at it" in visitor.text
    database, requests = (
        town.utility.services.database,
        town.utility.services.customer_page.requests,
    )
    (hold,) = database.dunning.holds(customer_id=customer)
    assert (hold.reason, hold.note) == ("dispute", "INV-000001: The meter is not mine")
    assert hold.released_at is None
    assert "asked us to look at this bill already" in visitor.get(f"/my/bills/{bill.id}/dispute")
    (waiting,) = requests.listed(still_open=True, principal=ADMIN, page=1, page_size=10).items
    assert (waiting.kind, waiting.reference, waiting.account_no) == (
        "dispute",
        "INV-000001",
        "A-M1",
    )
    requests.close(
        request_id=waiting.id,
        state="declined",
        answer="The serial is that of your meter.",
        principal=ADMIN,
        now=town.utility.now,
    )
    (hold,) = database.dunning.holds(customer_id=customer)
    assert hold.released_at is not None
    assert "The serial is that of your meter." in visitor.get(f"/my/bills/{bill.id}")


def test_a_dispute_of_a_paid_bill_is_refused_with_a_sentence(town: Town) -> None:
    customer = town.home("M1")
    bill = town.bill("M1")
    visitor = town.confirmed("M1")
    visitor.get(f"/my/bills/{bill.id}/dispute")
    form_id = visitor.form_id
    pay(town, bill.id)
    shown = visitor.post(f"/my/bills/{bill.id}/dispute", id=form_id, reason="Too much")
    assert visitor.status == 422
    assert "This bill is paid" in shown
    assert town.utility.services.database.dunning.holds(customer_id=customer) == []


def test_a_customer_takes_a_dispute_back(town: Town) -> None:
    customer = town.home("M1")
    bill = town.bill("M1")
    visitor = town.confirmed("M1")
    visitor.get(f"/my/bills/{bill.id}/dispute")
    visitor.post(f"/my/bills/{bill.id}/dispute", id=visitor.form_id, reason="Too much")
    ((request,),) = town.sql("select id from public.customer_requests")
    assert "You took it back" in visitor.post(f"/my/requests/{request}/withdraw")
    (hold,) = town.utility.services.database.dunning.holds(customer_id=customer)
    assert hold.released_by == "customer:A-M1"


def test_an_own_reading_is_billed_with_its_photo(town: Town) -> None:
    town.home("M1")
    town.bill("M1")
    visitor = town.confirmed("M1")
    town.utility.now += timedelta(days=28)
    visitor.get("/my/reading")
    meter = re.search(r'name="meter" value="([^"]+)"', visitor.text)
    assert meter
    shown = visitor.post(
        "/my/reading",
        id=visitor.form_id,
        meter=meter[1],
        kwh="1 230",
        photo=(io.BytesIO(photo()), "meter.png"),
    )
    assert "your bill is made from it" in shown
    rows = town.sql(
        "select source, submitted_by, register_wh from public.readings order by read_at"
    )
    assert rows[-1] == ("customer", "customer:A-M1", 1_230_000)
    assert town.sql("select taken_by, width from public.meter_photos") == [("customer:A-M1", 60)]


def test_a_reading_that_cannot_be_is_refused_with_a_sentence(town: Town) -> None:
    town.home("M1")
    town.bill("M1")
    visitor = town.confirmed("M1")
    visitor.get("/my/reading")
    meter = re.search(r'name="meter" value="([^"]+)"', visitor.text)
    assert meter
    form_id, token = visitor.form_id, visitor.token
    for kwh, photo_bytes in (("lots", b""), ("1200", b"no photo at all"), ("123456789", b"")):
        visitor.post(
            "/my/reading",
            token=token,
            id=form_id,
            meter=meter[1],
            kwh=kwh,
            photo=(io.BytesIO(photo_bytes), "x.jpg"),
        )
        assert visitor.status == 422
        assert 'role="alert"' in visitor.text
    assert town.sql("select count(*) from public.readings where source = 'customer'") == [(0,)]


def test_moving_out_is_a_task_of_the_office(town: Town) -> None:
    town.home("M1")
    town.bill("M1")
    visitor = town.confirmed("M1")
    visitor.get("/my/moving-out")
    agreement = re.search(r'<option value="([^"]+)"', visitor.text)
    assert agreement
    form_id, token = visitor.form_id, visitor.token
    last = (town.utility.today + timedelta(days=20)).isoformat()
    for wrong in ("", "soon", "2020-01-01", "9999-12-31"):
        visitor.post(
            "/my/moving-out", token=token, id=form_id, agreement=agreement[1], last_day=wrong
        )
        assert visitor.status == 422
    shown = visitor.post(
        "/my/moving-out",
        token=token,
        id=form_id,
        agreement=agreement[1],
        last_day=last,
        note="To Kochi",
    )
    assert "We are looking at it" in shown
    requests = town.utility.services.customer_page.requests
    (waiting,) = requests.listed(still_open=True, principal=ADMIN, page=1, page_size=10).items
    assert waiting.wanted_on is not None
    assert (waiting.kind, waiting.wanted_on.isoformat(), waiting.note) == (
        "move_out",
        last,
        "To Kochi",
    )


def test_contact_details_are_checked_kept_and_told_of(town: Town) -> None:
    customer = town.home("M1")
    town.bill("M1")
    visitor = town.confirmed("M1")
    visitor.get("/my/contact")
    seen = {"seen_phone": "", "seen_email": "m1@post.example", "seen_language": "en"}
    wanted = {"email": "new@post.example", "language": "hi", "preferred": "email"}
    assert "phone number is not a number" in visitor.post(
        "/my/contact", phone="call me", **wanted, **seen
    )
    assert visitor.status == 422
    assert "आपके संपर्क विवरण सहेजे गए।" in visitor.post(
        "/my/contact", phone="+91 98470 12345", **wanted, **seen
    )
    contact = town.utility.services.database.customer_contact(customer)
    assert (contact.phone, contact.email, contact.language, contact.preferred) == (
        "+919847012345", "new@post.example", "hi", "email",
    )  # fmt: skip
    assert "Somebody changed" in town.mail_to("m1@post.example", 3)
    # The form of before is stale by now.
    changed = "Somebody else changed these details meanwhile. Look at them as they are now."
    said = Language.of("hi").gettext(changed)
    assert said != changed
    assert said in visitor.post("/my/contact", phone="", **wanted, **seen)


def test_all_that_is_done_stands_in_the_timeline(town: Town) -> None:
    customer = town.home("M1")
    bill = town.bill("M1")
    visitor = town.confirmed("M1")
    visitor.get(f"/my/bills/{bill.id}/dispute")
    visitor.post(f"/my/bills/{bill.id}/dispute", id=visitor.form_id, reason="Too much")
    visitor.get("/my/end-links")
    visitor.post("/my/end-links")
    changes = town.utility.services.database.timeline(of="customer", subject_id=customer).changes
    by_customer = {c.table for c in changes if c.actor == "customer:A-M1"}
    assert by_customer >= {
        "customer_sessions",
        "customer_requests",
        "customer_pages",
        "dunning_holds",
    }
    assert "token_hash" not in str(changes)


def test_a_payment_brings_a_receipt_once(town: Town) -> None:
    customer = town.home("M1")
    bill = town.bill("M1")
    visitor = town.confirmed("M1")
    payment = pay(town, bill.id)
    for _ in range(3):
        town.utility.services.outbox.sweep()
    thanks = [m for m in town.box.mails if "received" in str(m["Subject"]).lower()]
    assert len(thanks) == 1
    (attached,) = thanks[0].iter_attachments()
    assert attached.get_filename() == f"receipt-{payment[:8].upper()}.pdf"
    assert attached.get_content().startswith(b"%PDF")
    shown = visitor.get("/my/payments")
    assert "₹540.35" in shown
    shown = visitor.get(f"/my/payments/{payment}")
    assert "Bill INV-000001" in shown
    visitor.get(f"/my/payments/{payment}/pdf")
    assert visitor.page is not None
    assert visitor.page.data.startswith(b"%PDF")
    assert customer


def pay(town: Town, bill_id: str) -> str:
    """The cashier takes what is open; the payment's id."""
    payment_id = str(uuid4())
    town.utility.services.office_payments.record_payment(
        payment_id=payment_id,
        bill_id=bill_id,
        body={
            "amount": "540.35",
            "method": "cash",
            "reference": "",
            "received_on": town.utility.today.isoformat(),
        },
        principal=ADMIN,
        now=town.utility.now,
    )
    return payment_id


def photo() -> bytes:
    made = io.BytesIO()
    Image.new("RGB", (60, 40), "white").save(made, "PNG")
    return made.getvalue()


def test_a_void_bill_has_its_credit_note_and_an_account_its_statement(town: Town) -> None:
    customer = town.home("M1")
    desk, database = town.utility.services.settings_desk, town.utility.services.database
    seen = desk.shown(principal=ADMIN).stored
    body = {"credit_notes": True}
    assert desk.change(change_id=str(uuid4()), body=body, seen=seen, principal=ADMIN)
    bill = town.bill("M1")
    on = town.utility.today
    database.void_bill(actor=ADMIN.user, bill_id=bill.id, reason="wrong meter", on=on)
    visitor = town.visitor()
    visitor.open(town.link("M1"))
    assert "Tax by rate" in visitor.get(f"/my/bills/{bill.id}")
    for closed in (f"bills/{bill.id}/credit-note", "statement", "statement/pdf"):
        assert "A code is needed" in visitor.get(f"/my/{closed}")
    visitor = town.confirmed("M1")
    assert "Credit note CN-000001" in visitor.get(f"/my/bills/{bill.id}")
    visitor.get(f"/my/bills/{bill.id}/credit-note")
    assert visitor.page is not None
    assert visitor.page.data.startswith(b"%PDF")
    assert visitor.page.headers["Content-Disposition"] == 'attachment; filename="CN-000001.pdf"'
    assert "Statement of account" in visitor.get("/my/bills")
    assert "Statement as PDF" in visitor.get("/my/statement")
    day = town.utility.today.isoformat()
    visitor.get(f"/my/statement/pdf?from={day}&to={day}")
    assert visitor.page.data.startswith(b"%PDF")
    assert "Say from which day" in visitor.get("/my/statement/pdf?from=x&to=y")
    assert "ends before it begins" in visitor.get(f"/my/statement/pdf?from={day}&to=2020-01-01")
    assert database.credit_notes(customer_id=customer, limit=2)


def test_the_office_sends_a_statement_as_mail(town: Town) -> None:
    customer = town.home("M1")
    town.bill("M1")
    town.mail_to("m1@post.example")
    statements, today = town.utility.services.statements, town.utility.today
    days = {"start": today - timedelta(days=40), "end": today + timedelta(days=1)}
    form = str(uuid4())
    for _ in range(2):
        assert statements.mail(statement_id=form, customer_id=customer, principal=ADMIN, **days)
    town.utility.services.outbox.sweep()
    town.mail_to("m1@post.example", 2)
    (attached,) = town.box.mails[-1].iter_attachments()
    assert attached.get_content_type() == "application/pdf"
    assert attached.get_content().startswith(b"%PDF")
    nobody = town.home("M2", email="")
    town.bill("M2")
    form = str(uuid4())
    assert not statements.mail(statement_id=form, customer_id=nobody, principal=ADMIN, **days)
