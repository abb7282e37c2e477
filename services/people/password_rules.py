"""Which passwords are refused: too short, too common, or made of the name (NIST SP 800-63B).

There are no rules on which kinds of characters: they make passwords worse, not better.
"""

import gzip
import re
import unicodedata
from functools import cache
from pathlib import Path
from typing import Final

from services.languages.sentence import sentence

SHORTEST: Final = 12
LONGEST: Final = 128

# The 20,000 most common ones, by Royce Williams, as Django distributes them (BSD licence).
_COMMON_FILE: Final = Path(__file__).parent / "common_passwords.txt.gz"
_AROUND: Final = re.compile(r"^[\W\d_]+|[\W\d_]+$")
_LONGEST_UNIT: Final = 6
# A part of a name is found anywhere from four letters on; one of three only as a word: "Ana" is in
# "bananas". Shorter ones say nothing.
_FOUND_ANYWHERE: Final = 4
_SHORTEST_NAME_PART: Final = 3
_SEQUENCES: Final = (
    "abcdefghijklmnopqrstuvwxyz" * 2,
    "1234567890" * 13,
    "qwertyuiopasdfghjklzxcvbnm",
)


class UnusablePassword(ValueError):
    """A new password is refused, with a sentence on what to do."""


def normalized(password: str) -> str:
    """A password as it is hashed: the same letters are the same, however a keyboard writes them."""
    # Nobody's password is longer, and normalizing may make a text many times as long.
    return unicodedata.normalize("NFKC", password[: LONGEST + 1])


def check_new_password(password: str, *, sign_in_name: str, display_name: str) -> None:
    """Raise UnusablePassword unless `password` will do for this person."""
    text = normalized(password)
    if len(text) < SHORTEST:
        raise UnusablePassword(
            sentence(
                "Use at least {least} characters. A few words that do not belong together do well.",
                least=SHORTEST,
            )
        )
    if len(text) > LONGEST:
        raise UnusablePassword(sentence("Use at most {most} characters.", most=LONGEST))
    if any(unicodedata.category(c) in {"Cc", "Cs"} for c in text):
        raise UnusablePassword(
            sentence("Leave out characters that cannot be seen, such as line breaks.")
        )
    folded = text.casefold()
    if _has_name(folded, sign_in_name, display_name):
        raise UnusablePassword(
            sentence("Leave your name out of your password: it is the first guess.")
        )
    if _is_common(folded):
        raise UnusablePassword(
            sentence(
                "This password is among the first that others would try. Use another, such as a "
                "few words that do not belong together."
            )
        )


def _has_name(folded: str, sign_in_name: str, display_name: str) -> bool:
    names = normalized(sign_in_name).casefold(), normalized(display_name).casefold()
    parts = {names[0], *re.split(r"[\W_]+", " ".join(names))}
    words = set(re.split(r"[\W\d_]+", folded))
    return any(
        part in folded if len(part) >= _FOUND_ANYWHERE else part in words
        for part in parts
        if len(part) >= _SHORTEST_NAME_PART
    )


def _is_common(folded: str) -> bool:
    common = _common()
    core = _AROUND.sub("", folded)
    unit = _repeated_unit(folded)
    return (
        folded in common
        # A common one with digits or signs around it, such as password1234.
        or core in common
        or (len(core) <= 1 and len(set(folded)) < SHORTEST // 2)
        or len(unit) <= _LONGEST_UNIT
        or unit in common
        or any(folded in sequence or folded[::-1] in sequence for sequence in _SEQUENCES)
    )


def _repeated_unit(text: str) -> str:
    """The shortest text that gives this one when it is repeated."""
    return text[: (text + text).find(text, 1)]


@cache
def _common() -> frozenset[str]:
    with gzip.open(_COMMON_FILE, "rt", encoding="utf-8") as file:
        return frozenset(line.rstrip("\n") for line in file)
