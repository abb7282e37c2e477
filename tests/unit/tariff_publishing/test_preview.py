"""A tariff tried out: the same figures as the engine's, point by point."""

import json
from datetime import date
from fractions import Fraction
from typing import Any

import pytest

from services.quantities.period import Period
from services.rating import BillingDeterminants, rate, rate_usage
from services.settings import PROJECT_FOLDER
from services.tariff_publishing.preview import (
    Scenario,
    curve,
    flat_shares,
    needs,
    next_kwh_minor,
    priced,
    scale_of,
)
from services.tariffs import Tariff, parse_tariff

JUNE = Period(date(2026, 6, 1), date(2026, 7, 1))
ALONE = Scenario(JUNE)
EXAMPLES = sorted((PROJECT_FOLDER / "examples/tariffs").glob("*.json"))


def example(name: str) -> Tariff:
    return parse_tariff(json.loads((PROJECT_FOLDER / "examples/tariffs" / name).read_text()))


def test_each_point_of_the_curve_is_the_bill_of_its_kwh() -> None:
    tariff = example("kseb-lt1a.json")
    found = curve(tariff=tariff, scenario=ALONE, up_to_kwh=500)
    assert (found.kwh[0], found.kwh[-1]) == (0, 500)
    for kwh, minor in list(zip(found.kwh, found.total_minor, strict=True))[::25]:
        bill = rate(tariff=tariff, consumption_wh=kwh * 1000, period=JUNE)
        assert minor == bill.total_minor


def test_the_next_kwh_costs_what_the_bill_grows_by() -> None:
    tariff = example("kseb-lt1a.json")
    assert next_kwh_minor(tariff=tariff, scenario=ALONE, wh=117_000) == 538
    found = curve(tariff=tariff, scenario=ALONE, up_to_kwh=500)
    # 4.80 and 10% duty and 0.10 for fuel.
    assert found.nexts[found.nexts_kwh.index(110)] == Fraction(538)


def test_a_jump_of_the_whole_use_is_seen() -> None:
    slabs = [{"up_to_kwh": "300", "rate": "6.40"}, {"rate": "7.25"}]
    charge = {"code": "e", "description": "E", "kind": "energy", "slabs": slabs}
    charge |= {"slab_limits_per": "bill", "slabs_apply": "whole_use"}
    tariff = tariff_of(charge)
    assert next_kwh_minor(tariff=tariff, scenario=ALONE, wh=300_000) == 30_100 * 7.25 - 30_000 * 6.4
    found = curve(tariff=tariff, scenario=ALONE, up_to_kwh=500)
    assert max(found.nexts) == found.nexts[found.nexts_kwh.index(300)]


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_every_example_can_be_tried_with_what_it_is_said_to_need(file: Any) -> None:
    tariff = parse_tariff(json.loads(file.read_text()))
    wanted = needs(tariff)
    scenario = Scenario(
        JUNE,
        shares={c: flat_shares(tariff, calendar=c, period=JUNE) for c in wanted.calendars},
        peak_w=100_000 if wanted.peak else 0,
        power_factor_percent=90,
        connected_w=5000 if wanted.connected else 0,
    )
    assert priced(tariff=tariff, scenario=scenario, wh=117_000).total_minor > 0
    assert len(curve(tariff=tariff, scenario=scenario, up_to_kwh=scale_of(tariff)).kwh) > 100


def test_shares_peaks_and_power_factor_reach_the_engine() -> None:
    calendar = {
        "order": ["peak", "off_peak"],
        "periods": {
            "peak": [{"from": "18:00", "to": "22:00"}],
            "off_peak": [{"from": "22:00", "to": "18:00"}],
        },
    }
    by_period = {"rates": {"peak": "8", "off_peak": "3"}, "calendar": "tou"}
    head = {"code": "e", "description": "E"}
    tariff = tariff_of(
        head | {"kind": "energy"} | by_period,
        head | {"code": "d", "kind": "demand", "quantity": "kw"} | by_period,
        head | {"code": "v", "kind": "demand", "quantity": "kva", "rate": "1"},
        calendars={"tou": calendar},
    )
    assert (needs(tariff).calendars, needs(tariff).peak_calendars) == (("tou",), ("tou",))
    assert flat_shares(tariff, calendar="tou", period=JUNE) == {"peak": 240, "off_peak": 1200}
    scenario = Scenario(
        JUNE,
        shares={"tou": {"peak": 25, "off_peak": 75}},
        peak_w=10_000,
        peaks_w={"tou": {"peak": 10_000, "off_peak": 10_000}},
        power_factor_percent=80,
    )
    usage = BillingDeterminants(
        wh=100_000,
        by_period={"tou": {"peak": 25_000, "off_peak": 75_000}},
        peak_w=10_000,
        peak_w_by_period={"tou": {"peak": 10_000, "off_peak": 10_000}},
        peak_va=12_500,
    )
    expected = rate_usage(tariff=tariff, usage=usage, period=JUNE)
    assert priced(tariff=tariff, scenario=scenario, wh=100_000) == expected


def tariff_of(*charges: dict[str, Any], **fields: Any) -> Tariff:
    head = {"code": "T", "name": "T", "currency": "INR", "effective_from": "2026-01-01"}
    return parse_tariff(head | {"charges": list(charges)} | fields)


def test_net_metering_is_tried_with_what_is_sent_to_the_grid() -> None:
    solar = example("solar-net-metering.json")
    assert needs(solar).export
    scenario = Scenario(JUNE, export_wh=100_000)
    # 20 of 120 kWh are left: 20 × 3.15 + 60.
    assert priced(tariff=solar, scenario=scenario, wh=120_000).total_minor == 123_00
    assert priced(tariff=solar, scenario=scenario, wh=80_000).total_minor == 60_00
    assert next_kwh_minor(tariff=solar, scenario=scenario, wh=80_000) == 0
    assert next_kwh_minor(tariff=solar, scenario=scenario, wh=120_000) == 3_15
