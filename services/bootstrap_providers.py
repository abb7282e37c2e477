"""The providers put together as they are set: AI, the outbox's steps 9 to 13, their checks."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Final
from zoneinfo import ZoneInfo

from services.accounts.attachments import Attachments
from services.ai.check import AiCheck
from services.ai.messages import AiMessageWriter
from services.ai.service import AiService, open_ai
from services.database.service import DatabaseService
from services.database.transport import Transport
from services.health.checks import Check
from services.health.last_errors import LastErrors, RecordedChannel, RecordedStep
from services.health.provider_checks import (
    DiscordCheck,
    MailboxCheck,
    MailCheck,
    SmsCheck,
    StripeCheck,
    WhatsAppCheck,
)
from services.identity.signing_key import load_or_create_signing_key
from services.integrations.http import TIMEOUT_SECONDS
from services.integrations.mail import MailServer
from services.integrations.mailbox import Mailbox
from services.languages.sentence import N_
from services.messages import discord, sms
from services.messages.bounces import ReturnAddress
from services.messages.channels import (
    EMAIL,
    OWN_DISCORD,
    SHARED_DISCORD,
    SMS,
    WHATSAPP,
    Channel,
    OwnDiscord,
    OwnEmail,
    OwnSms,
    OwnWhatsApp,
    SharedDiscord,
)
from services.messages.direct import (
    ByMail,
    ByOwnDiscord,
    BySms,
    CodesByWhatsApp,
    DirectMessages,
    KeptHere,
    Way,
)
from services.messages.discord import Discord
from services.messages.inbox import Inbox
from services.messages.page_link import PageLink
from services.messages.reports import TwilioReports, WhatsAppReports
from services.messages.sending import KeepMessage, LogNotification, SendMessage
from services.messages.templates import (
    Message,
    MessageWriter,
    TemplateWriter,
    WriteMessage,
)
from services.messages.texts import TwilioTexts
from services.messages.whatsapp import GRAPH_URL, WhatsApp
from services.outbox.outbox import StepHandler
from services.payments.stripe.client import StripePayments
from services.payments.stripe.payment_links import CreateLink, LinkOnBill, PaymentLinks
from services.payments.stripe.turns import StripeTurns, a_second_of
from services.people.customer_links import OPEN_PATH, CustomerLinks
from services.quantities.period import local_date
from services.settings import Settings, SettingsError
from services.telemetry import outside_calls

log = logging.getLogger(__name__)

TWILIO_PATH: Final = "/webhook/twilio"
# Where a utility lets Twilio hand in the texts that come to its number.
TEXTS_PATH: Final = f"{TWILIO_PATH}/incoming"
IN_DEMO: Final = N_("Not configured: the demo sends nothing to anybody.")
WITHOUT_CHANNEL: Final = N_("Not configured: no channel to customers has settings.")


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the services outside are; tests have servers of their own."""

    stripe: str | None = None
    whatsapp: str = GRAPH_URL
    twilio: str = sms.TWILIO_URL
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
    # What reaches a customer at once, such as a code for their page.
    direct: DirectMessages = field(default_factory=DirectMessages)

    def close(self) -> None:
        """Give back what the services hold open."""
        self.direct.close()
        if self.ai is not None:
            self.ai.close()


def open_providers(
    settings: Settings,
    transport: Transport,
    addresses: Addresses | None = None,
    *,
    utility_name: Callable[[], str] | None = None,
    reply_to: Callable[[], str] = str,
    attachments: Attachments | None = None,
) -> Providers:
    """Every provider that has settings; the demo uses none and sends nothing to anybody.

    `utility_name` answers the name of the moment, by default that of the settings, `reply_to` the
    office's e-mail address; `attachments` has the PDFs that are sent, by default none.
    """
    database = DatabaseService(transport)
    utility_name = utility_name or (lambda: settings.utility_name)
    writer: MessageWriter = TemplateWriter(utility_name)
    if settings.demo:
        return Providers(
            step_handlers=kept_message_steps(settings, database, writer, because=IN_DEMO),
            direct=DirectMessages((KeptHere(),)),
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
    page = page_link(settings, database)
    messages = (
        message_steps(
            settings=settings,
            database=database,
            writer=writer,
            addresses=addresses,
            last_errors=last_errors,
            more=(
                *email_channels(
                    settings,
                    utility_name,
                    attachments=attachments,
                    page=page,
                    reply_to=reply_to,
                ),
                *sms_channels(settings, utility_name, addresses, page),
            ),
            page=page,
            attachments=attachments,
        )
        if settings.sends_messages
        else kept_message_steps(settings, database, writer, because=WITHOUT_CHANNEL)
    )
    box = mailbox(settings)
    checks = outside_checks(settings=settings, links=links, addresses=addresses)
    paying = {
        number: RecordedStep(step, StripeCheck.name, last_errors)
        for number, step in payment_steps(links).items()
    }
    return Providers(
        ai=ai,
        stripe=links.stripe if links else None,
        step_handlers={**paying, **messages},
        checks=(*checks, *([MailboxCheck(box)] if box else []), AiCheck(ai)),
        last_errors=last_errors,
        direct=direct_messages(settings, utility_name, addresses),
    )


def message_steps(
    *,
    settings: Settings,
    database: DatabaseService,
    writer: MessageWriter,
    addresses: Addresses | None = None,
    last_errors: LastErrors | None = None,
    more: Sequence[tuple[Channel, str]] = (),
    page: PageLink | None = None,
    attachments: Attachments | None = None,
) -> dict[int, StepHandler]:
    """Steps 11 to 13. Discord and WhatsApp without settings are logged as left out, with the text.

    `more` are channels that are there once they have settings, each with the name of its check;
    `page` links to customers' own pages, and `attachments` has the PDFs that go by WhatsApp.
    """
    at, kept = addresses or Addresses(), last_errors or LastErrors()
    client = Discord(timeout_seconds=at.timeout_seconds)
    # A customer's own webhook that is gone is no outage of Discord.
    own = Discord(timeout_seconds=at.timeout_seconds, counted_as="Discord (customers)")
    channels: tuple[Channel, ...] = (
        RecordedChannel(
            SharedDiscord(client, settings.discord_webhook_url), DiscordCheck.name, kept
        ),
        # A customer's own webhook that is gone says nothing of the utility's.
        OwnDiscord(own, at.check_webhook, page),
        RecordedChannel(
            whatsapp_channel(settings, at, page, attachments), WhatsAppCheck.name, kept
        ),
        *(RecordedChannel(channel, check, kept) for channel, check in more),
    )
    writing = WriteMessage(database, writer, _today_in(settings.timezone))
    return {
        11: writing,
        12: SendMessage(
            database,
            channels,
            writing,
            message_rates(settings),
            lambda: datetime.now(settings.timezone),
        ),
        13: LogNotification(database, channels, writing),
    }


def message_rates(settings: Settings) -> dict[str, int]:
    """How many messages may leave on each channel in a minute; none of where nothing is sent."""
    if settings.demo or not settings.sends_messages:
        return {}
    return {
        SHARED_DISCORD: settings.messages_per_minute_discord,
        OWN_DISCORD: settings.messages_per_minute_discord_customers,
        WHATSAPP: settings.messages_per_minute_whatsapp,
        EMAIL: settings.messages_per_minute_email,
        SMS: settings.messages_per_minute_sms,
    }


def kept_message_steps(
    settings: Settings, database: DatabaseService, writer: MessageWriter, *, because: str
) -> dict[int, StepHandler]:
    """Steps 11 and 13 where nobody is written to: the log keeps the text and says why."""
    writing = WriteMessage(database, writer, _today_in(settings.timezone))
    return {11: writing, 13: KeepMessage(because)}


def email_channels(
    settings: Settings,
    utility_name: Callable[[], str],
    *,
    attachments: Attachments | None,
    page: PageLink | None = None,
    reply_to: Callable[[], str] = str,
) -> Iterator[tuple[Channel, str]]:
    """E-mail to customers with its check's name, if it is set."""
    server = mail_server(settings, counted_as=outside_calls.EMAIL)
    if server is None or settings.customer_email_from is None:
        return
    channel = OwnEmail(
        server=server,
        sender=settings.customer_email_from,
        sender_name=utility_name,
        documents=attachments.bills if attachments else lambda _: (),
        clock=lambda: datetime.now(UTC),
        receipts=attachments.receipt if attachments else lambda _: (),
        credit_notes=attachments.credit_notes if attachments else lambda _: (),
        statement=attachments.statement if attachments else lambda *_: (),
        page=page,
        reply_to=reply_to,
        returns=return_address(settings),
    )
    yield channel, MailCheck.name


def sms_channels(
    settings: Settings,
    utility_name: Callable[[], str],
    addresses: Addresses | None,
    page: PageLink | None = None,
) -> Iterator[tuple[Channel, str]]:
    """SMS to customers with its check's name, if it is set."""
    provider = sms_provider(settings, addresses or Addresses())
    if provider is not None:
        yield OwnSms(provider, utility_name, page), SmsCheck.name


def page_link(settings: Settings, database: DatabaseService) -> PageLink | None:
    """What links to customers' own pages; None where no public address is set."""
    address = settings.customer_page_address
    if address is None:
        return None
    links = CustomerLinks(load_or_create_signing_key(settings.data_dir))

    def make(customer_id: str) -> str:
        found = database.customer_page(customer_id)
        generation = found.generation if found else 0
        text = links.make(customer_id=customer_id, generation=generation, now=datetime.now(UTC))
        return f"{address}{OPEN_PATH}?k={text}"

    return PageLink(address, make)


def direct_messages(
    settings: Settings, utility_name: Callable[[], str], addresses: Addresses | None
) -> DirectMessages:
    """What reaches customers at once, on the ways that have settings."""
    at = addresses or Addresses()
    ways: list[Way] = []
    server = mail_server(settings, counted_as=outside_calls.EMAIL)
    if server is not None and settings.customer_email_from is not None:
        ways.append(
            ByMail(
                server,
                settings.customer_email_from,
                utility_name,
                lambda: datetime.now(UTC),
                return_address(settings),
            )
        )
    provider = sms_provider(settings, at)
    if provider is not None:
        ways.append(BySms(provider, utility_name))
    client = whatsapp_client(settings, at)
    if client is not None and settings.whatsapp_code_template is not None:
        ways.append(CodesByWhatsApp(client, settings.whatsapp_code_template))
    own = Discord(timeout_seconds=at.timeout_seconds, counted_as="Discord (customers)")
    ways.append(ByOwnDiscord(own, at.check_webhook))
    return DirectMessages(ways)


def sms_provider(settings: Settings, at: Addresses) -> sms.SmsProvider | None:
    """Who sends our texts, if it is set; raises SettingsError for a template that cannot be."""
    if settings.twilio_account_sid and settings.twilio_auth_token and settings.twilio_from:
        return sms.Twilio(
            settings.twilio_account_sid,
            settings.twilio_auth_token,
            settings.twilio_from,
            reports_to=twilio_reports_to(settings),
            base_url=at.twilio,
            timeout_seconds=at.timeout_seconds,
        )
    if settings.sms_gateway_url is None or settings.sms_gateway_body is None:
        return None
    try:
        template = sms.GatewayTemplate.parse(settings.sms_gateway_body)
    except sms.InvalidTemplate as error:
        raise SettingsError([f"SMS_GATEWAY_BODY: it {error}."]) from None
    return sms.HttpGateway(
        settings.sms_gateway_url,
        template,
        settings.sms_gateway_token,
        timeout_seconds=at.timeout_seconds,
    )


def return_address(settings: Settings) -> ReturnAddress | None:
    """Where mail to customers comes back to, if that is set; raises UnableToUseSigningKey."""
    if settings.customer_email_bounces_to is None:
        return None
    key = load_or_create_signing_key(settings.data_dir)
    return ReturnAddress(settings.customer_email_bounces_to, key)


def mailbox(settings: Settings) -> Mailbox | None:
    """The mailbox of the sender's address, if it is set; none in the demo."""
    host, user, password = settings.imap_host, settings.imap_user, settings.imap_password
    if settings.demo or host is None or user is None or password is None:
        return None
    return Mailbox(
        host=host,
        user=user,
        password=password,
        port=settings.imap_port,
        security=settings.imap_security,
        folder=settings.imap_folder,
    )


def inbox(settings: Settings, database: DatabaseService) -> Inbox | None:
    """Who reads the mailbox of the sender's address, if it is set."""
    found, sender = mailbox(settings), settings.customer_email_from
    if found is None or sender is None:
        return None
    return Inbox(database, found, sender, return_address(settings), lambda: datetime.now(UTC))


def twilio_reports_to(settings: Settings) -> str | None:
    """Where Twilio reports what became of texts, if it can reach us."""
    url = settings.reachable_url
    return f"{url}{TWILIO_PATH}" if url else None


def twilio_reports(settings: Settings, database: DatabaseService) -> TwilioReports | None:
    """Who takes the reports of Twilio, where that is set and reaches us; not in the demo."""
    url, token = twilio_reports_to(settings), settings.twilio_auth_token
    if settings.demo or url is None or token is None:
        return None
    return TwilioReports(database, token, url)


def twilio_texts(settings: Settings, database: DatabaseService) -> TwilioTexts | None:
    """Who takes texts of customers, where Twilio is set and reaches us; not in the demo."""
    url, token = settings.reachable_url, settings.twilio_auth_token
    if settings.demo or url is None or token is None:
        return None
    return TwilioTexts(database, token, f"{url}{TEXTS_PATH}", lambda: datetime.now(UTC))


def whatsapp_reports(settings: Settings, database: DatabaseService) -> WhatsAppReports | None:
    """Who takes the reports of WhatsApp, where they are set up; not in the demo."""
    secret, verify = settings.whatsapp_app_secret, settings.whatsapp_verify_token
    number = settings.whatsapp_phone_number_id
    if settings.demo or secret is None or verify is None or number is None:
        return None
    return WhatsAppReports(database, secret, verify, number)


def mail_server(settings: Settings, *, counted_as: str) -> MailServer | None:
    """The utility's server, if it is set; `counted_as` is its name in figures."""
    if settings.smtp_host is None:
        return None
    return MailServer(
        host=settings.smtp_host,
        port=settings.smtp_port,
        security=settings.smtp_security,
        user=settings.smtp_user,
        password=settings.smtp_password,
        counted_as=counted_as,
    )


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
            turns=StripeTurns(database, a_second_of(settings.stripe_secret_key.get_secret_value())),
        ),
    )


def payment_steps(links: PaymentLinks | None) -> dict[int, StepHandler]:
    """Steps 9 and 10, if there are payment links."""
    return {9: CreateLink(links), 10: LinkOnBill(links)} if links else {}


def outside_checks(
    *, settings: Settings, links: PaymentLinks | None, addresses: Addresses | None = None
) -> tuple[StripeCheck, DiscordCheck, WhatsAppCheck, MailCheck, SmsCheck]:
    """What the Services page tests of payments and messages."""
    at = addresses or Addresses()
    return (
        StripeCheck(links.stripe if links else None),
        DiscordCheck(settings.discord_webhook_url, Discord(timeout_seconds=at.timeout_seconds)),
        WhatsAppCheck(whatsapp_client(settings, at)),
        MailCheck(mail_server(settings, counted_as=outside_calls.EMAIL)),
        SmsCheck(sms_provider(settings, at)),
    )


def whatsapp_channel(
    settings: Settings, at: Addresses, page: PageLink | None, attachments: Attachments | None
) -> OwnWhatsApp:
    """WhatsApp to customers, with the PDFs of bills where the utility says so."""
    client = whatsapp_client(settings, at)
    if attachments is None or not settings.whatsapp_pdf:
        return OwnWhatsApp(client, page)
    return OwnWhatsApp(client, page, attachments.bills, attachments.credit_notes)


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
