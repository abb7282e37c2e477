"""Mail that comes back: marks in our sender's address, and delivery reports (RFC 3464)."""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import Message
from email.utils import getaddresses
from typing import Final
from uuid import UUID

_TOKEN: Final = re.compile(r"[a-z2-7]{39}")
_MAC_BYTES: Final = 8
_STATUS: Final = re.compile(r"\b([245]\.\d{1,3}\.\d{1,3})\b")
# Where servers write to whom a message in a mailbox was sent.
_ENVELOPE: Final = ("Delivered-To", "X-Original-To", "Envelope-To", "X-Delivered-To", "To")
# RFC 3463: there is no such mailbox, it has moved, or it is closed; all others may pass.
_GONE: Final = frozenset({"5.1.0", "5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1", "5.4.4"})
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

    def message_of(self, mail: Message) -> str | None:
        """The id of the message that a mail was sent back for, None where no mark of ours is."""
        given = [value for name in _ENVELOPE for value in mail.get_all(name, [])]
        for _, address in getaddresses([str(value) for value in given]):
            local, _, domain = address.lower().rpartition("@")
            name, _, mark = local.rpartition("+")
            if f"{name}@{domain}" == self.address.lower() and (found := self._read(mark)):
                return found
        return None

    def _read(self, mark: str) -> str | None:
        if not _TOKEN.fullmatch(mark):
            return None
        try:
            content = base64.b32decode(mark.upper() + "=")
        except binascii.Error:
            return None
        number = content[:-_MAC_BYTES]
        # As a whole: its last letter has bits that stand for nothing.
        return str(UUID(bytes=number)) if hmac.compare_digest(mark, self._mark(number)) else None

    def _mark(self, number: bytes) -> str:
        signed = b"electricity-billing/bounce/" + number
        mac = hmac.new(self.key, signed, hashlib.sha256).digest()[:_MAC_BYTES]
        return base64.b32encode(number + mac).decode().rstrip("=").lower()


@dataclass(frozen=True, slots=True)
class Bounce:
    """What a report says of the one recipient of a mail: a sentence, and whether to write again."""

    sentence: str
    address_is_gone: bool


def bounce_of(mail: Message) -> Bounce | None:
    """What a delivery report says that failed; None for what is no report, or of a delay."""
    for fields in _recipients(mail):
        if str(fields.get("Action", "")).strip().lower() != "failed":
            continue
        found = _STATUS.search(str(fields.get("Status", "")))
        status = found[1] if found else ""
        why = _WHY.get(status, "the receiving server did not take it")
        number = f" ({status})" if status else ""
        return Bounce(f"The e-mail came back: {why}{number}.", status in _GONE)
    return None


def is_report(mail: Message) -> bool:
    """Whether a program wrote it about mail: a report, or what has no sender to answer to."""
    return (
        any(part.get_content_type() == "message/delivery-status" for part in mail.walk())
        or mail.get_content_type() == "multipart/report"
        or str(mail.get("Return-Path", "")).strip() == "<>"
    )


def is_automatic(mail: Message) -> bool:
    """Whether nobody wrote it: a report, or an absence note (RFC 3834)."""
    how = str(mail.get("Auto-Submitted", "no")).split(";")[0].strip().lower()
    bulk = str(mail.get("Precedence", "")).strip().lower() in {"bulk", "list", "auto_reply"}
    return how != "no" or bulk or is_report(mail)


def _recipients(mail: Message) -> Iterator[Message]:
    """The fields of each recipient in a report; those of the message itself come first."""
    for part in mail.walk():
        if part.get_content_type() != "message/delivery-status":
            continue
        groups = part.get_payload()
        for fields in groups[1:] if isinstance(groups, list) else []:
            if isinstance(fields, Message):
                yield fields
