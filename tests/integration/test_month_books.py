"""The month's books add up: from month to month, and with what customers owe."""

import csv
import io
from collections.abc import Iterator
from datetime import UTC, date, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from services.accounts.month_end import MonthEnd
from services.database.errors import IllegalChange
from services.identity.auth import NotAllowed
from services.records.bills import Bill
from services.records.entries import NewPayment, NewReturn
from services.records.month_end import AgedTotal, MonthBook
from services.reports import catalogue
from services.reports.definitions import Asked, Report
from tests.integration.utility import ADMIN, ENGINEER, Utility, make_utility

# Months that are over, whenever the tests run: what the clock of the database says matters.
OCT, NOV, DEC, JAN = date(2025, 10, 1), date(2025, 11, 1), date(2025, 12, 1), date(2026, 1, 1)
IN_2026 = datetime(2026, 2, 10, 6, tzinfo=UTC)


@pytest.fixture
def utility(database: str, tmp_path: Path) -> Iterator[Utility]:
    made = make_utility(database, tmp_path)
    yield made
    assert made.services.database.check_ledger().problems == ()
    made.services.close()


def bill(utility: Utility, serial: str, on: date, kwh: int = 1117) -> Bill:
    """A bill of ₹540.35 that is issued on a date, due 15 days later."""
    utility.now = datetime(on.year, on.month, on.day, 6, tzinfo=UTC)
    utility.add_meter(serial)
    made = utility.submit(serial, kwh).bill
    assert made is not None
    return made


def receive(utility: Utility, on: date, minor: int, **what: Any) -> str:
    row: dict[str, Any] = {"id": str(uuid4()), "amount_minor": minor, "currency": "INR"}
    row |= {"method": "cash", "received_at": utility.now, "received_on": on}
    utility.services.database.record_payments(
        actor=ADMIN.user, payments=[NewPayment.model_validate(row | what)]
    )
    return str(row["id"])


def book_of(books: MonthEnd, month: date) -> MonthBook:
    (found,) = [b for b in books.of_month(month).books if b.book == "account"]
    return found


def aged(books: MonthEnd, month: date) -> AgedTotal:
    (total,) = books.receivables(month).totals
    return total


def file_of(utility: Utility, report: Report) -> list[dict[str, str]]:
    pieces = utility.services.reports.csv(report, Asked(OCT, NOV), principal=ADMIN)
    return list(csv.DictReader(io.StringIO(b"".join(pieces).decode("utf-8-sig"))))


def settled(dsn: str, on: date) -> None:
    """Let what was written so far be written on a date, as the allocations' order needs it."""
    at = datetime(on.year, on.month, on.day, 6, tzinfo=UTC)
    with psycopg.connect(dsn) as connection:
        for table in map(sql.Identifier, ("ledger_entries", "allocations")):
            for change in (
                "alter table public.{} disable trigger refuse_update",
                "update public.{} set created_at = {} where created_at > '2026-03-01'",
                "alter table public.{} enable trigger refuse_update",
            ):
                connection.execute(sql.SQL(change).format(table, sql.Literal(at)))


def test_each_month_opens_with_what_the_one_before_closed_with(utility: Utility) -> None:
    first = bill(utility, "M1", date(2025, 10, 5))
    bill(utility, "M2", date(2025, 11, 5))
    paid = receive(utility, date(2025, 11, 20), 60_000, bill_id=first.id)
    back: dict[str, Any] = {"id": str(uuid4()), "payment_id": paid, "kind": "refund"}
    back |= {"amount_minor": 5_000, "method": "bank", "reason": "asked", "on_date": DEC}
    utility.services.database.record_return(actor=ADMIN.user, entry=NewReturn.model_validate(back))
    receive(utility, DEC, 20_000, customer_id=first.customer_id, book="deposit")
    books = utility.services.books
    months = [book_of(books, month) for month in (OCT, NOV, DEC, JAN)]
    assert months[0].opening_minor == 0
    for earlier, later in pairwise(months):
        assert later.opening_minor == earlier.closing_minor
    for one in months:
        within = sum(kind.amount_minor for kind in one.kinds)
        assert one.opening_minor + within == one.closing_minor
    assert [(k.kind, k.number, k.amount_minor) for k in months[1].kinds] == [
        ("bill", 1, 54_035),
        ("payment", 1, -60_000),
    ]
    methods = {m.method: (m.received_minor, m.returned_minor) for m in books.of_month(DEC).methods}
    assert methods == {"bank": (0, 5_000), "cash": (20_000, 0)}
    (account,) = utility.services.database.accounts(text="A-M1").items
    assert months[3].closing_minor == 54_035 + account.balance_minor


def test_receivables_are_aged_by_their_due_date_and_add_up_to_the_accounts(
    utility: Utility,
) -> None:
    # Due on 20 Oct, 15 Nov, 2 Dec and 31 Dec.
    for serial, on in (
        ("M1", date(2025, 10, 5)),
        ("M2", date(2025, 10, 31)),
        ("M3", date(2025, 11, 17)),
        ("M4", date(2025, 12, 16)),
    ):
        bill(utility, serial, on)
    part = bill(utility, "M5", date(2025, 9, 1))
    receive(utility, date(2025, 12, 30), 4_035, bill_id=part.id)
    receive(utility, date(2025, 12, 30), 900, customer_id=part.customer_id, apply="none")
    books = utility.services.books
    total = aged(books, DEC)
    assert (total.not_due_minor, total.late_30_minor, total.late_60_minor) == (54_035,) * 3
    assert (total.late_90_minor, total.later_minor) == (54_035, 50_000)
    assert (total.credit_minor, total.customers) == (-900, 5)
    assert total.balance_minor == book_of(books, DEC).closing_minor == 5 * 54_035 - 4_935
    rows = books.receivables(DEC).customers
    assert {row.account_no for row in rows[:4]} == {"A-M1", "A-M2", "A-M3", "A-M5"}
    assert [row.past_due_minor for row in rows] == [54_035] * 3 + [50_000, 0]
    assert sum(row.balance_minor for row in rows) == total.balance_minor
    accounts = utility.services.database.accounts().items
    assert {a.account_no: a.balance_minor for a in accounts} == {
        row.account_no: row.balance_minor for row in rows
    }
    first = books.receivables(OCT, page_size=2)
    second = books.receivables(OCT, page_size=2, after=first.after)
    assert [c.past_due_minor for c in first.customers] == [54_035, 54_035]
    assert [(c.account_no, second.after) for c in second.customers] == [("A-M2", None)]


def test_what_was_open_then_is_not_changed_by_what_was_paid_moved_or_voided_later(
    utility: Utility, database: str
) -> None:
    first = bill(utility, "M1", date(2025, 10, 5))
    paid = receive(utility, date(2025, 10, 30), 54_035, bill_id=first.id)
    second = bill(utility, "M2", date(2025, 10, 20))
    settled(database, date(2025, 10, 31))
    books = utility.services.books
    before = books.receivables(OCT)
    assert [(c.account_no, c.balance_minor) for c in before.customers] == [("A-M2", 54_035)]
    receive(utility, date(2025, 11, 3), 54_035, bill_id=second.id)
    entry = utility.services.database.payment(paid).entry_id
    assert entry is not None
    utility.services.database.allocate_credit(actor=ADMIN.user, entry_id=entry, bill_id=None)
    utility.services.database.void_bill(
        actor=ADMIN.user, bill_id=first.id, reason="wrong", on=date(2025, 11, 4)
    )
    assert books.receivables(OCT) == before
    assert aged(books, NOV).balance_minor == -54_035 == book_of(books, NOV).closing_minor


def test_a_payment_entered_late_counts_with_the_bill_it_paid(
    utility: Utility, database: str
) -> None:
    first = bill(utility, "M1", date(2025, 10, 5))
    settled(database, date(2025, 10, 6))
    # Written today, and dated in the month that is still open.
    receive(utility, date(2025, 10, 30), 54_035, bill_id=first.id)
    assert utility.services.books.receivables(OCT).totals == ()


def test_a_closed_month_keeps_its_figures_and_later_entries_go_to_the_next(
    utility: Utility,
) -> None:
    first = bill(utility, "M1", date(2025, 10, 5))
    books = utility.services.books
    with pytest.raises(NotAllowed):
        books.close(month=OCT, principal=ENGINEER, now=IN_2026)
    with pytest.raises(IllegalChange, match="over"):
        books.close(month=date(2026, 2, 1), principal=ADMIN, now=IN_2026)
    assert not books.of_month(OCT).is_closed(OCT)
    books.close(month=OCT, principal=ADMIN, now=IN_2026)
    books.close(month=OCT, principal=ADMIN, now=IN_2026)
    (closing,) = utility.services.database.month_closings()
    assert (closing.month, closing.closed_by) == (OCT, ADMIN.user)
    before = books.of_month(OCT)
    assert before.is_closed(OCT)
    assert not before.is_closed(NOV)
    receive(utility, date(2025, 10, 31), 54_035, bill_id=first.id)
    assert books.of_month(OCT) == before
    assert aged(books, OCT).balance_minor == 54_035
    assert book_of(books, NOV).closing_minor == 0
    assert books.receivables(NOV).totals == ()


def test_a_ledger_that_does_not_add_up_cannot_be_closed(utility: Utility, database: str) -> None:
    made = bill(utility, "M1", date(2025, 10, 5))
    change = "update public.open_items set open_minor = open_minor - %s"
    with psycopg.connect(database) as connection:
        connection.execute(change.encode(), [1])
    with pytest.raises(IllegalChange, match="does not add up"):
        utility.services.books.close(month=OCT, principal=ADMIN, now=IN_2026)
    with psycopg.connect(database) as connection:
        connection.execute(change.encode(), [-1])
    assert made.number == 1


def test_the_month_is_taken_away_as_csv_that_no_spreadsheet_runs(utility: Utility) -> None:
    first = bill(utility, "M1", date(2025, 10, 5))
    receive(utility, date(2025, 10, 30), 60_000, bill_id=first.id, reference="=1+1")
    rows = file_of(utility, catalogue.LEDGER)
    assert [(r["kind"], r["debit"], r["credit"], r["balance"]) for r in rows] == [
        ("bill", "540.35", "", "540.35"),
        ("payment", "", "600.00", "-59.65"),
    ]
    assert (rows[0]["bill"], rows[1]["reference"]) == ("INV-000001", "'=1+1")
    (row,) = file_of(utility, catalogue.RECEIVABLES)
    assert row["account_no"] == "A-M1"
    assert row["unapplied_credit"] == row["balance"] == "-59.65"
