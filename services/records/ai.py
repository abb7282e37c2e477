"""What AI was asked, what it cost, and what it computed of a bill: records."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from services.records.base import Record


class AiCall(Record):
    """A question to AI, once for its id, and what it took; the cost is None without a price."""

    id: str
    purpose: Literal["validate_reading", "calculate_bill", "write_message", "read_dial"]
    model: str
    prompt_tokens: int
    completion_tokens: int
    # In millionths of a dollar.
    cost_micro: int | None
    outcome: str
    reading_id: str | None = None
    bill_id: str | None = None


class AiSpending(Record):
    """What AI's calls took; `unpriced` of them have no known price.

    `cost_micro` is in millionths of a dollar.
    """

    calls: int
    unanswered: int
    prompt_tokens: int
    completion_tokens: int
    cost_micro: int
    unpriced: int


class SecondOpinionCounts(Record):
    """How many bills AI computed too, and how often it came to something else."""

    asked: int
    agreed: int
    differed: int
    held: int


class ReadingVerdictCounts(Record):
    """Of the readings that AI judged, how many it and the rules doubted, and what people decided.

    Of those that one alone doubted some were accepted or refused (rejected or corrected); the
    others wait. Of those that people and smart meters sent it was `not_asked` about the rest.
    """

    judged: int
    neither: int
    both: int
    rules_alone: int
    rules_alone_accepted: int
    rules_alone_refused: int
    ai_alone: int
    ai_alone_accepted: int
    ai_alone_refused: int
    not_asked: int

    @property
    def agreed(self) -> int:
        """Those of which both said the same."""
        return self.neither + self.both


class OpinionLine(Record):
    """A charge as AI computed it: its code, and a decimal text in the bill's currency."""

    code: str
    amount: str


class StoredOpinion(Record):
    """What AI computed of a bill; amounts are decimal texts of `currency`.

    `other_lines` are the codes of charges that it has otherwise.
    """

    model: str
    agrees: bool
    held: bool
    currency: str
    total: str
    difference: str
    lines: tuple[OpinionLine, ...]
    other_lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AiMonth:
    """What AI did and cost since the 1st, and dollars a month that it may cost (None: no limit)."""

    spending: AiSpending
    opinions: SecondOpinionCounts
    readings: ReadingVerdictCounts
    monthly_budget: Decimal | None
    is_spent: bool
