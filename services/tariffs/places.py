"""Where in a tariff a problem is, as people see the place: "the first slab's rate", not a path."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from textwrap import shorten
from typing import Any, Final

from services.languages.language import own_name
from services.tariffs.checks.problems import Problem
from services.tariffs.values import in_words, listed, mapped

Step = str | int

_LONGEST_NAME: Final = 60
_ORDINALS: Final = (
    "first", "second", "third", "fourth", "fifth",
    "sixth", "seventh", "eighth", "ninth", "tenth",
)  # fmt: skip
# Fields that are not called by their own name.
_NAMES: Final = {
    "rates": "rate",
    "period_slabs": "slabs",
    "from": "date",
    "effective_from": "date from which it holds",
    "up_to_kwh": "upper limit",
    "up_to_kw": "upper limit",
    "of": "choice of charges",
    "pf": "power factor",
    "per": "period of time",
    "tax": "mark as a tax",
    "names": "name in another language",
    "print": "way of printing",
    "times": "multiplier",
    "when": "condition",
    "kwh_above": "lower bound of kWh",
    "kwh_up_to": "upper bound of kWh",
    "load_kw_above": "lower bound of connected load",
    "load_kw_up_to": "upper bound of connected load",
    "at_most": "highest amount",
    "at_most_percent": "highest percent",
    "at_least_kw": "least demand",
    "slab_limits_per": "period of the slab limits",
    "slabs_apply": "way the slabs apply",
    "limits_to": "unit of the limits",
    "tiers": "way that periods and slabs go together",
    "proration": "part of a month",
    "days_as": "count of days",
    "percent_per_point": "percent for each 0.01",
    "bonus_percent_per_point": "bonus for each 0.01",
    "bonus_above": "power factor of the bonus",
    "target": "target power factor",
    "below": "list of steps",
    "free_per_kw": "free kVAr for each kW",
    "free_kvarh_per_kwh": "free kVArh for each kWh",
    "demand_to": "rounding of the demand",
    "gross_up": "gross-up",
    "min_days": "fewest days",
    "max_days": "most days",
    "usual_days": "usual days",
    "beyond": "rule for longer bills",
    "billing_period": "billing period",
    "whole_kwh": "choice of whole kWh",
    "net_metering": "net metering",
    "settled_in": "month of settlement",
    "offsets": "choice of what a surplus offsets",
    "one_within_days": "days that make one month",
    "months": "count of months",
    "ratchet.months": "months",
    "places": "decimals",
    "to": "step",
    "lines": "rounding of the lines",
    "total": "rounding of the total",
    "carry_forward": "carrying forward",
}
_ONE_OF: Final = {
    "slabs": "slab",
    "changes": "change",
    "below": "step",
    "holidays": "holiday",
    "of": "charge of its choice",
    "order": "period of the order",
    "one_within_days": "number of days",
}
_IN_WINDOW: Final = {"from": "beginning", "to": "end", "seasons": "seasons", "months": "months"}
_IN_SEASON: Final = {"from": "first day", "to": "last day"}
_BY_PERIOD: Final = ("rates", "period_slabs")


def problem_in_words(tariff: object, problem: Problem, *, beside: bool = False) -> str:
    """A problem as a sentence that names its place as people see it; `tariff` is its JSON.

    `beside` its field, the charge that it stands in need not be named.
    """
    path, why = problem
    if not path and (why[:1].isupper() or why.startswith("and ")):
        return f"{why[0].upper()}{why[1:].rstrip('.')}."
    where = place_in_words(tariff, path)
    if beside and path.startswith("charges["):
        where = _words(tuple(steps_of(tariff, path))[2:]) or "the charge"
    return f"{where[0].upper()}{where[1:]} {why.rstrip('.')}."


def place_in_words(tariff: object, path: str) -> str:
    """A path such as charges[0].slabs[0].rate in words: "Energy: the first slab's rate"."""
    steps = tuple(steps_of(tariff, path))
    if not steps or steps == ("charges",):
        return "the tariff"
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


def ordinal(index: int) -> str:
    """The position of an index in words: 0 is "first"."""
    if index < len(_ORDINALS):
        return _ORDINALS[index]
    number = index + 1
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{'th' if number % 100 in (11, 12, 13) else ending}"


def charge_name(charge: object, index: int) -> str:
    """What a charge is called in a sentence: as it is printed, else by its place."""
    described = mapped(charge).get("description")
    if isinstance(described, str) and described.strip():
        return shorten(described, _LONGEST_NAME, placeholder="…")
    return f"The {ordinal(index)} charge"


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


def _in_charge(tariff: Mapping[str, Any], rest: Sequence[Step]) -> str:
    index = int(rest[0])
    charge = _entry(tariff.get("charges"), index)
    return f"{charge_name(charge, index)}: {_words(rest[1:]) if rest[1:] else 'the charge'}"


def _in_season(_: Mapping[str, Any], rest: Sequence[Step]) -> str:
    name = f"the season {in_words(str(rest[0]))}"
    return f"{name}'s {_IN_SEASON.get(str(rest[1]), in_words(str(rest[1])))}" if rest[1:] else name


def _in_calendar(_: Mapping[str, Any], rest: Sequence[Step]) -> str:
    name = f"the calendar {in_words(str(rest[0]))}"
    if len(rest) < 3 or rest[1] != "periods":
        return f"{name}: {_words(rest[1:])}" if rest[1:] else name
    period = in_words(str(rest[2]))
    if len(rest) == 3:
        return f"{name}: the period {period}"
    row = f"the {ordinal(int(rest[3]))} row of {period}"
    if len(rest) > 5:
        row += f": the {ordinal(int(rest[5]))} of the {in_words(str(rest[4]))}"
    elif len(rest) == 5:
        row += f": the {_IN_WINDOW.get(str(rest[4]), in_words(str(rest[4])))}"
    return f"{name}: {row}"


def _words(steps: Sequence[Step]) -> str:
    """Steps within a charge or at the top, each of the one before: "the first slab's rate"."""
    said, last, within = "", "", ""
    for step in steps:
        if isinstance(step, int):
            one = _ONE_OF.get(last, "entry")
            said, last = f"the {ordinal(step)} {one}", ""
            continue
        if last in _BY_PERIOD and not within:
            within = f" in {in_words(step)}"
            # "period_slabs" stays the list that a position counts in.
            last = "slabs"
            continue
        if last == "names":
            said = f"the name in {own_name(step)}"
            continue
        said = _within(said, last, _name(step, of=last))
        last = str(step)
    return said + within


def _within(said: str, last: str, name: str) -> str:
    """A name within what was said: of an entry of a list "…'s rate", else "the step of …"."""
    if not said or last == "rounding":
        return f"the {name}"
    return f"the {name} of {said}" if last else f"{said}'s {name}"


def _name(field: str, *, of: str) -> str:
    return _NAMES.get(f"{of}.{field}") or _NAMES.get(field) or in_words(field)


_PARTS: Final[dict[str, Callable[[Mapping[str, Any], Sequence[Step]], str]]] = {
    "charges": _in_charge,
    "seasons": _in_season,
    "calendars": _in_calendar,
}
