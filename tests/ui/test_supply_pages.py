"""Connecting, moving out and in, exchanging a meter: as the office does them, desk and phone."""

import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, expect

from tests.ui.app_process import AppProcess, settled
from tests.ui.conftest import SignIn

pytestmark = pytest.mark.browser
SIZES = pytest.mark.parametrize("size", [(1440, 900), (390, 844)], ids=["desk", "phone"])
# Beyond one for each field: the page, the preview, doing it.
MOST_CLICKS = 6


@dataclass
class Office:
    """An administrator at work: clicks beside those into fields, fields filled in, seconds."""

    page: Page
    app: AppProcess
    clicks: int = 0
    fields: int = 0
    began: float = field(default_factory=time.monotonic)

    def begin(self) -> None:
        self.clicks, self.fields, self.began = 0, 0, time.monotonic()

    def open(self, path: str) -> None:
        self.page.goto(f"{self.app.url}/{path}")
        settled(self.page)

    def fill(self, label: str, text: str) -> None:
        box = self.page.get_by_test_id("stMain").get_by_label(label, exact=True).first
        box.fill(text)
        box.press("Tab")
        self.fields += 1

    def click(self, name: str, *, link: bool = False) -> None:
        main = self.page.get_by_test_id("stMain")
        target = main.get_by_role("link" if link else "button", name=name, exact=link is False)
        target.first.click()
        settled(self.page)
        self.clicks += 1

    def says(self, text: str) -> None:
        expect(self.page.get_by_test_id("stMain").get_by_text(text).first).to_be_visible()

    def done(self, task: str) -> None:
        wide = self.page.viewport_size or {"width": 0}
        seconds = time.monotonic() - self.began
        took = f"{self.clicks} clicks, {self.fields} fields, {seconds:.1f} s"
        print(f"\n{task} at {wide['width']}: {took}")  # noqa: T201 - what the task takes
        assert self.clicks <= MOST_CLICKS
        overflow = "document.documentElement.scrollWidth <= window.innerWidth"
        assert self.page.evaluate(overflow), "the page is wider than its window"
        if folder := os.environ.get("PICTURES"):
            name = f"{task.replace(' ', '-')}-{wide['width']}.png"
            self.page.screenshot(path=Path(folder) / name, full_page=True)


@pytest.fixture(scope="module")
def app(app_server: Callable[..., AppProcess]) -> AppProcess:
    return app_server()


@pytest.fixture
def office(
    app: AppProcess, size: tuple[int, int], page_at: Callable[..., Page], sign_in_as: SignIn
) -> Office:
    page = page_at(*size)
    sign_in_as(page, app, "Administrator")
    return Office(page, app)


@SIZES
def test_a_home_is_connected_its_meter_exchanged_and_its_people_move(
    office: Office, size: tuple[int, int]
) -> None:
    serial = f"NEW-{size[0]}"
    office.open("service-points")
    office.begin()
    office.click("Connect a customer", link=True)
    for label, text in (
        ("Account number", f"N-{size[0]}"), ("Name", "Asha Menon"),
        ("Address of the place", "3 Canal Road"), ("Serial", serial),
        ("Opening reading (kWh)", "12"),
    ):  # fmt: skip
        office.fill(label, text)
    office.click("Show what it does")
    office.says("gets an account")
    office.fill("Why", "Application of today")
    office.click("Do it")
    office.says("The customer is connected.")
    office.done("connect")

    office.begin()
    office.click("Exchange the meter", link=True)
    office.fill("Last reading of the old meter (kWh)", "13")
    office.fill("Serial of the new meter", f"{serial}-B")
    office.fill("First reading of the new meter (kWh)", "3")
    office.click("Show what it does")
    office.says("the next bill runs over both")
    office.fill("Why", "The display is dead")
    office.click("Do it")
    office.says("The meter is exchanged.")
    office.says(f"{serial}-B")
    office.done("exchange")


@SIZES
def test_who_moves_out_gets_the_final_bill_and_the_next_moves_in(
    office: Office, size: tuple[int, int]
) -> None:
    serial = "M-101" if size[0] > 1000 else "M-103"
    office.open("service-points?" + urlencode({"q": serial}))
    office.page.get_by_role("link", name=serial).first.click()
    settled(office.page)
    office.begin()
    move_out(office)
    office.done("move out")
    office.begin()
    office.click("Move in", link=True)
    office.fill("Who moves in", "8 Temple Lane")
    settled(office.page)
    office.click("Show what it does")
    office.says("is supplied from that day on")
    office.fill("Why", "New tenant")
    office.click("Do it")
    office.says("They have moved in.")
    office.done("move in")


@SIZES
def test_who_does_not_pay_is_disconnected_and_reconnected_with_a_fee(
    office: Office, size: tuple[int, int]
) -> None:
    serial = "M-102" if size[0] > 1000 else "M-104"
    open_place(office, serial)
    disconnect(office)
    office.open("service-points?" + urlencode({"q": serial}))
    office.says("(disconnected)")
    office.done("disconnected in the list")
    open_place(office, serial)
    reconnect(office)
    office.begin()
    office.click("They were not reconnected", link=True)
    office.says("The reconnection fee is taken back.")
    office.fill("Why", "It was the neighbour")
    office.click("Do it")
    office.says("The reconnection is taken back.")
    office.says("Disconnected since")
    office.done("not reconnected")


def disconnect(office: Office) -> None:
    """With a reading a little above the last one."""
    last = last_read(office)
    office.begin()
    office.click("Disconnect", link=True)
    office.fill("Reading on that day (kWh)", f"{last + 5:.0f}")
    office.click("Show what it does")
    office.says("Charges by the day or month are billed as before")
    office.fill("Why", "Three bills are unpaid")
    sure(office)
    office.click("Do it")
    office.says("They are disconnected.")
    office.says("Disconnected since")
    office.done("disconnect")


def reconnect(office: Office) -> None:
    """On the day of the disconnection: its reading is there, and another one is refused."""
    office.begin()
    office.click("Reconnect", link=True)
    office.fill("Reading on that day (kWh)", "1")
    office.click("Show what it does")
    office.says("Leave the reading empty to use that one")
    office.fill("Reading on that day (kWh)", "")
    office.fill("Reconnection fee (INR)", "250.50")
    office.click("Show what it does")
    office.says("₹250.50")
    office.fill("Why", "They paid")
    office.done("reconnect asked")
    sure(office)
    office.click("Do it")
    office.says("They are reconnected.")
    office.says("Supplied")
    office.done("reconnect")


def open_place(office: Office, serial: str) -> None:
    office.open("service-points?" + urlencode({"q": serial}))
    office.page.get_by_role("link", name=serial).first.click()
    settled(office.page)


def last_read(office: Office) -> float:
    """What the page says the meter showed last, in kWh."""
    main = office.page.get_by_test_id("stMain").inner_text()
    (kwh,) = re.findall(r"([0-9,.]+) kWh on \d", main)[:1]
    return float(kwh.replace(",", ""))


def sure(office: Office) -> None:
    if office.page.get_by_text("The readings are right").count():
        office.page.get_by_text("The readings are right").click()


def move_out(office: Office) -> None:
    """With a reading, without which it is refused in words."""
    office.click("Move out", link=True)
    office.click("Show what it does")
    office.says("was not read on")
    last = office.page.get_by_test_id("stMain").get_by_text("last read").first.inner_text()
    (kwh,) = re.findall(r"last read ([0-9,.]+) kWh", last)
    office.fill("Final reading (kWh)", f"{float(kwh.replace(',', '')) + 5:.0f}")
    office.click("Show what it does")
    office.says("A bill of")
    office.fill("Why", "Moved to the coast")
    sure(office)
    office.click("Do it")
    office.says("the final bill is made")
    office.says("Vacant")
