"""The mailbox of the sender's address: what came back is marked, what customers answer is kept."""

import logging
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from email import policy
from email.headerregistry import HeaderRegistry
from email.message import EmailMessage, Message
from email.parser import BytesParser
from email.policy import Compat32
from email.utils import parseaddr
from html import unescape
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

from services.database.errors import NotFound
from services.database.service import DatabaseService
from services.integrations.mailbox import Head, Lying, Mailbox, OpenMailbox
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
from services.records.messages import MailboxMark, MailboxState, ReplyHead

log = logging.getLogger(__name__)

ACTOR: Final = "system:mailbox"
# Of a look, after which others may go on: a thousand heads are a few megabytes.
AT_ONCE: Final = 1_000
_HEADS_AT_ONCE: Final = 250
# Of one mark in so many heads; a message comes back once or twice.
_MOST_OF_A_MARK: Final = 5
# The answers that are kept within a day: of one address, of all customers, and of all others. What
# is more stays unread in the mailbox, and an alert says so.
MOST_OF_A_SENDER: Final = 20
MOST_OF_CUSTOMERS: Final = 2_000
MOST_OF_STRANGERS: Final = 200
# Of a mailbox that was never read, what came before is left to its owner.
_LOOKS_BACK: Final = timedelta(days=7)
_OUR_ID: Final = re.compile(r"<([0-9a-f-]{36})@([^<>\s]+)>")
_MOST_LINES: Final = 200
# Of more nobody reads anything; to take structured headers apart takes the square of their length.
_LONGEST_HEADER: Final = 4_000
_LONGEST_TEXT: Final = 100_000
_NEW_LINES: Final = frozenset({"br", "p", "div", "tr", "li", "blockquote"})


class _Unparsed(Compat32):
    """The headers of a head as they stand: to take each apart would be most of a look's time."""

    def header_fetch_parse(self, name: str, value: str) -> Any:
        """A header, as long as anybody reads one."""
        return super().header_fetch_parse(name, value[:_LONGEST_HEADER])


_HEADS: Final = _Unparsed()
_registry: Final = HeaderRegistry()
_POLICY: Final = policy.default.clone(
    header_factory=lambda name, value: _registry(name, value[:_LONGEST_HEADER])
)


@dataclass(frozen=True, slots=True)
class Inbox:
    """Reads the mailbox; any number of processes may, since each mail counts once.

    `sender` is the address that customers get mail from; `returns` marks what comes back, None
    where mail comes back without a mark and so marks nothing. Nothing is ever answered.

    Strangers may fill the mailbox: of each mail the head is read, and the mail itself only where it
    is a report on a message of ours or one of the answers that are kept.
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
        book, name, looked = self.database.message_book, self.mailbox.name, 0
        with self.mailbox.opened() as opened:
            after = self._last_read(opened)
            while looked < limit:
                heads = opened.heads(after=after, most=min(_HEADS_AT_ONCE, limit - looked))
                passed_over = self._take(opened, heads)
                after = heads[-1].uid if heads else after
                book.mailbox_mark(
                    name,
                    note=MailboxMark(uid_validity=opened.uid_validity, last_uid=after),
                    waiting=opened.waiting(),
                    passed_over=passed_over,
                )
                if not heads:
                    break
                looked += len(heads)
        return looked

    def state(self) -> MailboxState | None:
        """How the mailbox stood at the last look; None where there was none. Raises DatabaseError.

        It asks the database alone.
        """
        return self.database.message_book.mailbox_mark(self.mailbox.name)

    def _last_read(self, opened: OpenMailbox) -> int:
        mark = self.database.message_book.mailbox_mark(self.mailbox.name)
        if mark is not None and mark.uid_validity == opened.uid_validity:
            return mark.last_uid
        return opened.last_before((self.clock() - _LOOKS_BACK).date())

    def _take(self, opened: OpenMailbox, heads: Sequence[Head]) -> int:
        """Take up what is for us; how many answers were left in the mailbox as too many."""
        answers: list[ReplyHead] = []
        seen: Counter[str] = Counter()
        for head in heads:
            with self._readable(head.uid):
                mail = BytesParser(policy=_HEADS).parsebytes(head.content, headersonly=True)
                if (ours := self._ours(mail)) is not None:
                    seen[ours] += 1
                    # Who has a message of ours may send its report as often as they like.
                    few = seen[ours] <= _MOST_OF_A_MARK
                    if few and self._take_if_report(opened, head.uid):
                        continue
                if (answer := self._answer(head.uid, mail)) is not None:
                    answers.append(answer)
        wanted = self.database.message_book.replies_wanted(
            answers,
            most_of_sender=MOST_OF_A_SENDER,
            most_of_customers=MOST_OF_CUSTOMERS,
            most_of_strangers=MOST_OF_STRANGERS,
        )
        for uid in wanted:
            if (lying := opened.message(uid)) is not None:
                with self._readable(uid):
                    self._take_mail(_parsed(lying), lying)
        return len(answers) - len(wanted)

    @contextmanager
    def _readable(self, uid: int) -> Iterator[None]:
        """Whatever a stranger wrote, the mails after it are read."""
        try:
            yield
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            log.warning("mail %d cannot be read and stays in the mailbox", uid, exc_info=error)

    def _ours(self, mail: Message) -> str | None:
        """Of which message or customer a mail has the mark that only we can make."""
        if self.returns is None:
            return None
        notification_id = self.returns.message_of(mail)
        if notification_id is not None:
            return notification_id
        found = self.returns.customer_of(mail, self._email_of)
        return found[0] if found else None

    def _take_if_report(self, opened: OpenMailbox, uid: int) -> bool:
        """Take up a mail that came back to a mark of ours; False where a person wrote it."""
        lying = opened.message(uid)
        if lying is None:
            return True
        mail = _parsed(lying)
        if not is_report(mail):
            return False
        self._take_report(mail, lying)
        return True

    def _answer(self, uid: int, mail: Message) -> ReplyHead | None:
        """A mail as an answer that may be kept; None for what a program wrote, or ourselves."""
        sender = self._sender_of(mail)
        if not sender or is_automatic(mail):
            return None
        return ReplyHead(uid=uid, sender=sender, notification_id=self._answered(mail))

    def _sender_of(self, mail: Message) -> str:
        """Whose address it comes from, as it is kept; nothing where it has none, or ours."""
        _, sender = parseaddr(str(mail.get("From", "")))
        return "" if sender.lower() == self.sender.lower() else storable(sender)[:254]

    def _take_mail(self, mail: EmailMessage, lying: Lying) -> None:
        if is_report(mail):
            self._take_report(mail, lying)
        elif not is_automatic(mail):
            self._take_reply(mail, lying)

    def _take_report(self, mail: EmailMessage, lying: Lying) -> None:
        bounce = bounce_of(mail)
        if self.returns is None or bounce is None:
            log.info("a delivery report in the mailbox is of no message of ours, or of a delay")
            return
        notification_id = self.returns.message_of(mail)
        if notification_id is None:
            self._take_report_of_note(mail, self.returns, bounce, lying.arrived_at)
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
        self,
        mail: EmailMessage,
        returns: ReturnAddress,
        bounce: Bounce,
        reported_at: datetime | None,
    ) -> None:
        """Mark an address from which a code or another note sent at once came back."""
        found = returns.customer_of(mail, self._email_of)
        if found is None or not bounce.address_is_gone:
            log.info("a delivery report in the mailbox is of no message of ours")
            return
        customer_id, email = found
        self.database.message_book.note_address_gone(
            actor=REPORTS, customer_id=customer_id, email=email, reported_at=reported_at
        )

    def _email_of(self, customer_id: str) -> str:
        try:
            return self.database.customer_contact(customer_id).email
        except NotFound:
            return ""

    def _take_reply(self, mail: EmailMessage, lying: Lying) -> None:
        sender = self._sender_of(mail)
        if not sender:
            return
        own = str(mail.get("Message-ID", "")) or lying.content.hex()
        self.database.message_book.note_reply(
            actor=ACTOR,
            reply_id=str(uuid5(NAMESPACE_URL, f"electricity-billing/reply/{own}")),
            notification_id=self._answered(mail),
            channel="email",
            sender=sender,
            subject=storable(str(mail.get("Subject", "")))[:300],
            body=storable(_text_of(mail)),
            received_at=self._received(mail),
        )

    def _answered(self, mail: Message) -> str | None:
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


def _parsed(lying: Lying) -> EmailMessage:
    return BytesParser(policy=_POLICY).parsebytes(lying.content)


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
