"""A charge of a tariff in words: what it is, at which rates, under which conditions."""

import json
from calendar import month_name
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Final

from services.quantities.counting import count
from services.quantities.money import with_minus_signs
from services.tariffs import Charge
from services.tariffs.values import in_words


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that a tariff says; `number` is its rate or amount as a decimal, if it has one."""

    label: str
    text: str
    number: str | None = None


_Words = Callable[[Any, Mapping[str, Any]], Iterator[Fact]]

_UNITS: Final = {
    "kwh": "kWh", "export_kwh": "kWh sent to the grid", "kvah": "kVAh", "kvarh": "kVArh",
    "settled_kwh": "kWh of surplus paid out",
    "kw": "kW", "kva": "kVA", "kvar": "kVAr",
}  # fmt: skip
_KINDS: Final = {
    "energy": "energy",
    "fixed": "fixed amount",
    "demand": "demand",
    "power_factor": "power factor",
    "reactive": "reactive energy",
    "percent": "percent of other charges",
    "minimum": "minimum charge",
}
_TIMES: Final = {
    "connected_kw": "for each kW of connected load",
    "connected_kva": "for each kVA of connected load",
    "billed_kw": "for each kW that is billed",
}
_PER: Final = {"kw": "kW of the bill's peak"}
_COUNTS: Final = {
    "calendar": "the share of each calendar month",
    "thirtieths": "days / 30",
    "one": "always one month",
}
# Options whose value says it all: the label, and words for some values.
_SIMPLE: Final[dict[str, tuple[str, Mapping[str, str]]]] = {
    "description": ("On the bill", {}),
    "calendar": ("Calendar", {}),
    "slab_limits_per": ("Slab limits are per", _PER),
    "slabs_apply": (
        "Slabs apply",
        {"whole_use": "to the whole use, at the rate of the slab it reaches"},
    ),
    "limits_to": ("Slab limits are in", {"kwh": "whole kWh"}),
    "tiers": (
        "Slabs and periods",
        {
            "pooled": "all periods fill the slabs together",
            "per_period": "each period fills its own slabs",
        },
    ),
    "print": ("Printed as", {"line_per_slab": "a line for each slab"}),
    "proration": (
        "A part of a month pays",
        {"days": "for its days", "none": "a whole month"},
    ),
    "days_as": ("Days are", {"average_month": "365/12 in each month"}),
    "times": ("Taken", _TIMES),
    "free_kvarh_per_kwh": ("Free kVArh for each kWh", {}),
    "free_per_kw": ("Free kVAr for each kW", {}),
}
_NUMBERS: Final = {
    "at_most": ("At most", "{}"),
    "at_least_kw": ("At least", "{} kW"),
    "target": ("Target", "{}"),
    "percent_per_point": ("For each 0.01 below", "{}%"),
    "bonus_percent_per_point": ("Bonus for each 0.01 above", "{}%"),
    "bonus_above": ("Bonus above", "{}"),
    "at_most_percent": ("Surcharge or bonus at most", "{}%"),
}
# Said within another fact.
_ELSEWHERE: Final = ("code", "quantity", "per", "gross_up")
_AS_USUAL: Final = {
    "tax": False, "slabs_apply": "telescopic", "limits_to": "wh", "print": "one_line",
    "days_as": "actual", "times": "one", "free_kvarh_per_kwh": "0",
}  # fmt: skip


def charge_facts(charge: Charge) -> tuple[Fact, ...]:
    """All that a charge says, in the order of its fields; what is as usual is left out.

    Two charges of one code that differ have facts that differ.
    """
    written = charge.model_dump(mode="json", by_alias=True, exclude_none=True)
    facts = [fact for name in written for fact in _facts_at(name, written)]
    # What it is comes first, whatever the order of the fields.
    return tuple(sorted(facts, key=lambda fact: fact.label != "Kind"))


def facts_except(charge: Mapping[str, Any], known: Collection[str]) -> tuple[Fact, ...]:
    """What a charge says beyond some of its fields, from JSON that may be wrong."""
    facts: list[Fact] = []
    for name, value in charge.items():
        if name in known:
            continue
        try:
            facts += _facts_at(name, charge)
        except (AttributeError, KeyError, TypeError, ValueError):
            facts.append(_unknown(name, value))
    return tuple(facts)


def _facts_at(name: str, written: Mapping[str, Any]) -> list[Fact]:
    value = written[name]
    if name in _ELSEWHERE or (name in _AS_USUAL and _AS_USUAL[name] == value):
        return []
    return [_as_read(fact) for fact in _fact_of(name, value, written)]


def day_in_words(value: str) -> str:
    """2025-06-11 as 11 Jun 2025."""
    day = date.fromisoformat(value)
    return f"{day.day} {day:%b %Y}"


def months_in_words(rule: Mapping[str, Any]) -> str:
    """How months are counted."""
    words = [_COUNTS[rule.get("count", "calendar")]]
    if rule.get("places") is not None:
        words.append(f"rounded to {count(rule['places'], 'decimal')}")
    if rule.get("one_within_days"):
        low, high = rule["one_within_days"]
        words.append(f"{low} to {high} days are one month")
    return ", ".join(words)


def billing_period_in_words(rule: Mapping[str, Any]) -> str:
    """The days that bills are made for, and what holds of shorter and longer ones."""
    words = f"{rule['min_days']} to {count(rule['max_days'], 'day')}"
    if rule.get("beyond") == "scale":
        return f"{words}; others are scaled by days / {rule['usual_days']}"
    return f"{words}; a person issues longer bills"


def net_metering_in_words(rule: Mapping[str, Any]) -> str:
    """What exported energy offsets, and what becomes of the surplus, when."""
    others = ", then in others" if rule.get("offsets") == "all_periods" else ""
    month = rule.get("settled_in")
    when = f"with {month_name[month]} and when the customer" if month else "when the customer"
    becomes = {"paid": "is paid out", "lapses": "lapses"}[rule["surplus"]]
    return (
        f"exported kWh offset those imported in the same hours{others}; a surplus is banked for "
        f"later bills, and {becomes} {when} moves out"
    )


def _as_read(fact: Fact) -> Fact:
    return replace(fact, text=with_minus_signs(fact.text))


def _fact_of(name: str, value: Any, charge: Mapping[str, Any]) -> Iterator[Fact]:
    if name in _BY_FIELD:
        yield from _BY_FIELD[name](value, charge)
    elif name in _NUMBERS:
        label, text = _NUMBERS[name]
        yield Fact(label, text.format(value), value)
    elif name in _SIMPLE:
        label, words = _SIMPLE[name]
        yield Fact(label, words.get(value, str(value)))
    else:
        yield _unknown(name, value)


def _unknown(name: str, value: Any) -> Fact:
    said = json.dumps(value, ensure_ascii=False, default=str)
    return Fact(in_words(name).capitalize(), said)


def _unit(charge: Mapping[str, Any]) -> str:
    return _UNITS[charge.get("quantity", "kvarh" if charge["kind"] == "reactive" else "kwh")]


def _kind(value: Any, charge: Mapping[str, Any]) -> Iterator[Fact]:
    words = _KINDS[value]
    if value in ("energy", "demand"):
        words += f", per {_unit(charge)}"
    yield Fact("Kind", words)


def _rate(value: Any, charge: Mapping[str, Any]) -> Iterator[Fact]:
    yield Fact("Rate", f"{value} per {_unit(charge)}", value)


def _changes(value: Any, charge: Mapping[str, Any]) -> Iterator[Fact]:
    for change in value:
        rate = change["rate"]
        label = f"From {day_in_words(change['from'])}"
        yield Fact(label, f"{rate} per {_unit(charge)}", rate)


def _rates(value: Any, charge: Mapping[str, Any]) -> Iterator[Fact]:
    for period, rate in sorted(value.items()):
        yield Fact(f"In {in_words(period)}", f"{rate} per {_unit(charge)}", rate)


def _slabs(value: Any, charge: Mapping[str, Any]) -> Iterator[Fact]:
    yield from _slab_facts(value, charge, "Slab")


def _period_slabs(value: Any, charge: Mapping[str, Any]) -> Iterator[Fact]:
    for period, slabs in sorted(value.items()):
        yield from _slab_facts(slabs, charge, f"In {in_words(period)}, slab")


def _slab_facts(slabs: Any, charge: Mapping[str, Any], label: str) -> Iterator[Fact]:
    unit, start = _unit(charge), "0"
    for number, slab in enumerate(slabs, start=1):
        end = slab.get("up_to_kwh") or slab.get("up_to_kw")
        bounds = f"{start} to {end} {unit}" if end else f"above {start} {unit}"
        yield Fact(f"{label} {number}", f"{bounds}: {slab['rate']}", slab["rate"])
        start = end or start


def _amount(value: Any, charge: Mapping[str, Any]) -> Iterator[Fact]:
    yield Fact("Amount", f"{value} per {charge['per']}", value)


def _percent(value: Any, charge: Mapping[str, Any]) -> Iterator[Fact]:
    of = " of an amount that contains it" if charge.get("gross_up") else ""
    yield Fact("Percent", f"{value}%{of}", value)


def _of(value: Any, charge: Mapping[str, Any]) -> Iterator[Fact]:
    del charge
    yield Fact("Of", ", ".join(map(in_words, value)))


def _names(value: Any, charge: Mapping[str, Any]) -> Iterator[Fact]:
    del charge
    for tag, name in value.items():
        yield Fact(f"On the bill in {tag}", name)


def _tax(value: Any, charge: Mapping[str, Any]) -> Iterator[Fact]:
    del value, charge
    yield Fact("Counts as", "tax")


def _months(value: Any, charge: Mapping[str, Any]) -> Iterator[Fact]:
    del charge
    yield Fact("Months are", months_in_words(value))


def _when(value: Any, charge: Mapping[str, Any]) -> Iterator[Fact]:
    del charge
    words = []
    for what, unit, per in (("kwh", "kWh", f" a {value.get('per')}"), ("load_kw", "kW", "")):
        above, up_to = value.get(f"{what}_above"), value.get(f"{what}_up_to")
        bounds = [f"above {above}"] if above else []
        bounds += [f"up to {up_to}"] if up_to else []
        if bounds:
            of = "use" if what == "kwh" else "connected load"
            words.append(f"{of} {' and '.join(bounds)} {unit}{per}")
    yield Fact("Only with", "; ".join(words))


def _ratchet(value: Any, charge: Mapping[str, Any]) -> Iterator[Fact]:
    del charge
    percent, months = value["percent"], value["months"]
    yield Fact(
        "Ratchet", f"at least {percent}% of the highest of {count(months, 'month')}", percent
    )


def _demand_to(value: Any, charge: Mapping[str, Any]) -> Iterator[Fact]:
    mode = in_words(value.get("mode", "half_up"))
    yield Fact("Billed demand", f"rounded {mode} to {value['to']} {_unit(charge)}")


def _below(value: Any, charge: Mapping[str, Any]) -> Iterator[Fact]:
    del charge
    for step in value:
        percent = step["percent_per_point"]
        yield Fact(f"For each 0.01 below {step['pf']}", f"{percent}%", percent)


_BY_FIELD: Final[dict[str, _Words]] = {
    "kind": _kind, "rate": _rate, "changes": _changes, "rates": _rates, "slabs": _slabs,
    "period_slabs": _period_slabs, "amount": _amount, "percent": _percent, "of": _of, "tax": _tax,
    "names": _names,
    "months": _months, "when": _when, "ratchet": _ratchet, "demand_to": _demand_to,
    "below": _below,
}  # fmt: skip
