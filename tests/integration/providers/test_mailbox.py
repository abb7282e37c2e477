"""Mail that comes back to a real mailbox, and what customers answer."""

import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr

from services.bootstrap_providers import Addresses
from services.integrations.http import ServiceUnavailable
from services.records.messages import Notification
from tests.certificates import make_certificate
from tests.imap_server import PASSWORD, USER, ImapServer, imap_server
from tests.integration.providers import published
from tests.integration.providers.stand_in import StandIn, running
from tests.integration.utility import Utility, make_utility
from tests.mail_server import Mailbox, mail_server

SENDER = "billing@mill.example"


@pytest.fixture
def imap() -> Iterator[ImapServer]:
    with imap_server() as found:
        yield found


@pytest.fixture
def smtp() -> Iterator[Mailbox]:
    with mail_server() as found:
        yield found


@pytest.fixture
def twilio() -> Iterator[StandIn]:
    with running(published.twilio()) as found:
        yield found


@pytest.fixture
def utility(
    imap: ImapServer, smtp: Mailbox, twilio: StandIn, database: str, tmp_path: Path
) -> Iterator[Utility]:
    """A customer who prefers e-mail, and has a telephone."""
    made = make_utility(
        database,
        tmp_path,
        addresses=Addresses(twilio=twilio.url),
        more_settings={
            "DEMO": "off",
            "SMTP_HOST": "127.0.0.1",
            "SMTP_PORT": str(smtp.port),
            "SMTP_SECURITY": "none",
            "CUSTOMER_EMAIL_FROM": SENDER,
            "CUSTOMER_EMAIL_BOUNCES_TO": "bounces@mill.example",
            "IMAP_HOST": "127.0.0.1",
            "IMAP_PORT": str(imap.port),
            "IMAP_SECURITY": "none",
            "IMAP_USER": USER,
            "IMAP_PASSWORD": PASSWORD,
            "TWILIO_ACCOUNT_SID": published.TWILIO_ACCOUNT,
            "TWILIO_AUTH_TOKEN": published.TWILIO_TOKEN,
            "TWILIO_FROM": published.TWILIO_NUMBER,
        },
    )
    made.add_meter("M1")
    sql(database, "update public.customers set phone='+919876543210', email='leela@post.example'")
    made.services.database.set_customer_channels(
        actor="test", rows=[{"account_no": "A-M1", "preferred": "email"}]
    )
    yield made
    made.services.close()


def sql(dsn: str, statement: str) -> list[Any]:
    with psycopg.connect(dsn) as connection:
        connection.execute("select set_config('billing.actor', 'test', false)")
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def submit(utility: Utility, kwh: int = 1117) -> str:
    answer = utility.submit("M1", kwh)
    assert answer.bill is not None
    return answer.bill.id


def look(utility: Utility) -> int:
    assert utility.services.inbox is not None
    return utility.services.inbox.look()


def mailed(utility: Utility, bill: str, channel: str = "email") -> Notification:
    found = utility.services.database.notifications(bill_id=bill).items
    (one,) = [one for one in found if one.channel == channel]
    return one


def report(to: str, *, action: str = "failed", status: str = "5.1.1") -> bytes:
    """A delivery report as Postfix writes it."""
    return (
        "Return-Path: <>\r\n"
        f"Delivered-To: {to}\r\n"
        "From: MAILER-DAEMON@mx.post.example (Mail Delivery System)\r\n"
        f"To: {to}\r\n"
        "Subject: Undelivered Mail Returned to Sender\r\n"
        "Auto-Submitted: auto-replied\r\n"
        "MIME-Version: 1.0\r\n"
        "Content-Type: multipart/report; report-type=delivery-status; boundary=B\r\n"
        "Message-Id: <20261130.1@mx.post.example>\r\n\r\n"
        "--B\r\nContent-Description: Notification\r\nContent-Type: text/plain\r\n\r\n"
        "I'm sorry to have to inform you that your message could not be delivered.\r\n"
        "--B\r\nContent-Description: Delivery report\r\n"
        "Content-Type: message/delivery-status\r\n\r\n"
        "Reporting-MTA: dns; mx.post.example\r\nArrival-Date: Mon, 30 Nov 2026 10:00:00 +0000\r\n"
        "\r\nFinal-Recipient: rfc822; leela@post.example\r\n"
        f"Action: {action}\r\nStatus: {status}\r\n"
        "Diagnostic-Code: smtp; 550 5.1.1 <leela@post.example>: unknown\r\n"
        "\r\n--B\r\nContent-Type: message/rfc822\r\n\r\n"
        f"Message-ID: <x@mill.example>\r\nTo: leela@post.example\r\n\r\nbill\r\n--B--\r\n"
    ).encode()


def test_mail_that_comes_back_is_marked_and_goes_on_by_sms_once(
    utility: Utility, imap: ImapServer, smtp: Mailbox, twilio: StandIn
) -> None:
    bill = submit(utility)
    ((envelope, _),) = smtp.envelopes
    assert envelope.startswith("bounces+")
    assert len(envelope.partition("@")[0]) <= 64
    assert not twilio.seen
    imap.deliver(report(envelope))
    imap.deliver(report(envelope))
    assert look(utility) == 2
    assert look(utility) == 0
    assert not any(b"Seen" in flags for flags in imap.flags())
    found = mailed(utility, bill)
    assert found.status == "bounced"
    assert found.error == "The e-mail came back: the address does not exist (5.1.1)."
    for _ in range(2):
        utility.services.outbox.sweep()
    assert len(twilio.accepted()) == 1
    assert mailed(utility, bill, "sms").status == "sent"
    contact = utility.services.database.customer_contact(
        utility.services.database.bill(bill).customer_id
    )
    assert contact.email_bounced_at is not None


def test_a_new_address_gets_mail_again(utility: Utility, imap: ImapServer, database: str) -> None:
    bill = utility.services.database.bill(submit(utility))
    sender = utility.services.database
    assert sender.customer_contact(bill.customer_id).email_bounced_at is None
    imap.deliver(report(_envelope_of(utility, bill.id)))
    look(utility)
    assert sender.customer_contact(bill.customer_id).email_bounced_at is not None
    sql(database, "update public.customers set email = 'leela@other.example'")
    assert sender.customer_contact(bill.customer_id).email_bounced_at is None


def _envelope_of(utility: Utility, bill: str) -> str:
    assert utility.services.inbox is not None
    assert utility.services.inbox.returns is not None
    return utility.services.inbox.returns.of(mailed(utility, bill).id)


def test_a_full_mailbox_marks_the_message_and_not_the_address(
    utility: Utility, imap: ImapServer
) -> None:
    bill = utility.services.database.bill(submit(utility))
    imap.deliver(report(_envelope_of(utility, bill.id), status="5.2.2"))
    look(utility)
    assert "the mailbox is full" in mailed(utility, bill.id).error
    contact = utility.services.database.customer_contact(bill.customer_id)
    assert contact.email_bounced_at is None


def test_a_forged_report_and_one_of_a_delay_mark_nothing(
    utility: Utility, imap: ImapServer, twilio: StandIn
) -> None:
    bill = submit(utility)
    envelope = _envelope_of(utility, bill)
    name, _, domain = envelope.partition("@")
    forged = f"{name[:-1]}{'a' if name[-1] != 'a' else 'b'}@{domain}"
    for mail in (
        report(forged),
        report("bounces@mill.example"),
        report(envelope, action="delayed", status="4.4.7"),
        b"Return-Path: <>\r\nContent-Type: multipart/report\r\n\r\n\xff\xfe",
    ):
        imap.deliver(mail)
    assert look(utility) == 4
    utility.services.outbox.sweep()
    assert mailed(utility, bill).status == "sent"
    assert not twilio.seen


def test_what_a_customer_answers_is_kept_and_absence_notes_are_not(
    utility: Utility, imap: ImapServer
) -> None:
    bill = submit(utility)
    answer = EmailMessage()
    answer["From"], answer["To"] = "Leela <LEELA@post.example>", SENDER
    answer["Subject"], answer["Message-ID"] = "Re: your bill", "<1@post.example>"
    answer["Date"] = datetime.now(UTC)
    answer["In-Reply-To"] = mailed(utility, bill).message_id
    answer.set_content("I have moved.\n\n> Your electricity bill\n> is ready\n")
    stranger = EmailMessage()
    stranger["From"], stranger["Message-ID"] = "who@else.example", "<2@else.example>"
    stranger.set_content("Hello?")
    absent = EmailMessage()
    absent["From"], absent["Auto-Submitted"] = "leela@post.example", "auto-replied"
    absent.set_content("I am away.")
    for mail in (answer, stranger, absent):
        imap.deliver(mail.as_bytes())
    assert look(utility) == 3
    replies = utility.services.database.message_book.open_replies()
    found = {reply.body: reply for reply in replies.items}
    assert set(found) == {"I have moved.", "Hello?"}
    assert found["I have moved."].account_no == "A-M1"
    assert found["I have moved."].subject == "Re: your bill"
    assert found["Hello?"].customer_id is None


def test_a_mailbox_that_is_away_is_read_later(utility: Utility, imap: ImapServer) -> None:
    bill = submit(utility)
    imap.deliver(report(_envelope_of(utility, bill)))
    assert utility.services.inbox is not None
    with pytest.raises(ServiceUnavailable), imap.mailbox(password=SecretStr("x")).opened():
        pass
    with pytest.raises(ServiceUnavailable), imap.mailbox(folder="None").opened():
        pass
    assert mailed(utility, bill).status == "sent"
    assert look(utility) == 1
    assert mailed(utility, bill).status == "bounced"


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_the_mailbox_is_read_over_tls_that_proves_who_it_is(
    security: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make_certificate(tmp_path, "localhost")
    with imap_server(made) as server:
        port = server.tls_port if security == "tls" else server.port
        box = server.mailbox(port=port, security=security)
        with pytest.raises(ServiceUnavailable), box.opened():
            pass
        trusting = ssl.create_default_context(cafile=str(made.certificate))
        trusting.check_hostname = False
        monkeypatch.setattr(ssl, "create_default_context", lambda: trusting)
        with box.opened() as opened:
            assert opened.uid_validity > 0
