"""Two versions of a tariff side by side, and a charge in words."""

import json
from datetime import date, timedelta
from random import Random
from typing import Any

import pytest
from pydantic import TypeAdapter

from services.settings import PROJECT_FOLDER
from services.tariff_publishing.drafts import number_fields
from services.tariffs import Charge, Tariff, parse_tariff
from services.tariffs.describe import Fact, charge_facts, net_metering_in_words
from services.tariffs.version_diff import ChargeChange, changes, difference_in_words
from tests.oracle.generator import random_tariff

CHARGE: TypeAdapter[Charge] = TypeAdapter(Charge)
KSEB = json.loads((PROJECT_FOLDER / "examples/tariffs/kseb-lt1a.json").read_text())


def tariff(*charges: dict[str, Any], **fields: Any) -> Tariff:
    head = {"code": "T", "name": "T", "currency": "INR", "effective_from": "2026-01-01"}
    return parse_tariff(head | {"charges": list(charges)} | fields)


def energy(**fields: Any) -> dict[str, Any]:
    return {"code": "energy", "description": "Energy", "kind": "energy"} | fields


def said(charge: ChargeChange) -> dict[str, tuple[str | None, ...]]:
    def text(fact: Fact | None) -> str | None:
        return fact.text if fact else None

    return {
        fact.label: (text(fact.before), text(fact.after), fact.difference)
        for fact in charge.facts
        if fact.status != "same"
    }


def test_a_rate_that_rises_is_said_with_the_amount_and_the_percent() -> None:
    (charge,) = changes(tariff(energy(rate="3.15")), tariff(energy(rate="3.40"))).charges
    assert charge.status == "changed"
    assert said(charge) == {"Rate": ("3.15 per kWh", "3.40 per kWh", "+0.25 (+7.9%)")}


def test_a_slab_that_moves_is_said_with_both_bounds() -> None:
    before, after = json.loads(json.dumps(KSEB)), json.loads(json.dumps(KSEB))
    after["charges"][0]["slabs"][0]["up_to_kwh"] = "40"
    first = changes(parse_tariff(before), parse_tariff(after)).charges[0]
    assert said(first) == {
        "Slab 1": ("0 to 50 kWh: 3.15", "0 to 40 kWh: 3.15", None),
        "Slab 2": ("50 to 100 kWh: 3.70", "40 to 100 kWh: 3.70", None),
    }


def test_charges_that_came_went_and_moved_are_named() -> None:
    fixed = {"code": "fixed", "description": "Fixed", "kind": "fixed", "amount": "5", "per": "bill"}
    rent = fixed | {"code": "rent", "description": "Rent"}
    before, after = tariff(energy(rate="1"), fixed), tariff(rent, energy(rate="1"))
    found = changes(before, after)
    assert [(one.code, one.status) for one in found.charges] == [
        ("rent", "added"),
        ("energy", "same"),
        ("fixed", "removed"),
    ]
    moved = changes(tariff(energy(rate="1"), fixed), tariff(fixed, energy(rate="1")))
    assert [fact.label for fact in moved.rest if fact.status != "same"] == ["Order of the charges"]


def test_the_rules_of_the_whole_tariff_are_compared_too() -> None:
    plain = tariff(energy(rate="1"))
    whole = tariff(energy(rate="1"), whole_kwh=True, rounding={"total": {"to": "1"}})
    changed = {
        f.label: f.after and f.after.text for f in changes(plain, whole).rest if not f.before
    }
    assert changed == {
        "Energy is billed in": "whole kWh",
        "The total is rounded": "half up to 1",
    }
    assert changes(whole, whole).nothing


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("1", "1.0", None),
        ("0", "0.5", "+0.5"),
        ("4.10", "3.70", "−0.40 (−9.8%)"),
        ("-0.05", "-0.06", "−0.01 (+20.0%)"),
    ],
)
def test_a_difference_in_words(before: str, after: str, words: str | None) -> None:
    assert difference_in_words(before, after) == words


def test_no_number_of_a_charge_changes_unsaid() -> None:
    tried = 0
    for seed in range(60):
        for charge in random_tariff(Random(seed))["charges"]:  # noqa: S311
            before = charge_facts(CHARGE.validate_python(charge))
            assert len({fact.label for fact in before}) == len(before)
            for field in number_fields(charge, 0):
                other = json.loads(json.dumps(charge))
                place = other
                for step in field.path[2:-1]:
                    place = place[step]
                place[field.path[-1]] = another(field.value)
                assert charge_facts(CHARGE.validate_python(other)) != before, field
                tried += 1
    assert tried > 500


def another(text: str) -> str:
    """A date a day later, a fraction or a decimal with another first digit."""
    if text.count("-") == 2:
        return str(date.fromisoformat(text) + timedelta(days=1))
    first = text.index(next(filter(str.isdigit, text)))
    return f"{text[:first]}{(int(text[first]) + 1) % 10 or 1}{text[first + 1 :]}"


def test_net_metering_is_said_in_a_sentence() -> None:
    said = net_metering_in_words(
        {"surplus": "paid", "settled_in": 3, "offsets": "all_periods"},
    )
    assert said == (
        "exported kWh offset those imported in the same hours, then in others; a surplus is banked "
        "for later bills, and is paid out with March and when the customer moves out"
    )
    assert net_metering_in_words({"surplus": "lapses"}).endswith(
        "and lapses when the customer moves out"
    )
