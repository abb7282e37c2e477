"""The ways to reach people: the shared Discord channel, a customer's own webhook, WhatsApp."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from pydantic import SecretStr

from services.messages import discord, whatsapp
from services.messages.discord import Discord
from services.messages.whatsapp import WhatsApp
from services.records.bills import Bill
from services.records.messages import CustomerContact
from services.records.outbox import OutboxKind

SHARED_DISCORD: Final = "discord"
OWN_DISCORD: Final = "discord_customer"
WHATSAPP: Final = "whatsapp"
# As the log has messages that were kept because there is no channel at all.
NO_CHANNEL: Final = "none"


@dataclass(frozen=True, slots=True)
class PreparedMessage:
    """A message ready to leave: to whom (masked), what it says, and how it is sent.

    `send` takes our id of the message and answers the other side's; it raises ServiceUnavailable,
    RequestRejected or OutcomeUnknown.
    """

    recipient: str
    text: str
    send: Callable[[str], str]


@dataclass(frozen=True, slots=True)
class NotDeliverable:
    """Why nothing goes out on a channel, as a phrase, and what would have."""

    reason: str
    text: str


class Channel(Protocol):
    """A way to reach somebody about a bill."""

    @property
    def name(self) -> str:
        """As the log has it."""
        ...

    @property
    def label(self) -> str:
        """As people call it."""
        ...

    def prepare(
        self,
        *,
        bill: Bill,
        kind: OutboxKind,
        text: str,
        contact: CustomerContact,
        facts: Mapping[str, str],
    ) -> PreparedMessage | NotDeliverable:
        """The message for this bill, or why there is none."""
        ...


@dataclass(frozen=True, slots=True)
class SharedDiscord:
    """The utility's own channel, read by many: account number and amount, nothing else."""

    client: Discord
    address: SecretStr | None
    name: str = SHARED_DISCORD
    label: str = "Discord"

    def prepare(
        self,
        *,
        bill: Bill,
        kind: OutboxKind,
        text: str,
        contact: CustomerContact,
        facts: Mapping[str, str],
    ) -> PreparedMessage | NotDeliverable:
        """The note for the channel, if the utility has one."""
        del text, contact
        message = discord.shared_note(bill=bill, kind=kind, facts=facts)
        said = discord.as_text(message)
        if self.address is None:
            return NotDeliverable("not configured", said)
        address = self.address
        return PreparedMessage(
            "shared channel",
            said,
            lambda _: self.client.post(address, message),
        )


@dataclass(frozen=True, slots=True)
class OwnDiscord:
    """A customer's own webhook: the text and the whole bill."""

    client: Discord
    # Answers the address if it may be called, raises NotADiscordWebhook; tests have servers of
    # their own.
    check: Callable[[str], str] = discord.check_webhook
    name: str = OWN_DISCORD
    label: str = "Customer's Discord"

    def prepare(
        self,
        *,
        bill: Bill,
        kind: OutboxKind,
        text: str,
        contact: CustomerContact,
        facts: Mapping[str, str],
    ) -> PreparedMessage | NotDeliverable:
        """The bill for the customer, if they have a webhook."""
        message = discord.whole_bill(bill=bill, kind=kind, text=text, facts=facts)
        said = discord.as_text(message)
        address = contact.discord_webhook_url
        if address is None:
            return NotDeliverable("the customer has no webhook", said)
        try:
            self.check(address.get_secret_value())
        except discord.NotADiscordWebhook:
            return NotDeliverable("the customer's webhook is not one of Discord", said)
        return PreparedMessage(
            discord.masked(address),
            said,
            lambda _: self.client.post(address, message),
        )


@dataclass(frozen=True, slots=True)
class OwnWhatsApp:
    """A customer's WhatsApp, once they have agreed to it: an approved template, filled by code."""

    client: WhatsApp | None
    name: str = WHATSAPP
    label: str = "WhatsApp"

    def prepare(
        self,
        *,
        bill: Bill,
        kind: OutboxKind,
        text: str,
        contact: CustomerContact,
        facts: Mapping[str, str],
    ) -> PreparedMessage | NotDeliverable:
        """The template for this occasion, if the customer agreed and has a number."""
        del text  # WhatsApp lets nobody begin a conversation in words of their own.
        template, values = whatsapp.TEMPLATES[kind], whatsapp.parameters(bill, kind, facts)
        said, client = template.filled(values), self.client
        if client is None:
            return NotDeliverable("not configured", said)
        if contact.whatsapp_opt_in_at is None:
            return NotDeliverable("the customer has not agreed to it", said)
        try:
            number = whatsapp.e164(contact.phone)
        except whatsapp.InvalidPhone as error:
            return NotDeliverable(f"the customer's number {str(error).rstrip('.')}", said)
        return PreparedMessage(
            whatsapp.masked(number),
            said,
            lambda row_id: client.send(
                to=number,
                template=template,
                parameters=values,
                language=contact.language,
                row_id=row_id,
            ),
        )
