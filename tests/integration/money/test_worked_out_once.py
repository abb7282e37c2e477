"""What is added up and worked out in the background: what is said while it is not through."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from services.database.errors import StillWorkingOut
from services.records.bills import Bill
from services.records.entries import NewPayment
from services.reports import catalogue
from services.reports.definitions import Asked
from tests.integration.money.aged import assert_receivables
from tests.integration.money.ties import minor, rows_of
from tests.integration.utility import ADMIN, Utility, make_utility

OCT, NOV = date(2025, 10, 1), date(2025, 11, 1)
OCTOBER = Asked(OCT, NOV)
OF_SUMS = (
    *(catalogue.REVENUE, catalogue.COLLECTIONS, catalogue.TAX),
    *(catalogue.JOURNAL_BY_DAY, catalogue.YEAR),
)


@pytest.fixture
def utility(database: str, tmp_path: Path) -> Iterator[Utility]:
    made = make_utility(database, tmp_path, now=datetime(2025, 10, 5, 6, tzinfo=UTC))
    yield made
    assert made.services.database.check_ledger().problems == ()
    made.services.close()


def bill(utility: Utility, serial: str) -> Bill:
    """A bill of ₹540.35."""
    utility.add_meter(serial)
    made = utility.submit(serial, 1117).bill
    assert made is not None
    return made


def pay(utility: Utility, of: Bill, amount: int, on: date) -> None:
    row: dict[str, Any] = {"id": str(uuid4()), "bill_id": of.id, "amount_minor": amount}
    row |= {"currency": "INR", "method": "cash", "received_at": utility.now, "received_on": on}
    utility.services.database.record_payments(
        actor=ADMIN.user, payments=[NewPayment.model_validate(row)]
    )


def test_a_report_that_is_behind_says_so_and_is_right_once_it_is_not(
    utility: Utility, database: str
) -> None:
    bill(utility, "M1")
    now = [rows_of(utility.services, report, OCTOBER) for report in OF_SUMS]
    assert minor(now[0][0]["total"]) == 54_035
    with psycopg.connect(database) as connection:
        # Thousands of postings were made, and another process adds them up.
        connection.execute("select setval('posting_no', 9000)")
        connection.commit()
        connection.execute("select 1 from summed_postings for update")
        for report in OF_SUMS:
            with pytest.raises(StillWorkingOut, match="still being added up, 0%"):
                utility.services.reports.page(
                    report, OCTOBER, after=None, limit=50, principal=ADMIN
                )
    # Whoever asks next does what is left.
    assert [rows_of(utility.services, report, OCTOBER) for report in OF_SUMS] == now
    utility.services.reports.add_up(stop=lambda: False)
    with psycopg.connect(database) as connection:
        assert connection.execute("select upto, safe from summed_postings").fetchone() == (
            9000,
            9000,
        )
    bill(utility, "M2")
    (later,) = rows_of(utility.services, catalogue.REVENUE, OCTOBER)
    assert (later["issued"], minor(later["total"])) == (2, 108_070)


def test_receivables_say_how_far_they_are_and_are_right_after_late_entries(
    utility: Utility, database: str
) -> None:
    bills = [bill(utility, f"M{n}") for n in range(4)]
    books = utility.services.books
    until = datetime(2025, 10, 31, 18, 30, tzinfo=UTC)
    assert utility.services.database.age_month(OCT, until=until, limit=2)
    with psycopg.connect(database) as connection:
        connection.execute("select 1 from aged_months for update")
        assert books.receivables(OCT).permille == 0
        with pytest.raises(StillWorkingOut, match=r"October 2025 are being worked out, 0%"):
            list(utility.services.reports.csv(catalogue.RECEIVABLES, OCTOBER, principal=ADMIN))
    assert utility.services.database.age_month(OCT, until=until, limit=2)
    with psycopg.connect(database) as connection:
        connection.execute("select 1 from aged_months for update")
        # Two of four, as far as the database knows how many there are.
        assert books.receivables(OCT).permille in (500, 666)
    assert assert_receivables(books, database, OCT) == 4
    # Entered late, of before and of after its end.
    pay(utility, bills[0], 4_035, date(2025, 10, 20))
    pay(utility, bills[1], 54_035, date(2025, 10, 31))
    pay(utility, bills[2], 54_035, NOV)
    assert assert_receivables(books, database, OCT, page_size=1) == 3
    assert [one.month for one in utility.services.database.months_to_age()] == [OCT]
    books.work_out(now=utility.now + timedelta(days=40), stop=lambda: False)
    assert utility.services.database.months_to_age() == []
    assert assert_receivables(books, database, OCT, page_size=1) == 3
    (total,) = books.receivables(OCT).totals
    assert (total.customers, total.balance_minor) == (3, 3 * 54_035 - 4_035)
