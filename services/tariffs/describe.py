"""A charge of a tariff in words: what it is, at which rates, under which conditions."""

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Final

from services.languages.sentence import N_, Sentence, joined, nsentence, sentence
from services.languages.writing import Month
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
    "kwh": "kWh", "export_kwh": N_("kWh sent to the grid"), "kvah": "kVAh", "kvarh": "kVArh",
    "settled_kwh": N_("kWh of surplus paid out"),
    "kw": "kW", "kva": "kVA", "kvar": "kVAr",
}  # fmt: skip
_KINDS: Final = {
    "energy": N_("energy"),
    "fixed": N_("fixed amount"),
    "demand": N_("demand charge"),
    "power_factor": N_("power factor"),
    "reactive": N_("reactive energy"),
    "percent": N_("percent of other charges"),
    "minimum": N_("minimum charge"),
}
_TIMES: Final = {
    "connected_kw": N_("for each kW of connected load"),
    "connected_kva": N_("for each kVA of connected load"),
    "billed_kw": N_("for each kW that is billed"),
}
_PER: Final = {
    "bill": N_("bill"),
    "month": N_("month"),
    "day": N_("day"),
    "year": N_("year"),
    "kw": N_("kW of the bill's peak"),
}
ROUNDING_MODES: Final = {
    "half_up": N_("half up"),
    "half_even": N_("half even"),
    "down": N_("down"),
    "up": N_("up"),
}
_COUNTS: Final = {
    "calendar": N_("the share of each calendar month"),
    "thirtieths": N_("days / 30"),
    "one": N_("always one month"),
}
# Options whose value says it all: the label, and words for some values.
_SIMPLE: Final[dict[str, tuple[str, Mapping[str, str]]]] = {
    "description": (N_("On the bill"), {}),
    "calendar": (N_("Calendar"), {}),
    "slab_limits_per": (N_("Slab limits are per"), _PER),
    "slabs_apply": (
        N_("Slabs apply"),
        {"whole_use": N_("to the whole use, at the rate of the slab it reaches")},
    ),
    "limits_to": (N_("Slab limits are in"), {"kwh": N_("whole kWh")}),
    "tiers": (
        N_("Slabs and periods"),
        {
            "pooled": N_("all periods fill the slabs together"),
            "per_period": N_("each period fills its own slabs"),
        },
    ),
    "print": (N_("Printed as"), {"line_per_slab": N_("a line for each slab")}),
    "proration": (
        N_("A part of a month pays"),
        {"days": N_("for its days"), "none": N_("a whole month")},
    ),
    "days_as": (N_("Days are"), {"average_month": N_("365/12 in each month")}),
    "times": (N_("Charged"), _TIMES),
    "free_kvarh_per_kwh": (N_("Free kVArh for each kWh"), {}),
    "free_per_kw": (N_("Free kVAr for each kW"), {}),
}
_NUMBERS: Final = {
    "at_most": (N_("At most"), "{}"),
    "at_least_kw": (N_("At least"), "{} kW"),
    "target": (N_("Target"), "{}"),
    "percent_per_point": (N_("For each 0.01 below"), "{}%"),
    "bonus_percent_per_point": (N_("Bonus for each 0.01 above"), "{}%"),
    "bonus_above": (N_("Bonus above"), "{}"),
    "at_most_percent": (N_("Surcharge or bonus at most"), "{}%"),
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


def day_in_words(value: str) -> Sentence:
    """2025-06-11 as 11 Jun 2025."""
    return joined([date.fromisoformat(value)])


def months_in_words(rule: Mapping[str, Any]) -> Sentence:
    """How months are counted."""
    words = [sentence(_COUNTS[rule.get("count", "calendar")])]
    if rule.get("places") is not None:
        words.append(
            nsentence("rounded to {count} decimal", "rounded to {count} decimals", rule["places"])
        )
    if rule.get("one_within_days"):
        low, high = rule["one_within_days"]
        words.append(sentence("{low} to {high} days are one month", low=low, high=high))
    return joined(words)


def billing_period_in_words(rule: Mapping[str, Any]) -> Sentence:
    """The days that bills are made for, and what holds of shorter and longer ones."""
    days = nsentence(
        "{low} to {count} day", "{low} to {count} days", rule["max_days"], low=rule["min_days"]
    )
    if rule.get("beyond") == "scale":
        return sentence(
            "{days}; others are scaled by days / {usual}", days=days, usual=rule["usual_days"]
        )
    return sentence("{days}; a person issues longer bills", days=days)


def net_metering_in_words(rule: Mapping[str, Any]) -> Sentence:
    """What exported energy offsets, and what becomes of the surplus, when."""
    offset = (
        sentence("exported kWh offset those imported in the same hours, then in others")
        if rule.get("offsets") == "all_periods"
        else sentence("exported kWh offset those imported in the same hours")
    )
    month = rule.get("settled_in")
    when = (
        sentence("with {month} and when the customer moves out", month=Month(month, full=True))
        if month
        else sentence("when the customer moves out")
    )
    if rule["surplus"] == "paid":
        return sentence(
            "{offset}; a surplus is banked for later bills, and is paid out {when}",
            offset=offset,
            when=when,
        )
    return sentence(
        "{offset}; a surplus is banked for later bills, and lapses {when}",
        offset=offset,
        when=when,
    )


def _as_read(fact: Fact) -> Fact:
    if isinstance(fact.text, Sentence):
        return fact
    return replace(fact, text=with_minus_signs(fact.text))


def _fact_of(name: str, value: Any, charge: Mapping[str, Any]) -> Iterator[Fact]:
    if name in _BY_FIELD:
        yield from _BY_FIELD[name](value, charge)
    elif name in _NUMBERS:
        label, text = _NUMBERS[name]
        yield Fact(sentence(label), text.format(value), value)
    elif name in _SIMPLE:
        label, words = _SIMPLE[name]
        # Other words than these are the tariff's own.
        said = sentence(words[value]) if value in words else str(value)
        yield Fact(sentence(label), said)
    else:
        yield _unknown(name, value)


def _unknown(name: str, value: Any) -> Fact:
    said = json.dumps(value, ensure_ascii=False, default=str)
    return Fact(in_words(name).capitalize(), said)


def _unit(charge: Mapping[str, Any]) -> Sentence:
    usual = "kvarh" if charge["kind"] == "reactive" else "kwh"
    return sentence(_UNITS[charge.get("quantity", usual)])


def _per_unit(rate: str, charge: Mapping[str, Any]) -> Sentence:
    return sentence("{rate} per {unit}", rate=with_minus_signs(rate), unit=_unit(charge))


def _kind(value: Any, charge: Mapping[str, Any]) -> Iterator[Fact]:
    words = sentence(_KINDS[value])
    if value in ("energy", "demand"):
        words = sentence("{kind}, per {unit}", kind=words, unit=_unit(charge))
    yield Fact(sentence("Kind"), words)


def _rate(value: Any, charge: Mapping[str, Any]) -> Iterator[Fact]:
    yield Fact(sentence("Rate"), _per_unit(value, charge), value)


def _changes(value: Any, charge: Mapping[str, Any]) -> Iterator[Fact]:
    for change in value:
        rate = change["rate"]
        label = sentence("From {day}", day=date.fromisoformat(change["from"]))
        yield Fact(label, _per_unit(rate, charge), rate)


def _rates(value: Any, charge: Mapping[str, Any]) -> Iterator[Fact]:
    for period, rate in sorted(value.items()):
        label = sentence("In {period}", period=in_words(period))
        yield Fact(label, _per_unit(rate, charge), rate)


def _slabs(value: Any, charge: Mapping[str, Any]) -> Iterator[Fact]:
    yield from _slab_facts(value, charge)


def _period_slabs(value: Any, charge: Mapping[str, Any]) -> Iterator[Fact]:
    for period, slabs in sorted(value.items()):
        yield from _slab_facts(slabs, charge, within=in_words(period))


def _slab_facts(slabs: Any, charge: Mapping[str, Any], within: str = "") -> Iterator[Fact]:
    unit, start = _unit(charge), "0"
    for number, slab in enumerate(slabs, start=1):
        end = slab.get("up_to_kwh") or slab.get("up_to_kw")
        label = (
            sentence("In {period}, slab {number}", period=within, number=number)
            if within
            else sentence("Slab {number}", number=number)
        )
        bounds = (
            sentence("{start} to {end} {unit}", start=start, end=end, unit=unit)
            if end
            else sentence("above {start} {unit}", start=start, unit=unit)
        )
        rate = slab["rate"]
        yield Fact(label, joined([bounds, with_minus_signs(rate)], ": "), rate)
        start = end or start


def _amount(value: Any, charge: Mapping[str, Any]) -> Iterator[Fact]:
    named = charge["per"]
    per = sentence(_PER[named])
    amount = sentence("{amount} per {period}", amount=with_minus_signs(value), period=per)
    yield Fact(sentence("Amount"), amount, value)


def _percent(value: Any, charge: Mapping[str, Any]) -> Iterator[Fact]:
    percent: str = f"{with_minus_signs(value)}%"
    if charge.get("gross_up"):
        percent = sentence("{percent} of an amount that contains it", percent=percent)
    yield Fact(sentence("Percent"), percent, value)


def _of(value: Any, charge: Mapping[str, Any]) -> Iterator[Fact]:
    del charge
    yield Fact(sentence("Of"), ", ".join(map(in_words, value)))


def _names(value: Any, charge: Mapping[str, Any]) -> Iterator[Fact]:
    del charge
    for tag, name in value.items():
        yield Fact(sentence("On the bill in {language}", language=tag), name)


def _tax(value: Any, charge: Mapping[str, Any]) -> Iterator[Fact]:
    del value, charge
    yield Fact(sentence("Counts as"), sentence("tax"))


def _months(value: Any, charge: Mapping[str, Any]) -> Iterator[Fact]:
    del charge
    yield Fact(sentence("Months are"), months_in_words(value))


def _when(value: Any, charge: Mapping[str, Any]) -> Iterator[Fact]:
    del charge
    words = []
    if bounds := _bounds(value, "kwh"):
        named = value["per"]
        per = sentence(_PER[named])
        words.append(sentence("use {bounds} kWh a {period}", bounds=bounds, period=per))
    if bounds := _bounds(value, "load_kw"):
        words.append(sentence("connected load {bounds} kW", bounds=bounds))
    yield Fact(sentence("Only with"), joined(words, "; "))


def _bounds(value: Mapping[str, Any], what: str) -> Sentence | None:
    above, up_to = value.get(f"{what}_above"), value.get(f"{what}_up_to")
    if above and up_to:
        return sentence("above {above} and up to {up_to}", above=above, up_to=up_to)
    if above:
        return sentence("above {above}", above=above)
    return sentence("up to {up_to}", up_to=up_to) if up_to else None


def _ratchet(value: Any, charge: Mapping[str, Any]) -> Iterator[Fact]:
    del charge
    percent, months = value["percent"], value["months"]
    least = nsentence(
        "at least {percent}% of the highest of {count} month",
        "at least {percent}% of the highest of {count} months",
        months,
        percent=percent,
    )
    yield Fact(sentence("Ratchet"), least, percent)


def _demand_to(value: Any, charge: Mapping[str, Any]) -> Iterator[Fact]:
    mode = sentence(ROUNDING_MODES[value.get("mode", "half_up")])
    rounded = sentence(
        "rounded {mode} to {step} {unit}", mode=mode, step=value["to"], unit=_unit(charge)
    )
    yield Fact(sentence("Billed demand"), rounded)


def _below(value: Any, charge: Mapping[str, Any]) -> Iterator[Fact]:
    del charge
    for step in value:
        percent = step["percent_per_point"]
        label = sentence("For each 0.01 below {factor}", factor=step["pf"])
        yield Fact(label, f"{percent}%", percent)


_BY_FIELD: Final[dict[str, _Words]] = {
    "kind": _kind, "rate": _rate, "changes": _changes, "rates": _rates, "slabs": _slabs,
    "period_slabs": _period_slabs, "amount": _amount, "percent": _percent, "of": _of, "tax": _tax,
    "names": _names,
    "months": _months, "when": _when, "ratchet": _ratchet, "demand_to": _demand_to,
    "below": _below,
}  # fmt: skip
