"""What a bill prints, put together from its records."""

from datetime import UTC, date, datetime
from typing import Any

import pytest

from services.bill_documents import (
    AccountEntry,
    BillDocument,
    RegisterLine,
    RegisterRead,
    Utility,
    render,
)
from services.bill_documents.facts import NotIssued, document_of
from services.records.bills import Bill
from services.records.readings import Reading

UTILITY = Utility("Demo Electricity Co-operative")
OCT, NOV = date(2026, 10, 12), date(2026, 11, 12)
AT = datetime(2026, 11, 12, 9, tzinfo=UTC)


def reading(on: date, **changes: Any) -> Reading:
    row: dict[str, Any] = {
        "id": f"r-{on}", "read_at": AT, "read_on": on, "register_wh": 1, "meter_id": "m",
        "meter_serial": "S1", "customer_id": "c", "account_no": "A1", "customer_name": "House 1",
        "address": "", "source": "field", "status": "accepted", "is_opening": False,
        "submitted_by": "x", "validation": {}, "supersedes_id": None, "decided_by": None,
        "decided_at": None, "decision_reason": None, "created_at": AT, "bill_id": None,
        "bill_number": None, "bill_total_minor": None, "bill_currency": None, "quality": 17,
    }  # fmt: skip
    return Reading.model_validate(row | changes)


def bill(**changes: Any) -> Bill:
    row: dict[str, Any] = {
        "id": "b", "number": 117, "meter_id": "m", "meter_serial": "S1", "customer_id": "c",
        "account_no": "A1", "customer_name": "House 1", "address": "1 Long Road",
        "tariff_code": "t", "tariff_name": "Homes", "opening_reading_id": "r1",
        "closing_reading_id": "r2", "period_start": OCT, "period_end": NOV,
        "opening_wh": 930_000, "closing_wh": 1_117_000, "consumption_wh": 187_000,
        "multiplier_milli": 1000, "currency": "INR", "lines": [], "subtotal_minor": 50_000,
        "tax_minor": 4_000, "total_minor": 54_000, "amount_paid_minor": 30_000,
        "balance_minor": 24_000, "status": "partially_paid", "issued_at": AT, "issued_on": NOV,
        "due_date": date(2026, 11, 27), "overdue_since": None, "void_reason": None,
        "payment_url": "https://pay.example.org/1", "created_at": AT,
    }  # fmt: skip
    row |= {"agreement_id": "a", "service_point_id": "p", "service_point_code": "P"}
    row |= {"service_address": ""}
    return Bill.model_validate(row | changes)


def document(of: Bill, **given: Any) -> BillDocument:
    whole: dict[str, Any] = {"bill": of, "opening": reading(OCT), "language": "hi"}
    whole |= {"closing": reading(NOV, source="estimated"), "utility": UTILITY}
    return document_of(**whole | given)


def test_the_reads_have_their_values_dates_and_kinds() -> None:
    (total,) = document(bill()).registers
    assert total.opening == RegisterRead(930_000, OCT, "actual")
    assert total.closing == RegisterRead(1_117_000, NOV, "estimated")
    assert document(bill()).is_estimated


def test_what_was_paid_after_the_issue_changes_nothing() -> None:
    unpaid = bill(amount_paid_minor=0, balance_minor=54_000, status="issued")
    paid = bill(amount_paid_minor=54_000, balance_minor=0, status="paid")
    assert document(paid) == document(unpaid)
    assert render(document(paid)) == render(document(unpaid))


def test_void_is_not_printed_as_the_bill_is_as_it_was_issued() -> None:
    assert document(bill(status="void", void_reason="wrong")) == document(bill())


def test_arrears_and_what_was_booked_since_come_to_what_is_due() -> None:
    entries = [AccountEntry("payment", -9_000, date(2026, 10, 20), "cash")]
    made = document(bill(), brought_forward_minor=10_000, entries=entries)
    assert made.amount_due_minor == 10_000 - 9_000 + 54_000


def test_further_registers_follow_the_total() -> None:
    usage = {
        "wh": 187_000,
        "registers": {
            "peak": {"opening": 100, "closing": 87_100, "used": 87_000},
            "max_kw": {"maximum": 4_200},
        },
    }
    total, peak, maximum = document(bill(usage=usage)).registers
    assert total.name == ""
    assert (peak.name, peak.used) == ("peak", 87_000)
    assert peak.closing == RegisterRead(87_100, NOV, "estimated")
    assert (maximum.name, maximum.used, maximum.opening) == ("max_kw", 4_200, None)


def test_the_chart_has_thirteen_months_and_leaves_out_what_is_not_known() -> None:
    before = {date(2026, 10, 1): 200_000, date(2025, 11, 1): 150_000, date(2025, 10, 1): 1}
    months = document(bill(), used_before=before).months
    assert [months[0].month, months[-1].month] == [date(2025, 11, 1), date(2026, 11, 1)]
    assert [months[0].wh, months[1].wh, months[-2].wh, months[-1].wh] == [
        150_000, None, 200_000, 187_000,
    ]  # fmt: skip
    assert len(months) == 13


def test_a_period_that_ends_with_a_month_belongs_to_it() -> None:
    months = document(bill(period_end=date(2026, 11, 1))).months
    assert months[-1].month == date(2026, 10, 1)


def test_two_bills_that_end_in_one_month_are_one_bar() -> None:
    months = document(bill(), used_before={date(2026, 11, 1): 3_000}).months
    assert months[-1].wh == 190_000


def test_a_reissued_bill_names_the_one_it_replaces() -> None:
    assert document(bill(), replaces=112).replaces == "INV-000112"


@pytest.mark.parametrize("lacking", [{"number": None}, {"issued_on": None}, {"due_date": None}])
def test_a_draft_is_not_printed(lacking: dict[str, None]) -> None:
    with pytest.raises(NotIssued, match="issue the bill first"):
        document(bill(**lacking))


SPLIT = date(2026, 10, 30)


def segment(
    meter: str, days: tuple[date, date], kwh: tuple[int, int], **how: Any
) -> dict[str, Any]:
    """What a meter counted between two days, as the database gives it."""
    row: dict[str, Any] = {"meter_id": meter, "meter_serial": meter, "multiplier_milli": 1000}
    row |= {"opening_reading_id": f"{meter}-1", "closing_reading_id": f"{meter}-2"}
    row |= {"opening_wh": kwh[0] * 1000, "closing_wh": kwh[1] * 1000}
    row |= {"opened_on": days[0], "closed_on": days[1], "consumption_wh": (kwh[1] - kwh[0]) * 1000}
    return row | {"opening_source": "field", "closing_source": "field"} | how


def exchanged(**changes: Any) -> Bill:
    """40 kWh of S1, then 10 × 2 of N1."""
    first = segment("S1", (OCT, SPLIT), (99_000, 99_040), closing_source="estimated")
    second = segment("N1", (SPLIT, NOV), (5, 15), multiplier_milli=2000, consumption_wh=20_000)
    row: dict[str, Any] = {"meter_id": "N1", "meter_serial": "N1", "multiplier_milli": 2000}
    row |= {"opening_wh": 5_000, "closing_wh": 15_000, "consumption_wh": 60_000}
    return bill(**row | {"segments": [first, second]} | changes)


def test_each_of_several_meters_has_a_line_and_the_last_is_what_they_come_to() -> None:
    made = document(exchanged(), closing=reading(NOV))
    old, new, total = made.registers
    assert (old.meter_serial, old.multiplier_milli, old.used) == ("S1", 1000, 40_000)
    assert old.opening == RegisterRead(99_000_000, OCT, "actual")
    assert old.closing == RegisterRead(99_040_000, SPLIT, "estimated")
    assert (new.meter_serial, new.multiplier_milli, new.used) == ("N1", 2000, 20_000)
    assert new.opening == RegisterRead(5_000, SPLIT, "actual")
    assert new.closing == RegisterRead(15_000, NOV, "actual")
    assert total == RegisterLine("", 60_000)
    assert made.meter_serial == "S1, N1"
    assert made.is_estimated, "the read between was"


@pytest.mark.parametrize(
    ("source", "quality", "kind"),
    [
        ("field", 0, "actual"),
        ("field", 17, "actual"),
        ("smart", 18, "actual"),
        ("customer", 17, "customer"),
        ("customer", 7, "edited"),
        ("field", 7, "edited"),
        ("imported", 10, "unsure"),
        ("imported", 16, "unsure"),
        ("estimated", 8, "estimated"),
        ("estimated", 11, "estimated"),
    ],
)
def test_a_read_says_once_how_sure_it_is(source: str, quality: int, kind: str) -> None:
    billed = bill(closing_source=source, closing_quality=quality)
    made = document(billed, closing=reading(NOV, source=source))
    assert made.registers[0].closing is not None
    assert made.registers[0].closing.kind == kind


def test_further_registers_of_several_meters_are_sums_without_reads() -> None:
    registers = {
        "peak": {"opening": 3_000, "closing": 8_000, "used": 31_000},
        "max_kw": {"maximum": 4_200},
    }
    made = document(exchanged(usage={"wh": 60_000, "registers": registers}))
    assert made.registers[3:] == (RegisterLine("peak", 31_000), RegisterLine("max_kw", 4_200))


def test_a_bill_that_opens_at_the_removal_of_another_meter_has_the_read_of_its_own() -> None:
    alone = segment("N1", (OCT, NOV), (7, 17), opening_source="customer")
    row = {"meter_serial": "N1", "opening_wh": 7_000, "closing_wh": 17_000}
    made = document(bill(**row, consumption_wh=10_000, segments=[alone]), closing=reading(NOV))
    (total,) = made.registers
    assert total.opening == RegisterRead(7_000, OCT, "customer")
    assert (total.meter_serial, made.meter_serial) == ("", "N1")


@pytest.mark.parametrize(
    ("address", "printed"),
    [("", ""), ("1 Long  Road\n", ""), ("3 Canal Road", "3 Canal Road")],
)
def test_the_place_of_supply_is_printed_where_it_is_another_address(
    address: str, printed: str
) -> None:
    assert document(bill(service_address=address)).service_address == printed
