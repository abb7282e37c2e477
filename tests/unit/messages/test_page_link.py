"""The link to a customer's page goes out on each of their own channels, and into no log."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from pydantic import SecretStr

from services.database.transport import TemporaryDatabaseError
from services.integrations.http import ServiceUnavailable
from services.messages.channels import (
    Channel,
    OutgoingMessage,
    OwnDiscord,
    OwnEmail,
    OwnSms,
    OwnWhatsApp,
    PreparedMessage,
    SharedDiscord,
)
from services.messages.page_link import PageLink
from services.records.messages import CustomerContact
from tests.unit.messages.test_templates import FACTS, bill

ADDRESS = "https://bills.example"
LINK = f"{ADDRESS}/my/open?k=secret"
PAGE = PageLink(ADDRESS, lambda customer: f"{LINK}-{customer}")
CONTACT = CustomerContact.model_validate(
    {
        "customer_id": "c-1",
        "language": "en",
        "phone": "+919876543210",
        "email": "leela@post.example",
        "discord_webhook_url": "https://discord.com/api/webhooks/1/x",
        "whatsapp_opt_in_at": datetime(2026, 1, 1, tzinfo=UTC),
    }
)


class Sender:
    """Stands for every provider's client, and keeps what it was to send."""

    def __init__(self) -> None:
        self.sent = ""

    def post(self, _: SecretStr, message: Mapping[str, Any]) -> str:
        self.sent = str(message)
        return "1"

    def spoken(self, language: str) -> str:
        return language

    def send(self, *_: object, **what: object) -> str:
        self.sent = " ".join(map(str, (*_, *what.values())))
        return "1"


def channels(sender: Any, page: PageLink | None) -> dict[str, Channel]:
    mail = OwnEmail(
        server=sender,
        sender="office@valley.example",
        sender_name=lambda: "Valley",
        documents=lambda _: (),
        clock=lambda: datetime(2026, 11, 28, tzinfo=UTC),
        page=page,
    )
    return {
        "own discord": OwnDiscord(sender, page=page),
        "whatsapp": OwnWhatsApp(sender, page),
        "e-mail": mail,
        "sms": OwnSms(sender, lambda: "Valley", page),
        "shared discord": SharedDiscord(sender, SecretStr("https://discord.com/api/webhooks/2/y")),
    }


def prepared(channel: Channel, kind: Any = "bill_issued") -> PreparedMessage:
    message = OutgoingMessage(bill(), kind, "Your bill.", CONTACT, FACTS[kind])
    return cast("PreparedMessage", channel.prepare(message))


@pytest.mark.parametrize("name", ["own discord", "whatsapp", "e-mail", "sms"])
@pytest.mark.parametrize("kind", ["bill_issued", "payment_received"])
def test_it_leaves_and_the_log_has_its_place_alone(name: str, kind: str) -> None:
    sender = Sender()
    message = prepared(channels(sender, PAGE)[name], kind)
    assert "/my/…" in message.text
    assert "secret" not in message.text
    message.send("row")
    assert f"{LINK}-c-1" in sender.sent


def test_the_channel_that_many_read_has_none() -> None:
    sender = Sender()
    message = prepared(channels(sender, PAGE)["shared discord"])
    message.send("row")
    assert ADDRESS not in message.text + sender.sent


def test_without_a_public_address_there_is_none() -> None:
    sender = Sender()
    for channel in channels(sender, None).values():
        message = prepared(channel)
        message.send("row")
        assert "/my/" not in message.text + sender.sent


def test_while_the_database_is_away_the_message_waits() -> None:
    def away(_: str) -> str:
        raise TemporaryDatabaseError("08006", "gone")

    message = prepared(channels(Sender(), PageLink(ADDRESS, away))["sms"])
    with pytest.raises(ServiceUnavailable):
        message.send("row")
