"""What e-mail addresses, phone and tax numbers and languages must be, wherever they are entered."""

import re
from typing import Final

from services.languages.sentence import N_
from services.messages.addresses import NotAnAddress, mail_address
from services.messages.phones import InvalidPhone, e164

# The signs after the two letters of the country, as VIES has them; Northern Ireland among them.
_VAT: Final = {
    "AT": r"U\d{8}",
    "BE": r"[01]\d{9}",
    "BG": r"\d{9,10}",
    "CY": r"\d{8}[A-Z]",
    "CZ": r"\d{8,10}",
    "DE": r"\d{9}",
    "DK": r"\d{8}",
    "EE": r"\d{9}",
    "EL": r"\d{9}",
    "ES": r"[A-Z0-9]\d{7}[A-Z0-9]",
    "FI": r"\d{8}",
    "FR": r"[A-HJ-NP-Z0-9]{2}\d{9}",
    "HR": r"\d{11}",
    "HU": r"\d{8}",
    "IE": r"\d[A-Z0-9+*]\d{5}[A-Z]{1,2}",
    "IT": r"\d{11}",
    "LT": r"\d{9}|\d{12}",
    "LU": r"\d{8}",
    "LV": r"\d{11}",
    "MT": r"\d{8}",
    "NL": r"[A-Z0-9+*]{12}",
    "PL": r"\d{10}",
    "PT": r"\d{9}",
    "RO": r"\d{2,10}",
    "SE": r"\d{12}",
    "SI": r"\d{8}",
    "SK": r"\d{10}",
    "XI": r"\d{9}|\d{12}|GD\d{3}|HA\d{3}",
}
_GSTIN_SIGNS: Final = 15
_GSTIN: Final = re.compile(r"\d{2}[A-Z]{5}\d{4}[A-Z][A-Z0-9]Z[A-Z0-9]")
_ANY_TAX_NUMBER: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9 /.-]{2,38}[A-Za-z0-9]")
_LANGUAGE: Final = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")


def email_address(text: str) -> str:
    """The address if mail can go there; raises ValueError with the end of a sentence."""
    try:
        mail_address(text)
    except NotAnAddress:
        raise ValueError(
            N_("is not an e-mail address such as name@example.org; leave it empty if none.")
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
        raise ValueError(N_("is not a language tag such as en or ml; leave it empty for en."))
    return text


def tax_number(text: str) -> str:
    """A tax number in one form: capitals, and without spaces where it has a known form.

    A number that begins like a European VAT number, or has the 15 signs of an Indian GSTIN, must
    be one; others are kept as they are written. Raises ValueError with the end of a sentence.
    """
    plain = re.sub(r"[\s.-]", "", text).upper()
    if form := _VAT.get(plain[:2]):
        if re.fullmatch(form, plain[2:]):
            return plain
        # Other numbers may begin with these letters; a run of digits after them means a VAT number.
        if re.fullmatch(r"[A-Z]?\d{6,}[A-Z]?", plain[2:]):
            raise ValueError(N_("does not have the form of a VAT number of that country."))
    if len(plain) == _GSTIN_SIGNS and plain[:2].isdigit() and not plain.isdigit():
        if not _GSTIN.fullmatch(plain):
            raise ValueError(N_("does not have the form of a GSTIN such as 32AAACB1234C1Z5."))
        return plain
    if not _ANY_TAX_NUMBER.fullmatch(text):
        raise ValueError(
            N_("is not a tax number: 4 to 40 letters, digits and the signs / . - are.")
        )
    return text
