"""A tariff while somebody writes it: its JSON text, what is wrong with it, and its numbers."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

from services.importing.source import Source, UnreadableFile, read_text
from services.importing.tariff_files import json_of
from services.importing.urdb import UnusableRate, is_urdb, rates_of, tariff_of
from services.languages.sentence import N_, joined, sentence, sentence_of
from services.languages.writing import Capitalized
from services.tariff_publishing.edits import at
from services.tariff_publishing.json_text import Path, exact_json, path_text, pretty
from services.tariffs import InvalidTariff, Tariff, parse_tariff
from services.tariffs.checks.problems import Problem, paths_and_problems
from services.tariffs.describe import day_in_words
from services.tariffs.places import place_in_words, problem_in_words, steps_of
from services.tariffs.values import in_words

_NOT_AN_OBJECT: Final = sentence(
    "A tariff is one object with named fields: {shape}.", shape="{ … }"
)
# Fields that hold a decimal, as the form calls them.
_LABELS: Final = {
    "rate": N_("Rate"),
    "amount": N_("Amount"),
    "percent": N_("Percent"),
    "up_to_kwh": N_("Up to kWh"),
    "up_to_kw": N_("Up to kW"),
    "from": N_("From"),
    "kwh_above": N_("Only above kWh"),
    "kwh_up_to": N_("Only up to kWh"),
    "load_kw_above": N_("Only above connected kW"),
    "load_kw_up_to": N_("Only up to connected kW"),
    "at_most": N_("At most"),
    "at_least_kw": N_("At least kW"),
    "target": N_("Target power factor"),
    "percent_per_point": N_("Percent for each 0.01"),
    "bonus_percent_per_point": N_("Bonus percent for each 0.01"),
    "bonus_above": N_("Bonus above"),
    "at_most_percent": N_("At most percent"),
    "free_kvarh_per_kwh": N_("Free kVArh for each kWh"),
    "free_per_kw": N_("Free kVAr for each kW"),
    "pf": N_("Below power factor"),
    "to": N_("Rounded to kW"),
}
_LISTS: Final = {
    "slabs": N_("Slab"),
    "changes": N_("Change"),
    "below": N_("Step"),
}
# What holds such fields.
_GROUPS: Final = {
    "when": N_("When"),
    "ratchet": N_("Ratchet"),
    "demand_to": N_("Demand to"),
}
# After what they are a field of.
_WITHIN: Final = {
    "rate": N_("rate"),
    "percent": N_("percent"),
    "from": N_("from"),
    "kwh_above": N_("only above kWh"),
    "kwh_up_to": N_("only up to kWh"),
    "load_kw_above": N_("only above connected kW"),
    "load_kw_up_to": N_("only up to connected kW"),
    "percent_per_point": N_("percent for each 0.01"),
    "pf": N_("below power factor"),
    "to": N_("rounded to kW"),
    "up_to_kwh": N_("up to kWh"),
    "up_to_kw": N_("up to kW"),
}
_NAMED_BY_PERIOD: Final = ("rates", "period_slabs")


@dataclass(frozen=True, slots=True)
class Draft:
    """What a text says: the tariff, or every problem as (path, why); `data` is its JSON object."""

    data: dict[str, Any] | None
    tariff: Tariff | None
    problems: tuple[Problem, ...]

    @property
    def to_fill(self) -> tuple[str, ...]:
        """The fields that nobody has filled in yet, as people see their places."""
        blank = dict.fromkeys(path for path, _ in self.problems if self._is_blank(path))
        places = (place_in_words(self.data, path) for path in blank)
        return tuple(joined([Capitalized(place)]) for place in places)

    @property
    def wrong(self) -> tuple[str, ...]:
        """What must be put right, as sentences; what is not filled in is no mistake."""
        return tuple(
            problem_in_words(self.data, problem)
            for problem in self.problems
            if not self._is_blank(problem[0])
        )

    def wrong_at(self, path: Path) -> tuple[str, ...]:
        """What is wrong with exactly this field, as sentences to stand beneath it."""
        where = path_text(path)
        return tuple(
            problem_in_words(self.data, problem, beside=True)
            for problem in self.problems
            if problem[0] == where and not self._is_blank(where)
        )

    def _is_blank(self, path: str) -> bool:
        if path in ("", "charges"):
            return False
        return at(self.data, tuple(steps_of(self.data, path))) in ("", None, [])


@dataclass(frozen=True, slots=True)
class Field:
    """A decimal of a charge that a form can ask for; `path` leads to it in the JSON."""

    path: Path
    label: str
    value: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """A tariff found in a file: what to call it, its text, and what of the file it has not."""

    name: str
    text: str
    remarks: tuple[str, ...] = ()


@lru_cache(maxsize=64)
def read_draft(text: str) -> Draft:
    """Read a text that may be anything; never raises."""
    try:
        data, exact = json_of(text), exact_json(text)
    except UnreadableFile as error:
        return Draft(None, None, (("", sentence_of(error)),))
    if not isinstance(data, dict):
        return Draft(None, None, (("", _NOT_AN_OBJECT),))
    try:
        return Draft(exact, parse_tariff(data), ())
    except InvalidTariff as error:
        return Draft(exact, None, tuple(error.problems))


def candidates(source: Source, *, today: date) -> list[Candidate]:
    """The tariffs of a file: the project's own as they are written, or made of rates of URDB.

    A rate without a start date begins today. Raises UnreadableFile, with the reason.
    """
    text = read_text(source)
    found = exact_json(text)
    if is_urdb(found):
        return [_of_urdb(label, rate, today) for label, rate in rates_of(found)]
    if isinstance(found, dict):
        return [Candidate(_name(found), text)]
    if isinstance(found, list) and found and all(isinstance(one, dict) for one in found):
        return [Candidate(_name(one), pretty(one)) for one in found]
    raise UnreadableFile(_NOT_AN_OBJECT)


def number_fields(charge: Any, index: int) -> list[Field]:
    """The decimals of a charge as it stands in a draft, right or wrong, in their order."""
    return list(_numbers(charge, ("charges", index), ""))


def _numbers(value: Any, path: Path, label: str) -> Iterator[Field]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _numbers(inner, (*path, name), _within(label, path, name, inner))
    elif isinstance(value, list):
        for position, inner in enumerate(value):
            yield from _numbers(inner, (*path, position), _numbered(label, position + 1))
    elif (
        _is_number(path) and not isinstance(value, bool) and isinstance(value, str | int | Decimal)
    ):
        yield Field(path, label, str(value))


def _numbered(label: str, number: int) -> str:
    return joined([label, str(number)], " ") if label else str(number)


def _within(label: str, path: Path, name: str, inner: Any) -> str:
    """What a field is called, after what it is a field of."""
    if path[-1] in _NAMED_BY_PERIOD:
        words = in_words(name)
        own: str = words if label else words.capitalize()
    elif name in _NAMED_BY_PERIOD:
        own = ""
    elif label and name in _WITHIN:
        own = sentence(_WITHIN[name])
    else:
        known = _LISTS.get(name) or _GROUPS.get(name) or _LABELS.get(name)
        own = sentence(known) if known else in_words(name).capitalize()
    if isinstance(inner, list) and path[-1] == "period_slabs":
        own = sentence("{period}, slab", period=own)
    return joined([label, own], ": ") if label and own else label or own


def _is_number(path: Path) -> bool:
    return path[-1] in _LABELS or path[-2] == "rates"


def _of_urdb(label: str, rate: Any, today: date) -> Candidate:
    try:
        imported = tariff_of(rate, label=label)
    except UnusableRate:
        imported = _begun_today(rate, label, today)
    remarks = tuple(
        sentence("{path}: {why}", path=path, why=why) if path else why
        for path, why in imported.remarks
    )
    return Candidate(imported.tariff["name"], pretty(imported.tariff), remarks)


def _begun_today(rate: Any, label: str, today: date) -> Any:
    try:
        return tariff_of(rate, label=label, effective_from=today)
    except UnusableRate as error:
        raise UnreadableFile(
            sentence(
                "No tariff can be made of the rate {label}: {problems}.",
                label=label,
                problems=paths_and_problems(error.problems),
            )
        ) from None


def _name(found: Mapping[str, Any]) -> str:
    code, begins = found.get("code", "?"), str(found.get("effective_from", ""))
    try:
        return sentence("{code} from {day}", code=code, day=day_in_words(begins))
    except ValueError:
        return str(code)
