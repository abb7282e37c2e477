"""The page of a customer and the timelines, on a desk and on a phone."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.ui.app_process import AppProcess, choose, settled
from tests.ui.conftest import SignIn
from tests.ui.walking import DESK, SIZES

pytestmark = [pytest.mark.browser, pytest.mark.slow]
VIEWS = (
    *("Bills", "Payments", "Statement", "Plans", "Messages", "Timeline"),
    *("Own page", "Details"),
)


@pytest.fixture(scope="module")
def app(app_server: Callable[..., AppProcess]) -> AppProcess:
    """The demo."""
    return app_server()


@pytest.fixture
def open_customer(
    app: AppProcess, page_at: Callable[..., Page], sign_in_as: SignIn
) -> Callable[[tuple[int, int]], Page]:
    """A maker of browsers in which an administrator looks at a customer of the demo."""

    def open_in(size: tuple[int, int]) -> Page:
        page = page_at(*size)
        sign_in_as(page, app, "Administrator")
        page.goto(f"{app.url}/customers")
        page.locator(".list a").first.click()
        page.wait_for_url("**/customer?id=*")
        settled(page)
        return page

    return open_in


def show(page: Page, view: str) -> None:
    page.get_by_role("radio", name=view, exact=True).click()
    settled(page)


def nothing_is_cut_off(page: Page) -> None:
    width = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    assert width <= 0
    wider = page.get_by_test_id("stMain").evaluate("main => main.scrollWidth - main.clientWidth")
    assert wider <= 0


@SIZES
def test_each_view_of_a_customer_reads_at_both_widths(
    open_customer: Callable[[tuple[int, int]], Page], size: tuple[int, int], tmp_path: Path
) -> None:
    page = open_customer(size)
    expect(page.get_by_text("Use in the last 13 months")).to_be_visible()
    expect(page.locator("[data-testid=stVegaLiteChart]")).to_be_visible()
    expect(page.get_by_text("Meters", exact=True)).to_be_visible()
    page.get_by_text("The numbers", exact=True).click()
    settled(page)
    months = page.locator("table").filter(has_text="A year earlier, kWh").locator("tbody tr")
    expect(months).to_have_count(13)
    nothing_is_cut_off(page)
    page.screenshot(path=tmp_path / "overview.png", full_page=True)
    for view in VIEWS:
        show(page, view)
        expect(page.locator(".stException")).to_have_count(0)
        expect(page.get_by_text("went wrong")).to_have_count(0)
        nothing_is_cut_off(page)
        page.screenshot(path=tmp_path / f"{view}.png", full_page=True)


@SIZES
def test_a_note_is_written_read_and_found_among_notes(
    open_customer: Callable[[tuple[int, int]], Page], size: tuple[int, int]
) -> None:
    page = open_customer(size)
    show(page, "Timeline")
    page.get_by_role("button", name="Write a note").click()
    page.get_by_label("Note", exact=True).fill(f"Rang about the bill\nCalls back at {size[0]}")
    page.get_by_role("button", name="Keep the note").click()
    expect(page.get_by_text("The note is kept.")).to_be_visible()
    settled(page)
    expect(page.get_by_text(f"Calls back at {size[0]}")).to_be_visible()
    choose(page.get_by_role("combobox", name="Kind"), "Notes")
    page.wait_for_url("**kind=notes**")
    settled(page)
    expect(page.get_by_text(f"Calls back at {size[0]}")).to_be_visible()
    expect(page.get_by_text("Customer added")).to_have_count(0)
    nothing_is_cut_off(page)


def test_older_entries_are_reached_and_back_leads_to_the_newer(
    open_customer: Callable[[tuple[int, int]], Page],
) -> None:
    page = open_customer(DESK)
    show(page, "Timeline")
    newest = page.get_by_test_id("stMain").inner_text()
    page.get_by_role("button", name="Older").click()
    page.wait_for_url("**older=**")
    settled(page)
    assert page.get_by_test_id("stMain").inner_text() != newest
    while page.get_by_role("button", name="Older").count():
        here = page.url
        page.get_by_role("button", name="Older").click()
        page.wait_for_function("here => location.href !== here", arg=here)
        settled(page)
    expect(page.get_by_text("Customer added")).to_be_visible()
    page.get_by_role("button", name="Newest").click()
    settled(page)
    assert "older=" not in page.url
    assert page.get_by_test_id("stMain").inner_text() == newest


@SIZES
def test_a_meter_has_a_page_with_its_use_readings_and_timeline(
    open_customer: Callable[[tuple[int, int]], Page], size: tuple[int, int], tmp_path: Path
) -> None:
    page = open_customer(size)
    page.locator("a[href*='meter?id=']").first.click()
    page.wait_for_url("**/meter?id=*")
    settled(page)
    expect(page.get_by_role("heading", name=re.compile("^Meter "))).to_be_visible()
    expect(page.get_by_text("Last readings")).to_be_visible()
    nothing_is_cut_off(page)
    page.screenshot(path=tmp_path / "meter.png", full_page=True)
    show(page, "Timeline")
    expect(page.get_by_text(re.compile("^Bill INV-")).first).to_be_visible()
    nothing_is_cut_off(page)
    page.screenshot(path=tmp_path / "meter-timeline.png", full_page=True)
