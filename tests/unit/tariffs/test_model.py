"""A tariff is read exactly, and everything wrong in it is said at once."""

import copy
import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from services.tariffs import EnergyCharge, InvalidTariff, Tariff, parse_tariff

EXAMPLES = Path(__file__).parents[3] / "examples" / "tariffs"


def _tariff(*charges: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {
        "code": "T",
        "name": "A tariff",
        "currency": "USD",
        "effective_from": "2025-01-01",
        "charges": [{"description": "A charge", **charge} for charge in charges],
        **fields,
    }


FLAT = {"code": "energy", "kind": "energy", "rate": "0.10"}
SLABS: dict[str, Any] = {
    "code": "energy",
    "kind": "energy",
    "slabs": [{"up_to_kwh": "50", "rate": "3.15"}, {"rate": "7.60"}],
    "slab_limits_per": "bill",
}
FIXED = {"code": "fixed", "kind": "fixed", "amount": "5", "per": "bill"}


def _percent(code: str, *of: str) -> dict[str, Any]:
    return {"code": code, "kind": "percent", "percent": "10", "of": list(of)}


def _problems(data: Any) -> list[tuple[str, str]]:
    with pytest.raises(InvalidTariff) as refused:
        parse_tariff(data)
    return refused.value.problems


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*.json")), ids=lambda file: file.stem)
def test_an_example_comes_back_from_json_as_it_was_written(file: Path) -> None:
    written = json.loads(file.read_text(encoding="utf-8"))
    tariff = parse_tariff(written)
    assert tariff.to_json() == written
    assert parse_tariff(json.loads(json.dumps(tariff.to_json()))) == tariff


def test_what_is_left_out_has_its_default() -> None:
    tariff = parse_tariff(_tariff(SLABS))
    (charge,) = tariff.charges
    assert isinstance(charge, EnergyCharge)
    assert (charge.tax, charge.print) == (False, "one_line")
    assert (tariff.rounding, tariff.source) == ("half_up", None)
    assert tariff.effective_from == date(2025, 1, 1)


@pytest.mark.parametrize("rate", [0.1, 1, True, 1e400])
def test_a_json_number_is_not_exact(rate: object) -> None:
    ((path, why),) = _problems(_tariff(FLAT | {"rate": rate}))
    assert path == "charges[0].rate"
    assert "not exact" in why


@pytest.mark.parametrize(
    "rate", ["", " 1", "1e3", "1/3", "NaN", "1,5", ".5", "1" * 13, "0." + "1" * 13]
)
def test_a_rate_is_plain_decimals(rate: str) -> None:
    ((path, why),) = _problems(_tariff(FLAT | {"rate": rate}))
    assert path == "charges[0].rate"
    assert "a number such as 3.25" in why


def test_credits_may_be_negative_on_flat_energy_and_fixed_charges() -> None:
    parse_tariff(_tariff(FLAT | {"rate": "-0.01"}, FIXED | {"amount": "-0.06"}))


@pytest.mark.parametrize(
    ("slabs", "where"),
    [
        ([{"up_to_kwh": "-50", "rate": "1"}, {"rate": "1"}], "[0].up_to_kwh"),
        ([{"up_to_kwh": "0", "rate": "1"}, {"rate": "1"}], "[0].up_to_kwh"),
        ([{"up_to_kwh": "50", "rate": "-1"}, {"rate": "1"}], "[0].rate"),
        ([{"up_to_kwh": "50", "rate": "1"}], "[0].up_to_kwh"),
        ([{"rate": "1"}, {"rate": "1"}], "[0].up_to_kwh"),
        ([], ""),
        (
            [{"up_to_kwh": "9", "rate": "1"}, {"up_to_kwh": "9.0", "rate": "1"}, {"rate": "1"}],
            "[1].up_to_kwh",
        ),
    ],
)
def test_slabs_rise_and_only_the_last_has_no_bound(slabs: list[dict[str, str]], where: str) -> None:
    ((path, _),) = _problems(_tariff(SLABS | {"slabs": slabs}))
    assert path == f"charges[0].slabs{where}"


@pytest.mark.parametrize(
    ("charge", "path"),
    [
        (SLABS | {"rate": "1"}, "charges[0]"),
        ({"code": "energy", "kind": "energy"}, "charges[0]"),
        (FLAT | {"slab_limits_per": "bill"}, "charges[0].slab_limits_per"),
        (FLAT | {"print": "one_line"}, "charges[0].print"),
        ({**SLABS, "slab_limits_per": "year"}, "charges[0].slab_limits_per"),
        ({k: v for k, v in SLABS.items() if k != "slab_limits_per"}, "charges[0].slab_limits_per"),
        (FIXED | {"per": "month"}, "charges[0].proration"),
        (FIXED | {"proration": "none"}, "charges[0].proration"),
        (FIXED | {"per": "day", "proration": "days"}, "charges[0].proration"),
        (FIXED | {"tax": "yes"}, "charges[0].tax"),
        (FIXED | {"amonut": "5"}, "charges[0].amonut"),
        (FIXED | {"code": ""}, "charges[0].code"),
        (FIXED | {"description": "two\nlines"}, "charges[0].description"),
        (FIXED | {"description": "nul\x00"}, "charges[0].description"),
        (FIXED | {"kind": "water"}, "charges[0]"),
        (_percent("tax"), "charges[0].of"),
        (_percent("tax", "energy"), "charges[0].of[0]"),
    ],
)
def test_a_charge_that_does_not_make_sense_is_refused_where_it_is_wrong(
    charge: dict[str, Any], path: str
) -> None:
    assert [found for found, _ in _problems(_tariff(charge))] == [path]


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"currency": "ZZZ"}, "currency"),
        ({"currency": 5}, "currency"),
        ({"effective_from": 1735689600}, "effective_from"),
        ({"effective_from": "2025-02-30"}, "effective_from"),
        ({"effective_from": "2025-01-01T00:00"}, "effective_from"),
        ({"rounding": "half_even"}, "rounding"),
        ({"charges": []}, "charges"),
        ({"version": 1}, "version"),
        ({"name": " "}, "name"),
    ],
)
def test_a_field_of_the_tariff_that_is_wrong_is_named(fields: dict[str, Any], path: str) -> None:
    assert [found for found, _ in _problems(_tariff(FLAT, **fields))] == [path]


def test_two_charges_cannot_share_a_code() -> None:
    assert _problems(_tariff(FLAT, FIXED | {"code": "energy"})) == [
        ("charges[1].code", "is energy, which an earlier charge has already")
    ]


def test_a_percent_may_name_a_charge_that_stands_later() -> None:
    parse_tariff(_tariff(_percent("tax", "energy"), FLAT))


def test_a_charge_named_twice_would_be_taxed_twice_and_is_refused() -> None:
    problems = _problems(_tariff(FLAT, _percent("tax", "energy", "energy")))
    assert problems == [("charges[1].of[1]", "is energy, which is named twice")]


def test_percents_in_a_circle_are_refused() -> None:
    problems = _problems(_tariff(_percent("a", "b"), _percent("b", "c"), _percent("c", "a")))
    ((path, why),) = problems
    assert path == "charges"
    around = why.removeprefix("has a circle of percents: ").split(" → ")
    assert (len(around), set(around)) == (4, {"a", "b", "c"})


def test_a_percent_of_itself_is_a_circle() -> None:
    ((_, why),) = _problems(_tariff(_percent("a", "a")))
    assert why == "has a circle of percents: a → a"


def test_every_circle_is_named() -> None:
    charges = [_percent("a", "b"), _percent("b", "a"), _percent("c", "d"), _percent("d", "c")]
    assert len(_problems(_tariff(*charges))) == 2


def test_all_problems_are_said_at_once() -> None:
    data = _tariff(
        {**SLABS, "slabs": [{"up_to_kwh": "50", "rate": 3.15}, {"up_to_kwh": "40", "rate": "1"}]},
        _percent("tax", "water"),
        FIXED | {"per": "month"},
        currency="ZZZ",
    )
    assert {path for path, _ in _problems(data)} == {
        "currency",
        "charges[0].slabs[0].rate",
        "charges[0].slabs[1].up_to_kwh",
        "charges[1].of[0]",
        "charges[2].proration",
    }


@pytest.mark.parametrize("data", [None, [], "tariff", {}, {"charges": {}}, {"charges": [5, None]}])
def test_json_that_is_no_tariff_at_all_is_refused(data: Any) -> None:
    assert _problems(data)


def test_the_message_says_where_and_why() -> None:
    with pytest.raises(InvalidTariff, match=r"charges\[0\]\.rate: .*not exact"):
        parse_tariff(_tariff(FLAT | {"rate": 0.1}))


def test_a_tariff_built_in_code_is_checked_too() -> None:
    with pytest.raises(ValidationError, match="circle"):
        Tariff.model_validate(_tariff(_percent("a", "a")))


def test_a_tariff_cannot_be_changed() -> None:
    tariff = parse_tariff(_tariff(FLAT))
    with pytest.raises(ValidationError):
        tariff.name = "Another"  # type: ignore[misc]


def test_reading_a_tariff_leaves_its_json_alone() -> None:
    data = _tariff(SLABS, _percent("tax", "energy"))
    before = copy.deepcopy(data)
    parse_tariff(data)
    assert data == before
