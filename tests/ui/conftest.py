"""Fixtures of the browser tests: Chromium, pages of a given width, and the running app."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    Page,
    expect,
    sync_playwright,
)

from tests.folders import enterable_folder
from tests.servers import NewDatabase
from tests.ui.app_process import AppProcess, settled, start_app
from tests.ui.chromium import ARGUMENTS, chromium_program
from tests.ui.linked_pages import link_pages
from tests.ui.walking import WALKED, Walk, new_page

# Other files of tests may keep the machine busy meanwhile; expect() would wait for 5 s.
PATIENT_MS = 20_000
expect.set_options(timeout=PATIENT_MS)


@pytest.fixture(autouse=True)
def own_main(monkeypatch: pytest.MonkeyPatch) -> None:
    """Streamlit puts the page it runs in the main module's place; other tests need their own."""
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])


@pytest.fixture(autouse=True)
def walked(request: pytest.FixtureRequest) -> Iterator[None]:
    """Put what the test's walks took into its report, which reaches the summary from any worker."""
    WALKED.clear()
    yield
    request.node.user_properties += [("walked", line) for line in WALKED]


@pytest.fixture(scope="module")
def own_settings(
    fresh_database: NewDatabase, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """The environment of a utility with an empty database and a data folder of the file's own."""
    return {"DATABASE_URL": fresh_database(), "DATA_DIR": str(tmp_path_factory.mktemp("data"))}


@pytest.fixture(scope="module")
def page_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the pages, for scripts that open some of them."""
    folder = tmp_path_factory.mktemp("pages")
    link_pages(folder)
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Return a headless Chromium; without one the test is skipped, or fails when CI=true.

    One a file: Playwright keeps an event loop running in this thread, where others want their own.
    """
    path = chromium_program()
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture
def page_at(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Return a maker of pages, `page_at(390)` being a phone's; each is a visitor of its own."""
    contexts: list[BrowserContext] = []

    def make(width: int = 1280, height: int = 900, *, user_agent: str | None = None) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": height},
            locale="en-IN",
            timezone_id="Asia/Kolkata",
            user_agent=user_agent,
            reduced_motion="reduce",
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENT_MS)
        return page

    yield make
    for context in contexts:
        context.close()


@pytest.fixture
def page(page_at: Callable[..., Page]) -> Page:
    """Return a page as wide as a desk's screen."""
    return page_at(1280)


@pytest.fixture
def phone(page_at: Callable[..., Page]) -> Page:
    """Return a page as wide as a phone's screen."""
    return page_at(390, 844)


SignIn = Callable[[Page, AppProcess, str], None]


@pytest.fixture(scope="module")
def sign_in_as() -> SignIn:
    """Return what signs a page's visitor in by the link, as the role that a button names.

    The first of a role goes the way of people. Later ones bring that one's cookies: the way costs
    three pages, and the tests of signing in go it each time.
    """
    cookies: dict[tuple[str, str], list[Any]] = {}

    def sign_in(page: Page, app: AppProcess, role: str) -> None:
        known = cookies.get((app.url, role))
        if known is not None:
            page.context.add_cookies(known)
            return
        page.goto(app.sign_in_link())
        page.get_by_role("button", name=role).click()
        page.get_by_role("button", name="Sign out").wait_for(state="attached")
        settled(page)
        cookies[app.url, role] = [
            {"name": c["name"], "value": c["value"], "url": app.url} for c in page.context.cookies()
        ]

    return sign_in


@pytest.fixture
def walk(
    app: AppProcess, page_at: Callable[..., Page], sign_in_as: SignIn, size: tuple[int, int]
) -> Walk:
    """Return an administrator before the `app` of the file, with a screen of a `size`."""
    page = new_page(page_at, size)
    sign_in_as(page, app, "Administrator")
    return Walk(page, app)


@pytest.fixture(scope="module")
def app_server() -> Iterator[Callable[..., AppProcess]]:
    """Return a starter of apps, each with a data folder of its own; all are stopped at the end.

    `app_server()` starts one with the demo, `app_server({"DEMO": "off"})` one without; `folder`
    (the parent of an earlier app's data) starts on data that is there already.
    """
    running: list[AppProcess] = []
    folders = ExitStack()

    def start(
        environment: Mapping[str, str] | None = None,
        *,
        folder: Path | None = None,
        wait: bool = True,
    ) -> AppProcess:
        folder = folder or folders.enter_context(contextmanager(enterable_folder)())
        running.append(start_app(folder=folder, environment=environment, wait=wait))
        return running[-1]

    yield start
    with folders:
        unclean = [app for app in running if app.process.poll() is None and not app.stop()]
        assert not unclean, "The app did not end when asked to. Its log:\n" + unclean[0].log()
