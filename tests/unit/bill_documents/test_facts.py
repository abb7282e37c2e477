"""What a bill prints, put together from its records."""

from datetime import UTC, date, datetime
from typing import Any

import pytest

from services.bill_documents import AccountEntry, BillDocument, RegisterRead, Utility, render
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
        "bill_number": None, "bill_total_minor": None, "bill_currency": None,
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
