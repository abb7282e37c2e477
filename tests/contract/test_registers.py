"""Registers, intervals and what bills are priced from, over both transports."""

import json
from datetime import timedelta
from typing import Any

import pytest

from services.database.errors import IllegalChange
from services.quantities.period import next_month
from tests.contract.over import Over
from tests.integration.metered import TOU, Metered


def test_registers_and_intervals_are_stored_and_read_back_alike(over: Over) -> None:
    metered = Metered(over.utility)
    metered.add_meter("T1", "peak=400 off_peak=600 max_kw", days=3)
    metered.add_meter("T2", days=3, columns={"connected_kw": "5.5"})
    assert [m.registers for m in over.same("find_meters", text="T1")] == [
        ("peak", "off_peak", "max_kw")
    ]
    assert over.same("find_meters", text="T2")[0].connected_w == 5_500
    assert metered.import_intervals("T2", 3).added == 3
    assert metered.import_intervals("T2", 2, peak_kwh="0.5").changed == 2
    assert over.same("flagged_on", read_on=over.utility.today, limit=5) == []
    assert over.same(
        "monthly_bill_candidates", on=next_month(over.utility.today), after=None, limit=10
    ).agreements
    bill = metered.submit("T1", "1010", peak=404, off_peak=606, max_kw="2.5").bill
    assert bill is not None
    stored = over.same("bill", bill.id)
    assert stored.usage["registers"]["max_kw"] == {"maximum": 2_500}
    assert over.same("reading", bill.closing_reading_id).registers["peak"] == 404_000
    reads = over.same("meter_reads", serials=["T1"])[0].reads
    assert reads[0].registers == {"peak": 400_000, "off_peak": 600_000}
    asked: dict[str, Any] = {"meter_serial": "T2", "read_at": over.utility.now}
    context = over.same("reading_context", **asked, read_on=over.utility.today)
    assert [sum(day.wh) for day in context.pricing.intervals] == [3_600, 4_000, 4_000]


def test_bills_that_look_back_are_read_alike(over: Over) -> None:
    metered = Metered(over.utility)
    metered.add_meter("L1", "max_kw", tariff="LINKED", days=60)
    at = over.utility.now - timedelta(days=30)
    assert metered.submit("L1", "1050", at=at, max_kw="4.2").bill is not None
    asked: dict[str, Any] = {"meter_serial": "L1", "read_at": over.utility.now}
    context = over.same("reading_context", **asked, read_on=over.utility.today)
    (past,) = context.pricing.past
    assert past.usage["peak_w"] == 4_200
    assert past.charged == {"demand": 42_210, "carried_forward": -210}


def test_a_register_that_the_meter_has_not_is_refused(over: Over) -> None:
    metered = Metered(over.utility)
    metered.add_meter("T3", "peak=400", days=3)
    context = over.here.reading_context(
        meter_serial="T3", read_at=over.utility.now, read_on=over.utility.today
    )
    row: dict[str, Any] = {"id": "6f1f7a52-5d3e-4a0c-9c4e-0a3a6b8d2c11", "status": "accepted"}
    row |= {"meter_id": context.meter.id, "read_at": over.utility.now.isoformat()}
    row |= {"read_on": over.utility.today.isoformat(), "register_wh": 1_001_000}
    with pytest.raises(IllegalChange, match="none of the meter's"):
        over.here.import_readings(actor="x", rows=[row | {"registers": {"night": 1}}])


def test_banks_of_kwh_are_booked_and_read_alike(over: Over) -> None:
    metered = Metered(over.utility)
    solar = TOU | {"code": "SOLAR", "net_metering": {"surplus": "lapses"}}
    assert metered.file("tariffs", json.dumps(solar)).ok
    names = ("peak", "off_peak", "export:peak", "export:off_peak")
    metered.add_meter("N1", " ".join(f"{name}=0" for name in names), tariff="SOLAR", days=60)
    values = {"peak": 40, "off_peak": 60, "export:peak": 10, "export:off_peak": 90}
    at = over.utility.now - timedelta(days=30)
    bill = metered.submit("N1", "1100", at=at, **values).bill
    assert bill is not None
    # 30 kWh at 9.00; 30 kWh off peak are banked for the nights to come.
    assert over.same("bill", bill.id).total_minor == 27_000
    (entry,) = over.same("kwh_bank", agreement_id=bill.agreement_id)
    assert (entry.period, entry.kind, entry.wh, entry.balance_wh) == (
        *("off_peak", "added", 30_000, 30_000),
    )
    asked: dict[str, Any] = {"meter_serial": "N1", "read_at": over.utility.now}
    context = over.same("reading_context", **asked, read_on=over.utility.today)
    assert context.pricing.past[0].usage["net"]["banks"]["off_peak"]["closing"] == 30_000
