"""Jurisdictions as their files say: which facts a bill must have, each with the paragraph."""

import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from services.jurisdictions.facts import PRINTED_FACTS, SETTINGS_FACTS, Fact, fact_in_words
from services.languages.sentence import listed, sentence

_FOLDER: Final = Path(__file__).parent
_SET_HERE: Final = frozenset[str]((*PRINTED_FACTS, *SETTINGS_FACTS))
_UNDER: Final = {
    "utility_contact": "Utility",
    "utility_phone": "Utility",
    "utility_email": "Utility",
}

Text = Annotated[str, Field(min_length=1, max_length=400)]


class Rule(BaseModel):
    """A fact that a bill must have; `source` names the paragraph, `asks` says it in our words.

    `compared_with` is the text that it was compared with; empty where there was none at hand.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    fact: Fact
    source: Text
    asks: Text
    compared_with: Annotated[str, Field(max_length=400)] = ""


class Jurisdiction(BaseModel):
    """The rules of a place. `name` is that of its file, `title` what people call it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=r"^[a-z_]{2,20}$")]
    title: Text
    rules: Annotated[tuple[Rule, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _each_fact_once(self) -> Self:
        facts = [rule.fact for rule in self.rules]
        twice = {fact for fact in facts if facts.count(fact) > 1}
        if twice:
            raise ValueError(f"asked for twice: {', '.join(sorted(twice))}")
        return self

    def asks_for(self, fact: Fact) -> bool:
        """Whether a bill must have this."""
        return any(rule.fact == fact for rule in self.rules)


@cache
def jurisdictions() -> Mapping[str, Jurisdiction]:
    """All that there are, by name. Raises ValidationError for a file that is wrong."""
    found: dict[str, Jurisdiction] = {}
    for path in sorted(_FOLDER.glob("*.toml")):
        with path.open("rb") as file:
            found[path.stem] = Jurisdiction.model_validate(
                {"name": path.stem, **tomllib.load(file)}
            )
    return found


def jurisdiction_of(name: str) -> Jurisdiction | None:
    """The one of this name; None where a utility has chosen none."""
    return jurisdictions().get(name)


def lacking(jurisdiction: Jurisdiction | None, given: Mapping[str, str]) -> tuple[Rule, ...]:
    """The rules whose facts the utility has not set; `given` are its settings by fact."""
    if jurisdiction is None:
        return ()
    return tuple(
        rule
        for rule in jurisdiction.rules
        if rule.fact in _SET_HERE and not given.get(rule.fact, "").strip()
    )


def lack_in_words(jurisdiction: Jurisdiction, rules: Sequence[Rule]) -> str:
    """The sentence that refuses a bill: what is missing, by which rule, and where it is set."""
    named = [
        sentence("{fact} ({source})", fact=sentence(fact_in_words(rule.fact)), source=rule.source)
        for rule in rules
    ]
    places = dict.fromkeys(_UNDER.get(rule.fact, "Documents") for rule in rules)
    values = {
        "place": sentence(jurisdiction.title),
        "facts": listed(named),
        "views": listed([sentence(place) for place in places]),
    }
    if len(rules) == 1:
        return sentence(
            "A bill in {place} must say {facts}. Set it in Settings under {views}.", **values
        )
    return sentence(
        "A bill in {place} must say {facts}. Set them in Settings under {views}.", **values
    )
