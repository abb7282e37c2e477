"""What AI is asked to answer, as its schema, and what the rest of the system gets of it."""

import unicodedata
from dataclasses import dataclass
from decimal import Decimal
from math import ceil
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from services.languages.sentence import joined, sentence

# A suspicion that AI itself thinks less likely than not is a remark, and holds nothing up.
SURE_ENOUGH: Final = 50
MOST_REASONS: Final = 5
LONGEST_REASON: Final = 200


class NoAiAnswer(Exception):
    """AI was not asked, or gave no answer that can be used; the message says so, and why."""


class _Answer(BaseModel):
    # Limits stand in validators: not every service knows the schema's words for them.
    model_config = ConfigDict(frozen=True, extra="forbid")


class ReadingAnswer(_Answer):
    """The answer about a reading."""

    verdict: Literal["plausible", "suspicious"]
    confidence: int = Field(description="how sure you are of the verdict, in percent, 0 to 100")
    reasons: list[str] = Field(description="at most five short sentences")

    @field_validator("confidence")
    @classmethod
    def _is_a_percentage(cls, value: int) -> int:
        if not 0 <= value <= 100:
            raise ValueError("not a percentage")
        return value


class DialAnswer(_Answer):
    """The answer about a photo of a meter."""

    shows_kwh: str | None = Field(description='decimal text such as "1117" or "1117.5", or null')
    confidence: int = Field(description="how sure you are of every digit, in percent, 0 to 100")

    @field_validator("confidence")
    @classmethod
    def _is_a_percentage(cls, value: int) -> int:
        if not 0 <= value <= 100:
            raise ValueError("not a percentage")
        return value


class LineAnswer(_Answer):
    """One line of the bill as AI computes it."""

    code: str
    amount: str = Field(description='decimal text such as "12.34"')


class BillAnswer(_Answer):
    """The answer about a bill."""

    lines: list[LineAnswer]
    total: str = Field(description='decimal text such as "123.45"')


class MessageAnswer(_Answer):
    """The answer about a message."""

    text: str = Field(description="the message, with placeholders in braces")


@dataclass(frozen=True, slots=True)
class AiVerdict:
    """What AI thinks of a reading; `confidence` is in whole percent."""

    verdict: Literal["plausible", "suspicious"]
    confidence: int
    reasons: tuple[str, ...]
    model: str

    @classmethod
    def of(cls, answer: ReadingAnswer, *, model: str) -> "AiVerdict":
        """The answer, with its texts made fit to be stored and shown."""
        reasons = (plain_line(reason, longest=LONGEST_REASON) for reason in answer.reasons)
        said = tuple(reason for reason in reasons if reason)[:MOST_REASONS]
        return cls(answer.verdict, answer.confidence, said, plain_line(model, longest=100))

    @property
    def asks_for_review(self) -> bool:
        """True when a person should look at the reading."""
        return self.verdict == "suspicious" and self.confidence >= SURE_ENOUGH

    @property
    def sentence(self) -> str:
        """Such as: AI: suspicious (80% sure). Twice the use of any June before."""
        said = (
            sentence("AI: suspicious ({percent}% sure).", percent=self.confidence)
            if self.verdict == "suspicious"
            else sentence("AI: plausible ({percent}% sure).", percent=self.confidence)
        )
        return joined((said, *self.reasons), by=" ")

    def to_json(self) -> dict[str, Any]:
        """As it is kept with the reading, beside the outcomes of the rules."""
        return {
            "verdict": self.verdict,
            "confidence": self.confidence,
            "reasons": list(self.reasons),
            "model": self.model,
        }


@dataclass(frozen=True, slots=True)
class DialReading:
    """What AI reads on a photo, in Wh; None where it can read nothing. `confidence` in percent."""

    register_wh: int | None
    confidence: int

    @property
    def is_sure(self) -> bool:
        """Whether it is a value that one typed can be compared with."""
        return self.register_wh is not None and self.confidence >= SURE_ENOUGH


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens that one call took."""

    prompt_tokens: int = 0
    completion_tokens: int = 0

    def cost_micro(self, *, price_input: Decimal, price_output: Decimal) -> int:
        """Millionths of a dollar, by prices in dollars per million tokens; a part counts whole."""
        cost = self.prompt_tokens * price_input + self.completion_tokens * price_output
        return ceil(cost)


def plain_line(text: str, *, longest: int) -> str:
    """One line of printable text; the database takes neither NULs nor halves of characters."""
    kept = (" " if unicodedata.category(c) in {"Cc", "Cf", "Cs", "Co", "Cn"} else c for c in text)
    line = " ".join("".join(kept).split())
    return line if len(line) <= longest else f"{line[: longest - 1]}…"
