"""What a newcomer does on the first day, in a real browser against the whole app."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from playwright.sync_api import Page, expect

from services.settings import PROJECT_FOLDER
from tests.ui.app_process import AppProcess, settled
from tests.ui.conftest import SignIn

pytestmark = pytest.mark.browser

PUBLISHED = json.loads((PROJECT_FOLDER / "tests" / "data" / "published_bills.json").read_text())
KSEB = next(bill for bill in PUBLISHED if bill["id"] == "kseb-117-month")
ADMIN_PAGES = (
    *("overview", "flagged-readings", "drafts", "bills", "customers", "payments"),
    *("reconciliation", "stripe-events", "books", "tariffs", "jobs"),
    *("settings", "api-keys", "sign-ins", "security-log", "services"),
)
ENGINEER_PAGES = ("submit-reading", "my-readings")


@pytest.fixture(scope="module")
def app(app_server: Callable[..., AppProcess]) -> AppProcess:
    return app_server()


@pytest.fixture
def linked(app: AppProcess, page: Page) -> Page:
    """A desk whose browser has opened the link from the terminal."""
    page.goto(app.sign_in_link())
    return page


def sign_in(page: Page, who: str) -> None:
    page.get_by_role("button", name=who).click()
    page.get_by_role("button", name="Sign out").wait_for()
    settled(page)


def post_reading(app: AppProcess, body: dict[str, str]) -> tuple[int, dict[str, Any]]:
    token = app.command("token", "--user", "meter-app", "--role", "engineer")
    request = Request(  # noqa: S310 - always http
        f"{app.url}/webhook/meter-reading",
        data=json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    try:
        with urlopen(request, timeout=20) as answer:  # noqa: S310
            return answer.status, json.load(answer)
    except HTTPError as error:
        return error.code, json.load(error)


def test_a_reading_becomes_a_bill_and_the_office_finds_it(app: AppProcess, linked: Page) -> None:
    page = linked
    page.goto(app.url)
    sign_in(page, "Field engineer")
    page.get_by_placeholder("Serial, customer, account or address").fill("DEMO-1000")
    read = page.get_by_role("button", name="Read", exact=True)
    expect(read).to_have_count(1)
    read.click()
    expect(page.get_by_text("1,000 kWh on", exact=False)).to_be_visible()
    page.get_by_label("Reading (kWh)").fill("1117")
    page.get_by_role("button", name="Submit reading").click()
    expect(page.get_by_text("is stored and billed")).to_be_visible()
    settled(page)
    for _, printed in KSEB["expected_lines"]:
        amount = f"₹{printed}" if "." in printed else f"₹{printed}.00"
        expect(page.get_by_role("cell", name=amount, exact=True).first).to_be_visible()
    expect(page.get_by_role("cell", name="₹540.35", exact=True)).to_be_visible()
    number = re.search(r"INV-\d{6}", page.inner_text("body"))
    assert number is not None

    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("button", name="Administrator").wait_for()
    settled(page)
    sign_in(page, "Administrator")
    page.get_by_role("link", name="Bills").first.click()
    settled(page)
    page.get_by_placeholder("Number, customer, account or meter").fill(number.group())
    expect(page.get_by_text("1 bill", exact=True)).to_be_visible()
    expect(page.get_by_text("₹540.35")).to_be_visible()


def test_the_next_reading_comes_over_http(app: AppProcess) -> None:
    now = datetime.now(UTC).isoformat()
    body = {"meter_serial": "DEMO-1000", "reading_kwh": "1118", "read_at": now}
    status, answer = post_reading(app, body)
    # The same meter was read in the browser on this very day.
    assert status == 202, answer
    assert "second reading" in answer["explanation"]


def test_a_reading_that_is_too_low_is_asked_about_once_and_kept(
    app: AppProcess, phone: Page, sign_in_as: SignIn
) -> None:
    sign_in_as(phone, app, "Field engineer")
    phone.goto(app.url)
    phone.get_by_role("button", name="Read", exact=True).nth(2).click()
    field = phone.get_by_label("Reading (kWh)")
    # A phone shows digits with a decimal sign, and does not zoom into the field.
    expect(field).to_have_attribute("inputmode", "decimal")
    expect(field).to_have_attribute("type", "text")
    assert field.evaluate("field => parseFloat(getComputedStyle(field).fontSize)") >= 16
    field.fill("1")
    phone.get_by_role("button", name="Submit reading").click()
    expect(phone.get_by_text("Really 1 kWh?")).to_be_visible()
    phone.get_by_role("button", name="Correct it").click()
    expect(field).to_have_attribute("inputmode", "decimal")
    phone.get_by_role("button", name="Submit reading").click()
    phone.get_by_role("button", name="Submit anyway").click()
    expect(phone.get_by_text("waits for the office")).to_be_visible()
    settled(phone)
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390


def test_without_signing_in_every_address_shows_the_sign_in_page_alone(
    app: AppProcess, linked: Page
) -> None:
    page = linked
    for address in ("", *ADMIN_PAGES, *ENGINEER_PAGES, "bill?id=1", "flagged-reading"):
        page.goto(f"{app.url}/{address}")
        page.get_by_role("button", name="Field engineer").wait_for()
        settled(page)
        expect(page.get_by_label("User id")).to_be_visible()
        expect(page.get_by_test_id("stSidebar")).to_have_count(0)
        assert "₹" not in page.inner_text("body")


def test_an_engineer_who_opens_an_office_address_is_told_that_it_is_not_allowed(
    app: AppProcess, linked: Page
) -> None:
    page = linked
    page.goto(f"{app.url}/bills")
    sign_in(page, "Field engineer")
    for address in ("", *ADMIN_PAGES[1:]):
        if address:
            page.goto(f"{app.url}/{address}")
        expect(page.get_by_text("Not allowed")).to_be_visible()
        settled(page)
        assert "₹" not in page.inner_text("body")


def test_an_address_that_is_no_page_says_so_and_leads_on(app: AppProcess, linked: Page) -> None:
    page = linked
    page.goto(f"{app.url}/nothing-here")
    sign_in(page, "Field engineer")
    expect(page.get_by_role("heading", name="This page does not exist")).to_be_visible()
    # Streamlit's own notice would say that the main page runs instead.
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.get_by_role("link", name="Go to my pages").click()
    expect(page.get_by_role("heading", name="Submit a reading")).to_be_visible()


def test_a_phone_has_the_utilitys_name_at_the_top_and_the_menus_button_beside_it(
    app: AppProcess, phone: Page, sign_in_as: SignIn
) -> None:
    sign_in_as(phone, app, "Administrator")
    expect(phone.get_by_test_id("stHeaderLogo")).to_be_visible()
    expect(phone.get_by_test_id("stExpandSidebarButton")).to_be_in_viewport()


def test_a_reload_keeps_the_sign_in_and_signing_out_ends_it(app: AppProcess, linked: Page) -> None:
    page = linked
    page.goto(f"{app.url}/jobs")
    sign_in(page, "Administrator")
    page.reload()
    expect(page.get_by_text("monthly", exact=False).first).to_be_visible()
    settled(page)
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("button", name="Administrator").wait_for()
    page.goto(f"{app.url}/jobs")
    expect(page.get_by_label("User id")).to_be_visible()


def test_no_page_shows_a_traceback_or_needs_sideways_scrolling_on_a_phone(
    app: AppProcess, phone: Page, sign_in_as: SignIn
) -> None:
    sign_in_as(phone, app, "Administrator")
    for address in (*ADMIN_PAGES, *ENGINEER_PAGES):
        phone.goto(f"{app.url}/{address}")
        phone.get_by_role("heading", level=1).wait_for()
        settled(phone)
        assert "Traceback" not in phone.inner_text("body")
        assert "went wrong" not in phone.inner_text("body")
        assert phone.evaluate("document.documentElement.scrollWidth") <= 390, address


def test_cash_pays_a_bill_and_its_reversal_opens_it_again(
    app: AppProcess, page: Page, sign_in_as: SignIn
) -> None:
    def open_at(address: str) -> None:
        page.goto(address)
        settled(page)

    sign_in_as(page, app, "Administrator")
    open_at(f"{app.url}/bills?status=Overdue")
    body = page.get_by_test_id("stMain")
    body.get_by_role("link", name="INV-").first.click()
    body.get_by_role("button", name="Record a payment").click()
    page.wait_for_url("**/record-payment?bill=*")
    settled(page)
    bill = f"{app.url}/bill?id={page.url.split('bill=')[1]}"
    # A double click, as impatient people do: it is counted once.
    body.get_by_role("button", name="Record the payment").dblclick()
    page.wait_for_url("**/payment?id=*")
    expect(body.get_by_text("is recorded.")).to_be_visible()
    payment = page.url
    open_at(bill)
    expect(body.get_by_text("Overdue", exact=True)).to_have_count(0)
    expect(body.get_by_text("left to pay ₹0.00")).to_be_visible()
    expect(body.get_by_role("link", name="· Cash")).to_have_count(1)
    open_at(payment)
    body.get_by_text("Reverse it").click()
    body.get_by_label("Reason").last.fill("Entered for the wrong bill")
    body.get_by_label("Reason").last.press("Tab")
    settled(page)
    body.get_by_role("button", name="Reverse the payment").click()
    expect(body.get_by_text("The payment is reversed.")).to_be_visible()
    open_at(bill)
    expect(body.get_by_text("Overdue", exact=True)).to_be_visible()
    expect(body.get_by_role("link", name="· Cash")).to_have_count(0)


def test_a_phone_shows_its_numeric_keyboard_for_an_amount(
    app: AppProcess, phone: Page, sign_in_as: SignIn
) -> None:
    sign_in_as(phone, app, "Administrator")
    phone.goto(f"{app.url}/record-payment")
    phone.get_by_label("Who pays").fill("INV-000001")
    phone.get_by_role("button", name="Find").click()
    field = phone.get_by_label(re.compile(r"Amount \("))
    expect(field).to_have_attribute("inputmode", "decimal")
    assert field.evaluate("field => parseFloat(getComputedStyle(field).fontSize)") >= 16
    expect(phone.get_by_label("Reference")).not_to_have_attribute("inputmode", "decimal")
