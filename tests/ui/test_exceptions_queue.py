"""The exceptions queue in a browser, at a desk's and a phone's width: by keyboard, and together."""

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest
from playwright.sync_api import Page, expect

from services.identity.auth import Principal
from services.identity.permissions import Role
from services.records.readings import Reading
from tests.integration.flagging import add_neighbours, flag
from tests.integration.utility import ENGINEER, Utility, make_utility
from tests.servers import NewDatabase
from tests.ui.app_process import AppProcess, choose, settled
from tests.ui.conftest import SignIn
from tests.ui.walking import SIZES, Walk, new_page

pytestmark = [pytest.mark.browser, pytest.mark.slow]
# The first has two digits swapped, the last is below the last reading.
SHOWN = (17_000, 16_500, 16_000, 15_500, 15_000, 14_500, 14_000, 13_500, 13_000, 10_590)
_BOSS = Principal("boss", frozenset({Role.ADMIN}), None, "token")
_OVERFLOW = "() => document.documentElement.scrollWidth - innerWidth"


@pytest.fixture(scope="module")
def dsn(fresh_database: NewDatabase) -> str:
    return fresh_database()


@pytest.fixture(scope="module")
def utility(dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Utility]:
    made = make_utility(dsn, tmp_path_factory.mktemp("data"))
    add_neighbours(made, 8)
    yield made
    made.services.close()


@pytest.fixture(scope="module")
def app(app_server: Callable[..., AppProcess], dsn: str) -> AppProcess:
    return app_server({"DATABASE_URL": dsn, "DEMO": "off"})


@dataclass
class Clerk:
    """An administrator at the queue who has no mouse, and the readings that wait."""

    page: Page
    readings: list[Reading]

    def at(self, number: int, *, left: int) -> None:
        """Before the reading of this number, with so many left."""
        heading = self.page.get_by_role("heading", name=self.readings[number].meter_serial)
        expect(heading).to_be_visible()
        expect(self.page.get_by_text(f"{left} left")).to_be_visible()
        settled(self.page)
        assert self.page.get_by_test_id("stMain").evaluate("main => main.scrollTop") == 0

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)
            settled(self.page)

    def look(self, name: str) -> None:
        """Keep a picture where somebody asked for pictures."""
        if folder := os.environ.get("PICTURES"):
            width = (self.page.viewport_size or {"width": 0})["width"]
            picture = Path(folder) / f"queue-{name}-{width}.png"
            self.page.get_by_test_id("stMain").evaluate("main => main.scrollTo(0, 0)")
            self.page.screenshot(path=picture)


@pytest.fixture
def clerk(
    app: AppProcess,
    utility: Utility,
    page_at: Callable[..., Page],
    sign_in_as: SignIn,
    size: tuple[int, int],
) -> Clerk:
    """At the queue of ten exceptions."""
    run = uuid4().hex[:4].upper()
    readings = [flag(utility, f"Q{n}-{run}", kwh) for n, kwh in enumerate(SHOWN)]
    page = new_page(page_at, size)
    sign_in_as(page, app, "Administrator")
    page.goto(f"{app.url}/flagged-readings")
    return Clerk(page, readings)


@SIZES
def test_ten_exceptions_are_cleared_by_keyboard(clerk: Clerk, utility: Utility) -> None:
    clerk.at(0, left=10)
    clerk.look("first")
    assert clerk.page.evaluate(_OVERFLOW) <= 0
    clerk.page.keyboard.press("u")
    expect(clerk.page.get_by_text("corrected to 10,700 kWh, billed ₹448.89")).to_be_visible()
    clerk.at(1, left=9)
    clerk.press("a")
    clerk.look("accept")
    clerk.page.get_by_text("Usual for the season").scroll_into_view_if_needed()
    clerk.press("1")
    clerk.at(2, left=8)
    clerk.press("v")
    clerk.page.keyboard.type("10705")
    clerk.press("Enter", "Tab")
    expect(clerk.page.get_by_text("for 105 kWh")).to_be_visible()
    clerk.look("right-value")
    clerk.press("2")
    clerk.at(3, left=7)
    clerk.press("e")
    clerk.look("estimate")
    clerk.press("1")
    _set_aside_skip_and_finish(clerk)
    _check_all_is_kept(clerk, utility)


def _set_aside_skip_and_finish(clerk: Clerk) -> None:
    clerk.at(4, left=6)
    clerk.press("n", "1")
    clerk.at(5, left=5)
    clerk.press("s")
    clerk.at(6, left=5)
    clerk.press("x", "2")
    clerk.at(7, left=4)
    clerk.press("a", "4")
    clerk.at(8, left=3)
    clerk.press("a", "3")
    clerk.at(9, left=2)
    clerk.look("below-last")
    clerk.press("n", "1")
    # What was skipped comes last.
    clerk.at(5, left=1)
    clerk.press("x", "3")
    expect(clerk.page.get_by_text("No reading waits for a decision.")).to_be_visible()


def _check_all_is_kept(clerk: Clerk, utility: Utility) -> None:
    stored = [utility.services.database.reading(one.id) for one in clerk.readings]
    assert [one.status for one in stored] == [
        *("superseded", "accepted", "superseded", "superseded", "rejected"),
        *("rejected", "rejected", "accepted", "accepted", "rejected"),
    ]
    # What was read is never overwritten.
    assert [one.register_wh for one in stored] == [kwh * 1000 for kwh in SHOWN]
    assert all(one.decided_by and one.decision_reason for one in stored)
    in_place = [
        utility.services.database.readings(meter_id=one.meter_id).items[0]
        for one in clerk.readings[:4]
    ]
    assert [one.register_wh for one in in_place[:3]] == [10_700_000, 16_500_000, 10_705_000]
    assert in_place[3].source == "estimated"
    assert all(one.bill_total_minor for one in in_place)
    due = utility.services.reading_round.meters(route="", principal=ENGINEER, now=utility.now)
    asked = {one.meter.meter_id for one in due.meters if one.meter.request}
    assert {clerk.readings[4].meter_id, clerk.readings[9].meter_id} <= asked


@SIZES
def test_all_of_one_cause_are_accepted_together(
    clerk: Clerk, utility: Utility, app: AppProcess
) -> None:
    walk = Walk(clerk.page, app)
    walk.open("flagged-readings")
    walk.view("List")
    clerk.look("list")
    walk.view("Together")
    choose(walk.main.get_by_role("combobox", name="Cause"), re.compile("^High use"))
    walk.fill("One reason for all", "Irrigation has begun")
    walk.click("Show what it comes to")
    expect(walk.main.get_by_text(re.compile("9 readings: 9 bills, ₹"))).to_be_visible()
    clerk.look("together")
    # Somebody else is faster with one of them.
    utility.services.reading_review.reject(
        reading_id=clerk.readings[3].id, reason="Read twice", principal=_BOSS
    )
    walk.click("Accept 9 readings")
    expect(walk.main.get_by_text(re.compile("8 readings accepted, ₹.* billed"))).to_be_visible()
    taken = f"{clerk.readings[3].meter_serial} was not accepted: Somebody has already decided"
    expect(walk.main.get_by_text(taken)).to_be_visible()
    clerk.look("together-done")
    assert clerk.page.evaluate(_OVERFLOW) <= 0
    stored = [utility.services.database.reading(one.id) for one in clerk.readings]
    accepted = [one for one in stored if one.status == "accepted"]
    assert len(accepted) == 8
    assert {one.decision_reason for one in accepted} == {"Irrigation has begun"}
    assert all(one.bill_total_minor for one in accepted)
    assert stored[9].status == "needs_review"
    utility.services.reading_review.reject(
        reading_id=stored[9].id, reason="Read twice", principal=_BOSS
    )
