"""Notes that are sent at once: on a way on which they can arrive."""

import hashlib
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Any

import pytest

from services.messages.bounces import ReturnAddress
from services.messages.direct import ByMail, BySms, DirectMessages, Note
from services.records.messages import CustomerContact

CUSTOMER = "7b1c1a52-63c4-4b55-8f7b-3a0f3f6f0c11"
AT = datetime(2026, 11, 30, 10, 0, tzinfo=UTC)
NOTE = Note("Your code: 1234 5678", "Your code is 1234 5678.")
RETURNS = ReturnAddress("bounces@mill.example", hashlib.sha256(b"key").digest())


class Servers:
    """Takes mail and texts, and keeps them."""

    def __init__(self) -> None:
        self.mails: list[tuple[str, str, EmailMessage]] = []
        self.texts: list[str] = []

    def send(self, mail: Any = None, **how: Any) -> str:
        """A mail with its envelope, or a text to a number."""
        if mail is not None:
            self.mails.append((how["sender"], how["recipient"], mail))
        else:
            self.texts.append(how["to"])
        return ""


def contact(**more: Any) -> CustomerContact:
    known: dict[str, Any] = {
        "customer_id": CUSTOMER,
        "language": "en",
        "phone": "+919876543210",
        "email": "leela@post.example",
        "discord_webhook_url": None,
        "whatsapp_opt_in_at": None,
    }
    return CustomerContact.model_validate(known | more)


@pytest.fixture
def servers() -> Servers:
    return Servers()


@pytest.fixture
def direct(servers: Servers) -> DirectMessages:
    server: Any = servers
    mail = ByMail(server, "billing@mill.example", lambda: "Mill", lambda: AT, RETURNS)
    return DirectMessages([mail, BySms(server, lambda: "Mill")])


def test_a_mail_carries_a_mark_that_is_of_this_customer_and_address(
    direct: DirectMessages, servers: Servers
) -> None:
    assert direct.send(contact(), NOTE)
    direct.close()
    ((sender, recipient, _),) = servers.mails
    assert recipient == "leela@post.example"
    assert sender.startswith("bounces+")
    came_back = EmailMessage()
    came_back["To"] = sender
    assert RETURNS.message_of(came_back) is None
    assert RETURNS.customer_of(came_back, lambda _: "leela@post.example") == (
        CUSTOMER,
        "leela@post.example",
    )
    # Since then the address was changed, or it never was a customer's.
    assert RETURNS.customer_of(came_back, lambda _: "leela@other.example") is None
    assert RETURNS.customer_of(came_back, lambda _: "") is None


def test_an_address_that_mail_comes_back_from_gets_no_code(
    direct: DirectMessages, servers: Servers
) -> None:
    gone = contact(email_bounced_at=AT, preferred="email")
    assert direct.way_to(gone) == "sms"
    assert direct.send(gone, NOTE)
    direct.close()
    assert servers.texts == ["+919876543210"]
    assert not servers.mails


def test_a_number_that_stopped_texts_gets_no_code(direct: DirectMessages, servers: Servers) -> None:
    stopped = contact(sms_stopped_at=AT, preferred="sms")
    assert direct.way_to(stopped) == "email"
    nowhere = contact(sms_stopped_at=AT, email_bounced_at=AT)
    assert direct.way_to(nowhere) is None
    assert not direct.send(nowhere, NOTE)
    direct.close()
    assert not servers.texts


def test_without_marks_mail_leaves_under_the_senders_address(servers: Servers) -> None:
    server: Any = servers
    direct = DirectMessages([ByMail(server, "billing@mill.example", lambda: "Mill", lambda: AT)])
    assert direct.send(contact(), NOTE)
    direct.close()
    assert servers.mails[0][0] == "billing@mill.example"
