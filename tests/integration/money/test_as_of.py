"""A report as of a past day gives what it gave then, whatever was corrected and reversed since."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from services.records.entries import DepositUse, NewAdjustment, NewPayment, NewReturn
from services.reports import catalogue
from services.reports.definitions import Asked
from tests.integration.money.ties import ALL_DAYS, assert_ties, rows_of
from tests.integration.utility import ADMIN, Utility, make_utility

OCT, NOV, DEC = date(2025, 10, 1), date(2025, 11, 1), date(2025, 12, 1)
AS_OF = [report for report in catalogue.REPORTS if report.asks == "as_of"]
# What was entered in October, in the clock of the database.
ENTERED = datetime(2025, 10, 12, 6, tzinfo=UTC)


class Books:
    """October: two bills of ₹540.35, ₹100.00 of the first paid, ₹200.00 held as a deposit."""

    def __init__(self, utility: Utility, dsn: str) -> None:
        self.utility, self.database = utility, utility.services.database
        self.first, self.second = self.bill("M1", 5), self.bill("M2", 6)
        self.customer = str(self.first.customer_id)
        self.paid = self.pay(10_000, date(2025, 10, 10), bill_id=self.first.id)
        self.held = self.pay(20_000, date(2025, 10, 9), customer_id=self.customer, book="deposit")
        # The test makes in a moment what was entered in October.
        with psycopg.connect(dsn) as connection:
            for table in ("ledger_entries", "allocations"):
                named = sql.Identifier("public", table)
                connection.execute(sql.SQL("alter table {} disable trigger user").format(named))
                connection.execute(
                    sql.SQL("update {} set created_at = %s").format(named), [ENTERED]
                )
                connection.execute(sql.SQL("alter table {} enable trigger user").format(named))

    def bill(self, serial: str, day: int) -> Any:
        self.utility.now = datetime(2025, 10, day, 6, tzinfo=UTC)
        self.utility.add_meter(serial)
        made = self.utility.submit(serial, 1117).bill
        assert made is not None
        return made

    def pay(self, minor: int, on: date, **what: Any) -> str:
        row: dict[str, Any] = {"id": str(uuid4()), "amount_minor": minor, "currency": "INR"}
        row |= {"method": "cash", "received_at": self.utility.now, "received_on": on}
        payment = NewPayment.model_validate(row | what)
        assert self.database.record_payments(actor="anita", payments=[payment]) == 1
        return str(row["id"])

    def give_back(self, payment: str, on: date, **what: Any) -> None:
        row: dict[str, Any] = {"id": str(uuid4()), "payment_id": payment, "kind": "reversal"}
        row |= {"method": "cash", "reason": "bounced", "on_date": on, "amount_minor": None}
        entry = NewReturn.model_validate(row | what)
        self.database.record_return(actor="ravi", entry=entry)

    def adjust(self, kind: str, minor: int, on: date) -> str:
        row: dict[str, Any] = {"id": str(uuid4()), "customer_id": self.customer, "kind": kind}
        row |= {"amount_minor": minor, "currency": "INR", "note": "agreed", "on_date": on}
        entry = NewAdjustment.model_validate(row)
        self.database.add_adjustment(actor=ADMIN.user, entry=entry)
        return str(row["id"])

    def as_of(self, until: date = NOV) -> dict[str, list[dict[str, Any]]]:
        """Each report as of the day before."""
        return {
            report.id: rows_of(self.utility.services, report, Asked(ALL_DAYS.start, until))
            for report in AS_OF
        }

    def happen_in_november(self) -> None:
        """All that takes back, corrects and pays; none of it is of October."""
        days = (NOV + timedelta(days=n) for n in range(2, 20))
        entry = self.database.payment(self.paid).entry_id
        assert entry is not None
        self.database.allocate_credit(actor=ADMIN.user, entry_id=entry, bill_id=None)
        self.database.settle_account(actor=ADMIN.user, customer_id=self.customer)
        self.database.void_bill(
            actor=ADMIN.user, bill_id=self.second.id, reason="misread", on=next(days)
        )
        self.give_back(self.paid, next(days))
        written_off = self.adjust("credit", 30_000, next(days))
        self.adjust("fee", 2_500, next(days))
        self.database.undo_adjustment(
            actor=ADMIN.user, entry_id=written_off, reason="mistake", on_date=next(days)
        )
        used: dict[str, Any] = {"id": str(uuid4()), "customer_id": self.customer, "currency": "INR"}
        used |= {"amount_minor": 5_000, "note": "moved", "on_date": next(days)}
        self.database.use_deposit(actor=ADMIN.user, entry=DepositUse.model_validate(used))
        self.give_back(self.held, next(days), kind="refund", amount_minor=1_000, reason="asked")
        self.pay(54_035, next(days), bill_id=self.first.id)


@pytest.fixture
def books(database: str, tmp_path: Path) -> Iterator[Books]:
    made = make_utility(database, tmp_path)
    yield Books(made, database)
    assert made.services.database.check_ledger().problems == ()
    made.services.close()


def test_these_are_the_reports_as_of_a_day() -> None:
    assert [report.id for report in AS_OF] == ["aged-debt", "deposits"]


def test_the_first_figures_by_hand(books: Books) -> None:
    found = books.as_of()
    debt = sorted(
        (r["account_no"], r["balance"].text, r["days_1_30"].text, r["unapplied_credit"].text)
        for r in found["aged-debt"]
    )
    assert debt == [("A-M1", "440.35", "440.35", "0.00"), ("A-M2", "540.35", "540.35", "0.00")]
    (held,) = found["deposits"]
    assert (held["account_no"], held["held"].text) == ("A-M1", "200.00")
    assert held["first_taken_on"] == date(2025, 10, 9)


def test_what_came_later_changes_nothing_as_of_a_day_before(books: Books) -> None:
    before = books.as_of()
    books.happen_in_november()
    assert books.as_of() == before
    assert_ties(books.utility.services, NOV)
    # As of the end of November all of it has happened: the fee is open, and ₹140.00 is held.
    after = books.as_of(DEC)
    (debt,) = after["aged-debt"]
    # 540.35 less 50.00 of the deposit and 540.35, and the fee of 25.00.
    assert (debt["account_no"], debt["balance"].text) == ("A-M1", "-25.00")
    assert [row["held"].text for row in after["deposits"]] == ["140.00"]
    assert_ties(books.utility.services, DEC)


def test_a_payment_of_october_that_is_entered_later_counts_on_its_own_day(books: Books) -> None:
    books.happen_in_november()
    books.pay(4_035, date(2025, 10, 20), bill_id=books.first.id)
    # The reports go by the dates of entries, as their page says.
    (first, _) = sorted(books.as_of()["aged-debt"], key=lambda row: str(row["account_no"]))
    assert first["balance"].text == "400.00"
    assert_ties(books.utility.services, NOV)


def test_once_a_month_is_closed_nothing_entered_late_is_of_it(books: Books) -> None:
    before = books.as_of()
    books.database.close_month(actor=ADMIN.user, month=OCT, today=NOV)
    books.happen_in_november()
    books.pay(4_035, date(2025, 10, 20), bill_id=books.first.id)
    books.pay(700, date(2025, 10, 21), customer_id=books.customer, book="deposit")
    books.adjust("credit", 100, date(2025, 10, 22))
    assert books.as_of() == before
    assert_ties(books.utility.services, NOV)


@pytest.mark.parametrize("report", catalogue.REPORTS, ids=[r.id for r in catalogue.REPORTS])
def test_every_report_of_a_month_that_is_closed_stays_as_it_was(books: Books, report: Any) -> None:
    services, asked = books.utility.services, Asked(OCT, NOV)
    books.database.close_month(actor=ADMIN.user, month=OCT, today=NOV)
    before = rows_of(services, report, asked)
    books.happen_in_november()
    books.pay(4_035, date(2025, 10, 20), bill_id=books.first.id)
    assert rows_of(services, report, asked) == before
