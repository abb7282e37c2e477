"""A bill over several meters or multipliers, as the API, the page and the PDF have it."""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from services.bill_documents import RegisterLine, RegisterRead
from services.records.bills import Bill
from services.supply.changes import Exchange, MoveIn, MoveOut, OtherMultiplier, TypedRead
from services.web.shapes import bill_json
from tests.integration.metered import Metered
from tests.integration.supply.supplied import Supplied
from tests.integration.utility import Utility, make_utility


@pytest.fixture
def utility(database: str, tmp_path: Path) -> Iterator[Utility]:
    made = make_utility(database, tmp_path)
    yield made
    made.services.close()


@pytest.fixture
def at(utility: Utility) -> Supplied:
    return Supplied(utility)


def exchanged(at: Supplied) -> Bill:
    """40 kWh of M1, then 10 × 2 of N1."""
    point = at.meter("M1", kwh=99_000)
    at.do(Exchange(point, at.day(20), TypedRead("99040"), "N1", TypedRead("5"), multiplier="2"))
    at.read("N1", 15, 0, source="customer")
    (bill,) = at.bills("N1")
    return bill


def test_what_a_meter_measures_elsewhere_is_not_of_the_place(at: Supplied) -> None:
    metered = Metered(at.utility)
    point, other = at.meter("M1"), at.meter("M2")
    at.do(Exchange(point, at.day(20), TypedRead("1010"), "N1", TypedRead("0")))
    at.do(Exchange(other, at.day(10), TypedRead("1010"), "M1", TypedRead("1010")))
    for serial in ("M1", "N1", "M2"):
        assert metered.import_intervals(serial, 30).ok
    use: dict[str, Counter[int]] = {"N1": Counter(), "M1": Counter()}
    for serial, by_day in use.items():
        context = at.database.reading_context(
            meter_serial=serial, read_at=at.utility.now, read_on=at.utility.today
        )
        for one in context.pricing.intervals:
            by_day[(at.utility.today - one.day).days] += sum(one.wh)
    # Of the day on which a meter was exchanged both have their part.
    assert use["N1"] == {ago: 7_200 if ago == 20 else 3_600 for ago in range(1, 31)}
    assert use["M1"] == {ago: 7_200 if ago == 10 else 3_600 for ago in range(1, 31)}


def test_the_demand_that_a_meter_shows_elsewhere_is_not_of_the_place(at: Supplied) -> None:
    metered = Metered(at.utility)
    for serial in ("M1", "M2"):
        metered.add_meter(serial, "max_kw", tariff="LINKED", days=60)
    point, other = at.point("M1"), at.point("M2")
    last = TypedRead("1010", {"max_kw": "2"})
    at.do(Exchange(point, at.day(20), last, "N1", TypedRead("0", {"max_kw": "0"})))
    at.do(Exchange(other, at.day(15), last, "M1", last))
    metered.submit("M1", 1020, at=at.noon(5), max_kw="9")
    context = at.database.reading_context(
        meter_serial="N1", read_at=at.utility.now, read_on=at.utility.today
    )
    assert [one["max_kw"] for one in context.pricing.between] == [2_000]


def test_the_api_has_each_meter_and_the_place(at: Supplied) -> None:
    found = bill_json(exchanged(at))
    assert found["segments"] == [
        {
            "meter_serial": "M1",
            "opening_read_on": at.day(60).isoformat(),
            "closing_read_on": at.day(20).isoformat(),
            "opening_kwh": "99000",
            "closing_kwh": "99040",
            "opening_quality": {"code": 0, "name": "actual"},
            "closing_quality": {"code": 17, "name": "validated"},
            "multiplier": "1",
            "consumption_kwh": "40",
        },
        {
            "meter_serial": "N1",
            "opening_read_on": at.day(20).isoformat(),
            "closing_read_on": at.day(0).isoformat(),
            "opening_kwh": "5",
            "closing_kwh": "15",
            "opening_quality": {"code": 0, "name": "actual"},
            "closing_quality": {"code": 17, "name": "validated"},
            "multiplier": "2",
            "consumption_kwh": "20",
        },
    ]
    assert (found["meter_serial"], found["consumption_kwh"]) == ("N1", "60")
    assert found["service_point"] == {"code": "M1", "address": at.bills("N1")[0].service_address}


def test_a_bill_of_one_meter_is_one_segment_of_the_same_reads(at: Supplied) -> None:
    at.meter("M1")
    at.read("M1", 1100, 0)
    found = bill_json(at.bills("M1")[0])
    (segment,) = found["segments"]
    own = ("meter_serial", "opening_kwh", "closing_kwh", "multiplier", "consumption_kwh")
    assert {name: segment[name] for name in own} == {name: found[name] for name in own}
    assert segment["opening_read_on"] == found["period_start"]
    assert segment["closing_read_on"] == found["period_end"]


def test_the_pdf_has_a_line_for_each_meter(at: Supplied) -> None:
    bill = exchanged(at)
    archive = at.utility.services.bill_archive
    document = archive.document(bill.id)
    assert document.meter_serial == "M1, N1"
    assert document.registers == (
        RegisterLine(
            "", 40_000, RegisterRead(99_000_000, at.day(60)), RegisterRead(99_040_000, at.day(20)),
            "M1", 1000,
        ),
        RegisterLine(
            "", 20_000, RegisterRead(5_000, at.day(20)),
            RegisterRead(15_000, at.day(0), "customer"), "N1", 2000,
        ),
        RegisterLine("", 60_000),
    )  # fmt: skip
    assert archive.pdf(bill.id).pdf.startswith(b"%PDF")


def test_a_bill_from_an_exchange_on_has_the_reads_of_its_own_meter(at: Supplied) -> None:
    point = at.meter("M1")
    at.read("M1", 1040, 20)
    at.do(Exchange(point, at.day(20), TypedRead(), "N1", TypedRead("7")))
    at.read("N1", 17, 0)
    bill = at.bills("A-M1")[1]
    (segment,) = bill_json(bill)["segments"]
    assert (segment["meter_serial"], segment["opening_kwh"]) == ("N1", "7")
    (line,) = at.utility.services.bill_archive.document(bill.id).registers
    assert line.opening == RegisterRead(7_000, at.day(20))


def test_another_multiplier_is_a_second_line_of_the_same_meter(at: Supplied) -> None:
    point = at.meter("M1")
    at.read("M1", 1100, 10)
    at.do(OtherMultiplier(point, at.day(30), TypedRead("1060"), "40"))
    (bill,) = at.bills("M1")
    assert bill.meter_serials == ("M1",)
    document = at.utility.services.bill_archive.document(bill.id)
    assert document.meter_serial == "M1"
    assert [(r.meter_serial, r.multiplier_milli, r.used) for r in document.registers] == [
        ("M1", 1000, 60_000),
        ("M1", 40_000, 1_600_000),
        ("", None, 1_660_000),
    ]


def test_further_registers_are_summed_over_the_meters(at: Supplied) -> None:
    metered = Metered(at.utility)
    metered.add_meter("P1", "peak=400 off_peak=600 max_kw", days=60)
    change: dict[str, Any] = {"peak": "420", "off_peak": "640", "max_kw": "3"}
    late = at.utility.now - timedelta(minutes=1)
    assert metered.submit("P1", 1061, at=late, peak="420.4", off_peak="640.6", max_kw="0.5").bill
    at.do(OtherMultiplier(at.point("P1"), at.day(30), TypedRead("1060", change), "10"))
    (bill,) = at.bills("P1")
    assert bill.consumption_wh == 70_000
    by_name = {r.name: r for r in at.utility.services.bill_archive.document(bill.id).registers[2:]}
    assert by_name[""] == RegisterLine("", 70_000)
    # 20 and 0.4 × 10 kWh; 40 and 0.6 × 10; the higher of 3 kW and 0.5 × 10 kW.
    assert by_name["peak"] == RegisterLine("peak", 24_000)
    assert by_name["off_peak"] == RegisterLine("off_peak", 46_000)
    assert by_name["max_kw"] == RegisterLine("max_kw", 5_000)


def test_the_place_of_supply_is_printed_where_the_customer_has_another_address(
    at: Supplied,
) -> None:
    point = at.meter("M1")
    at.do(MoveOut(point, at.day(30), TypedRead("1010")))
    at.do(MoveIn(point, at.customer("A-2"), at.day(20), TypedRead("1010"), "FLAT"))
    at.read("M1", 1020, 0)
    own, others = at.bills("M1")
    archive = at.utility.services.bill_archive
    assert own.service_address == others.service_address != ""
    assert archive.document(own.id).service_address == ""
    assert archive.document(others.id).service_address == others.service_address
