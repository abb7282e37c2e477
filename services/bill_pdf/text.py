"""Text that people typed, made fit for print: it appears letter by letter and stays in its place."""

import re
import unicodedata
from typing import Final

_CONTROLS: Final = re.compile(
    # All but the line break; and what would turn the direction of the text around it.
    r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufeff\ufffe\uffff]"
)
_LINE_BREAKS: Final = re.compile(r"\r\n?|[\x0b\x0c\x85\u2028\u2029]")
# Text that runs on without a space must be broken somewhere, or it leaves the page.
_RUN: Final = re.compile(r"\S{25,}")
_PIECE: Final = 12
_PIECES: Final = re.compile(r"[^/?&=#]{1,24}[/?&=#]*|[/?&=#]+")
_BREAK: Final = "\u200b"
# Each such text finds its own direction and cannot disturb that of its neighbours.
_ISOLATE: Final = "\u2068"
_END: Final = "\u2069"


def pieces(address: str) -> list[str]:
    """A web address or reference in pieces between which a line may break, nothing added."""
    (line,) = _lines(" ".join(address.split())) or [""]
    return _PIECES.findall(line)


def typed(text: str) -> str:
    """A text as it is to be printed, kept apart from the words around it; "" stays ""."""
    kept = "\n".join(_isolated(line) for line in _lines(text))
    return kept.strip("\n")


def typed_in_one_line(text: str) -> str:
    """The same without line breaks."""
    return _isolated(" ".join(" ".join(_lines(text)).split()))


def _lines(text: str) -> list[str]:
    # Half a surrogate pair is no text at all.
    sound = text.encode("utf-8", "replace").decode("utf-8")
    broken = _LINE_BREAKS.sub("\n", sound)
    return [_CONTROLS.sub(" ", line).strip() for line in broken.split("\n")]


def _isolated(line: str) -> str:
    return f"{_ISOLATE}{_RUN.sub(_breakable, line)}{_END}" if line else ""


def _breakable(run: re.Match[str]) -> str:
    letters = run.group()
    pieces: list[str] = []
    start = 0
    for at in range(1, len(letters)):
        # Joined scripts and marks stay whole; Thai has its own places to break.
        if at - start >= _PIECE and _may_break(letters[at - 1], letters[at]):
            pieces.append(letters[start:at])
            start = at
    return _BREAK.join([*pieces, letters[start:]])


def _may_break(before: str, after: str) -> bool:
    if any(unicodedata.category(letter)[0] in "MC" for letter in (before, after)):
        return False
    return not (before.isalpha() and unicodedata.bidirectional(before) == "AL")
