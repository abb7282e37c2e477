"""What rules find of a reading: an outcome each, and the verdict that follows."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Self

Rule = Literal[
    "below_last_read",
    "high_use",
    "zero_use",
    "low_use",
    "first_reading",
    "above_connected_load",
    "above_next_read",
    "long_period",
    "transposed_digits",
    "wrong_digit",
    "missed_decimal",
    "power_of_ten",
    "exact_multiple",
    "swapped_meters",
    "other_register",
    "percent_change",
    "outlier",
    "interval_spike",
    "interval_sum",
    "too_many_digits",
    "unusable",
    "register_sum",
    "high_maximum",
    "unable_to_price",
    "photo",
]
# What may explain a doubtful value; none of them doubts one.
EXPLANATIONS: Final[frozenset[Rule]] = frozenset(
    {
        "transposed_digits",
        "wrong_digit",
        "missed_decimal",
        "power_of_ten",
        "exact_multiple",
        "swapped_meters",
        "other_register",
    }
)
Outcome = Literal["pass", "warn", "review", "not_applicable"]
Verdict = Literal["accepted", "needs_review"]


@dataclass(frozen=True, slots=True)
class RuleOutcome:
    """What one rule found: a sentence for the engineer, and the values that it compared.

    The values are whole numbers under names that end in their unit, such as used_wh.
    """

    rule: Rule
    outcome: Outcome
    message: str
    values: Mapping[str, int] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """A JSON object under the names of the fields, without values where there are none."""
        written = {"rule": self.rule, "outcome": self.outcome, "message": self.message}
        return {**written, "values": dict(self.values)} if self.values else written


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

    @property
    def is_doubted(self) -> bool:
        """Whether a rule asked for a review or warned; a long bill says nothing of the reading."""
        doubts = (found for found in self.outcomes if found.outcome in ("review", "warn"))
        return any(found.rule != "long_period" for found in doubts)

    def to_json(self) -> dict[str, Any]:
        """{"verdict", "rules": [{"rule", "outcome", "message"}]}."""
        return {"verdict": self.verdict, "rules": [found.to_json() for found in self.outcomes]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read back what to_json wrote; the verdict follows from the outcomes."""
        found = (
            RuleOutcome(rule["rule"], rule["outcome"], rule["message"], rule.get("values", {}))
            for rule in data["rules"]
        )
        return cls(outcomes=tuple(found))


def why_suspicious(validation: Validation) -> str:
    """Why a reading is worth a second look, in a sentence; empty where nothing is unusual.

    A rule doubts it; or it passed them all and is noteworthy: there is too little past to compare
    its use with, or the use is outside the inner half of what passes.
    """
    found = {one.rule: one for one in validation.outcomes}
    if validation.is_doubted:
        return "A rule doubts it."
    if "first_reading" in found:
        return "It is a first reading."
    use = found.get("high_use")
    if use is None or "least_wh" not in use.values:
        return "The meter's past is too short to say what is expected of it."
    used, least, most = (use.values[name] for name in ("used_wh", "least_wh", "most_wh"))
    quarter = (most - least) // 4
    if used < least + quarter:
        return "The use is in the lower quarter of what passes."
    if used > most - quarter:
        return "The use is in the upper quarter of what passes."
    return ""
