"""AI's own calculation of a bill, compared to the cent with the rating engine's."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

from services.ai.answers import BillAnswer, NoAiAnswer, plain_line
from services.languages.sentence import sentence
from services.quantities.money import InvalidMoney, Money
from services.rating import RatedBill


@dataclass(frozen=True, slots=True)
class SecondOpinion:
    """What AI made of a bill, in minor units of `currency`; lines are by the charge's code."""

    model: str
    currency: str
    rated_minor: int
    total_minor: int
    lines: Mapping[str, int]
    other_lines: tuple[str, ...]
    held: bool

    @classmethod
    def of(
        cls, answer: BillAnswer, *, rated: RatedBill, hold_percent: Decimal, model: str
    ) -> "SecondOpinion":
        """Compare an answer with the rated bill. Raises NoAiAnswer for what are no amounts."""
        currency = rated.currency
        try:
            total = Money.parse(answer.total, currency=currency).minor
            lines: Counter[str] = Counter()
            for line in answer.lines:
                lines[line.code] += Money.parse(line.amount, currency=currency).minor
        except InvalidMoney:
            unread = sentence("AI gave no answer: its amounts could not be read.")
            raise NoAiAnswer(unread) from None
        ours: Counter[str] = Counter()
        for printed in rated.lines:
            ours[printed.code] += printed.amount_minor
        return cls(
            model=plain_line(model, longest=100),
            currency=currency,
            rated_minor=rated.total_minor,
            total_minor=total,
            # Codes that are none of ours are counted as a difference, not kept as they came.
            lines={code: lines[code] for code in ours if code in lines},
            other_lines=_different(ours, lines),
            held=_is_beyond(total - rated.total_minor, rated.total_minor, hold_percent),
        )

    @property
    def difference_minor(self) -> int:
        """AI's total less the rating engine's, in minor units."""
        return self.total_minor - self.rated_minor

    @property
    def agrees(self) -> bool:
        """True when the total and every line are the same to the cent."""
        return not self.difference_minor and not self.other_lines

    @property
    def sentence(self) -> str:
        """A sentence for step 6."""
        if self.agrees:
            return sentence("AI agrees to the cent.")
        if not self.difference_minor:
            lines = ", ".join(self.other_lines)
            return sentence("AI has the same total, but other lines: {lines}.", lines=lines)
        amounts = {
            "amount": Money(self.total_minor, self.currency),
            "apart": Money(abs(self.difference_minor), self.currency),
        }
        if self.difference_minor > 0:
            return sentence("AI makes it {amount}, {apart} more.", **amounts)
        return sentence("AI makes it {amount}, {apart} less.", **amounts)

    def to_json(self) -> dict[str, Any]:
        """As it is kept with the bill; amounts are decimal strings of its currency."""
        return {
            "model": self.model,
            "agrees": self.agrees,
            "held": self.held,
            "currency": self.currency,
            "total": Money(self.total_minor, self.currency).text,
            "difference": Money(self.difference_minor, self.currency).text,
            "lines": [
                {"code": code, "amount": Money(minor, self.currency).text}
                for code, minor in self.lines.items()
            ],
            "other_lines": list(self.other_lines),
        }


def _different(ours: Mapping[str, int], theirs: Mapping[str, int]) -> tuple[str, ...]:
    """Codes of our lines that AI has otherwise, and "…" where it has lines that we do not."""
    differing = [code for code in ours if theirs.get(code) != ours[code]]
    return (*differing, *(["…"] if set(theirs) - set(ours) else []))


def _is_beyond(difference_minor: int, rated_minor: int, percent: Decimal) -> bool:
    """True when the difference is more than so many percent of the rated total.

    Of a total of 0 every difference is more than any percentage.
    """
    return abs(difference_minor) > abs(rated_minor) * Fraction(percent) / 100
