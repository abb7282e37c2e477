"""Bills by e-mail: what a real mail server gets, and what becomes of a message that it refuses."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pypdfium2
import pytest

from services.bootstrap_providers import Addresses
from services.records.messages import Notification
from tests.integration.utility import Utility, make_utility
from tests.mail_server import Mailbox, body_of, mail_server

SENDER = "billing@mill.example"


@pytest.fixture
def box() -> Iterator[Mailbox]:
    with mail_server() as found:
        yield found


@pytest.fixture
def utility(box: Mailbox, database: str, tmp_path: Path) -> Iterator[Utility]:
    made = make_utility(
        database,
        tmp_path,
        addresses=Addresses(),
        more_settings={
            "DEMO": "off",
            "UTILITY_NAME": "Mühle & Söhne",
            "SMTP_HOST": "127.0.0.1",
            "SMTP_PORT": str(box.port),
            "SMTP_SECURITY": "none",
            "CUSTOMER_EMAIL_FROM": SENDER,
            "MESSAGES_PER_MINUTE_EMAIL": "100000",
        },
    )
    made.add_meter("M1")
    give_address(database, "leela@post.example")
    yield made
    made.services.close()


def give_address(dsn: str, address: str) -> None:
    with psycopg.connect(dsn) as connection:
        connection.execute("select set_config('billing.actor', 'test', false)")
        connection.execute("update public.customers set email = %s", [address])


def later(utility: Utility, dsn: str) -> None:
    with psycopg.connect(dsn) as connection:
        connection.execute("update public.outbox set next_attempt_at = now() - interval '1 s'")
    utility.services.outbox.sweep()


def submit(utility: Utility) -> str:
    answer = utility.submit("M1", 1117)
    assert answer.bill is not None
    return answer.bill.id


def sent(utility: Utility, bill_id: str) -> Notification:
    found = utility.services.database.notifications(bill_id=bill_id).items
    (mail,) = [one for one in found if one.channel == "email"]
    return mail


def test_a_bill_is_mailed_with_its_pdf(utility: Utility, box: Mailbox) -> None:
    bill = utility.services.database.bill(submit(utility))
    (mail,) = box.mails
    assert box.envelopes == [(SENDER, ["leela@post.example"])]
    assert mail["Subject"] == f"Electricity bill {bill.reference}"
    assert mail["From"].addresses[0].display_name == "Mühle & Söhne"
    assert mail["From"].addresses[0].addr_spec == SENDER
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Date"].datetime.tzinfo is not None
    assert "Your electricity bill INV-000001 is ready." in body_of(mail)
    (attached,) = mail.iter_attachments()
    assert attached.get_filename() == "INV-000001.pdf"
    pdf = attached.get_content()
    assert pdf == utility.services.bill_archive.pdf(bill.id).pdf
    with pypdfium2.PdfDocument(pdf) as document:
        assert "INV-000001" in document[0].get_textpage().get_text_range()
    log = sent(utility, bill.id)
    assert (log.status, log.recipient) == ("sent", "l…@post.example")
    assert mail["Message-ID"] == log.message_id == f"<{log.id}@mill.example>"


def test_a_bounced_address_is_marked_and_not_tried_again(
    utility: Utility, box: Mailbox, database: str
) -> None:
    box.at_address += ["550 5.1.1 leela@post.example: no such mailbox"]
    bill = submit(utility)
    log = sent(utility, bill)
    assert (log.status, log.error) == ("failed", "E-mail: the server refuses the address (550).")
    later(utility, database)
    assert (box.mails, box.refused) == ([], 1)


@pytest.mark.parametrize("stage", ["at_address", "at_message"])
def test_a_server_that_asks_to_wait_is_asked_again(
    utility: Utility, box: Mailbox, database: str, stage: str
) -> None:
    getattr(box, stage).append("451 4.7.1 greylisted, come back")
    bill = submit(utility)
    assert sent(utility, bill).status == "waiting"
    later(utility, database)
    assert sent(utility, bill).status == "sent"
    assert len(box.mails) == 1


def test_a_server_that_takes_a_message_and_hangs_up_is_not_sent_it_twice(
    utility: Utility, box: Mailbox, database: str
) -> None:
    box.at_message.append(lambda: "250 kept")
    bill = submit(utility)
    assert sent(utility, bill).status == "unknown"
    later(utility, database)
    assert len(box.mails) == 1


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("", "the customer has no e-mail address"),
        ("leela at home", "the customer's e-mail address is not one"),
        ("a@b.example, c@d.example", "the customer's e-mail address is not one"),
        ("léela@post.example", "the customer's e-mail address has letters that few mail"),
        ("a@post..example", "the customer's e-mail address has a domain that cannot be"),
    ],
)
def test_an_address_that_cannot_be_is_said_on_the_message(
    utility: Utility, box: Mailbox, database: str, address: str, why: str
) -> None:
    give_address(database, address)
    bill = submit(utility)
    log = sent(utility, bill)
    assert log.status == "not_configured"
    assert log.error.startswith(why)
    assert not box.mails


def test_a_bill_that_cannot_be_printed_is_mailed_without_its_pdf(
    utility: Utility, box: Mailbox, database: str
) -> None:
    with psycopg.connect(database) as connection:
        connection.execute("select set_config('billing.actor', 'test', false)")
        connection.execute("update public.customers set name = 'Asha \u0378'")
    submit(utility)
    (mail,) = box.mails
    assert not list(mail.iter_attachments())
