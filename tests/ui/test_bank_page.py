"""Money that comes in, walked in a browser: a bank statement, and cash at the counter."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from playwright.sync_api import expect
from psycopg.rows import dict_row

from services.quantities.period import local_date
from services.settings import Settings
from tests.servers import NewDatabase
from tests.ui.app_process import AppProcess, settled
from tests.ui.test_import_page import choose_file, open_import
from tests.ui.walking import SIZES, Walk

pytestmark = [pytest.mark.browser, pytest.mark.slow]


# Of customers with one open bill and nothing else; the statement's payers are left alone.
_DEBTORS = """
select b.id, b.number, b.total_minor, b.customer_id, c.account_no
from public.bills b join public.customers c on c.id = b.customer_id
where b.status in ('issued', 'overdue') and b.amount_paid_minor = 0 and b.number is not null
    and b.total_minor > 10000 and c.account_no not in ('D-1000', 'D-1001')
    and not exists (
        select from public.bills o where o.customer_id = b.customer_id and o.id <> b.id
            and o.status in ('issued', 'overdue') and o.amount_paid_minor < o.total_minor
    )
order by b.number
"""


@pytest.fixture(scope="module")
def dsn(fresh_database: NewDatabase) -> str:
    return fresh_database()


@pytest.fixture(scope="module")
def app(app_server: Callable[..., AppProcess], dsn: str) -> AppProcess:
    """The demo with its meters, in a database that the walks can look into."""
    return app_server({"DATABASE_URL": dsn, "DEMO": "on"})


def statement(n: int) -> bytes:
    """Of yesterday: a meter's payment, two that name nobody, and charges."""
    day = local_date(datetime.now(UTC), Settings().timezone) - timedelta(days=1)
    return (
        "Date,Narration,Credit,Debit,Txn ID\n"
        f"{day},meter DEMO-1000 electricity,500.00,,A{n}\n"
        f"{day},thank you {n},75.50,,B{n}\n"
        f"{day},own transfer {n},60,,C{n}\n"
        f"{day},charges {n},,5.00,D{n}\n"
    ).encode()


@SIZES
def test_a_statement_is_imported_and_its_open_lines_are_decided(
    walk: Walk, size: tuple[int, int], tmp_path: Path
) -> None:
    n = size[0]
    open_import(walk)
    walk.choose("What is in the file", "Bank statement")
    walk.main.get_by_text("A statement as CSV, MT940 or camt.053").wait_for()
    settled(walk.page)
    choose_file(walk, statement(n), "statement.csv")
    walk.click(walk.main.get_by_role("button", name="Import: add 4, change 0"))
    expect(walk.main.get_by_role("heading", name="Bank lines")).to_be_visible()
    expect(walk.main.get_by_text("4 added, 0 changed, 0 unchanged.")).to_be_visible()
    waiting = walk.main.get_by_test_id("stVerticalBlock").filter(has_text=f"thank you {n}").last
    expect(waiting).to_contain_text("names no bill, account or meter")
    walk.page.screenshot(path=tmp_path / f"bank-open-{n}.png", full_page=True)
    walk.click(waiting.get_by_role("button", name="Choose the customer"))
    walk.page.get_by_label("Who paid?").fill("D-1001")
    walk.click(walk.page.get_by_role("button", name="Find"))
    walk.page.screenshot(path=tmp_path / f"bank-found-{n}.png")
    walk.click(walk.page.get_by_role("button", name="Count ₹75.50 for account").first)
    expect(walk.main.get_by_text("₹75.50 is counted for")).to_be_visible()
    other = walk.main.get_by_test_id("stVerticalBlock").filter(has_text=f"own transfer {n}").last
    walk.click(other.get_by_role("button", name="Set aside"))
    walk.page.get_by_label("Why is it nobody's payment?").fill("Between our accounts")
    walk.page.get_by_test_id("stPopoverBody").get_by_role("button", name="Set aside").click()
    settled(walk.page)
    expect(walk.main.get_by_text("Nothing waits")).to_be_visible()
    walk.click(walk.main.get_by_role("radio", name="Matched"))
    expect(walk.main.get_by_text("its text names meter DEMO-1000").first).to_be_visible()
    walk.page.screenshot(path=tmp_path / f"bank-matched-{n}.png", full_page=True)
    assert walk.fits()


def rows(dsn: str, query: str, *values: object) -> list[dict[str, Any]]:
    with psycopg.connect(dsn, row_factory=dict_row) as connection:
        return connection.execute(query, values).fetchall()


def take_cash(walk: Walk, bill: dict[str, Any], minor: int) -> None:
    """From the home page, with the number that stands on the customer's bill."""
    walk.open("overview")
    walk.begin()
    walk.by_menu("Payments")
    walk.click("Record a payment")
    walk.fill_in_form("Who pays?", f"INV-{bill['number']:06d}")
    walk.click("Find")
    walk.says("Left to pay")
    if minor != bill["total_minor"]:
        walk.fill_in_form("Amount (INR)", f"{minor / 100:.2f}")
    walk.click("Record the payment")
    walk.says("is recorded.")


def paid(dsn: str, bill: dict[str, Any]) -> int:
    (now,) = rows(dsn, "select amount_paid_minor from public.bills where id = %s", bill["id"])
    return int(now["amount_paid_minor"])


@SIZES
def test_cash_is_taken_in_full_in_part_and_too_much(walk: Walk, dsn: str) -> None:
    full, part, more = rows(dsn, _DEBTORS)[:3]
    for bill, minor, what in (
        (full, full["total_minor"], "in full"),
        (part, 5_000, "in part"),
        (more, more["total_minor"] + 2_550, "too much"),
    ):
        take_cash(walk, bill, minor)
        walk.says(f"INV-{bill['number']:06d}")
        if what == "too much":
            walk.says("Left on the account")
            walk.says("₹25.50")
        walk.done(f"task 27 · take cash {what}")
        assert paid(dsn, bill) == min(minor, bill["total_minor"])
        (payment,) = rows(
            dsn,
            "select amount_minor, method, recorded_by from public.payments"
            " where customer_id = %s and recorded_by = 'demo.admin'",
            bill["customer_id"],
        )
        assert (payment["amount_minor"], payment["method"]) == (minor, "cash")
