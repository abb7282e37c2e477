"""A task as a person does it in a browser, with what it takes: clicks, fields and seconds."""

import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.ui.app_process import AppProcess, choose, settled

DESK, PHONE = (1440, 900), (390, 844)
SIZES = pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
# By its name Streamlit knows a phone, on which the menu closes behind a choice.
PHONE_AGENT = (
    "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/129.0.0.0 Mobile Safari/537.36"
)
# Beyond one for each field: the page, the preview, doing it.
MOST_CLICKS = 6
# What the walks of the running test took, one line a task; the summary of the session shows them.
WALKED: list[str] = []
_OVERFLOW = """() => Math.max(
    document.documentElement.scrollWidth - window.innerWidth,
    ...[...document.querySelectorAll("[data-testid=stMain]")].map(
        main => main.scrollWidth - main.clientWidth
    )
)"""


def new_page(page_at: Callable[..., Page], size: tuple[int, int]) -> Page:
    """A desk's page, or a phone's that says it is one."""
    return page_at(*size, user_agent=PHONE_AGENT if size == PHONE else None)


@dataclass
class Walk:
    """Somebody at work: clicks beside those into fields, fields filled in, seconds."""

    page: Page
    app: AppProcess
    clicks: int = 0
    fields: int = 0
    began: float = field(default_factory=time.monotonic)

    @property
    def main(self) -> Locator:
        return self.page.get_by_test_id("stMain")

    @property
    def width(self) -> int:
        assert self.page.viewport_size
        return self.page.viewport_size["width"]

    def begin(self) -> None:
        """Count from here."""
        self.clicks, self.fields, self.began = 0, 0, time.monotonic()

    def open(self, path: str) -> None:
        """Go to an address, as by a bookmark: it is not counted."""
        self.page.goto(f"{self.app.url}/{path}")
        self.page.get_by_role("heading", level=1).first.wait_for()
        settled(self.page)

    def by_menu(self, name: str) -> None:
        """Choose a page in the menu, which a phone first has to open."""
        if self.width == PHONE[0]:
            self.click(self.page.get_by_test_id("stExpandSidebarButton"))
        self.click(self.page.get_by_test_id("stSidebar").get_by_role("link", name=name))

    def click(self, target: Locator | str) -> None:
        """Press a button of the page, by its name, or something else of it."""
        if isinstance(target, str):
            target = self.main.get_by_role("button", name=target, exact=True).first
        target.click()
        settled(self.page)
        self.clicks += 1

    def follow(self, name: str | re.Pattern[str]) -> None:
        """Press a link of the page."""
        self.click(self.main.get_by_role("link", name=name).first)

    def view(self, name: str) -> None:
        """Choose one of a page's views, or of a row of choices."""
        self.click(self.main.get_by_role("radio", name=name, exact=True))

    def fill(self, label: str, text: str) -> None:
        """Type into a field and leave it; the page may answer that at once."""
        self.fill_in_form(label, text)
        settled(self.page)

    def fill_in_form(self, label: str, text: str) -> None:
        """The same in a form, which answers only when it is sent."""
        box = self.main.get_by_label(label, exact=True).filter(visible=True).first
        box.fill(text)
        # By Tab the calendar of a date that comes next would open.
        box.blur()
        self.fields += 1

    def fill_day(self, label: str, day: date) -> None:
        """Type a date as the page asks for it."""
        box = self.main.get_by_test_id("stDateInput").filter(has_text=label)
        box.get_by_role("spinbutton").first.click()
        self.page.keyboard.type(f"{day:%d%m%Y}")
        # The calendar that opened would stand in the way.
        self.page.keyboard.press("Escape")
        settled(self.page)
        self.fields += 1

    def choose(self, label: str, option: str) -> None:
        """One of the options of a select box."""
        choose(self.main.get_by_role("combobox", name=label), option)
        self.fields += 1

    def says(self, text: str | re.Pattern[str]) -> None:
        """What a person sees on the page."""
        expect(self.main.get_by_text(text).first).to_be_visible()

    def fits(self) -> bool:
        """Whether nothing has to be scrolled sideways."""
        return int(self.page.evaluate(_OVERFLOW)) <= 0

    def done(self, task: str) -> None:
        """Note what it took; few clicks, nothing to scroll sideways for."""
        seconds = time.monotonic() - self.began
        took = f"{self.clicks:6} {self.fields:6} {seconds:7.1f}"
        WALKED.append(f"{task:<50} {self.width:5} {took}")
        self.picture(task)
        assert self.clicks <= MOST_CLICKS
        assert self.fits(), "the page is wider than its window"
        self.begin()

    def picture(self, name: str) -> None:
        """Of the whole page, into the folder that PICTURES names; none without one."""
        if folder := os.environ.get("PICTURES"):
            name = f"{re.sub('[^a-z0-9]+', '-', name.lower())}-{self.width}.png"
            size = self.page.viewport_size or {"width": 0, "height": 0}
            # The page scrolls inside its window, so that a picture of all of it needs a taller one.
            tall = int(self.main.evaluate("main => main.scrollHeight")) + 100
            self.page.set_viewport_size({"width": size["width"], "height": tall})
            settled(self.page)
            self.page.screenshot(path=Path(folder) / name)
            self.page.set_viewport_size(size)
