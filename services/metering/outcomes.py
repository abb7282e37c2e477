"""What rules find of a reading: an outcome each, and the verdict that follows."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

Rule = Literal[
    "below_last_read",
    "high_use",
    "zero_use",
    "low_use",
    "first_reading",
    "above_connected_load",
    "above_next_read",
    "long_period",
    "register_sum",
    "high_maximum",
    "unable_to_price",
]
Outcome = Literal["pass", "warn", "review", "not_applicable"]
Verdict = Literal["accepted", "needs_review"]


@dataclass(frozen=True, slots=True)
class RuleOutcome:
    """What one rule found, with a sentence for the engineer."""

    rule: Rule
    outcome: Outcome
    message: str

    def to_json(self) -> dict[str, str]:
        """A JSON object of strings, under the names of the fields."""
        return {"rule": self.rule, "outcome": self.outcome, "message": self.message}


@dataclass(frozen=True, slots=True)
class Validation:
    """The outcomes of all rules for one reading."""

    outcomes: tuple[RuleOutcome, ...]

    def with_outcomes_of(self, other: "Validation") -> "Validation":
        """These outcomes, and what another comparison of the same reading finds to review."""
        doubts = (found for found in other.outcomes if found.outcome == "review")
        return self.with_outcomes(doubts)

    def with_outcomes(self, found: Iterable[RuleOutcome]) -> "Validation":
        """These outcomes, and those of further rules."""
        return Validation((*self.outcomes, *found))

    @property
    def verdict(self) -> Verdict:
        """needs_review as soon as one rule asks for it; a warning alone is accepted."""
        review = any(found.outcome == "review" for found in self.outcomes)
        return "needs_review" if review else "accepted"

    def to_json(self) -> dict[str, Any]:
        """{"verdict", "rules": [{"rule", "outcome", "message"}]}."""
        return {"verdict": self.verdict, "rules": [found.to_json() for found in self.outcomes]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read back what to_json wrote; the verdict follows from the outcomes."""
        names = RuleOutcome.__slots__
        found = (RuleOutcome(**{name: rule[name] for name in names}) for rule in data["rules"])
        return cls(outcomes=tuple(found))
