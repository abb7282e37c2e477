"""E-mail addresses as mail servers take them."""

import re
from typing import Final

from services.records.messages import CustomerContact

_ADDRESS: Final = re.compile(r"[^\s@,<>\"]+@[^\s@,<>\"]+\.[^\s@,<>\"]+")


class NotAnAddress(ValueError):
    """Nothing can be mailed to this; the text is the end of a sentence."""


def mail_address(text: str) -> str:
    """An address as servers take it; raises NotAnAddress."""
    found = text.strip()
    if len(found) > 254 or not found.isprintable() or not _ADDRESS.fullmatch(found):
        raise NotAnAddress("is not one")
    name, _, domain = found.rpartition("@")
    if not name.isascii():
        raise NotAnAddress("has letters that few mail servers take")
    try:
        return f"{name}@{domain.encode('idna').decode()}"
    except UnicodeError:
        raise NotAnAddress("has a domain that cannot be") from None


def is_mailed(contact: CustomerContact) -> bool:
    """Whether messages go to a customer by mail: there is an address, and nothing against it."""
    try:
        mail_address(contact.email)
    except NotAnAddress:
        return False
    return contact.email_bounced_at is None and contact.opted_out_at is None


def masked(address: str) -> str:
    """Enough to recognise an address, not enough to use it: a…@example.org."""
    name, _, domain = address.rpartition("@")
    return f"{name[:1]}…@{domain}"
