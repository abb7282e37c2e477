"""What does not go together in a charge is refused where it is wrong, and all of it comes back."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.tariffs import (
    InvalidTariff,
    based_on,
    dependency_order,
    parse_tariff,
)

SLABS = [{"up_to_kwh": "100", "rate": "0.10"}, {"rate": "0.20"}]
KW_SLABS = [{"up_to_kw": "50", "rate": "2"}, {"rate": "3"}]
ENERGY: dict[str, Any] = {"code": "energy", "kind": "energy", "rate": "0.10"}
SLABBED: dict[str, Any] = {
    "code": "energy",
    "kind": "energy",
    "slabs": SLABS,
    "slab_limits_per": "bill",
}
BY_PERIOD: dict[str, Any] = {
    "code": "energy",
    "kind": "energy",
    "calendar": "tou",
    "rates": {"peak": "0.30", "off_peak": "0.10"},
}
TIERED: dict[str, Any] = {
    "code": "energy",
    "kind": "energy",
    "calendar": "tou",
    "tiers": "pooled",
    "slab_limits_per": "month",
    "period_slabs": {"peak": SLABS, "off_peak": SLABS},
}
FIXED: dict[str, Any] = {"code": "fixed", "kind": "fixed", "amount": "5", "per": "bill"}
DEMAND: dict[str, Any] = {"code": "demand", "kind": "demand", "quantity": "kw", "rate": "10"}
REACTIVE: dict[str, Any] = {"code": "reactive", "kind": "reactive", "rate": "0.02"}
PERCENT: dict[str, Any] = {"code": "tax", "kind": "percent", "percent": "10", "of": ["energy"]}
MINIMUM: dict[str, Any] = {
    "code": "minimum",
    "kind": "minimum",
    "amount": "30",
    "per": "bill",
    "of": ["energy"],
}
FACTOR: dict[str, Any] = {
    "code": "pf",
    "kind": "power_factor",
    "target": "0.95",
    "percent_per_point": "0.5",
    "of": ["energy"],
}
TOU = {
    "periods": {
        "peak": [{"from": "18:00", "to": "22:00"}],
        "off_peak": [{"from": "22:00", "to": "18:00"}],
    }
}
# Every field of the format once.
EVERYTHING: dict[str, Any] = {
    "code": "ALL",
    "name": "Everything",
    "currency": "INR",
    "effective_from": "2025-01-01",
    "source": "Made for this test",
    "rounding": {
        "lines": {"mode": "half_even", "to": "0.05"},
        "total": {"mode": "down", "to": "10", "carry_forward": True},
    },
    "months": {"count": "thirtieths", "places": 4, "one_within_days": [25, 35]},
    "whole_kwh": True,
    "holidays": ["2025-12-25"],
    "seasons": {
        "wet": {"from": "06-01", "to": "09-30"},
        "dry": {"from": "10-01", "to": "05-31"},
    },
    "calendars": {
        "tou": {
            "order": ["peak", "off_peak"],
            "periods": {
                "peak": [{"days": ["weekday"], "from": "18:00", "to": "22:00"}],
                "off_peak": [
                    {"days": ["weekday"], "from": "22:00", "to": "18:00"},
                    {"days": ["weekend", "holiday"]},
                ],
            },
        },
        "year": {"periods": {"wet": [{"seasons": ["wet"]}], "dry": [{"seasons": ["dry"]}]}},
        "half": {"periods": {"a": [{"months": [1, 2, 3]}], "b": [{"months": [*range(4, 13)]}]}},
    },
    "charges": [
        {
            **SLABBED,
            "description": "Energy",
            "slab_limits_per": "month",
            "slabs_apply": "whole_use",
            "limits_to": "kwh",
            "print": "line_per_slab",
            "months": {"count": "one"},
        },
        {
            **ENERGY,
            "code": "fuel",
            "description": "Fuel",
            "quantity": "kvah",
            "changes": [{"from": "2025-02-01", "rate": "-0.01"}],
            "tax": True,
        },
        {**BY_PERIOD, "code": "tou", "description": "Time of use", "quantity": "export_kwh"},
        {**TIERED, "code": "tiers", "description": "Tiers", "tiers": "per_period"},
        {
            **FIXED,
            "description": "Fixed",
            "per": "day",
            "days_as": "average_month",
            "times": "connected_kva",
            "at_most": "100",
        },
        {
            **DEMAND,
            "description": "Demand",
            "ratchet": {"percent": "80", "months": 11},
            "at_least_kw": "5",
            "demand_to": {"to": "0.5", "mode": "up"},
            "proration": "days",
            "when": {"load_kw_above": "10", "load_kw_up_to": "100"},
        },
        {
            "code": "kvar",
            "kind": "demand",
            "description": "Reactive demand",
            "quantity": "kvar",
            "slabs": KW_SLABS,
            "free_per_kw": "1/3",
        },
        {
            "code": "seasonal",
            "kind": "demand",
            "description": "Seasonal demand",
            "quantity": "kva",
            "calendar": "year",
            "period_slabs": {"wet": KW_SLABS, "dry": [{"rate": "1"}]},
            "ratchet": {"percent": "100", "months": 1},
        },
        {**REACTIVE, "description": "Reactive energy", "free_kvarh_per_kwh": "0.5"},
        {
            **FACTOR,
            "description": "Power factor",
            "below": [
                {"pf": "0.90", "percent_per_point": "1"},
                {"pf": "0.70", "percent_per_point": "2"},
            ],
            "bonus_percent_per_point": "0.5",
            "bonus_above": "0.97",
            "at_most_percent": "20",
        },
        {
            **PERCENT,
            "description": "Tax",
            "gross_up": True,
            "of": ["energy", "pf", "minimum"],
            "when": {"kwh_above": "0", "kwh_up_to": "400", "per": "day"},
        },
        {**MINIMUM, "description": "Minimum", "per": "month", "proration": "none", "of": ["pf"]},
        {**MINIMUM, "code": "year", "description": "Minimum", "per": "year", "times": "billed_kw"},
    ],
}


def _tariff(*charges: dict[str, Any], **fields: Any) -> dict[str, Any]:
    head = {"code": "T", "name": "T", "currency": "USD", "effective_from": "2025-01-01"}
    described = [{"description": "A charge", **charge} for charge in charges]
    return {**head, "calendars": {"tou": TOU}, "charges": described, **fields}


def _paths(data: Any) -> list[str]:
    return [path for path, _ in _problems(data)]


def _problems(data: Any) -> list[tuple[str, str]]:
    with pytest.raises(InvalidTariff) as refused:
        parse_tariff(data)
    return refused.value.problems


def test_every_part_of_the_format_comes_back_as_it_was_written() -> None:
    tariff = parse_tariff(EVERYTHING)
    assert tariff.to_json() == EVERYTHING
    codes = [charge["code"] for charge in EVERYTHING["charges"]]
    assert [charge.code for charge in tariff.charges] == codes
    assert parse_tariff(json.loads(json.dumps(tariff.to_json()))) == tariff
    assert {charge.kind for charge in tariff.charges} == {
        "energy",
        "fixed",
        "demand",
        "reactive",
        "power_factor",
        "percent",
        "minimum",
    }


@pytest.mark.parametrize(
    "charge",
    [ENERGY, SLABBED, BY_PERIOD, TIERED, FIXED, DEMAND, REACTIVE],
    ids=lambda charge: str(charge["kind"]),
)
def test_a_charge_with_its_least_fields_is_a_charge(charge: dict[str, Any]) -> None:
    written = _tariff(charge)
    assert parse_tariff(written).to_json() == written


@pytest.mark.parametrize("charge", [PERCENT, MINIMUM, FACTOR])
def test_a_charge_of_other_charges_with_its_least_fields_is_a_charge(
    charge: dict[str, Any],
) -> None:
    written = _tariff(charge, ENERGY)
    tariff = parse_tariff(written)
    assert tariff.to_json() == written
    assert based_on(tariff.charges[0]) == ("energy",)
    assert dependency_order(tariff.charges) == ["energy", charge["code"]]


ENERGY_REFUSED = [
    (SLABBED | {"rate": "1"}, ""),
    (BY_PERIOD | {"rate": "1"}, ""),
    (ENERGY | {"calendar": "tou"}, ".calendar"),
    ({key: value for key, value in BY_PERIOD.items() if key != "calendar"}, ".calendar"),
    (BY_PERIOD | {"calendar": "night"}, ".calendar"),
    (BY_PERIOD | {"rates": {"peak": "1"}}, ".rates.off_peak"),
    (BY_PERIOD | {"rates": {"peak": "1", "off_peak": "1", "dawn": "1"}}, ".rates.dawn"),
    (BY_PERIOD | {"rates": {"peak": "1", "off_peak": 0.1}}, ".rates.off_peak"),
    (BY_PERIOD | {"tiers": "pooled"}, ".tiers"),
    (BY_PERIOD | {"print": "one_line"}, ".print"),
    (TIERED | {"tiers": None}, ".tiers"),
    (TIERED | {"tiers": "shared"}, ".tiers"),
    (TIERED | {"slab_limits_per": None}, ".slab_limits_per"),
    (TIERED | {"period_slabs": {"peak": SLABS}}, ".period_slabs.off_peak"),
    (
        TIERED | {"period_slabs": {"peak": SLABS, "off_peak": [{"rate": "1"}]}},
        ".period_slabs.off_peak",
    ),
    (
        TIERED | {"tiers": "per_period", "period_slabs": {"peak": SLABS, "off_peak": SLABS[:1]}},
        ".period_slabs.off_peak[0].up_to_kwh",
    ),
    (ENERGY | {"quantity": "kw"}, ".quantity"),
    (ENERGY | {"slabs_apply": "whole_use"}, ".slabs_apply"),
    (ENERGY | {"limits_to": "kwh"}, ".limits_to"),
    (ENERGY | {"changes": []}, ".changes"),
    (SLABBED | {"changes": [{"from": "2025-02-01", "rate": "1"}]}, ".changes"),
    (ENERGY | {"changes": [{"from": "2025-01-01", "rate": "1"}]}, ".changes[0].from"),
    (ENERGY | {"changes": [{"from": "2025-02-30", "rate": "1"}]}, ".changes[0].from"),
    (
        ENERGY | {"changes": [{"from": day, "rate": "1"} for day in ("2025-03-01", "2025-02-01")]},
        ".changes[1].from",
    ),
    (ENERGY | {"changes": [{"from": "2025-02-01", "rate": 0.1}]}, ".changes[0].rate"),
]
OTHERS_REFUSED = [
    (FIXED | {"days_as": "average_month"}, ".days_as"),
    (FIXED | {"times": "connected"}, ".times"),
    (FIXED | {"amount": 5}, ".amount"),
    ({key: value for key, value in DEMAND.items() if key != "quantity"}, ".quantity"),
    (DEMAND | {"rate": None}, ""),
    (DEMAND | {"slabs": KW_SLABS}, ""),
    (DEMAND | {"slabs": KW_SLABS[:1], "rate": None}, ".slabs[0].up_to_kw"),
    (DEMAND | {"slabs": [{"up_to_kwh": "1", "rate": "1"}, *KW_SLABS], "rate": None}, None),
    (DEMAND | {"free_per_kw": "1/3"}, ".free_per_kw"),
    (DEMAND | {"quantity": "kvar", "free_per_kw": "1/0"}, ".free_per_kw"),
    (DEMAND | {"quantity": "kvar", "free_per_kw": 0.33}, ".free_per_kw"),
    (DEMAND | {"ratchet": {"percent": "101", "months": 11}}, ".ratchet.percent"),
    (DEMAND | {"ratchet": {"percent": "80", "months": 0}}, ".ratchet.months"),
    (DEMAND | {"ratchet": {"percent": "80", "months": "11"}}, ".ratchet.months"),
    (DEMAND | {"demand_to": {"to": "0"}}, ".demand_to.to"),
    (DEMAND | {"at_least_kw": "-1"}, ".at_least_kw"),
    (REACTIVE | {"free_kvarh_per_kwh": "half"}, ".free_kvarh_per_kwh"),
    (FACTOR | {"target": "1.01"}, ".target"),
    (FACTOR | {"target": "0.955"}, ".target"),
    (FACTOR | {"below": [{"pf": "0.95", "percent_per_point": "1"}]}, ".below[0].pf"),
    (FACTOR | {"bonus_above": "0.97"}, ".bonus_above"),
    (FACTOR | {"bonus_above": "0.90", "bonus_percent_per_point": "1"}, ".bonus_above"),
    (FACTOR | {"of": ["water"]}, ".of[0]"),
    (PERCENT | {"gross_up": True, "percent": "100"}, ".percent"),
    (PERCENT | {"at_most": "0"}, ".at_most"),
    (PERCENT | {"months": {"count": "one"}}, ".months"),
    (MINIMUM | {"amount": "0"}, ".amount"),
    (MINIMUM | {"per": "month"}, ".proration"),
    (MINIMUM | {"per": "year", "proration": "days"}, ".proration"),
    (MINIMUM | {"of": []}, ".of"),
]
WHEN_REFUSED = [
    ({}, ".when"),
    ({"per": "bill"}, None),
    ({"kwh_above": "200"}, ".when.per"),
    ({"load_kw_above": "5", "per": "bill"}, ".when.per"),
    ({"kwh_above": "200", "kwh_up_to": "200", "per": "bill"}, ".when.kwh_up_to"),
    ({"load_kw_above": "5", "load_kw_up_to": "4"}, ".when.load_kw_up_to"),
    ({"kwh_up_to": 200, "per": "bill"}, ".when.kwh_up_to"),
]


@pytest.mark.parametrize(
    ("charge", "path"),
    [
        *ENERGY_REFUSED,
        *OTHERS_REFUSED,
        *((FIXED | {"when": when}, path) for when, path in WHEN_REFUSED),
    ],
)
def test_fields_that_do_not_go_together_are_refused_where_they_are(
    charge: dict[str, Any], path: str | None
) -> None:
    others = [] if charge["code"] == "energy" else [ENERGY]
    charges = [{k: v for k, v in charge.items() if v is not None}, *others]
    found = _paths(_tariff(*charges))
    assert found == [f"charges[0]{path}"] if path is not None else len(found) > 1


@pytest.mark.parametrize(
    ("fields", "paths"),
    [
        ({"rounding": {"lines": {"to": "0.005"}}}, ["rounding.lines.to"]),
        ({"rounding": {"total": {"to": "0.015"}}}, ["rounding.total.to"]),
        ({"rounding": {"total": {"to": "0.5"}}, "currency": "JPY"}, ["rounding.total.to"]),
        ({"rounding": {"total": {"to": 5}}}, ["rounding.total.to"]),
        ({"rounding": {"total": {"to": "0"}}}, ["rounding.total.to"]),
        ({"rounding": {"total": {"mode": "nearest"}}}, ["rounding.total.mode"]),
        ({"rounding": {"lines": "all"}}, ["rounding.lines"]),
        ({"rounding": {"lines": {"carry_forward": True}}}, ["rounding.lines.carry_forward"]),
        ({"rounding": 2}, ["rounding"]),
        ({"months": {"count": "weeks"}}, ["months.count"]),
        ({"months": {"places": 9}}, ["months.places"]),
        ({"months": {"places": True}}, ["months.places"]),
        ({"months": {"one_within_days": [35, 25]}}, ["months.one_within_days"]),
        ({"months": {"one_within_days": [25]}}, ["months.one_within_days[1]"]),
        ({"months": {"count": "one", "places": 2}}, ["months.places"]),
        ({"holidays": ["2025-12-25", "2025-12-25"]}, ["holidays[1]"]),
        ({"holidays": ["25 December"]}, ["holidays[0]"]),
        ({"whole_kwh": "yes"}, ["whole_kwh"]),
        ({"seasons": {"wet": {"from": "06-31", "to": "09-30"}}}, ["seasons.wet.from"]),
        ({"seasons": {"wet season": {"from": "06-01", "to": "09-30"}}}, ["seasons.wet season"]),
    ],
)
def test_what_holds_for_the_whole_tariff_is_refused_where_it_is_wrong(
    fields: dict[str, Any], paths: list[str]
) -> None:
    assert _paths(_tariff(ENERGY, **fields)) == paths


@pytest.mark.parametrize("to", ["0.01", "0.05", "1", "5", "10"])
def test_a_total_may_be_rounded_to_any_multiple_of_the_smallest_amount(to: str) -> None:
    parse_tariff(_tariff(ENERGY, rounding={"total": {"to": to}}))


def test_the_lines_that_rounding_makes_keep_their_codes_to_themselves() -> None:
    charge = ENERGY | {"code": "rounding"}
    parse_tariff(_tariff(charge))
    assert _paths(_tariff(charge, rounding={})) == ["charges[0].code"]


def test_charges_of_different_kinds_in_a_circle_are_refused() -> None:
    charges = [ENERGY, PERCENT | {"of": ["minimum"]}, MINIMUM | {"of": ["tax"]}]
    ((path, why),) = _problems(_tariff(*charges))
    assert path == "charges"
    assert why in (
        "has a circle of charges: tax → minimum → tax",
        "has a circle of charges: minimum → tax → minimum",
    )


def test_the_problems_of_every_charge_and_calendar_are_said_at_once() -> None:
    calendars = {"tou": {"periods": {"peak": [{"from": "18:00", "to": "22:00"}]}}}
    charges = [BY_PERIOD | {"rates": {"peak": 0.3}}, DEMAND | {"free_per_kw": "1/3"}, PERCENT]
    data = _tariff(*charges, calendars=calendars, rounding={"total": {"to": "0.001"}})
    assert set(_paths(data)) == {
        "charges[0].rates.peak",
        "charges[1].free_per_kw",
        "calendars.tou.periods",
        "rounding.total.to",
    }


def test_equal_tariffs_have_equal_hashes() -> None:
    assert len({parse_tariff(EVERYTHING), parse_tariff(copy.deepcopy(EVERYTHING))}) == 1


def _places(data: Any) -> list[tuple[Any, Any]]:
    """Every place in JSON that holds something: its parent and its key."""
    keys: Any = data if isinstance(data, dict) else range(len(data))
    here = [(data, key) for key in keys]
    return here + [
        p for _, key in here if isinstance(data[key], dict | list) for p in _places(data[key])
    ]


ODD: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, 0, 1.5, "", "x", "-1", "energy", "2025-01-01", [], {}, [[]], [None], {"a": 1}]
).map(copy.deepcopy)


@given(data=st.data())
@settings(deadline=None, max_examples=60)
def test_json_that_is_wrong_anywhere_is_refused_or_read_and_never_breaks(
    data: st.DataObject,
) -> None:
    written = copy.deepcopy(EVERYTHING)
    for _ in range(data.draw(st.integers(1, 3))):
        parent, key = data.draw(st.sampled_from(_places(written)))
        parent[key] = data.draw(ODD)
    try:
        tariff = parse_tariff(written)
    except InvalidTariff:
        return
    assert parse_tariff(tariff.to_json()) == tariff
