"""Where in a tariff a problem is, as people see the place: "the first slab's rate", not a path."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from textwrap import shorten
from typing import Any, Final

from services.languages.language import own_name
from services.languages.sentence import N_, Sentence, ended, sentence
from services.languages.writing import Capitalized, Ordinal
from services.tariffs.checks.problems import Problem
from services.tariffs.values import in_words, listed, mapped

Step = str | int

_LONGEST_NAME: Final = 60
# What the fields of a tariff are called, also those that bear their own name.
_NAMES: Final = {
    "amount": N_("amount"),
    "at_least_kw": N_("least demand"),
    "at_most": N_("highest amount"),
    "at_most_percent": N_("highest percent"),
    "below": N_("list of steps"),
    "beyond": N_("rule for longer bills"),
    "billing_period": N_("billing period"),
    "bonus_above": N_("power factor of the bonus"),
    "bonus_percent_per_point": N_("bonus for each 0.01"),
    "calendar": N_("calendar"),
    "calendars": N_("calendars"),
    "carry_forward": N_("carrying forward"),
    "changes": N_("changes"),
    "charges": N_("charges"),
    "code": N_("code"),
    "count": N_("way of counting"),
    "currency": N_("currency"),
    "days": N_("days"),
    "days_as": N_("count of days"),
    "demand_to": N_("rounding of the demand"),
    "description": N_("description"),
    "effective_from": N_("date from which it holds"),
    "free_kvarh_per_kwh": N_("free kVArh for each kWh"),
    "free_per_kw": N_("free kVAr for each kW"),
    "from": N_("date"),
    "gross_up": N_("gross-up"),
    "holidays": N_("holidays"),
    "kind": N_("kind"),
    "kwh_above": N_("lower bound of kWh"),
    "kwh_up_to": N_("upper bound of kWh"),
    "limits_to": N_("unit of the limits"),
    "lines": N_("rounding of the lines"),
    "load_kw_above": N_("lower bound of connected load"),
    "load_kw_up_to": N_("upper bound of connected load"),
    "max_days": N_("most days"),
    "min_days": N_("fewest days"),
    "mode": N_("mode"),
    "months": N_("count of months"),
    "name": N_("name"),
    "names": N_("name in another language"),
    "net_metering": N_("net metering"),
    "of": N_("choice of charges"),
    "offsets": N_("choice of what a surplus offsets"),
    "one_within_days": N_("days that make one month"),
    "order": N_("order"),
    "per": N_("period of time"),
    "percent": N_("percent"),
    "percent_per_point": N_("percent for each 0.01"),
    "period_slabs": N_("slabs"),
    "periods": N_("periods"),
    "pf": N_("power factor"),
    "places": N_("decimals"),
    "print": N_("way of printing"),
    "proration": N_("part of a month"),
    "quantity": N_("quantity"),
    "ratchet": N_("ratchet"),
    "ratchet.months": N_("months"),
    "rate": N_("rate"),
    "rates": N_("rate"),
    "rounding": N_("rounding"),
    "seasons": N_("seasons"),
    "settled_in": N_("month of settlement"),
    "slab_limits_per": N_("period of the slab limits"),
    "slabs": N_("slabs"),
    "slabs_apply": N_("way the slabs apply"),
    "source": N_("source"),
    "surplus": N_("surplus"),
    "target": N_("target power factor"),
    "tax": N_("mark as a tax"),
    "tiers": N_("way that periods and slabs go together"),
    "times": N_("multiplier"),
    "to": N_("step"),
    "total": N_("rounding of the total"),
    "up_to_kw": N_("upper limit"),
    "up_to_kwh": N_("upper limit"),
    "usual_days": N_("usual days"),
    "when": N_("condition"),
    "whole_kwh": N_("choice of whole kWh"),
}
_ONE_OF: Final = {
    "slabs": N_("slab"),
    "changes": N_("change"),
    "below": N_("step"),
    "holidays": N_("holiday"),
    "of": N_("charge of its choice"),
    "order": N_("period of the order"),
    "one_within_days": N_("number of days"),
}
_ANY_ENTRY: Final = N_("entry")
_IN_WINDOW: Final = {
    "from": N_("beginning"),
    "to": N_("end"),
    "seasons": N_("seasons"),
    "months": N_("months"),
}
_IN_SEASON: Final = {"from": N_("first day"), "to": N_("last day")}
_BY_PERIOD: Final = ("rates", "period_slabs")


def problem_in_words(tariff: object, problem: Problem, *, beside: bool = False) -> Sentence:
    """A problem as a sentence that names its place as people see it; `tariff` is its JSON.

    `beside` its field, the charge that it stands in need not be named.
    """
    path, why = problem
    if not path and why.endswith("."):
        # Of a text that is no tariff at all: a sentence by itself.
        return why if isinstance(why, Sentence) else sentence(why)
    if not path and why.startswith("and "):
        return sentence("{said}.", said=Capitalized(why))
    where = place_in_words(tariff, path)
    if beside and path.startswith("charges["):
        rest = tuple(steps_of(tariff, path))[2:]
        where = _words(rest) if rest else sentence("the charge")
    return sentence("{place} {why}", place=Capitalized(where), why=ended(why))


def place_in_words(tariff: object, path: str) -> Sentence:
    """A path such as charges[0].slabs[0].rate in words: "Energy: the first slab's rate"."""
    steps = tuple(steps_of(tariff, path))
    if not steps or steps == ("charges",):
        return sentence("the tariff")
    head, *rest = steps
    if head in _PARTS and rest:
        return _PARTS[str(head)](mapped(tariff), rest)
    return _words(steps)


def steps_of(tariff: object, path: str) -> Iterator[Step]:
    """The names and positions of a path; names that hold dots are known from the JSON itself."""
    value, left = tariff, path
    while left:
        if left.startswith("["):
            number, _, left = left[1:].partition("]")
            step: Step = int(number)
            value = _entry(value, int(number))
        else:
            step = _name_at(left.removeprefix("."), value)
            left = left.removeprefix(".")[len(step) :]
            value = mapped(value).get(step)
        yield step


def charge_name(charge: object, index: int) -> str:
    """What a charge is called in a sentence: as it is printed, else a Sentence of its place."""
    described = mapped(charge).get("description")
    if isinstance(described, str) and described.strip():
        return shorten(described, _LONGEST_NAME, placeholder="…")
    return sentence("The {ordinal} charge", ordinal=Ordinal(index + 1))


def _entry(value: object, index: int) -> Any:
    """What a list has at a position; None where it is no list, or too short."""
    return listed(value)[index] if index < len(listed(value)) else None


def _name_at(text: str, value: object) -> str:
    """The name that a path begins with: the longest one that is there, else up to a dot."""
    there = (str(name) for name in mapped(value))
    known = [name for name in there if text == name or text.startswith((f"{name}.", f"{name}["))]
    if known:
        return max(known, key=len)
    return text[: next((at for at, sign in enumerate(text) if at and sign in ".["), len(text))]


def _in_charge(tariff: Mapping[str, Any], rest: Sequence[Step]) -> Sentence:
    index = int(rest[0])
    charge = _entry(tariff.get("charges"), index)
    part = _words(rest[1:]) if rest[1:] else sentence("the charge")
    return _part_of(charge_name(charge, index), part)


def _in_season(_: Mapping[str, Any], rest: Sequence[Step]) -> Sentence:
    season = sentence("the season {season}", season=in_words(str(rest[0])))
    if not rest[1:]:
        return season
    return sentence("{place}'s {name}", place=season, name=_called(rest[1], _IN_SEASON))


def _in_calendar(_: Mapping[str, Any], rest: Sequence[Step]) -> Sentence:
    calendar = sentence("the calendar {calendar}", calendar=in_words(str(rest[0])))
    if len(rest) < 3 or rest[1] != "periods":
        return _part_of(calendar, _words(rest[1:])) if rest[1:] else calendar
    period = in_words(str(rest[2]))
    if len(rest) == 3:
        return _part_of(calendar, sentence("the period {period}", period=period))
    position = Ordinal(int(rest[3]) + 1)
    row = sentence("the {ordinal} row of {period}", ordinal=position, period=period)
    if len(rest) > 5:
        things, at = _called(rest[4], _IN_WINDOW), Ordinal(int(rest[5]) + 1)
        row = _part_of(row, sentence("the {ordinal} of the {things}", ordinal=at, things=things))
    elif len(rest) == 5:
        row = _part_of(row, sentence("the {name}", name=_called(rest[4], _IN_WINDOW)))
    return _part_of(calendar, row)


def _part_of(place: str, part: Sentence) -> Sentence:
    return sentence("{place}: {part}", place=place, part=part)


def _words(steps: Sequence[Step]) -> Sentence:
    """Steps within a charge or at the top, each of the one before: "the first slab's rate"."""
    said: Sentence | None = None
    last, period = "", ""
    for step in steps:
        if isinstance(step, int):
            thing = sentence(_ONE_OF.get(last, _ANY_ENTRY))
            said = sentence("the {ordinal} {thing}", ordinal=Ordinal(step + 1), thing=thing)
            last = ""
        elif last in _BY_PERIOD and not period:
            period = in_words(step)
            # "period_slabs" stays the list that a position counts in.
            last = "slabs"
        elif last == "names":
            said = sentence("the name in {language}", language=own_name(step))
        else:
            said = _within(said, last, _name(step, of=last))
            last = step
    if said is None:
        return sentence("the tariff")
    return sentence("{place} in {period}", place=said, period=period) if period else said


def _within(said: Sentence | None, last: str, name: str) -> Sentence:
    """A name within what was said: of an entry of a list "…'s rate", else "the step of …"."""
    if said is None or last == "rounding":
        return sentence("the {name}", name=name)
    if last:
        return sentence("the {name} of {place}", name=name, place=said)
    return sentence("{place}'s {name}", place=said, name=name)


def _name(field: str, *, of: str) -> str:
    return _called(f"{of}.{field}" if f"{of}.{field}" in _NAMES else field, _NAMES)


def _called(field: Step, names: Mapping[str, str]) -> str:
    """What a field is called; one that nobody knows as it is written."""
    known = names.get(str(field)) or _NAMES.get(str(field))
    return sentence(known) if known else in_words(str(field))


_PARTS: Final[dict[str, Callable[[Mapping[str, Any], Sequence[Step]], Sentence]]] = {
    "charges": _in_charge,
    "seasons": _in_season,
    "calendars": _in_calendar,
}
