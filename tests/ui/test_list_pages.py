"""The lists as people use them, on a desk and on a phone: sort, choose, export, and Back."""

import csv
import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.ui.app_process import AppProcess, settled
from tests.ui.conftest import SignIn

pytestmark = [pytest.mark.browser, pytest.mark.slow]
DESK, PHONE = (1440, 800), (390, 844)
SIZES = pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
# A list and words that filter it.
LISTS = (("bills", "Road"), ("customers", "Road"), ("payments", "Lane"))
SCROLLED_TO = """place => {
    const main = document.querySelector('[data-testid=stMain]');
    return Math.abs(main.scrollTop - place) < 3;
}"""
SHEET = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


@pytest.fixture(scope="module")
def app(app_server: Callable[..., AppProcess]) -> AppProcess:
    """The demo: 60 customers and about a thousand bills and payments."""
    return app_server()


@pytest.fixture
def office(
    app: AppProcess, page_at: Callable[..., Page], sign_in_as: SignIn
) -> Callable[[tuple[int, int]], Page]:
    """A maker of browsers in which an administrator is signed in."""

    def open_in(size: tuple[int, int]) -> Page:
        page = page_at(*size)
        sign_in_as(page, app, "Administrator")
        return page

    return open_in


def open_at(page: Page, address: str) -> None:
    page.goto(address)
    page.locator(".list table").wait_for(state="attached")
    settled(page)


def rows(page: Page) -> Locator:
    return page.locator(".list tbody tr")


def names(page: Page) -> list[str]:
    return page.locator(".list td.title").all_inner_texts()


def top(page: Page) -> int:
    return int(page.get_by_test_id("stMain").evaluate("main => main.scrollTop"))


@SIZES
@pytest.mark.parametrize(("path", "text"), LISTS)
def test_back_from_a_detail_finds_the_list_as_it_was(
    app: AppProcess,
    office: Callable[[tuple[int, int]], Page],
    size: tuple[int, int],
    path: str,
    text: str,
) -> None:
    page = office(size)
    open_at(page, f"{app.url}/{path}")
    page.get_by_label("Search", exact=True).fill(text)
    page.wait_for_url(f"**/{path}?q={text}*")
    settled(page)
    if path != "customers":
        page.get_by_label("Next page").click()
        page.wait_for_url("**page=*")
        settled(page)
    address, shown = page.url, names(page)
    row = rows(page).nth(12)
    row.evaluate("row => row.scrollIntoView({block: 'center'})")
    place = top(page)
    assert place > 0
    for leave in (row.locator("a"), row.locator("td.amount")):
        leave.click()
        page.wait_for_url(f"**/{path[:-1]}?id=*")
        settled(page)
        page.go_back()
        page.wait_for_url(address)
        settled(page)
        assert page.get_by_label("Search", exact=True).input_value() == text
        assert names(page) == shown
        expect(rows(page)).to_have_count(len(shown))
        page.wait_for_function(SCROLLED_TO, arg=place)


@SIZES
def test_the_database_sorts_the_whole_list(
    app: AppProcess, office: Callable[[tuple[int, int]], Page], size: tuple[int, int]
) -> None:
    page = office(size)
    open_at(page, f"{app.url}/bills")

    def sort(descending: bool) -> list[float]:
        if size == DESK:
            page.get_by_role("button", name="Total").click()
        else:
            order = f"{'-' if descending else ''}total"
            page.get_by_label("Sort by").select_option(order)
        page.wait_for_url(f"**sort={'-' if descending else ''}total*")
        settled(page)
        amounts = page.locator(".list td.amount").all_inner_texts()
        return [float(amount.strip("₹-−").replace(",", "")) for amount in amounts]

    largest = sort(descending=True)
    assert largest == sorted(largest, reverse=True)
    smallest = sort(descending=False)
    assert max(smallest) < min(largest)
    assert page.locator("th[aria-sort=ascending]").count() == 1
    page.get_by_label("Last page").click()
    page.wait_for_url("**page=*")
    expect(page.get_by_label("Next page")).to_be_disabled()
    settled(page)
    last = page.locator(".list td.amount").last.inner_text()
    assert float(last.strip("₹").replace(",", "")) == max(largest)
    page.go_back()
    page.wait_for_url("**sort=total")
    settled(page)
    expect(page.get_by_label("Previous page")).to_be_disabled()


@SIZES
def test_rows_are_chosen_and_exported_and_so_is_all_that_is_filtered(
    app: AppProcess,
    office: Callable[[tuple[int, int]], Page],
    size: tuple[int, int],
    tmp_path: Path,
) -> None:
    page = office(size)
    open_at(page, f"{app.url}/bills?status=Paid&q=Bakery")
    fitting = len(names(page))

    def file(button: str) -> bytes:
        with page.expect_download() as waiting:
            page.get_by_role("button", name=button).click()
        path = tmp_path / waiting.value.suggested_filename
        waiting.value.save_as(path)
        return path.read_bytes()

    page.get_by_role("button", name="Export").click()
    lines = list(csv.DictReader(io.StringIO(file("CSV").decode("utf-8-sig"))))
    assert [line["bill"] for line in lines] == names(page)
    assert len(lines) == fitting
    with zipfile.ZipFile(io.BytesIO(file("Excel"))) as book:
        sheet = ElementTree.fromstring(book.read("xl/worksheets/sheet1.xml"))  # noqa: S314 - ours
    assert len(sheet.findall(f".//{SHEET}row")) == fitting + 1
    page.keyboard.press("Escape")
    for number in (0, 2):
        rows(page).nth(number).get_by_role("checkbox").check()
    wanted = [names(page)[0], names(page)[2]]
    page.get_by_role("button", name="Export 2 chosen").click()
    lines = list(csv.DictReader(io.StringIO(file("CSV").decode("utf-8-sig"))))
    assert [line["bill"] for line in lines] == wanted
    page.keyboard.press("Escape")
    with zipfile.ZipFile(io.BytesIO(file("2 PDFs"))) as packed:
        assert packed.namelist() == [f"{name}.pdf" for name in wanted]
        assert packed.read(f"{wanted[0]}.pdf").startswith(b"%PDF")
    # Another question has other rows.
    page.get_by_label("Search", exact=True).fill("Lane")
    page.wait_for_url("**q=Lane*")
    settled(page)
    assert page.locator("tr.chosen").count() == 0


@SIZES
def test_titles_begin_near_the_top_and_name_the_tab(
    app: AppProcess, office: Callable[[tuple[int, int]], Page], size: tuple[int, int]
) -> None:
    page = office(size)
    for path, _ in LISTS:
        open_at(page, f"{app.url}/{path}")
        title = page.get_by_role("heading", level=1)
        assert page.title().startswith(f"{title.inner_text()} · ")
        place = title.bounding_box()
        assert place is not None
        # Above it stand the menu's button on a phone and the search box, and 20 pixels of margin.
        assert place["y"] < (150 if size == PHONE else 90)
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    page.goto(f"{app.url}/jobs")
    settled(page)
    assert page.title().startswith("Jobs · ")


def test_a_payment_that_is_recorded_leaves_no_form_behind(
    app: AppProcess, office: Callable[[tuple[int, int]], Page]
) -> None:
    page = office(DESK)
    open_at(page, f"{app.url}/bills?status=Overdue")
    rows(page).first.locator("a").click()
    page.wait_for_url("**/bill?id=*")
    bill = page.url
    settled(page)
    page.get_by_role("button", name="Record a payment").click()
    page.wait_for_url("**/record-payment?bill=*")
    settled(page)
    page.get_by_role("button", name="Record the payment").click()
    page.wait_for_url("**/payment?id=*")
    expect(page.get_by_text("is recorded.")).to_be_visible()
    page.go_back()
    page.wait_for_url(bill)
    settled(page)
    expect(page.get_by_text("left to pay ₹0.00")).to_be_visible()
    page.go_back()
    page.wait_for_url(f"{app.url}/bills?status=Overdue")


def test_an_address_of_nobodys_making_shows_the_first_page(
    app: AppProcess, office: Callable[[tuple[int, int]], Page]
) -> None:
    page = office(DESK)
    open_at(page, f"{app.url}/bills")
    first = names(page)
    for query in ("page=nonsense", "sort=lines&rows=100000", "page=WyJ4IixudWxsLHRydWUsbnVsbF0"):
        open_at(page, f"{app.url}/bills?{query}")
        assert names(page) == first
