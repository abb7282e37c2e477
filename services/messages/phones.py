"""Telephone numbers as messages need them: in the form that is dialled from anywhere."""

import re
from typing import Final

import phonenumbers

from services.languages.sentence import N_

_WITH_COUNTRY: Final = re.compile(r"\+[0-9\s()./\-\u2010-\u2015]+")


class InvalidPhone(ValueError):
    """The number is not written so that the whole world would dial the same telephone."""


def e164(text: str) -> str:
    """A number as E.164 (+919876543210), without the 0 that is dialled at home alone: +254 (0)712….

    Raises InvalidPhone without a + and country code, since guessing one would write to a stranger,
    and for a number that its country does not have.
    """
    written = text.strip()
    if not written:
        raise InvalidPhone(N_("is empty."))
    wrong = InvalidPhone(N_("is not a number with its country code, such as +91 98765 43210."))
    if not _WITH_COUNTRY.fullmatch(written):
        raise wrong
    try:
        number = phonenumbers.parse(written)
    except phonenumbers.NumberParseException:
        raise wrong from None
    if not phonenumbers.is_possible_number(number):
        raise wrong
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def masked(number: str) -> str:
    """Enough of a number to recognise it: +91…3210."""
    return f"{number[:3]}…{number[-4:]}"
