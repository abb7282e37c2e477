"""Rating: published bills come out to the cent, and what holds for every bill holds."""

import json
from datetime import date, timedelta
from fractions import Fraction
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.quantities.money import round_half_up, scaled_text
from services.quantities.period import Period
from services.rating import (
    BillLine,
    RatedBill,
    SlabPart,
    UnableToPriceBill,
    rate,
)
from services.tariffs import Tariff, parse_tariff

ROOT = Path(__file__).parents[3]
JANUARY = Period(date(2025, 1, 1), date(2025, 2, 1))


def _read(path: str) -> Any:
    return json.loads((ROOT / path).read_text(encoding="utf-8"))


PUBLISHED = {entry["id"]: entry for entry in _read("tests/data/published_bills.json")}
KSEB = parse_tariff(_read("examples/tariffs/kseb-lt1a.json"))
SEYMOUR = parse_tariff(_read("examples/tariffs/seymour-winter.json"))


def _tariff(*charges: dict[str, Any], currency: str = "USD") -> Tariff:
    described = [{"description": str(charge["code"]).capitalize(), **charge} for charge in charges]
    fields = {"code": "T", "name": "T", "effective_from": "2000-01-01", "charges": described}
    return parse_tariff({**fields, "currency": currency})


def _flat(code: str, per_kwh: str) -> dict[str, Any]:
    return {"code": code, "kind": "energy", "rate": per_kwh}


def _fixed(code: str, amount: str, per: str = "bill", **more: str) -> dict[str, Any]:
    return {"code": code, "kind": "fixed", "amount": amount, "per": per, **more}


def _percent(code: str, percent: str, *of: str, **more: bool) -> dict[str, Any]:
    return {"code": code, "kind": "percent", "percent": percent, "of": list(of), **more}


def _slabs(
    *slabs: tuple[str | None, str], per: str = "bill", lines: bool = False
) -> dict[str, Any]:
    return {
        "code": "energy",
        "kind": "energy",
        "slabs": [
            {"rate": cost} | ({"up_to_kwh": bound} if bound else {}) for bound, cost in slabs
        ],
        "slab_limits_per": per,
        "print": "line_per_slab" if lines else "one_line",
    }


def _price(tariff: Tariff, kwh: str, period: Period = JANUARY) -> RatedBill:
    return rate(tariff=tariff, consumption_wh=int(Fraction(kwh) * 1000), period=period)


def _amounts(bill: RatedBill) -> list[str]:
    places = {"INR": 2, "USD": 2, "MYR": 2, "GHS": 2, "KWD": 3, "JPY": 0}[bill.currency]
    return [scaled_text(line.amount_minor, places=places) for line in bill.lines]


def _printed(entry: str, *lines: str) -> list[str]:
    """The published amounts of the named lines, or of all, with two decimals."""
    every = dict(PUBLISHED[entry]["expected_lines"])
    picked = [every[name] for name in lines] if lines else list(every.values())
    return [scaled_text(round_half_up(Fraction(amount) * 100), places=2) for amount in picked]


def test_kseb_at_117_kwh_is_540_35_with_every_printed_line() -> None:
    entry = PUBLISHED["kseb-117-month"]
    bill = _price(KSEB, str(entry["inputs"]["kwh_month"]))
    assert _amounts(bill) == ["424.10", "42.41", "6.00", "1.08", "0.06", "11.70", "55.00"]
    assert _amounts(bill) == _printed("kseb-117-month")
    assert scaled_text(bill.total_minor, places=2) == entry["expected_total"] == "540.35"
    assert (bill.subtotal_minor, bill.tax_minor) == (49680, 4355)


def test_kseb_shows_its_slabs_within_one_line() -> None:
    energy = _price(KSEB, "117").lines[0]
    assert (energy.quantity, energy.unit, energy.rate) == ("117", "kWh", None)
    assert energy.slabs == (
        SlabPart(from_kwh="0", to_kwh="50", quantity="50", rate="3.15", amount="157.50"),
        SlabPart(from_kwh="50", to_kwh="100", quantity="50", rate="3.70", amount="185.00"),
        SlabPart(from_kwh="100", to_kwh="150", quantity="17", rate="4.80", amount="81.60"),
    )


def test_seymour_in_winter_at_1200_kwh_is_171_55_with_every_printed_line() -> None:
    entry = PUBLISHED["seymour-winter-1200"]
    bill = _price(SEYMOUR, "1200")
    names = ("block1", "block2", "block3", "power_cost", "customer_charge", "city_sales_tax")
    assert _amounts(bill) == _printed("seymour-winter-1200", *names)
    assert bill.subtotal_minor == 16985
    assert scaled_text(bill.total_minor, places=2) == entry["expected_total"] == "171.55"


def test_seymour_prints_a_line_for_each_slab_used() -> None:
    first, second, third = _price(SEYMOUR, "1200").lines[:3]
    assert [line.quantity for line in (first, second, third)] == ["250", "450", "500"]
    assert [line.rate for line in (first, second, third)] == ["0.064", "0.049", "0.0446"]
    assert third.description == "Energy, above 700 kWh"
    assert second.description == "Energy, 250 to 700 kWh"
    assert not first.slabs
    assert len([line for line in _price(SEYMOUR, "250").lines if line.code == "energy"]) == 1


def test_peco_adds_its_components_and_a_negative_adjustment() -> None:
    entry = PUBLISHED["peco-rate-r-1244"]
    per_kwh = [_flat(code, cost) for code, cost in entry["tariff_structure"]["per_kwh"]]
    fixed = [_fixed(code, amount) for code, amount in entry["tariff_structure"]["fixed"]]
    bill = _price(_tariff(*per_kwh, *fixed), "1244")
    assert _amounts(bill)[:1] == _printed("peco-rate-r-1244", "distribution")
    assert _amounts(bill)[-1] == "-0.06"
    assert scaled_text(bill.total_minor, places=2) == entry["expected_total"]


GOODLAND = ("goodland-res-1000", "1000", ("energy", "meter_charge"))
JCPB = ("jcpb-residential-1110", "1110", ("base", "availability_fee"))


@pytest.mark.parametrize(("entry", "kwh", "lines"), [GOODLAND, JCPB])
def test_a_flat_rate_and_a_monthly_charge(entry: str, kwh: str, lines: tuple[str, ...]) -> None:
    structure = PUBLISHED[entry]["tariff_structure"]
    fixed = _fixed("fixed", structure["fixed_month"], "month", proration="none")
    bill = _price(_tariff(_flat("energy", structure["rate"]), fixed), kwh)
    assert _amounts(bill) == _printed(entry, *lines)


def test_tata_power_prorates_its_fixed_charge_by_calendar_months() -> None:
    fixed = _fixed("fixed", "150", "month", proration="days")
    tariff = _tariff(fixed, _percent("surcharge", "8", "fixed"), currency="INR")
    bill = _price(tariff, "0", Period(date(2014, 7, 24), date(2014, 8, 7)))
    assert _amounts(bill) == _printed("tpddl-14d-fixed-6kw", "fixed", "surcharge_fixed")
    assert (
        bill.lines[0].quantity == dict(PUBLISHED["tpddl-14d-fixed-6kw"]["expected_lines"])["months"]
    )


def test_bses_fixed_charge_over_parts_of_two_months() -> None:
    tariff = _tariff(_fixed("fixed", "150", "month", proration="days"), currency="INR")
    bill = _price(tariff, "545", Period(date(2022, 6, 25), date(2022, 7, 25)))
    assert _amounts(bill) == _printed("bses-2022-545units-30d", "fixed") == ["146.13"]
    assert bill.lines[0].quantity == "0.9742"


def test_cesc_energy_over_six_slabs_and_its_rebate() -> None:
    bounds = ("25", "60", "100", "150", "300", None)
    rates = [cost for _, cost in PUBLISHED["cesc-2015-06-257"]["tariff_structure"]["blocks"]]
    tariff = _tariff(
        _slabs(*zip(bounds, rates, strict=True)),
        _fixed("fixed", "14.00"),
        _percent("rebate", "-1", "energy", "fixed"),
        currency="INR",
    )
    energy, fixed, rebate = _amounts(_price(tariff, "257"))
    assert [energy, fixed] == _printed("cesc-2015-06-257", "energy", "fixed")
    assert [rebate.removeprefix("-")] == _printed("cesc-2015-06-257", "rebate")
    assert rebate.startswith("-")


def test_tnb_splits_350_kwh_into_the_printed_blocks() -> None:
    tariff = _tariff(_slabs(("200", "0.218"), ("300", "0.334"), (None, "0.516")), currency="MYR")
    bill = _price(tariff, "350")
    split = "/".join(part.quantity for part in bill.lines[0].slabs)
    assert [["units", split]] == PUBLISHED["tnb-350"]["expected_lines"]
    assert _amounts(bill) == ["102.80"]


def test_moving_in_pays_19_of_30_days() -> None:
    tariff = _tariff(_fixed("fixed", "30", "month", proration="days"))
    bill = _price(tariff, "0", Period(date(2025, 6, 12), date(2025, 7, 1)))
    assert _amounts(bill) == _printed("current-movein-19d", "fixed")


def test_ghana_lifeline_with_levies_on_energy_only() -> None:
    entry = PUBLISHED["ghana-lifeline-8.38"]
    structure = entry["tariff_structure"]
    charges = (_flat("energy", structure["rate"]), _percent("levies", "5", "energy", tax=True))
    tariff = _tariff(*charges, _fixed("fixed", structure["fixed_month"]), currency="GHS")
    bill = _price(tariff, entry["inputs"]["kwh"])
    assert scaled_text(bill.total_minor, places=2) == entry["expected_total"]


def test_a_daily_limit_grows_with_the_days_as_at_hydro_quebec() -> None:
    entry = PUBLISHED["hq-rate-d-threshold"]
    tariff = _tariff(_slabs(("40", "0.06"), (None, "0.09"), per="day"))
    start = date(2025, 1, 1)
    bill = _price(tariff, "3000", Period(start, start + timedelta(days=entry["inputs"]["days"])))
    first, _ = bill.lines[0].slabs
    assert [["threshold", first.to_kwh]] == entry["expected_lines"]


def test_a_monthly_limit_follows_the_days_of_each_month_to_the_wh() -> None:
    tariff = _tariff(_slabs(("50", "3"), (None, "5"), per="month"))
    first, second = _price(tariff, "30", Period(date(2014, 7, 24), date(2014, 8, 7))).lines[0].slabs
    assert (first.to_kwh, first.quantity, first.amount) == ("22.581", "22.581", "67.743")
    assert (second.quantity, second.amount) == ("7.419", "37.095")


def test_a_limit_per_bill_stays_as_it_is_however_long_the_bill() -> None:
    tariff = _tariff(_slabs(("50", "3"), (None, "5")))
    bill = _price(tariff, "60", Period(date(2025, 1, 1), date(2025, 7, 1)))
    assert _amounts(bill) == ["200.00"]


@pytest.mark.parametrize(
    ("charge", "amount", "quantity", "unit"),
    [
        (_fixed("f", "10"), "10.00", "1", "bill"),
        (_fixed("f", "10", "month", proration="none"), "10.00", "1", "month"),
        (_fixed("f", "10", "month", proration="days"), "4.52", "0.4516", "month"),
        (_fixed("f", "10", "day"), "140.00", "14", "day"),
    ],
)
def test_a_fixed_charge_per_bill_month_or_day(
    charge: dict[str, Any], amount: str, quantity: str, unit: str
) -> None:
    bill = _price(_tariff(charge), "0", Period(date(2014, 7, 24), date(2014, 8, 7)))
    assert (_amounts(bill), bill.lines[0].quantity, bill.lines[0].unit) == (
        [amount],
        quantity,
        unit,
    )


def test_months_are_computed_exactly_although_four_decimals_are_shown() -> None:
    tariff = _tariff(_fixed("f", "1000000", "month", proration="days"))
    bill = _price(tariff, "0", Period(date(2014, 7, 24), date(2014, 8, 7)))
    assert _amounts(bill) == ["451612.90"]


def test_one_printed_line_is_rounded_once_however_many_slabs_it_has() -> None:
    slabs = (("1", "0.004"), ("2", "0.004"), (None, "0.004"))
    assert _amounts(_price(_tariff(_slabs(*slabs)), "3")) == ["0.01"]
    assert _amounts(_price(_tariff(_slabs(*slabs, lines=True)), "3")) == ["0.00"] * 3


def test_half_a_cent_goes_away_from_zero_for_charges_and_credits() -> None:
    bill = _price(_tariff(_flat("charge", "0.005"), _flat("credit", "-0.005")), "1")
    assert _amounts(bill) == ["0.01", "-0.01"]


def test_a_percent_is_of_the_rounded_amounts() -> None:
    tariff = _tariff(_flat("a", "0.014"), _flat("b", "0.014"), _percent("tax", "50", "a", "b"))
    bill = _price(tariff, "1")
    assert _amounts(bill) == ["0.01", "0.01", "0.01"]
    assert (bill.lines[2].quantity, bill.lines[2].unit, bill.lines[2].rate) == ("0.02", "%", "50")


def test_a_percent_of_a_charge_with_several_lines_takes_them_all() -> None:
    slabs = _slabs(("10", "1"), (None, "2"), lines=True)
    bill = _price(_tariff(slabs, _percent("tax", "10", "energy", tax=True)), "20")
    assert _amounts(bill) == ["10.00", "20.00", "3.00"]


def test_percents_are_computed_in_the_order_they_need_and_printed_in_the_order_written() -> None:
    tariff = _tariff(_percent("cess", "10", "duty"), _percent("duty", "10", "e"), _flat("e", "1"))
    bill = _price(tariff, "100")
    assert [line.code for line in bill.lines] == ["cess", "duty", "e"]
    assert _amounts(bill) == ["1.00", "10.00", "100.00"]


@pytest.mark.parametrize(("currency", "amount"), [("JPY", "124"), ("KWD", "123.500")])
def test_amounts_have_the_decimals_of_their_currency(currency: str, amount: str) -> None:
    assert _amounts(_price(_tariff(_flat("e", "1.235"), currency=currency), "100")) == [amount]


def test_no_energy_still_pays_the_fixed_lines() -> None:
    bill = _price(KSEB, "0")
    assert _amounts(bill) == ["0.00", "0.00", "6.00", "1.08", "0.06", "0.00", "55.00"]


@pytest.mark.parametrize("lines", [False, True])
def test_slabs_without_energy_are_one_line_of_zero(lines: bool) -> None:
    (line,) = _price(_tariff(_slabs(("50", "3"), (None, "5"), lines=lines)), "0").lines
    assert (line.quantity, line.rate, line.amount_minor, line.slabs) == ("0", "3", 0, ())


def test_a_single_slab_shows_its_rate() -> None:
    (line,) = _price(_tariff(_slabs(("50", "3"), (None, "5"))), "50").lines
    assert (line.rate, len(line.slabs)) == ("3", 1)


@pytest.mark.parametrize("wh", [-1, True, 1.0, "1"])
def test_energy_that_cannot_have_been_used_is_not_priced(wh: Any) -> None:
    with pytest.raises(UnableToPriceBill):
        rate(tariff=KSEB, consumption_wh=wh, period=JANUARY)


def test_lines_survive_json_with_integers_and_strings_only() -> None:
    for line in (*_price(KSEB, "117").lines, *_price(SEYMOUR, "1200.5").lines):
        assert BillLine.from_json(json.loads(json.dumps(line.to_json()))) == line
    energy, duty, *_ = (line.to_json() for line in _price(KSEB, "117").lines)
    words = "Electricity duty, 10% of the energy charge"
    assert duty == ["duty", words, True, "424.10", "%", "10", 4241]
    assert energy[-1]["slabs"][0] == ["0", "50", "50", "3.15", "157.50"]


def test_lines_that_older_versions_stored_as_objects_are_read_alike() -> None:
    slab = {"from_kwh": "100", "to_kwh": None, "quantity": "17", "rate": "5", "amount": "85.00"}
    days = {"start": "2026-01-01", "end": "2026-01-20"}
    stored = {
        "code": "energy",
        "description": "Energy",
        "tax": False,
        "quantity": "17",
        "unit": "kWh",
        "rate": None,
        "amount_minor": 8500,
        "slabs": [slab],
        "note": "19 of 30 days in June",
        "part": days,
        "billed_before": True,
    }
    always = ["energy", "Energy", False, "17", "kWh", None, 8500]
    more = {"slabs": [list(slab.values())], "note": stored["note"], "part": days}
    line = BillLine.from_json(stored)
    assert line.to_json() == [*always, more | {"billed_before": True}]
    assert BillLine.from_json(line.to_json()) == line


WH = st.integers(0, 10**10)
DECIMALS = st.decimals(0, 20, places=4, allow_nan=False).map(lambda value: f"{value:f}")
PERIODS = st.builds(
    lambda start, days: Period(start, start + timedelta(days=days)),
    st.dates(date(2000, 1, 1), date(2040, 1, 1)),
    st.integers(2, 400),
)


def _slab_tariff(steps: list[int], rates: list[str], per: str, lines: bool) -> Tariff:
    bounds = [*map(str, accumulate(steps)), None]
    return _tariff(
        _slabs(*zip(bounds, rates, strict=True), per=per, lines=lines),
        _fixed("daily", "0.3333", "day"),
        _percent("tax", "7.5", "energy", "daily", tax=True),
    )


SLAB_TARIFFS = st.builds(
    _slab_tariff,
    st.lists(st.integers(1, 500), min_size=3, max_size=3),
    st.lists(DECIMALS, min_size=4, max_size=4),
    st.sampled_from(["bill", "month", "day"]),
    st.booleans(),
)


@given(tariff=SLAB_TARIFFS, wh=WH, period=PERIODS)
@settings(deadline=None, max_examples=60)
def test_the_total_is_the_sum_of_the_lines(tariff: Tariff, wh: int, period: Period) -> None:
    bill = rate(tariff=tariff, consumption_wh=wh, period=period)
    assert bill.total_minor == sum(line.amount_minor for line in bill.lines)
    assert bill.total_minor == bill.subtotal_minor + bill.tax_minor


@given(tariff=SLAB_TARIFFS, wh=WH, more=WH, period=PERIODS)
@settings(deadline=None, max_examples=60)
def test_more_energy_never_costs_less(tariff: Tariff, wh: int, more: int, period: Period) -> None:
    less = rate(tariff=tariff, consumption_wh=wh, period=period).total_minor
    total = rate(tariff=tariff, consumption_wh=wh + more, period=period).total_minor
    assert less <= total


@given(tariff=SLAB_TARIFFS, wh=WH, period=PERIODS)
@settings(deadline=None, max_examples=60)
def test_printed_slabs_add_up_to_the_use_and_to_the_amount(
    tariff: Tariff, wh: int, period: Period
) -> None:
    bill = rate(tariff=tariff, consumption_wh=wh, period=period)
    energy = [line for line in bill.lines if line.code == "energy"]
    assert sum(Fraction(line.quantity) for line in energy) == Fraction(wh, 1000)
    for line in energy:
        for part in line.slabs:
            assert Fraction(part.amount) == Fraction(part.quantity) * Fraction(part.rate)
        if line.slabs:
            exact = sum(Fraction(part.amount) for part in line.slabs)
            assert line.amount_minor == round_half_up(Fraction(exact) * 100)


@given(period=PERIODS, first=st.integers(1, 399))
@settings(deadline=None, max_examples=60)
def test_splitting_a_period_never_changes_a_daily_charge(period: Period, first: int) -> None:
    # The amount is whole cents a day, so that no rounding hides a difference.
    tariff = _tariff(_fixed("daily", "0.37", "day"))
    days = [period.start, period.start + timedelta(days=min(first, period.days - 1)), period.end]
    halves = [Period(start, end) for start, end in pairwise(days)]
    parts = [_price(tariff, "0", half).total_minor for half in halves]
    assert sum(parts) == _price(tariff, "0", period).total_minor
