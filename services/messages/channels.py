"""The ways to reach people: a shared Discord channel, one's own webhook, WhatsApp, e-mail."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final, Protocol

from pydantic import SecretStr

from services.bill_documents.joined import joined
from services.integrations.mail import MailServer
from services.languages.language import Language
from services.languages.sentence import sentence
from services.messages import addresses, discord, mail, sms, whatsapp
from services.messages.account_texts.statements import ACCOUNT_STATEMENT, days_of
from services.messages.bounces import ReturnAddress
from services.messages.discord import Discord
from services.messages.facts import CREDIT_NOTES
from services.messages.mail import Attachment
from services.messages.page_link import PageLink, with_link, with_short_link
from services.messages.phones import InvalidPhone, e164, masked
from services.messages.whatsapp import WhatsApp
from services.records.bills import Bill
from services.records.messages import CustomerContact
from services.records.outbox import TELLS_OF, OutboxKind

SHARED_DISCORD: Final = "discord"
OWN_DISCORD: Final = "discord_customer"
WHATSAPP: Final = "whatsapp"
EMAIL: Final = "email"
SMS: Final = "sms"
# As the log has messages that were kept because there is no channel at all.
NO_CHANNEL: Final = "none"
# Their bill is paid, or not what they are about.
# It is nothing but its PDF.
_BY_MAIL_ALONE: Final[frozenset[OutboxKind]] = frozenset({ACCOUNT_STATEMENT})
_WITHOUT_BILL: Final[frozenset[OutboxKind]] = frozenset({"payment_received", "charges_overdue"})


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


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """What a customer is to be written: about which bill and occasion, in which words, and how they
    are reached.

    `facts` is what the occasion is about beyond the bill.
    """

    bill: Bill
    kind: OutboxKind
    text: str
    contact: CustomerContact
    facts: Mapping[str, str]


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

    def prepare(self, message: OutgoingMessage) -> PreparedMessage | NotDeliverable:
        """The message for this bill, or why there is none."""
        ...


@dataclass(frozen=True, slots=True)
class SharedDiscord:
    """The utility's own channel, read by many: account number and amount, nothing else."""

    client: Discord
    address: SecretStr | None
    name: str = SHARED_DISCORD
    label: str = "Discord"

    def prepare(self, message: OutgoingMessage) -> PreparedMessage | NotDeliverable:
        """The note for the channel, if the utility has one."""
        note = discord.shared_note(bill=message.bill, kind=message.kind, facts=message.facts)
        said = discord.as_text(note)
        if self.address is None:
            return NotDeliverable(sentence("not configured"), said)
        address = self.address
        return PreparedMessage(
            "shared channel",
            said,
            lambda _: self.client.post(address, note),
        )


@dataclass(frozen=True, slots=True)
class OwnDiscord:
    """A customer's own webhook: the text and the whole bill."""

    client: Discord
    # Answers the address if it may be called, raises NotADiscordWebhook; tests have servers of
    # their own.
    check: Callable[[str], str] = discord.check_webhook
    page: PageLink | None = None
    name: str = OWN_DISCORD
    label: str = "Customer's Discord"

    def prepare(self, message: OutgoingMessage) -> PreparedMessage | NotDeliverable:
        """The bill for the customer, if they have a webhook."""

        def note(link: str | None) -> dict[str, Any]:
            return discord.whole_bill(
                bill=message.bill,
                kind=message.kind,
                text=message.text,
                facts=message.facts,
                page=link,
                language=Language.of(message.contact.language),
            )

        said = discord.as_text(note(_shown(self.page)))
        address = message.contact.discord_webhook_url
        if address is None:
            return NotDeliverable(sentence("the customer has no webhook"), said)
        try:
            self.check(address.get_secret_value())
        except discord.NotADiscordWebhook:
            return NotDeliverable(sentence("the customer's webhook is not one of Discord"), said)
        return PreparedMessage(
            discord.masked(address),
            said,
            lambda _: self.client.post(address, note(_link(self.page, message))),
        )


@dataclass(frozen=True, slots=True)
class OwnWhatsApp:
    """A customer's WhatsApp, once they have agreed to it: an approved template, filled by code."""

    client: WhatsApp | None
    page: PageLink | None = None
    # The PDFs of bills by their ids, where templates were approved with a document.
    documents: Callable[[Sequence[str]], Sequence[Attachment]] = lambda _: ()
    # Those of credit notes.
    credit_notes: Callable[[Sequence[str]], Sequence[Attachment]] = lambda _: ()
    name: str = WHATSAPP
    label: str = "WhatsApp"

    def prepare(self, message: OutgoingMessage) -> PreparedMessage | NotDeliverable:
        """The template for this occasion, if the customer agreed and has a number."""
        # Not in its words: WhatsApp lets nobody begin a conversation in words of their own.
        contact, template = message.contact, whatsapp.TEMPLATES[message.kind]

        def values(link: str | None) -> tuple[str, ...]:
            return whatsapp.parameters(
                message.bill, message.kind, message.facts, page=link, language=language
            )

        client = self.client
        spoken = client.spoken(contact.language) if client else contact.language
        language = Language.of(spoken)
        said = template.filled(values(_shown(self.page)), language)
        if client is None:
            return NotDeliverable(sentence("not configured"), said)
        if contact.whatsapp_opt_in_at is None:
            return NotDeliverable(sentence("the customer has not agreed to it"), said)
        try:
            number = e164(contact.phone)
        except InvalidPhone as error:
            return NotDeliverable(f"the customer's number {str(error).rstrip('.')}", said)
        return PreparedMessage(
            masked(number),
            said,
            lambda row_id: client.send(
                to=number,
                template=template,
                parameters=values(_link(self.page, message)),
                language=contact.language,
                row_id=row_id,
                document=self._document(message),
            ),
        )

    def _document(self, message: OutgoingMessage) -> Attachment | None:
        # Who thanks for a payment sends no bill.
        if message.kind in _WITHOUT_BILL:
            return None
        notes = credit_notes_of(message.facts)
        bills = () if notes and message.bill.status == "void" else (message.bill.id,)
        shown = (*self.documents(bills), *(self.credit_notes(notes) if notes else ()))
        if len(shown) < 2:
            return next(iter(shown), None)
        # A template shows one document.
        return Attachment(shown[0].name, joined([one.pdf for one in shown]))


@dataclass(frozen=True, slots=True)
class OwnEmail:
    """A customer's e-mail: the text, with the bill, its credit notes or the receipt as PDF.

    `sender` is the utility's address, `sender_name` answers its name of the moment, `documents`
    the PDFs of bills by their ids, without those that cannot be printed, `credit_notes` those of
    credit notes, `receipts` that of a payment; all raise ServiceUnavailable. `statement` is that of
    a customer's account from one local date to another, FinalFailure where there is none. `clock`
    answers the time (UTC). `reply_to` answers the office's address, empty where there is none;
    `returns` marks where mail comes back to.
    """

    server: MailServer
    sender: str
    sender_name: Callable[[], str]
    documents: Callable[[Sequence[str]], Sequence[Attachment]]
    clock: Callable[[], datetime]
    receipts: Callable[[str], Sequence[Attachment]] = lambda _: ()
    credit_notes: Callable[[Sequence[str]], Sequence[Attachment]] = lambda _: ()
    statement: Callable[[str, date, date], Sequence[Attachment]] = lambda *_: ()
    page: PageLink | None = None
    reply_to: Callable[[], str] = str
    returns: ReturnAddress | None = None
    name: str = EMAIL
    label: str = "E-mail"

    def prepare(self, message: OutgoingMessage) -> PreparedMessage | NotDeliverable:
        """The mail for the customer, if they have an address."""
        contact, text = message.contact, message.text
        language = Language.of(contact.language)
        if not contact.email.strip():
            return NotDeliverable(sentence("the customer has no e-mail address"), text)
        try:
            recipient = addresses.mail_address(contact.email)
        except addresses.NotAnAddress as error:
            return NotDeliverable(f"the customer's e-mail address {error}", text)
        if contact.email_bounced_at is not None:
            return NotDeliverable(sentence("mail to the customer's address comes back"), text)

        def send(row_id: str) -> str:
            made = mail.mail_of(
                bill=message.bill,
                kind=message.kind,
                text=with_link(text, _link(self.page, message), language),
                language=contact.language,
                sender=self.sender,
                sender_name=self.sender_name(),
                recipient=recipient,
                row_id=row_id,
                at=self.clock(),
                attachments=self._attached(message),
                reply_to=self.reply_to(),
            )
            envelope = self.returns.of(row_id) if self.returns else self.sender
            self.server.send(made, sender=envelope, recipient=recipient)
            return str(made["Message-ID"])

        said = with_link(text, _shown(self.page), language)
        return PreparedMessage(addresses.masked(recipient), said, send)

    def _attached(self, message: OutgoingMessage) -> Sequence[Attachment]:
        # Who thanks for a payment sends its receipt, and no bill.
        if message.kind == "payment_received":
            return self.receipts(message.facts.get("payment_id", ""))
        if message.kind == ACCOUNT_STATEMENT:
            return self.statement(message.contact.customer_id, *days_of(message.facts))
        if message.kind in _WITHOUT_BILL:
            return ()
        others = message.facts.get(TELLS_OF, "").split()
        notes = credit_notes_of(message.facts)
        # What a credit note takes back was sent when it was issued.
        taken_back = bool(notes) and message.bill.status == "void"
        bills = others if taken_back else [message.bill.id, *others]
        return (*self.documents(bills), *(self.credit_notes(notes) if notes else ()))


@dataclass(frozen=True, slots=True)
class OwnSms:
    """A customer's phone: a short text by code. `sender_name` answers the utility's name."""

    provider: sms.SmsProvider
    sender_name: Callable[[], str]
    page: PageLink | None = None
    name: str = SMS
    label: str = "SMS"

    def prepare(self, message: OutgoingMessage) -> PreparedMessage | NotDeliverable:
        """The text for the customer, if their number can be dialled from anywhere."""
        # In words of its own: long texts cost several times as much.
        brief = sms.text_of(
            message.bill,
            message.kind,
            message.facts,
            sender=self.sender_name(),
            language=Language.of(message.contact.language),
        )
        said = with_short_link(brief, _shown(self.page))
        try:
            number = e164(message.contact.phone)
        except InvalidPhone as error:
            return NotDeliverable(f"the customer's number {str(error).rstrip('.')}", said)
        if message.contact.sms_stopped_at is not None:
            return NotDeliverable(sentence("the customer stopped texts (STOP)"), said)
        return PreparedMessage(
            masked(number),
            said,
            lambda row_id: self.provider.send(
                to=number,
                text=with_short_link(brief, _link(self.page, message)),
                row_id=row_id,
            ),
        )


def channels_for(kind: OutboxKind, channels: Sequence[Channel]) -> list[Channel]:
    """Those on which a message of a kind may go."""
    return [c for c in channels if kind not in _BY_MAIL_ALONE or c.name == EMAIL]


def credit_notes_of(facts: Mapping[str, str]) -> list[str]:
    """The ids of the credit notes that a message brings."""
    return facts.get(CREDIT_NOTES, "").split()


def _shown(page: PageLink | None) -> str | None:
    """What the log has in the place of the link; None where messages carry none."""
    return page.shown if page else None


def _link(page: PageLink | None, message: OutgoingMessage) -> str | None:
    """The customer's link, as it leaves; raises ServiceUnavailable."""
    return page.of(message.contact.customer_id) if page else None
