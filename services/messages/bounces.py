"""Mail that comes back: marks in our sender's address, and delivery reports (RFC 3464)."""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from email.message import Message
from email.utils import getaddresses
from typing import Final
from uuid import UUID

from services.messages.addresses import NotAnAddress, mail_address

_TOKEN: Final = re.compile(r"[a-z2-7]{39}")
_MAC_BYTES: Final = 8
# A mail to us names few; a stranger's may name thousands.
_MOST_ADDRESSES: Final = 20
# One is ours, if any; a stranger may make up as many as they like, and each costs a look-up.
_MOST_MARKS: Final = 3
_STATUS: Final = re.compile(r"\b([245]\.\d{1,3}\.\d{1,3})\b")
# Where servers write to whom a message in a mailbox was sent.
_ENVELOPE: Final = ("Delivered-To", "X-Original-To", "Envelope-To", "X-Delivered-To", "To")
# RFC 3463: there is no such mailbox, it has moved, or it is closed; all others may pass.
_GONE: Final = frozenset({"5.1.0", "5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1", "5.4.4"})
# RFC 3464: one mailbox of several that an address leads to took it.
_TAKEN: Final = frozenset({"delivered", "relayed", "expanded"})
_WHY: Final = {
    "5.1.0": "the address does not exist",
    "5.1.1": "the address does not exist",
    "5.1.2": "the part after the @ does not exist",
    "5.1.3": "the address is written wrongly",
    "5.1.6": "the mailbox has moved",
    "5.1.10": "the address takes no mail",
    "5.2.1": "the mailbox is closed",
    "5.2.2": "the mailbox is full",
    "5.2.3": "the mail is too large for the mailbox",
    "5.3.4": "the mail is too large for the server",
    "5.4.4": "the part after the @ does not exist",
    "5.4.7": "no server took it in time",
    "4.4.7": "no server took it in time",
    "5.7.1": "the server does not take mail from us",
}


@dataclass(frozen=True, slots=True)
class ReturnAddress:
    """The address that mail comes back to, with a mark for each message that only we can make."""

    address: str
    key: bytes = field(repr=False)

    def of(self, notification_id: str) -> str:
        """The sender of a message's envelope: bounces+mark@…."""
        name, _, domain = self.address.rpartition("@")
        return f"{name}+{self._mark(UUID(notification_id).bytes)}@{domain}"

    def of_customer(self, customer_id: str, recipient: str) -> str:
        """The same of what is sent to a customer at once, of which no row is kept.

        Its mark is good for that address of theirs alone.
        """
        name, _, domain = self.address.rpartition("@")
        return f"{name}+{self._mark(UUID(customer_id).bytes, recipient)}@{domain}"

    def message_of(self, mail: Message) -> str | None:
        """The id of the message that a mail was sent back for, None where no mark of ours is."""
        for number, mark in self._marks(mail):
            # As a whole: its last letter has bits that stand for nothing.
            if hmac.compare_digest(mark, self._mark(number)):
                return str(UUID(bytes=number))
        return None

    def customer_of(self, mail: Message, email_of: Callable[[str], str]) -> tuple[str, str] | None:
        """The customer and their address that a mail sent at once came back from, or None.

        `email_of` answers the address that a customer of an id has now, as it was typed.
        """
        for number, mark in self._marks(mail):
            customer_id = str(UUID(bytes=number))
            email = email_of(customer_id)
            with suppress(NotAnAddress):
                if hmac.compare_digest(mark, self._mark(number, mail_address(email))):
                    return customer_id, email
        return None

    def _marks(self, mail: Message) -> Iterator[tuple[bytes, str]]:
        """What has the shape of a mark in the addresses that a mail came to: of what it is."""
        given = [value for name in _ENVELOPE for value in mail.get_all(name, [])]
        found = getaddresses([str(value) for value in given[:_MOST_ADDRESSES]])
        seen: set[str] = set()
        for _, address in found[:_MOST_ADDRESSES]:
            local, _, domain = address.lower().rpartition("@")
            name, _, mark = local.rpartition("+")
            if f"{name}@{domain}" != self.address.lower() or not _TOKEN.fullmatch(mark):
                continue
            if mark in seen or len(seen) == _MOST_MARKS:
                continue
            seen.add(mark)
            with suppress(binascii.Error):
                yield base64.b32decode(mark.upper() + "=")[:-_MAC_BYTES], mark

    def _mark(self, number: bytes, recipient: str = "") -> str:
        what = f"address/{recipient.lower()}/" if recipient else ""
        signed = b"electricity-billing/bounce/" + what.encode() + number
        mac = hmac.new(self.key, signed, hashlib.sha256).digest()[:_MAC_BYTES]
        return base64.b32encode(number + mac).decode().rstrip("=").lower()


@dataclass(frozen=True, slots=True)
class Bounce:
    """What a report says of the one recipient of a mail: a sentence, and whether to write again."""

    sentence: str
    address_is_gone: bool


def bounce_of(mail: Message) -> Bounce | None:
    """What a delivery report says that failed; None for what is no report, or of a delay.

    Where the address leads to several mailboxes and one of them took the mail, it has arrived.
    """
    groups = [(_said(fields, "Action").lower(), fields) for fields in _recipients(mail)]
    failed = [fields for action, fields in groups if action == "failed"]
    if not failed or any(action in _TAKEN for action, _ in groups):
        return None
    statuses = [found[1] if found else "" for found in map(_status, failed)]
    status = statuses[0]
    why = _WHY.get(status, "the receiving server did not take it")
    number = f" ({status})" if status else ""
    return Bounce(f"The e-mail came back: {why}{number}.", _GONE.issuperset(statuses))


def is_report(mail: Message) -> bool:
    """Whether a program wrote it about mail: a report, or what has no sender to answer to.

    Who forwards a report to us is a person.
    """
    return (
        any(part.get_content_type() == "message/delivery-status" for part in _own_parts(mail))
        or mail.get_content_type() == "multipart/report"
        or _said(mail, "Return-Path") == "<>"
    )


def is_automatic(mail: Message) -> bool:
    """Whether nobody wrote it: a report, or an absence note (RFC 3834)."""
    how = (_said(mail, "Auto-Submitted") or "no").split(";")[0].strip().lower()
    bulk = _said(mail, "Precedence").lower() in {"bulk", "list", "auto_reply"}
    return how != "no" or bulk or is_report(mail)


def _recipients(mail: Message) -> Iterator[Message]:
    """The fields of each recipient in a report."""
    for part in _own_parts(mail):
        if part.get_content_type() != "message/delivery-status":
            continue
        groups = part.get_payload()
        for fields in groups if isinstance(groups, list) else []:
            # Those of the message have none; some programs forget the empty line after them.
            if isinstance(fields, Message) and "Action" in fields:
                yield fields


def _own_parts(mail: Message) -> Iterator[Message]:
    """A mail and its parts, without those of mails that are enclosed in it."""
    yield mail
    if mail.get_content_maintype() != "multipart" or not mail.is_multipart():
        return
    for part in mail.get_payload():
        if isinstance(part, Message):
            yield from _own_parts(part)


def _status(fields: Message) -> re.Match[str] | None:
    return _STATUS.search(_said(fields, "Status"))


def _said(fields: Message, name: str) -> str:
    return str(fields.get(name, "")).strip()
