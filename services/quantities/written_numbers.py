"""Numbers as people write them: which sign is the decimal one, and what groups thousands.

1,000.50 is 1.000,50 in much of the world, 1 000,50 in France and Sweden, 1'000.50 in Switzerland,
and 1,00,000.50 groups as India does. Only what is certain is read; the rest is asked about.
"""

import re
from typing import Final, Literal
from unicodedata import decimal

from services.quantities.money import MINUS

DecimalSign = Literal["point", "comma"]

_SIGN: Final[dict[DecimalSign, str]] = {"point": ".", "comma": ","}
_OTHER: Final[dict[DecimalSign, DecimalSign]] = {"point": "comma", "comma": "point"}
# No-break and thin spaces group thousands in French and Swedish, apostrophes in Switzerland.
_SPACES: Final = re.compile(r"(?<=[0-9])[ \u00a0\u2009\u202f'\u2019](?=[0-9]{3}(?![0-9]))")
# The decimal and the grouping sign of Arabic.
_ARABIC_SIGNS: Final = {0x66B: ".", 0x66C: ","}
_AMBIGUOUS: Final = re.compile(r"[+-]?[1-9][0-9]{0,2}[.,][0-9]{3}")
_NUMBER: Final = re.compile(r"[+-]?[0-9.,]+")


class AmbiguousNumber(ValueError):
    """A number that may be two; the message says how to say which."""


def joined(text: str) -> str:
    """The text without the spaces that group its thousands, and with the digits 0 to 9.

    Phones and devices write digits of other scripts too, such as १११७ or ١١١٧.
    """
    return _SPACES.sub("", text if text.isascii() else _with_our_digits(text))


def _with_our_digits(text: str) -> str:
    return "".join(str(decimal(sign)) if sign.isdecimal() else sign for sign in text).translate(
        _ARABIC_SIGNS
    )


def is_number(text: str) -> bool:
    """Whether a joined text has only a sign, digits, points and commas."""
    return _NUMBER.fullmatch(text) is not None


def is_ambiguous(text: str) -> bool:
    """Whether a joined text may be a thousand or a decimal, such as 1.117 or 1,117."""
    return _AMBIGUOUS.fullmatch(text) is not None


def decimal_sign_of(text: str) -> DecimalSign | None:
    """Which sign must be the decimal one in this number, if it is certain."""
    number = joined(text)
    points, commas = number.count("."), number.count(",")
    if not is_number(number) or not points + commas:
        return None
    if points and commas:
        return "comma" if number.rindex(",") > number.rindex(".") else "point"
    if points + commas > 1:
        # Several of one sign group thousands.
        return "comma" if points else "point"
    if is_ambiguous(number):
        return None
    return "point" if points else "comma"


def in_style(number: str, decimal: DecimalSign) -> str | None:
    """A joined number with a decimal point and no grouping; None where its signs do not fit."""
    sign, group = re.escape(_SIGN[decimal]), re.escape(_SIGN[_OTHER[decimal]])
    thousands = (
        rf"[0-9]{{1,3}}({group}[0-9]{{3}})+|[0-9]{{1,2}}({group}[0-9]{{2}})*{group}[0-9]{{3}}"
    )
    if re.fullmatch(rf"[+-]?({thousands})({sign}[0-9]*)?", number):
        number = number.replace(_SIGN[_OTHER[decimal]], "")
    elif _SIGN[_OTHER[decimal]] in number:
        return None
    return number.replace(_SIGN[decimal], ".")


def plain_number(text: str, *, places: int) -> str:
    """A number that a person typed, with a decimal point and no grouping.

    `places` are the decimals that it may have: 1,000 is a thousand where they are fewer than three.
    A point alone is the decimal sign, as pages write it. Other texts come back as they are.
    Raises AmbiguousNumber.
    """
    number = joined(text.strip().replace(MINUS, "-"))
    decimal = decimal_sign_of(number)
    if decimal is None and "," in number and is_ambiguous(number):
        if places >= 3:
            whole, either = number.replace(",", ""), number.replace(",", ".")
            raise AmbiguousNumber(f"{number} may be {whole} or {either}: write it as one of these.")
        decimal = "point"
    if decimal is None:
        return number
    return in_style(number, decimal) or number
