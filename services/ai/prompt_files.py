"""The prompts: files beside this one that a person can read and change, loaded at the start."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from services.ai.placeholders import PLACEHOLDER, PLACEHOLDERS

FOLDER: Final = Path(__file__).resolve().parent / "prompts"
# What the text of each prompt may name in braces.
KNOWN: Final[dict[str, frozenset[str]]] = {
    "validate_reading": frozenset(),
    "calculate_bill": frozenset(),
    "write_message": frozenset(PLACEHOLDERS),
    "read_dial": frozenset(),
}
_COMMENT: Final = re.compile(r"<!--.*?-->", re.DOTALL)


class UnusablePrompt(Exception):
    """A prompt's file cannot be used; the message names it and says what to change."""


@dataclass(frozen=True, slots=True)
class Prompts:
    """The text of each prompt, without its HTML comments, which are for people."""

    validate_reading: str
    calculate_bill: str
    write_message: str
    read_dial: str

    @classmethod
    def load(cls, folder: Path = FOLDER) -> Self:
        """Read and check every prompt. Raises UnusablePrompt."""
        return cls(**{name: _load(folder / f"{name}.md", KNOWN[name]) for name in KNOWN})


def _load(path: Path, known: frozenset[str]) -> str:
    try:
        text = _COMMENT.sub("", path.read_text(encoding="utf-8")).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UnusablePrompt(f"The prompt {path.name} cannot be read as UTF-8 text.") from error
    if not text:
        raise UnusablePrompt(f"The prompt {path.name} is empty.")
    strangers = sorted(set(PLACEHOLDER.findall(text)) - known)
    if strangers:
        raise UnusablePrompt(
            f"The prompt {path.name} names {{{strangers[0]}}}, which is not known."
        )
    return text
