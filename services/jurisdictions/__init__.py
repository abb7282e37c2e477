"""What the law of a place asks of a bill: rules in files beside the code, and what a utility lacks.

Pure: which facts are given is passed in.
"""

from services.jurisdictions.facts import (
    PRINTED_FACTS,
    SETTINGS_FACTS,
    Fact,
    PrintedFact,
    fact_in_words,
)
from services.jurisdictions.rules import (
    Jurisdiction,
    Rule,
    jurisdiction_of,
    jurisdictions,
    lack_in_words,
    lacking,
)

__all__ = [
    "PRINTED_FACTS",
    "SETTINGS_FACTS",
    "Fact",
    "Jurisdiction",
    "PrintedFact",
    "Rule",
    "fact_in_words",
    "jurisdiction_of",
    "jurisdictions",
    "lack_in_words",
    "lacking",
]
