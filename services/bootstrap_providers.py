"""The providers put together as they are set: AI, the outbox's steps 9 to 13, their checks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Final
from zoneinfo import ZoneInfo

from services.ai.check import AiCheck
from services.ai.messages import AiMessageWriter
from services.ai.service import AiService, open_ai
from services.database.service import DatabaseService
from services.database.transport import Transport
from services.health.checks import Check
from services.health.last_errors import LastErrors, RecordedChannel, RecordedStep
from services.health.provider_checks import DiscordCheck, StripeCheck, WhatsAppCheck
from services.integrations.http import TIMEOUT_SECONDS
from services.messages import discord
from services.messages.channels import Channel, OwnDiscord, OwnWhatsApp, SharedDiscord
from services.messages.discord import Discord
from services.messages.sending import KeepMessage, LogNotification, SendMessage
from services.messages.templates import (
    Message,
    MessageWriter,
    TemplateWriter,
    WriteMessage,
)
from services.messages.whatsapp import GRAPH_URL, WhatsApp
from services.outbox.outbox import StepHandler
from services.payments.stripe.client import StripePayments
from services.payments.stripe.payment_links import CreateLink, LinkOnBill, PaymentLinks
from services.quantities.period import local_date
from services.settings import Settings

IN_DEMO: Final = "Not configured: the demo sends nothing to anybody."
WITHOUT_CHANNEL: Final = "Not configured: neither Discord nor WhatsApp has settings."


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the services outside are; tests have servers of their own."""

    stripe: str | None = None
    whatsapp: str = GRAPH_URL
    timeout_seconds: float = TIMEOUT_SECONDS
    check_webhook: Callable[[str], str] = discord.check_webhook


@dataclass(frozen=True, slots=True)
class Providers:
    """What the configured providers bring; by default, nothing."""

    ai: AiService | None = None
    stripe: StripePayments | None = None
    step_handlers: Mapping[int, StepHandler] = field(default_factory=dict)
    checks: tuple[Check, ...] = ()
    last_errors: LastErrors = field(default_factory=LastErrors)

    def close(self) -> None:
        """Give back what the services hold open."""
        if self.ai is not None:
            self.ai.close()


def open_providers(
    settings: Settings,
    transport: Transport,
    addresses: Addresses | None = None,
    *,
    utility_name: Callable[[], str] | None = None,
) -> Providers:
    """Every provider that has settings; the demo uses none and sends nothing to anybody.

    `utility_name` answers the name of the moment, by default that of the settings.
    """
    database = DatabaseService(transport)
    utility_name = utility_name or (lambda: settings.utility_name)
    writer: MessageWriter = TemplateWriter(utility_name)
    if settings.demo:
        return Providers(
            step_handlers=kept_message_steps(settings, database, writer, because=IN_DEMO)
        )
    last_errors = LastErrors()
    ai = open_ai(
        settings,
        transport,
        utility_name=utility_name,
        on_fault=lambda said: last_errors.note(AiCheck.name, said),
    )
    if ai is not None:
        writer = AiMessageWriter(ai, writer, Message)
    links = payment_links(settings=settings, database=database, addresses=addresses)
    messages = (
        message_steps(
            settings=settings,
            database=database,
            writer=writer,
            addresses=addresses,
            last_errors=last_errors,
        )
        if settings.sends_messages
        else kept_message_steps(settings, database, writer, because=WITHOUT_CHANNEL)
    )
    checks = outside_checks(settings=settings, links=links, addresses=addresses)
    paying = {
        number: RecordedStep(step, StripeCheck.name, last_errors)
        for number, step in payment_steps(links).items()
    }
    return Providers(
        ai=ai,
        stripe=links.stripe if links else None,
        step_handlers={**paying, **messages},
        checks=(*checks, AiCheck(ai)),
        last_errors=last_errors,
    )


def message_steps(
    *,
    settings: Settings,
    database: DatabaseService,
    writer: MessageWriter,
    addresses: Addresses | None = None,
    last_errors: LastErrors | None = None,
) -> dict[int, StepHandler]:
    """Steps 11 to 13. A channel that has no settings is logged as left out, with the text."""
    at, kept = addresses or Addresses(), last_errors or LastErrors()
    client = Discord(timeout_seconds=at.timeout_seconds)
    # A customer's own webhook that is gone is no outage of Discord.
    own = Discord(timeout_seconds=at.timeout_seconds, counted_as="Discord (customers)")
    channels: tuple[Channel, ...] = (
        RecordedChannel(
            SharedDiscord(client, settings.discord_webhook_url), DiscordCheck.name, kept
        ),
        # A customer's own webhook that is gone says nothing of the utility's.
        OwnDiscord(own, at.check_webhook),
        RecordedChannel(OwnWhatsApp(whatsapp_client(settings, at)), WhatsAppCheck.name, kept),
    )
    writing = WriteMessage(database, writer, _today_in(settings.timezone))
    return {
        11: writing,
        12: SendMessage(database, channels, writing),
        13: LogNotification(database, channels),
    }


def kept_message_steps(
    settings: Settings, database: DatabaseService, writer: MessageWriter, *, because: str
) -> dict[int, StepHandler]:
    """Steps 11 and 13 where nobody is written to: the log keeps the text and says why."""
    writing = WriteMessage(database, writer, _today_in(settings.timezone))
    return {11: writing, 13: KeepMessage(because)}


def _today_in(zone: ZoneInfo) -> Callable[[], date]:
    return lambda: local_date(datetime.now(UTC), zone)


def payment_links(
    *, settings: Settings, database: DatabaseService, addresses: Addresses | None = None
) -> PaymentLinks | None:
    """The keeper of payment links, if Stripe is configured; the payment story needs it too."""
    if settings.stripe_secret_key is None:
        return None
    at = addresses or Addresses()
    return PaymentLinks(
        database,
        StripePayments(
            secret_key=settings.stripe_secret_key.get_secret_value(),
            base_url=at.stripe,
            timeout_seconds=at.timeout_seconds,
        ),
    )


def payment_steps(links: PaymentLinks | None) -> dict[int, StepHandler]:
    """Steps 9 and 10, if there are payment links."""
    return {9: CreateLink(links), 10: LinkOnBill(links)} if links else {}


def outside_checks(
    *, settings: Settings, links: PaymentLinks | None, addresses: Addresses | None = None
) -> tuple[StripeCheck, DiscordCheck, WhatsAppCheck]:
    """What the Services page tests of payments and messages."""
    at = addresses or Addresses()
    return (
        StripeCheck(links.stripe if links else None),
        DiscordCheck(settings.discord_webhook_url, Discord(timeout_seconds=at.timeout_seconds)),
        WhatsAppCheck(whatsapp_client(settings, at)),
    )


def whatsapp_client(settings: Settings, at: Addresses) -> WhatsApp | None:
    """The client for the utility's number, if WhatsApp is configured."""
    if settings.whatsapp_token is None or settings.whatsapp_phone_number_id is None:
        return None
    return WhatsApp(
        token=settings.whatsapp_token,
        phone_number_id=settings.whatsapp_phone_number_id,
        base_url=at.whatsapp,
        timeout_seconds=at.timeout_seconds,
    )
