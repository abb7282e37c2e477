"""What is sent to a customer at once and about no bill: a code, a link, a change of their details.

It goes one way alone, in the background, and is not tried again: whoever waits for it asks again.
"""

import logging
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from typing import Final, Literal, Protocol
from uuid import uuid4

from pydantic import SecretStr

from services.integrations.failures import FinalFailure, TemporaryFailure
from services.integrations.mail import MailServer
from services.languages.language import Language
from services.languages.sentence import N_
from services.messages import addresses, discord, mail, sms
from services.messages.bounces import ReturnAddress
from services.messages.discord import Discord
from services.messages.phones import InvalidPhone, e164
from services.messages.whatsapp import WhatsApp
from services.quantities.money import Money
from services.records.messages import CustomerContact

log = logging.getLogger(__name__)

WayName = Literal["email", "sms", "whatsapp", "discord_customer"]
# Of the ways that a customer has the preferred one is taken, else the first of these.
_AT_ONCE: Final = 2
_MOST_WAITING: Final = 200
WAY_WORDS: Final[dict[WayName, str]] = {
    "email": N_("by e-mail"),
    "sms": N_("by SMS"),
    "whatsapp": N_("by WhatsApp"),
    "discord_customer": N_("on Discord"),
}


@dataclass(frozen=True, slots=True)
class Note:
    """A short message; `subject` is its heading where there are headings.

    `code` is what it is about where it brings a code, and nothing else.
    """

    subject: str
    text: str
    code: str = ""


def thanks_note(language: Language, *, amount: Money, on: date) -> Note:
    """The thanks for a payment of who has no bill yet."""
    _ = language.gettext
    thanks = _(
        "Thank you: we have received your payment of {amount} on {day}.", amount=amount, day=on
    )
    kept = _("It is on your account, for what is billed next.")
    return Note(_("Payment received"), f"{thanks} {kept}")


class Way(Protocol):
    """A way to reach a customer at once."""

    @property
    def name(self) -> WayName:
        """As the channels have it."""
        ...

    def to(self, contact: CustomerContact) -> Callable[[Note], None] | None:
        """What sends a note to the customer; None where they cannot be reached this way.

        It raises TemporaryFailure or FinalFailure.
        """
        ...


@dataclass(frozen=True, slots=True)
class ByMail:
    """E-mail from the utility's address."""

    server: MailServer
    sender: str
    sender_name: Callable[[], str]
    clock: Callable[[], datetime]
    # Marks where mail comes back to.
    returns: ReturnAddress | None = None
    name: WayName = "email"

    def to(self, contact: CustomerContact) -> Callable[[Note], None] | None:
        """To the customer's address, if it is one and mail to it does not come back."""
        if contact.email_bounced_at is not None:
            return None
        try:
            recipient = addresses.mail_address(contact.email)
        except addresses.NotAnAddress:
            return None
        return lambda note: self._send(note, recipient, contact)

    def _send(self, note: Note, recipient: str, contact: CustomerContact) -> None:
        made = EmailMessage(policy=mail.POLICY)
        made["Subject"] = note.subject
        made["From"] = Address(self.sender_name(), addr_spec=self.sender)
        made["To"] = recipient
        made["Date"] = self.clock()
        made["Message-ID"] = f"<{uuid4()}@{self.sender.rpartition('@')[2]}>"
        made["Auto-Submitted"] = "auto-generated"
        made["X-Auto-Response-Suppress"] = "All"
        made.set_content(f"{note.text}\n\n{self.sender_name()}\n")
        made["Content-Language"] = contact.language
        envelope = self.sender
        if self.returns is not None:
            envelope = self.returns.of_customer(contact.customer_id, recipient)
        self.server.send(made, sender=envelope, recipient=recipient)


@dataclass(frozen=True, slots=True)
class BySms:
    """A text to the customer's phone."""

    provider: sms.SmsProvider
    sender_name: Callable[[], str]
    name: WayName = "sms"

    def to(self, contact: CustomerContact) -> Callable[[Note], None] | None:
        """To the customer's number, if it can be dialled from anywhere and stopped no texts."""
        if contact.sms_stopped_at is not None:
            return None
        try:
            number = e164(contact.phone)
        except InvalidPhone:
            return None
        return lambda note: self._send(note, number)

    def _send(self, note: Note, number: str) -> None:
        text = f"{self.sender_name()}: {note.text}"
        self.provider.send(to=number, text=text, row_id=str(uuid4()))


@dataclass(frozen=True, slots=True)
class ByOwnDiscord:
    """A customer's own webhook."""

    client: Discord
    check: Callable[[str], str] = discord.check_webhook
    name: WayName = "discord_customer"

    def to(self, contact: CustomerContact) -> Callable[[Note], None] | None:
        """To the customer's webhook, if they have one."""
        address = contact.discord_webhook_url
        if address is None:
            return None
        try:
            self.check(address.get_secret_value())
        except discord.NotADiscordWebhook:
            return None
        return lambda note: self._send(note, address)

    def _send(self, note: Note, address: SecretStr) -> None:
        self.client.post(address, discord.plain_note(title=note.subject, text=note.text))


@dataclass(frozen=True, slots=True)
class CodesByWhatsApp:
    """Codes, and nothing else, over WhatsApp, to customers who agreed to it.

    `template` is the name of one that WhatsApp approved for codes (category "authentication").
    """

    client: WhatsApp
    template: str
    name: WayName = "whatsapp"

    def to(self, contact: CustomerContact) -> Callable[[Note], None] | None:
        """To the customer's number, if they agreed to be written to there."""
        if contact.whatsapp_opt_in_at is None:
            return None
        try:
            number = e164(contact.phone)
        except InvalidPhone:
            return None
        return lambda note: self._send(note, number, contact.language)

    def _send(self, note: Note, number: str, language: str) -> None:
        self.client.send_code(
            to=number,
            code=note.code,
            template=self.template,
            language=language,
            row_id=str(uuid4()),
        )


@dataclass(frozen=True, slots=True)
class KeptHere:
    """The demo's way, on which nothing leaves: the last note to each customer is kept to be shown.

    A way of no provider, so that codes can be tried where nobody is written to.
    """

    last: dict[str, Note] = field(default_factory=dict)
    name: WayName = "email"

    def to(self, contact: CustomerContact) -> Callable[[Note], None] | None:
        """Into the memory of this process."""
        return lambda note: self.last.__setitem__(contact.customer_id, note)


class DirectMessages:
    """Sends notes on the ways that have settings; may be used by many threads."""

    def __init__(self, ways: Iterable[Way] = ()) -> None:
        self._ways = tuple(ways)
        self._room = threading.BoundedSemaphore(_MOST_WAITING)
        self._workers = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="direct")

    def way_to(self, contact: CustomerContact, *, for_code: bool = False) -> WayName | None:
        """On which way a note would go, or a code; None where the customer cannot be reached."""
        found = self._found(contact, for_code)
        return found[0] if found else None

    def send(self, contact: CustomerContact, note: Note) -> bool:
        """Send a note in the background; False where there is no way, or too many wait.

        Customers who want no messages are sent what they ask for all the same.
        """
        found = self._found(contact, bool(note.code))
        if found is None or not self._room.acquire(blocking=False):
            return False
        self._workers.submit(self._send, found[0], found[1], note)
        return True

    @property
    def sends_mail(self) -> bool:
        """Whether there is a way for mail."""
        return any(way.name == "email" for way in self._ways)

    def shown_here(self, customer_id: str) -> Note | None:
        """The last note to a customer, where the demo keeps it in the place of sending it."""
        kept = (way.last.get(customer_id) for way in self._ways if isinstance(way, KeptHere))
        return next(kept, None)

    def close(self) -> None:
        """Let what waits leave, and end."""
        self._workers.shutdown()

    def _found(
        self, contact: CustomerContact, for_code: bool
    ) -> tuple[WayName, Callable[[Note], None]] | None:
        for way in sorted(self._ways, key=lambda way: way.name != contact.preferred):
            if isinstance(way, CodesByWhatsApp) and not for_code:
                continue
            if (send := way.to(contact)) is not None:
                return way.name, send
        return None

    def _send(self, name: WayName, send: Callable[[Note], None], note: Note) -> None:
        try:
            send(note)
        except (TemporaryFailure, FinalFailure) as error:
            log.warning("a note %s was not sent: %s", WAY_WORDS[name], error)
        except Exception:
            log.exception("a note %s could not be sent", WAY_WORDS[name])
        finally:
            self._room.release()
