"""Text that people typed, made fit for print: letter by letter, and it stays in its place."""

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
_LONG_PIECE: Final = 30
_PIECES: Final = re.compile(r"[^/?&=#]{1,24}[/?&=#]*|[/?&=#]+")
_BREAK: Final = "\u200b"
# Each such text finds its own direction and cannot disturb that of its neighbours.
_ISOLATE: Final = "\u2068"
_END: Final = "\u2069"


def sound(text: str) -> str:
    """A text in one line, with nothing added to it: for addresses, references and titles."""
    return " ".join(" ".join(_lines(text)).split())


def pieces(address: str) -> list[str]:
    """A sound text in pieces between which a line may break."""
    return _PIECES.findall(address)


def typed(text: str) -> str:
    """A text as it is to be printed, kept apart from the words around it; "" stays ""."""
    kept = "\n".join(_isolated(line) for line in _lines(text))
    return kept.strip("\n")


def typed_in_one_line(text: str) -> str:
    """The same without line breaks."""
    return _isolated(sound(text))


def _lines(text: str) -> list[str]:
    # Half a surrogate pair is no text at all.
    whole = text.encode("utf-8", "replace").decode("utf-8")
    broken = _LINE_BREAKS.sub("\n", whole)
    return [_CONTROLS.sub(" ", line).strip() for line in broken.split("\n")]


def _isolated(line: str) -> str:
    return f"{_ISOLATE}{_RUN.sub(_breakable, line)}{_END}" if line else ""


def _breakable(run: re.Match[str]) -> str:
    letters = run.group()
    pieces: list[str] = []
    start = 0
    for at in range(1, len(letters)):
        if _may_break(letters[at - 1], letters[at], after=at - start):
            pieces.append(letters[start:at])
            start = at
    return _BREAK.join([*pieces, letters[start:]])


def _may_break(left: str, right: str, *, after: int) -> bool:
    # A mark stays with its letter, and letters that join stay together while they can.
    if any(unicodedata.category(letter)[0] in "MC" for letter in (left, right)):
        return False
    return after >= (_LONG_PIECE if unicodedata.bidirectional(left) == "AL" else _PIECE)
