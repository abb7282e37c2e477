"""What an e-mail address, a phone number and a language must be, wherever they are entered."""

import re
from typing import Final

from services.messages.addresses import NotAnAddress, mail_address
from services.messages.phones import InvalidPhone, e164

_LANGUAGE: Final = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")


def email_address(text: str) -> str:
    """The address if mail can go there; raises ValueError with the end of a sentence."""
    try:
        mail_address(text)
    except NotAnAddress:
        raise ValueError(
            "is not an e-mail address such as name@example.org; leave it empty if none."
        ) from None
    return text


def phone_number(text: str) -> str:
    """A number with its country code in one form (E.164); others stay as they are written."""
    try:
        return e164(text) if text else text
    except InvalidPhone:
        return text


def language_tag(text: str) -> str:
    """An IETF tag such as "en" or "ml"; raises ValueError with the end of a sentence."""
    if not _LANGUAGE.fullmatch(text):
        raise ValueError("is not a language tag such as en or ml; leave it empty for en.")
    return text
