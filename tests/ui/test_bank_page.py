"""A bank statement walked in a browser: imported, what was matched, and whose the rest is."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import expect

from services.quantities.period import local_date
from services.settings import Settings
from tests.ui.app_process import AppProcess, settled
from tests.ui.test_import_page import choose_file, open_import
from tests.ui.walking import SIZES, Walk

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def app(app_server: Callable[..., AppProcess]) -> AppProcess:
    """The demo with its meters."""
    return app_server()


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
