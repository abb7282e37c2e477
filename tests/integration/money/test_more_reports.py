"""Aged debt, reads, vacant use and the regulator's year, by hand."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from services.quantities.money import Money
from services.records.entries import NewPayment
from services.reports import catalogue
from services.reports.definitions import Asked
from tests.integration.money.ties import ALL_DAYS, rows_of
from tests.integration.utility import Utility, make_utility


@pytest.fixture
def utility(database: str, tmp_path: Path) -> Iterator[Utility]:
    made = make_utility(database, tmp_path)
    yield made
    made.services.close()


def bill(utility: Utility, serial: str, on: date) -> Any:
    """A bill of ₹540.35, due 15 days later."""
    utility.now = datetime(on.year, on.month, on.day, 6, tzinfo=UTC)
    utility.add_meter(serial)
    made = utility.submit(serial, 1117).bill
    assert made is not None
    return made


def debt(utility: Utility, on: date) -> list[tuple[Any, ...]]:
    asked = Asked(ALL_DAYS.start, on)
    return sorted(
        (r["account_no"], r["balance"].text, r["past_due_since"], r["days_past_due"])
        for r in rows_of(utility.services, catalogue.AGED_DEBT, asked)
    )


def test_who_owes_how_much_and_since_when(utility: Utility) -> None:
    first = bill(utility, "M1", date(2025, 10, 5))
    bill(utility, "M2", date(2025, 11, 5))
    row: dict[str, Any] = {"id": str(uuid4()), "bill_id": first.id, "amount_minor": 4_035}
    row |= {"currency": "INR", "method": "cash", "received_at": utility.now}
    row |= {"received_on": date(2025, 11, 6)}
    utility.services.database.record_payments(
        actor="anita", payments=[NewPayment.model_validate(row)]
    )
    due, second = date(2025, 10, 20), date(2025, 11, 20)
    # What is dated later has not happened by then; a day that is over ends before it.
    assert debt(utility, date(2025, 10, 21)) == [("A-M1", "540.35", None, None)]
    assert debt(utility, date(2025, 10, 22)) == [("A-M1", "540.35", due, 1)]
    assert debt(utility, date(2025, 12, 1)) == [
        ("A-M1", "500.00", due, 41),
        ("A-M2", "540.35", second, 10),
    ]
    (one, two) = rows_of(
        utility.services, catalogue.AGED_DEBT, Asked(ALL_DAYS.start, date(2025, 12, 1))
    )
    parts = {"days_1_30", "days_31_60", "days_61_90", "days_over_90", "not_due"}
    late = {r["account_no"]: {p for p in parts if r[p].minor} for r in (one, two)}
    assert late == {"A-M1": {"days_31_60"}, "A-M2": {"days_1_30"}}


def test_a_year_for_the_regulator(utility: Utility) -> None:
    bill(utility, "M1", date(2025, 10, 5))
    bill(utility, "M2", date(2025, 11, 5))
    year = rows_of(utility.services, catalogue.YEAR, Asked(date(2025, 1, 1), date(2026, 1, 1)))
    figures = {(r["figure"], r["tariff"]): r["value"] for r in year}
    assert figures["Customers supplied at the end", "KSEB-LT1A"] == 2
    assert figures["Energy billed", "all"] == Decimal(234)
    assert figures["Revenue without tax", "KSEB-LT1A"] == Money(99_360, "INR")
    assert figures["Tax billed", "all"] == Money(8_710, "INR")
    assert figures["Billed in all", "all"] == figures["Receivables at the end", ""]
    assert figures["Reads estimated", ""] == 0


def test_reads_that_were_estimated_or_missed(utility: Utility) -> None:
    bill(utility, "M1", date(2025, 10, 5))
    utility.now = datetime(2025, 10, 25, 6, tzinfo=UTC)
    utility.submit("M1", 1150, at=datetime(2025, 10, 20, 6, tzinfo=UTC), source="estimated")
    found = rows_of(utility.services, catalogue.READS, Asked(date(2025, 10, 1), date(2025, 11, 1)))
    assert [(r["date"], r["type"], r["meter_serial"], r["register_kwh"]) for r in found] == [
        (date(2025, 10, 20), "estimated", "M1", Decimal(1150)),
    ]
    assert rows_of(utility.services, catalogue.UNBILLED) == []
    assert rows_of(utility.services, catalogue.LOSSES) == []
