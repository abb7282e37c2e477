"""Mail that comes back to a real mailbox, and what customers answer."""

import ssl
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path

import pytest
from pydantic import SecretStr

from services.integrations.http import ServiceUnavailable
from tests.certificates import make_certificate
from tests.imap_server import ImapServer, imap_server
from tests.integration.providers.mailbox.mails import (
    SENDER,
    envelope_of,
    look,
    mailed,
    report,
    sql,
    submit,
)
from tests.integration.providers.stand_in import StandIn
from tests.integration.utility import Utility
from tests.mail_server import Mailbox


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
    imap.deliver(report(envelope_of(utility, bill.id)))
    look(utility)
    assert sender.customer_contact(bill.customer_id).email_bounced_at is not None
    sql(database, "update public.customers set email = 'leela@other.example'")
    assert sender.customer_contact(bill.customer_id).email_bounced_at is None


def test_a_report_on_the_address_of_before_does_not_mark_the_corrected_one(
    utility: Utility, imap: ImapServer, database: str
) -> None:
    """A slip of the pen is corrected: the masked form of both is the same, l…@post.example."""
    bill = utility.services.database.bill(submit(utility))
    sql(database, "update public.customers set email = 'lela@post.example'")
    imap.deliver(report(envelope_of(utility, bill.id)))
    look(utility)
    assert mailed(utility, bill.id).status == "bounced"
    contact = utility.services.database.customer_contact(bill.customer_id)
    assert contact.email_bounced_at is None


def test_a_report_on_what_left_before_the_address_was_trusted_marks_it_no_more(
    utility: Utility, imap: ImapServer
) -> None:
    first = utility.services.database.bill(submit(utility))
    utility.now += timedelta(days=31)
    second = submit(utility, 1217)
    imap.deliver(report(envelope_of(utility, first.id)))
    look(utility)
    book = utility.services.database.message_book
    book.trust_email(actor="test", customer_id=first.customer_id)
    imap.deliver(report(envelope_of(utility, second)))
    look(utility)
    assert mailed(utility, second).status == "bounced"
    contact = utility.services.database.customer_contact(first.customer_id)
    assert contact.email_bounced_at is None


def test_a_mailbox_that_is_read_once_more_marks_no_address_that_was_trusted_since(
    utility: Utility, imap: ImapServer, database: str
) -> None:
    utility.submit("M1", 1117)
    ((customer,),) = sql(database, "select id::text from public.customers")
    assert utility.services.inbox is not None
    returns = utility.services.inbox.returns
    assert returns is not None
    imap.deliver(report(returns.of_customer(customer, "leela@post.example")))
    look(utility)
    contact = utility.services.database.customer_contact
    assert contact(customer).email_bounced_at is not None
    utility.services.database.message_book.trust_email(actor="test", customer_id=customer)
    # The server numbers its mails anew.
    sql(database, "update public.mailboxes set uid_validity = uid_validity + 1")
    assert look(utility) == 1
    assert contact(customer).email_bounced_at is None


def test_an_address_in_letters_of_its_own_is_marked_too(
    utility: Utility, imap: ImapServer, database: str
) -> None:
    sql(database, "update public.customers set email = 'leela@pöst.example'")
    bill = utility.services.database.bill(submit(utility))
    imap.deliver(report(envelope_of(utility, bill.id)))
    look(utility)
    contact = utility.services.database.customer_contact(bill.customer_id)
    assert contact.email_bounced_at is not None


def test_a_full_mailbox_marks_the_message_and_not_the_address(
    utility: Utility, imap: ImapServer
) -> None:
    bill = utility.services.database.bill(submit(utility))
    imap.deliver(report(envelope_of(utility, bill.id), status="5.2.2"))
    look(utility)
    assert "the mailbox is full" in mailed(utility, bill.id).error
    contact = utility.services.database.customer_contact(bill.customer_id)
    assert contact.email_bounced_at is None


def test_a_forged_report_and_one_of_a_delay_mark_nothing(
    utility: Utility, imap: ImapServer, twilio: StandIn
) -> None:
    bill = submit(utility)
    envelope = envelope_of(utility, bill)
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
    imap.deliver(report(envelope_of(utility, bill)))
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
