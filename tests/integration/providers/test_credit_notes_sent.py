"""Credit notes go to their customers with the message of the correction, on any channel."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from services.bootstrap_providers import Addresses
from services.records.documents.credit_notes import CreditNote
from tests.integration.correcting import Correcting
from tests.integration.providers import published
from tests.integration.providers.mailbox.mails import sql
from tests.integration.providers.published import PHONE_ID
from tests.integration.providers.stand_in import StandIn, running
from tests.integration.providers.test_letters import pages_of
from tests.integration.test_utility_settings import change
from tests.integration.utility import ADMIN, make_utility
from tests.mail_server import Mailbox, body_of, mail_server


@pytest.fixture
def box() -> Iterator[Mailbox]:
    with mail_server() as found:
        yield found


@pytest.fixture
def whatsapp() -> Iterator[StandIn]:
    with running(published.whatsapp()) as found:
        yield found


@pytest.fixture
def at(box: Mailbox, whatsapp: StandIn, database: str, tmp_path: Path) -> Iterator[Correcting]:
    made = make_utility(
        database,
        tmp_path,
        addresses=Addresses(whatsapp=whatsapp.url),
        more_settings={
            "DEMO": "off",
            "SMTP_HOST": "127.0.0.1",
            "SMTP_PORT": str(box.port),
            "SMTP_SECURITY": "none",
            "CUSTOMER_EMAIL_FROM": "billing@mill.example",
            "MESSAGES_PER_MINUTE_EMAIL": "100000",
            "WHATSAPP_TOKEN": published.WHATSAPP_TOKEN,
            "WHATSAPP_PHONE_NUMBER_ID": PHONE_ID,
            "WHATSAPP_PDF": "on",
        },
    )
    change(made, credit_notes=True)
    yield Correcting(made)
    assert made.services.database.check_ledger().problems == ()
    made.services.close()


def address(dsn: str) -> None:
    sql(dsn, "update public.customers set email = 'leela@post.example'")


def later(at: Correcting, dsn: str) -> None:
    sql(dsn, "update public.outbox set next_attempt_at = now() - interval '1 s'")
    at.utility.services.outbox.sweep(limit=50)


def notes(at: Correcting) -> list[CreditNote]:
    return at.database.credit_notes(limit=100)[::-1]


def void(at: Correcting, bill_id: str) -> None:
    at.rebilling.void(bill_id=bill_id, reason="wrong meter", principal=ADMIN, now=at.utility.now)


def names(box: Mailbox) -> list[str | None]:
    """What the last mail brings."""
    return [one.get_filename() for one in box.mails[-1].iter_attachments()]


def test_a_correction_is_mailed_once_with_its_bills_and_credit_notes(
    at: Correcting, box: Mailbox, database: str
) -> None:
    bills = at.chain("M1", 3)
    address(database)
    at.execute(at.closed_at(bills[1], "1150"))
    later(at, database)
    (mail,) = [one for one in box.mails if "corrected" in one["Subject"]]
    issued = at.utility.bills_of("M1")[-1]
    assert names(box) == [f"{issued.reference}.pdf", "CN-000001.pdf", "CN-000002.pdf"]
    first = list(mail.iter_attachments())[1].get_content()
    archive = at.utility.services.credit_notes
    assert first == archive.pdf(credit_note_id=notes(at)[0].id, principal=ADMIN)
    said = " ".join(body_of(mail).split())
    assert "Credit notes CN-000001, CN-000002 take them back." in said
    later(at, database)
    assert len(box.mails) == 1
    (row,) = [
        one
        for one in at.database.notifications(customer_id=bills[0].customer_id).items
        if one.kind == "bill_corrected" and one.channel == "email"
    ]
    assert row.status == "sent"


def test_a_void_alone_is_mailed_with_its_credit_note_and_asks_for_nothing(
    at: Correcting, box: Mailbox, database: str
) -> None:
    (bill,) = at.chain("M1", 1)
    address(database)
    void(at, bill.id)
    later(at, database)
    assert names(box) == ["CN-000001.pdf"]
    said = " ".join(body_of(box.mails[-1]).split())
    assert f"{bill.reference} no longer holds. Credit note CN-000001 takes it back." in said
    assert "instead" not in said
    assert "Pay" not in said
    later(at, database)
    assert len(box.mails) == 1


def test_a_credit_note_that_waited_goes_though_its_bills_were_corrected_again(
    at: Correcting, box: Mailbox, database: str
) -> None:
    (bill,) = at.chain("M1", 1)
    address(database)
    box.at_address += ["451 4.7.1 come back later"]
    at.execute(at.closed_at(bill, "1150"))
    later(at, database)
    assert not box.mails
    (again,) = at.utility.bills_of("M1")
    at.execute(at.closed_at(again, "1160"))
    for _ in range(3):
        later(at, database)
    brought = [one.get_filename() for mail in box.mails for one in mail.iter_attachments()]
    assert sorted(one for one in brought if one and one.startswith("CN")) == [
        "CN-000001.pdf",
        "CN-000002.pdf",
    ]
    (holds,) = at.utility.bills_of("M1")
    assert f"{holds.reference}.pdf" in brought
    assert f"{again.reference}.pdf" not in brought


def test_without_credit_notes_a_void_says_nothing_as_before(
    at: Correcting, box: Mailbox, database: str
) -> None:
    change(at.utility, credit_notes=False)
    (bill,) = at.chain("M1", 1)
    address(database)
    void(at, bill.id)
    later(at, database)
    assert not box.mails


def test_quiet_hours_and_opting_out_hold_for_credit_notes(
    at: Correcting, box: Mailbox, database: str
) -> None:
    (quiet,) = at.chain("M1", 1)
    (silent,) = at.chain("M2", 1)
    address(database)
    local = datetime.now(UTC).astimezone(at.utility.services.settings.timezone)
    hours = [(local + timedelta(hours=n)).strftime("%H:%M") for n in (-2, 2)]
    at.database.set_customer_channels(
        actor="test",
        rows=[
            {"account_no": "A-M1", "quiet_from": hours[0], "quiet_until": hours[1]},
            {"account_no": "A-M2", "opted_out_at": "2026-01-01T00:00:00Z"},
        ],
    )
    for bill in (quiet, silent):
        void(at, bill.id)
    later(at, database)
    assert not box.mails
    at.database.set_customer_channels(
        actor="test", rows=[{"account_no": "A-M1", "quiet_from": None, "quiet_until": None}]
    )
    later(at, database)
    assert len(box.mails) == 1
    assert names(box) == ["CN-000001.pdf"]


def test_mail_that_comes_back_goes_by_whatsapp_with_the_pdf(
    at: Correcting, box: Mailbox, whatsapp: StandIn, database: str
) -> None:
    (bill,) = at.chain("M1", 1)
    address(database)
    sql(database, "update public.customers set phone = '+919876543210'")
    row = {"account_no": "A-M1", "preferred": "email"}
    row["whatsapp_opt_in_at"] = "2026-01-01T00:00:00Z"
    at.database.set_customer_channels(actor="test", rows=[row])
    void(at, bill.id)
    later(at, database)
    found = at.database.notifications(bill_id=bill.id, kind="bill_corrected").items
    (mail,) = [one for one in found if one.channel == "email"]
    at.database.message_book.note_delivery(
        actor="test", notification_id=mail.id, channel="email", status="bounced", detail="Gone."
    )
    later(at, database)
    (sent,) = [one.json for one in whatsapp.accepted() if one.path.endswith("/messages")]
    template = sent["template"]
    assert template["name"] == "electricity_bill_corrected_pdf"
    header, body = template["components"]
    assert header["parameters"][0]["document"]["filename"] == "CN-000001.pdf"
    assert body["parameters"][1]["text"] == "credit note CN-000001"
    assert body["parameters"][3]["text"] == "₹0.00"
    assert len(box.mails) == 1


def test_whatsapp_has_bill_and_credit_note_in_one_document(
    at: Correcting, whatsapp: StandIn, database: str
) -> None:
    (bill,) = at.chain("M1", 1)
    sql(database, "update public.customers set phone = '+919876543210'")
    row = {"account_no": "A-M1", "whatsapp_opt_in_at": "2026-01-01T00:00:00Z"}
    at.database.set_customer_channels(actor="test", rows=[row])
    at.execute(at.closed_at(bill, "1150"))
    later(at, database)
    (issued,) = at.utility.bills_of("M1")
    (upload,) = [one for one in whatsapp.accepted() if one.path.endswith("/media")]
    assert f'filename="{issued.reference}.pdf"'.encode() in upload.body
    begin = upload.body.index(b"%PDF")
    pages = pages_of(upload.body[begin : upload.body.rindex(b"%%EOF") + 5])
    assert issued.reference in pages[0]
    assert "CN-000001" in pages[-1]


def test_who_is_reached_by_nothing_gets_the_credit_note_by_post(
    at: Correcting, database: str
) -> None:
    bills = at.chain("M1", 2)
    sql(database, "update public.outbox set unreached_at = null")
    at.execute(at.closed_at(bills[1], "1150"))
    later(at, database)
    letters = at.utility.services.letters
    batch = letters.print_waiting(batch_id=str(uuid4()), principal=ADMIN, now=at.utility.now).batch
    pages = pages_of(letters.pdf(batch_id=batch.id, principal=ADMIN))
    assert "Credit note CN-000001 takes it back." in " ".join(pages[0].split())
    assert sum("Credit note" in page and "CN-000001" in page for page in pages[1:]) == 1
    last = at.utility.bills_of("M1")[-1]
    void(at, last.id)
    later(at, database)
    batch = letters.print_waiting(batch_id=str(uuid4()), principal=ADMIN, now=at.utility.now).batch
    pages = pages_of(letters.pdf(batch_id=batch.id, principal=ADMIN))
    assert len(pages) == 2
    assert "CN-000002" in pages[1]
