"""Connecting, moving out and in, exchanging a meter: as the office does them, desk and phone."""

import re
from collections.abc import Callable
from urllib.parse import urlencode

import pytest

from tests.ui.app_process import AppProcess, settled
from tests.ui.walking import SIZES, Walk

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def app(app_server: Callable[..., AppProcess]) -> AppProcess:
    return app_server()


@SIZES
def test_a_home_is_connected_its_meter_exchanged_and_its_people_move(
    walk: Walk, size: tuple[int, int]
) -> None:
    serial = f"NEW-{size[0]}"
    walk.open("service-points")
    walk.begin()
    walk.follow("Connect a customer")
    for label, text in (
        ("Account number", f"N-{size[0]}"), ("Name", "Asha Menon"),
        ("Address of the place", "3 Canal Road"), ("Serial", serial),
        ("Opening reading (kWh)", "12"),
    ):  # fmt: skip
        walk.fill_in_form(label, text)
    walk.click("Show what it does")
    walk.says("gets an account")
    walk.says(f"; meter {serial} begins at 12 kWh.")
    walk.fill_in_form("Why", "Application of today")
    walk.click("Do it")
    walk.says("The customer is connected.")
    walk.done("task 5 · connect a customer")

    walk.follow("Exchange the meter")
    walk.fill_in_form("Last reading of the old meter (kWh)", "13")
    walk.fill_in_form("Serial of the new meter", f"{serial}-B")
    walk.fill_in_form("First reading of the new meter (kWh)", "3")
    walk.click("Show what it does")
    walk.says("the next bill runs over both")
    walk.says(f"the old meter's last reading is 13 kWh, the new one, {serial}-B, begins at 3 kWh.")
    walk.fill_in_form("Why", "The display is dead")
    walk.click("Do it")
    walk.says("The meter is exchanged.")
    walk.says(f"{serial}-B")
    walk.done("task 11 · exchange a meter")


@SIZES
def test_who_moves_out_gets_the_final_bill_and_the_next_moves_in(
    walk: Walk, size: tuple[int, int]
) -> None:
    serial = "M-101" if size[0] > 1000 else "M-103"
    walk.open("service-points?" + urlencode({"q": serial}))
    walk.page.get_by_role("link", name=serial).first.click()
    settled(walk.page)
    walk.begin()
    move_out(walk)
    walk.done("task 9 · move a customer out")
    walk.follow("Move in")
    walk.fill_in_form("Who moves in", "8 Temple Lane")
    settled(walk.page)
    walk.click("Show what it does")
    walk.says("is supplied from that day on")
    walk.fill_in_form("Why", "New tenant")
    walk.click("Do it")
    walk.says("They have moved in.")
    walk.done("task 10 · move the next one in")


@SIZES
def test_who_does_not_pay_is_disconnected_and_reconnected_with_a_fee(
    walk: Walk, size: tuple[int, int]
) -> None:
    serial = "M-102" if size[0] > 1000 else "M-104"
    open_place(walk, serial)
    disconnect(walk)
    walk.open("service-points")
    walk.page.get_by_test_id("stMain").get_by_text("Disconnected", exact=True).click()
    settled(walk.page)
    walk.says("(disconnected)")
    assert "disconnected=true" in walk.page.url
    walk.done("task 13 · disconnected in the list")
    open_place(walk, serial)
    reconnect(walk)
    walk.begin()
    walk.follow("They were not reconnected")
    walk.says("The reconnection fee is taken back.")
    walk.fill_in_form("Why", "It was the neighbour")
    walk.click("Do it")
    walk.says("The reconnection is taken back.")
    walk.says("Disconnected since")
    walk.done("task 13 · not reconnected")


def disconnect(walk: Walk) -> None:
    """With a reading a little above the last one."""
    last = last_read(walk)
    walk.begin()
    walk.follow("Disconnect")
    walk.fill_in_form("Reading on that day (kWh)", f"{last + 5:.0f}")
    walk.click("Show what it does")
    walk.says("Charges by the day or month are billed as before")
    walk.fill_in_form("Why", "Three bills are unpaid")
    sure(walk)
    walk.click("Do it")
    walk.says("They are disconnected.")
    walk.says("Disconnected since")
    walk.done("task 13 · disconnect")


def reconnect(walk: Walk) -> None:
    """On the day of the disconnection: its reading is there, and another one is refused."""
    walk.begin()
    walk.follow("Reconnect")
    walk.fill_in_form("Reading on that day (kWh)", "1")
    walk.click("Show what it does")
    walk.says("Leave the reading empty to use that one")
    walk.fill_in_form("Reading on that day (kWh)", "")
    walk.fill_in_form("Reconnection fee (INR)", "250.50")
    walk.click("Show what it does")
    walk.says("₹250.50")
    walk.fill_in_form("Why", "They paid")
    walk.picture("task 13 · reconnect asked")
    sure(walk)
    walk.click("Do it")
    walk.says("They are reconnected.")
    walk.says("Supplied")
    walk.done("task 13 · reconnect")


def open_place(walk: Walk, serial: str) -> None:
    walk.open("service-points?" + urlencode({"q": serial}))
    walk.page.get_by_role("link", name=serial).first.click()
    settled(walk.page)


def last_read(walk: Walk) -> float:
    """What the page says the meter showed last, in kWh."""
    main = walk.main.inner_text()
    (kwh,) = re.findall(r"([0-9,.]+) kWh on \d", main)[:1]
    return float(kwh.replace(",", ""))


def sure(walk: Walk) -> None:
    if walk.page.get_by_text("The readings are right").count():
        walk.page.get_by_text("The readings are right").click()


def move_out(walk: Walk) -> None:
    """With a reading, without which it is refused in words."""
    walk.follow("Move out")
    walk.click("Show what it does")
    walk.says("was not read on")
    last = walk.main.get_by_text("last read").first.inner_text()
    (kwh,) = re.findall(r"last read ([0-9,.]+) kWh", last)
    walk.fill_in_form("Final reading (kWh)", f"{float(kwh.replace(',', '')) + 5:.0f}")
    walk.click("Show what it does")
    walk.says("A bill of")
    walk.fill_in_form("Why", "Moved to the coast")
    sure(walk)
    walk.click("Do it")
    walk.says("the final bill is made")
    walk.says("Vacant")
