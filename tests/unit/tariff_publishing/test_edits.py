"""What the form changes in a draft, and what it leaves alone."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.settings import PROJECT_FOLDER
from services.tariff_publishing.calendar_edits import (
    add_period,
    add_season,
    add_window,
    change_window,
    give_the_rest,
    remove_period,
    remove_window,
    season_day,
)
from services.tariff_publishing.drafts import number_fields, read_draft
from services.tariff_publishing.edits import (
    NEW_KINDS,
    Edit,
    add_charge,
    add_slab,
    charged_per,
    edited,
    move_charge,
    name_charge,
    net_metering,
    price_by,
    put,
    remove_charge,
    remove_slab,
    round_total,
)

EXAMPLES = sorted((PROJECT_FOLDER / "examples/tariffs").glob("*.json"))
KSEB = json.loads((PROJECT_FOLDER / "examples/tariffs/kseb-lt1a.json").read_text())
XCEL = json.loads((PROJECT_FOLDER / "examples/tariffs/xcel-colorado-re-tou.json").read_text())
EVERY = pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
HOURS = ("calendars", "time_of_use", "periods")


def after(data: Any, *edits: Edit) -> Any:
    text = json.dumps(data)
    for edit in edits:
        text = edited(text, edit)
    return json.loads(text)


def is_valid(data: Any) -> bool:
    return read_draft(json.dumps(data)).tariff is not None


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    for step, one in inner:
        if isinstance(one, dict | list):
            yield from leaves(one, (*path, step))
        else:
            yield (*path, step), one


@EVERY
def test_a_field_changed_and_changed_back_leaves_the_tariff_as_it_was(path: Path) -> None:
    data = json.loads(path.read_text())
    for place, value in leaves(data):
        changed = after(data, put(place, "7"))
        assert sum(a != b for a, b in zip(leaves(changed), leaves(data), strict=True)) <= 1
        assert after(changed, put(place, value)) == data


@EVERY
def test_each_number_of_a_tariff_has_a_field(path: Path) -> None:
    data = json.loads(path.read_text())
    for index, charge in enumerate(data["charges"]):
        fields = {field.path: field.value for field in number_fields(charge, index)}
        decimals = {
            ("charges", index, *place): value
            for place, value in leaves(charge)
            if isinstance(value, str) and value.removeprefix("-").replace(".", "", 1).isdigit()
        }
        assert fields == decimals


@EVERY
def test_what_is_added_and_removed_again_leaves_the_tariff_as_it_was(path: Path) -> None:
    data = json.loads(path.read_text())
    last = len(data["charges"])
    for kind in NEW_KINDS:
        grown = after(data, add_charge(kind))
        assert grown["charges"][:last] == data["charges"]
        assert after(grown, remove_charge(last)) == data
    for index, charge in enumerate(data["charges"]):
        if "slabs" in charge:
            slabs, place = ("charges", index, "slabs"), len(charge["slabs"]) - 1
            assert after(data, add_slab(slabs), remove_slab(slabs, place)) == data
        if index:
            assert after(data, move_charge(index, -1), move_charge(index - 1, 1)) == data


@pytest.mark.parametrize("kind", NEW_KINDS)
def test_a_new_charge_lacks_only_its_number(kind: str) -> None:
    text = edited(json.dumps(KSEB), add_charge(kind))
    draft = read_draft(text)
    (blank,) = draft.to_fill
    assert blank.endswith(("the rate", "the amount", "the percent"))
    assert draft.wrong == ()
    name = blank.rsplit(" ", 1)[1]
    assert read_draft(edited(text, put(("charges", 7, name), "5"))).tariff


def test_a_new_slab_is_to_be_filled_in_before_the_last() -> None:
    text = edited(json.dumps(KSEB), add_slab(("charges", 0, "slabs")))
    assert read_draft(text).wrong == ()
    assert read_draft(text).to_fill == (
        "Energy charge: the fifth slab's upper limit",
        "Energy charge: the fifth slab's rate",
    )


def test_where_the_last_slab_goes_the_one_before_takes_all_the_rest() -> None:
    slabs = after(KSEB, remove_slab(("charges", 0, "slabs"), 4))["charges"][0]["slabs"]
    assert slabs[-1] == {"rate": "6.40"}
    one = {"charges": [{"kind": "energy", "slabs": [{"rate": "1"}]}]}
    assert after(one, remove_slab(("charges", 0, "slabs"), 0)) == one


@pytest.mark.parametrize("first", ["rate", "slabs", "rates", "period_slabs"])
@pytest.mark.parametrize("then", ["rate", "slabs", "rates", "period_slabs"])
@pytest.mark.parametrize("kind", ["energy", "demand"])
def test_a_charge_priced_another_way_is_valid_once_its_limit_is_filled_in(
    kind: str, first: str, then: str
) -> None:
    charge = {"code": "c", "description": "C", "kind": kind, "rate": "3"}
    charge |= {"quantity": "kw"} if kind == "demand" else {}
    made = after(KSEB | {"charges": [charge]}, price_by(0, first), price_by(0, then))
    bound = "up_to_kwh" if kind == "energy" else "up_to_kw"
    for place, value in list(leaves(made)):
        if place[-1] == bound and value == "":
            made = after(made, put(place, "5"))
    assert is_valid(made)
    if first != then:
        assert first not in made["charges"][0]
    if then == "rate":
        assert made["charges"][0] == charge


def test_prices_by_period_begin_with_the_rate_that_was_there() -> None:
    made = after(XCEL, price_by(1, "rate"), price_by(1, "rates"))
    assert set(made["charges"][1]["rates"].values()) == {"0.36254"}
    assert made["charges"][1]["calendar"] == "time_of_use"


@pytest.mark.parametrize("per", ["bill", "day", "month"])
def test_an_amount_per_something_else_keeps_what_goes_with_it(per: str) -> None:
    assert is_valid(after(KSEB, charged_per(2, "day"), charged_per(2, per)))
    days = after(KSEB, charged_per(2, "day"), put(("charges", 2, "days_as"), "average_month"))
    assert is_valid(after(days, charged_per(2, per)))


def test_a_removed_charge_is_taken_from_those_computed_from_it() -> None:
    made = after(KSEB, remove_charge(2))
    assert [charge["code"] for charge in made["charges"]][1:3] == ["duty", "rent_tax"]
    draft = read_draft(json.dumps(made))
    assert draft.wrong == ()
    assert draft.to_fill[0] == "Tax on meter rent, 18%: the choice of charges"


def test_the_total_is_rounded_and_the_rounding_of_lines_stays() -> None:
    made = after(KSEB, round_total(to="0.05"))
    assert made["rounding"] == {"total": {"to": "0.05"}}
    made = after(made, round_total(mode="down"), round_total(carry_forward=True))
    assert made["rounding"]["total"] == {"to": "0.05", "mode": "down", "carry_forward": True}
    assert is_valid(made)
    assert after(made, round_total(to=None), round_total(carry_forward=None)) == KSEB
    own = KSEB | {"rounding": {"lines": "none", "total": {"to": "1"}}}
    assert after(own, round_total(to=None))["rounding"] == {"lines": "none"}


def test_a_season_moves_the_one_beside_it() -> None:
    made = after(XCEL, season_day("summer", "to", "10-15"), season_day("summer", "from", "03-01"))
    assert made["seasons"] == {
        "summer": {"from": "03-01", "to": "10-15"},
        "winter": {"from": "10-16", "to": "02-29"},
    }
    assert is_valid(made)


def test_seasons_that_do_not_touch_move_alone() -> None:
    apart = XCEL | {"seasons": {"a": {"from": "", "to": "01-31"}, "b": {"from": "03-01", "to": ""}}}
    made = after(apart, season_day("a", "to", "02-29"), season_day("a", "from", "12-01"))
    assert made["seasons"]["b"] == {"from": "03-01", "to": ""}
    assert after(apart, season_day("none", "to", "02-29")) == apart
    assert after(XCEL, add_season("mid"))["seasons"]["mid"] == {"from": "", "to": ""}


def test_a_longer_peak_takes_its_hours_from_the_rest() -> None:
    longer = after(XCEL, change_window("time_of_use", "winter_peak", 0, begin="16:00", days=[]))
    assert read_draft(json.dumps(longer)).wrong
    made = after(longer, give_the_rest("time_of_use", "winter_off_peak"))
    assert made["calendars"]["time_of_use"]["periods"]["winter_off_peak"] == [
        {"seasons": ["winter"], "from": "21:00", "to": "16:00"}
    ]
    assert is_valid(made)


@EVERY
def test_each_period_is_the_rest_of_the_others(path: Path) -> None:
    data = json.loads(path.read_text())
    for name, calendar in data.get("calendars", {}).items():
        for period in calendar["periods"]:
            assert after(data, give_the_rest(name, period)) == data


def test_the_rest_of_months_is_months_and_of_an_unfinished_row_nothing() -> None:
    periods = {"wet": [{"months": [6, 7, 8], "from": "06:00", "to": "18:00"}], "dry": []}
    made = {"calendars": {"c": {"periods": periods}}}
    dry = after(made, give_the_rest("c", "dry"))["calendars"]["c"]["periods"]["dry"]
    assert dry == [
        {"months": [1, 2, 3, 4, 5, 9, 10, 11, 12]},
        {"months": [6, 7, 8], "from": "18:00", "to": "06:00"},
    ]
    periods["wet"].append({"from": "", "to": ""})
    assert after(made, give_the_rest("c", "dry")) == made


def test_a_period_that_is_added_is_to_be_filled_in_and_goes_without_a_trace() -> None:
    made = after(XCEL, add_period("time_of_use", "shoulder"))
    draft = read_draft(json.dumps(made))
    assert draft.wrong == ()
    assert draft.to_fill == (
        "Energy: the rate in shoulder",
        "The calendar time of use: the first row of shoulder: the beginning",
        "The calendar time of use: the first row of shoulder: the end",
    )
    assert after(made, remove_period("time_of_use", "shoulder")) == XCEL
    assert after(XCEL, add_period("time_of_use", "winter_peak")) == XCEL


def test_rows_of_hours_are_added_changed_and_removed() -> None:
    made = after(XCEL, add_window("time_of_use", "winter_peak"))
    made = after(
        made,
        change_window("time_of_use", "winter_peak", 1, begin="06:00", end="08:00"),
        change_window("time_of_use", "winter_peak", 1, seasons=["winter"], days=["weekday"]),
        give_the_rest("time_of_use", "winter_off_peak"),
    )
    assert is_valid(made)
    remove = remove_window("time_of_use", "winter_peak", 1)
    assert after(made, remove, give_the_rest("time_of_use", "winter_off_peak")) == XCEL
    assert after(XCEL, remove_window("time_of_use", "winter_peak", 0)) == XCEL


@pytest.mark.parametrize("data", [{}, {"charges": 7}, {"charges": [7], "calendars": 7}])
@pytest.mark.parametrize(
    "edit",
    [
        *(put(("charges", 0, "rate"), "1"), add_slab(("charges", 0, "slabs"))),
        *(remove_slab(("charges", 0, "slabs"), 0), price_by(0, "slabs"), charged_per(0, "bill")),
        *(remove_charge(4), move_charge(0, 1), season_day("a", "to", "01-01")),
        *(add_period("c", "p"), remove_period("c", "p"), add_window("c", "p")),
        *(change_window("c", "p", 0, begin="01:00"), remove_window("c", "p", 0)),
        give_the_rest("c", "p"),
    ],
)
def test_an_edit_of_what_is_not_there_changes_nothing(data: Any, edit: Edit) -> None:
    assert after(data, edit) == data


def test_net_metering_brings_the_charge_that_pays_and_takes_it_along() -> None:
    netted = after(KSEB, net_metering("paid"))
    assert netted["net_metering"] == {"surplus": "paid"}
    assert netted["charges"][-1] == {
        "code": "surplus",
        "description": "Surplus paid out",
        "kind": "energy",
        "quantity": "settled_kwh",
        "rate": "",
    }
    monthly = after(netted, put(("net_metering", "settled_in"), 3), net_metering("paid"))
    assert monthly["charges"] == netted["charges"]
    lapses = after(monthly, net_metering("lapses"))
    assert lapses["net_metering"] == {"surplus": "lapses", "settled_in": 3}
    assert lapses["charges"] == KSEB["charges"]
    assert after(monthly, net_metering(None)) == KSEB
    assert read_draft(json.dumps(lapses)).tariff is not None


def test_a_name_in_a_language_is_added_changed_and_taken_out() -> None:
    plain = text = json.dumps(KSEB)
    text = edited(text, name_charge(1, "es", "Alquiler"))
    text = edited(text, name_charge(1, "hi", "किराया"))
    assert json.loads(text)["charges"][1]["names"] == {"es": "Alquiler", "hi": "किराया"}
    text = edited(text, name_charge(1, "es", "Alquiler del medidor"))
    text = edited(text, name_charge(1, "hi", ""))
    assert json.loads(text)["charges"][1]["names"] == {"es": "Alquiler del medidor"}
    assert json.loads(edited(text, name_charge(1, "es", ""))) == KSEB
    # Where there is no such charge, or names are no object, nothing changes.
    assert json.loads(edited(plain, name_charge(99, "es", "x"))) == KSEB
    wrong = edited(plain, put(("charges", 0, "names"), ["es"]))
    assert edited(wrong, name_charge(0, "es", "x")) == wrong
