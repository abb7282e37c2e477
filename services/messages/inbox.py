"""The mailbox of the sender's address: what came back is marked, what customers answer is kept."""

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from email import policy
from email.headerregistry import HeaderRegistry
from email.message import EmailMessage, Message
from email.parser import BytesParser
from email.utils import parseaddr
from html import unescape
from typing import Final
from uuid import NAMESPACE_URL, uuid5

from services.database.errors import NotFound
from services.database.service import DatabaseService
from services.integrations.mailbox import Lying, Mailbox, OpenMailbox
from services.messages.bounces import (
    Bounce,
    ReturnAddress,
    bounce_of,
    is_automatic,
    is_report,
)
from services.messages.channels import EMAIL
from services.messages.reports import ACTOR as REPORTS
from services.messages.reports import is_id, storable
from services.records.messages import MailboxMark

log = logging.getLogger(__name__)

ACTOR: Final = "system:mailbox"
AT_ONCE: Final = 200
# Of a mailbox that was never read, what came before is left to its owner.
_LOOKS_BACK: Final = timedelta(days=7)
_OUR_ID: Final = re.compile(r"<([0-9a-f-]{36})@([^<>\s]+)>")
_MOST_LINES: Final = 200
# Of more nobody reads anything; to take structured headers apart takes the square of their length.
_LONGEST_HEADER: Final = 4_000
_LONGEST_TEXT: Final = 100_000
_NEW_LINES: Final = frozenset({"br", "p", "div", "tr", "li", "blockquote"})
_registry: Final = HeaderRegistry()
_POLICY: Final = policy.default.clone(
    header_factory=lambda name, value: _registry(name, value[:_LONGEST_HEADER])
)


@dataclass(frozen=True, slots=True)
class Inbox:
    """Reads the mailbox; any number of processes may, since each mail counts once.

    `sender` is the address that customers get mail from; `returns` marks what comes back, None
    where mail comes back without a mark and so marks nothing.
    """

    database: DatabaseService
    mailbox: Mailbox
    sender: str
    returns: ReturnAddress | None
    clock: Callable[[], datetime]

    def look(self, *, limit: int = AT_ONCE) -> int:
        """Take up at most so many mails that came since the last look; how many there were.

        Raises ServiceUnavailable and DatabaseError: the rest is taken up at the next look.
        """
        book, name = self.database.message_book, self.mailbox.name
        with self.mailbox.opened() as opened:
            mark = book.mailbox_mark(name)
            numbers = self._numbers(opened, mark)[:limit]
            for uid in numbers:
                if (lying := opened.message(uid)) is not None:
                    self._take(lying)
                book.mailbox_mark(
                    name, note=MailboxMark(uid_validity=opened.uid_validity, last_uid=uid)
                )
        return len(numbers)

    def _numbers(self, opened: OpenMailbox, mark: MailboxMark | None) -> list[int]:
        known = mark is not None and mark.uid_validity == opened.uid_validity
        after = mark.last_uid if mark is not None and known else None
        return opened.numbers(after=after, since=(self.clock() - _LOOKS_BACK).date())

    def _take(self, lying: Lying) -> None:
        try:
            mail = BytesParser(policy=_POLICY).parsebytes(lying.content)
            self._take_mail(mail, lying)
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            # Whatever a stranger wrote, the mails after it are read.
            log.warning(
                "mail %d cannot be read and stays in the mailbox", lying.uid, exc_info=error
            )

    def _take_mail(self, mail: EmailMessage, lying: Lying) -> None:
        if is_report(mail):
            self._take_report(mail)
        elif not is_automatic(mail):
            self._take_reply(mail, lying)

    def _take_report(self, mail: EmailMessage) -> None:
        bounce = bounce_of(mail)
        if self.returns is None or bounce is None:
            log.info("a delivery report in the mailbox is of no message of ours, or of a delay")
            return
        notification_id = self.returns.message_of(mail)
        if notification_id is None:
            self._take_report_of_note(mail, self.returns, bounce)
            return
        self.database.message_book.note_delivery(
            actor=REPORTS,
            notification_id=notification_id,
            channel=EMAIL,
            status="bounced",
            detail=bounce.sentence,
            address_is_gone=bounce.address_is_gone,
        )

    def _take_report_of_note(
        self, mail: EmailMessage, returns: ReturnAddress, bounce: Bounce
    ) -> None:
        """Mark an address from which a code or another note sent at once came back."""
        found = returns.customer_of(mail, self._email_of)
        if found is None or not bounce.address_is_gone:
            log.info("a delivery report in the mailbox is of no message of ours")
            return
        customer_id, email = found
        self.database.message_book.note_address_gone(
            actor=REPORTS, customer_id=customer_id, email=email
        )

    def _email_of(self, customer_id: str) -> str:
        try:
            return self.database.customer_contact(customer_id).email
        except NotFound:
            return ""

    def _take_reply(self, mail: EmailMessage, lying: Lying) -> None:
        _, sender = parseaddr(str(mail.get("From", "")))
        if not sender or sender.lower() == self.sender.lower():
            return
        own = str(mail.get("Message-ID", "")) or lying.content.hex()
        self.database.message_book.note_reply(
            actor=ACTOR,
            reply_id=str(uuid5(NAMESPACE_URL, f"electricity-billing/reply/{own}")),
            notification_id=self._answered(mail),
            channel="email",
            sender=storable(sender)[:254],
            subject=storable(str(mail.get("Subject", "")))[:300],
            body=storable(_text_of(mail)),
            received_at=self._received(mail),
        )

    def _answered(self, mail: EmailMessage) -> str | None:
        """Which message of ours it names as the one that it answers."""
        domain = self.sender.rpartition("@")[2].lower()
        named = f"{mail.get('In-Reply-To', '')} {mail.get('References', '')}"
        found = (one[1] for one in _OUR_ID.finditer(named) if one[2].lower() == domain)
        return next((one for one in found if is_id(one)), None)

    def _received(self, mail: EmailMessage) -> datetime:
        """When it was sent, by its own word, unless that cannot be."""
        now, said = self.clock(), getattr(mail.get("Date"), "datetime", None)
        if not isinstance(said, datetime) or said.tzinfo is None:
            return now
        return said if now - timedelta(days=365) < said < now else now


def _text_of(mail: EmailMessage) -> str:
    """What the customer wrote, without what they quote of ours at its end."""
    part = mail.get_body(("plain", "html"))
    text = _content_of(part)[:_LONGEST_TEXT] if part is not None else ""
    if part is not None and part.get_content_subtype() == "html":
        text = _without_tags(text)
    lines = text.strip().splitlines()[:_MOST_LINES]
    while lines and (not lines[-1].strip() or lines[-1].startswith(">")):
        lines.pop()
    return "\n".join(lines)


def _content_of(part: Message) -> str:
    """The text of a part, in whatever letters it says that it is written."""
    content = part.get_payload(decode=True)
    written = content if isinstance(content, bytes) else str(content or "").encode()
    try:
        return written.decode(part.get_content_charset("utf-8"), "replace")
    except (LookupError, ValueError):
        return written.decode("utf-8", "replace")


def _without_tags(html: str) -> str:
    """The words of a page of HTML; each step goes on from where the last one ended."""
    words: list[str] = []
    at, low = 0, html.lower()
    while (start := html.find("<", at)) >= 0:
        words.append(html[at:start])
        end = html.find(">", start)
        if end < 0:
            break
        name = low[start + 1 : start + 12].split(">")[0].strip("/ ").split(" ")[0]
        words.append("\n" if name in _NEW_LINES else " ")
        at = end + 1
        if name in ("style", "script") and not low.startswith("</", start):
            closed = low.find(f"</{name}", at)
            at = closed if closed >= 0 else len(html)
    else:
        words.append(html[at:])
    lines = (" ".join(line.split()) for line in unescape("".join(words)).splitlines())
    return "\n".join(line for line in lines if line)
