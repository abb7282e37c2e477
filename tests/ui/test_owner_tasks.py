"""What a utility's owner does, walked in a browser: inviting people, and the morning's look."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, time, timedelta
from typing import Any

import psycopg
import pytest
from playwright.sync_api import Page, expect

from tests.servers import NewDatabase
from tests.ui.app_process import AppProcess, settled
from tests.ui.conftest import PATIENT_MS
from tests.ui.walking import PHONE, PHONE_AGENT, SIZES, Walk

pytestmark = [pytest.mark.browser, pytest.mark.slow]
PASSWORD = "quiet lantern under water"
LINK = re.compile(r"http://localhost:[0-9]+/session/link\?code=\S+")
WHY = "The disk of the database is full."


@pytest.fixture(scope="module")
def app(app_server: Callable[..., AppProcess], fresh_database: NewDatabase) -> AppProcess:
    """A utility without people, whose last retention failed for good in the night."""
    dsn = fresh_database()
    now = datetime.now(UTC)
    last = now.date() if now.time() >= time(3, 30) else now.date() - timedelta(days=1)
    with psycopg.connect(dsn) as connection:
        connection.execute(
            "insert into job_runs (job, scheduled_on, attempt, owner, lease_until, status,"
            " started_by, detail, started_at, finished_at, clock_at)"
            " values ('retention', %s, 5, 'host:1', now(), 'failed', 'schedule', %s,"
            " now() - interval '2 minutes', now() - interval '1 minute', now())",
            [last, WHY],
        )
        connection.execute("update installation set installed_at = now() - interval '3 days'")
    return app_server({"DEMO": "off", "TIMEZONE": "UTC", "DATABASE_URL": dsn})


@pytest.fixture(scope="module")
def screens(app: AppProcess, browser: Any) -> Iterator[Callable[[tuple[int, int]], Page]]:
    """The first administrator at a desk and on a phone."""
    pages: dict[tuple[int, int], Page] = {}
    (link,) = app.waited_for(LINK)

    def screen(size: tuple[int, int]) -> Page:
        if size not in pages:
            width, height = size
            agent = PHONE_AGENT if size == PHONE else None
            context = browser.new_context(
                viewport={"width": width, "height": height}, user_agent=agent
            )
            pages[size] = context.new_page()
            pages[size].set_default_timeout(PATIENT_MS)
            if len(pages) == 1:
                become_administrator(pages[size], link)
            else:
                sign_in(pages[size], app)
        return pages[size]

    yield screen
    for page in pages.values():
        page.context.close()


def become_administrator(page: Page, link: str) -> None:
    page.goto(link)
    page.get_by_role("button", name="Create the first account").click()
    page.get_by_label("Your name").fill("The Owner")
    page.get_by_label("Sign-in name").fill("owner@example.org")
    page.get_by_label("New password").fill(PASSWORD)
    page.get_by_label("The same once more").fill(PASSWORD)
    page.get_by_role("button", name="Create the administrator").click()
    page.get_by_role("button", name="Sign out").wait_for(state="attached")
    settled(page)


def sign_in(page: Page, app: AppProcess) -> None:
    page.goto(app.url)
    page.get_by_label("Sign-in name").fill("owner@example.org")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="Sign out").wait_for(state="attached")
    settled(page)


@pytest.fixture
def walk(
    app: AppProcess, screens: Callable[[tuple[int, int]], Page], size: tuple[int, int]
) -> Walk:
    return Walk(screens(size), app)


@SIZES
def test_task_4_an_engineer_and_a_cashier_are_invited(walk: Walk) -> None:
    walk.open("overview")
    walk.begin()
    walk.by_menu("Users")
    walk.follow("Invite a user")
    for number, (name, role) in enumerate((("Asha", "Field engineer"), ("Ravi", "Cashier"))):
        if number:
            walk.click("Invite another")
        sign_in_name = f"{name.lower()}{walk.width}@example.org"
        walk.fill_in_form("Name", name)
        walk.fill_in_form("Sign-in name", sign_in_name)
        walk.choose("Roles", role)
        walk.page.keyboard.press("Escape")
        settled(walk.page)
        walk.click("Invite")
        walk.says(f"Hand this link to {name}")
        expect(walk.page.get_by_test_id("stCode").first).to_contain_text("?code=")
    walk.done("task 4 · an engineer and a cashier are invited")
    walk.open("users")
    invited = walk.main.get_by_text(f"ravi{walk.width}@example.org").filter(visible=True)
    expect(invited.first).to_be_visible()


@SIZES
def test_task_40_in_the_morning_it_is_seen_that_a_job_failed_and_why(walk: Walk) -> None:
    walk.open("overview")
    walk.begin()
    walk.follow("1 job with problems")
    walk.says(WHY)
    walk.done("task 40 · last night's job failed, and why")
