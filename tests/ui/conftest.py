"""Fixtures of the browser tests: Chromium, pages of a given width, and the running app."""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.ui.app_process import AppProcess, start_app

_CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# Without a sandbox because it cannot work as root; without the parts that call home.
_CHROMIUM_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Return a headless Chromium; without one the test is skipped, or fails when CI=true."""
    path = next(filter(None, map(shutil.which, _CHROMIUM_NAMES)), None)
    if path is None:
        reason = "Chromium is not installed (Debian: apt install chromium)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=_CHROMIUM_ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture
def page_at(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Return a maker of pages, `page_at(390)` being a phone's; each is a visitor of its own."""
    contexts: list[BrowserContext] = []

    def make(width: int = 1280, height: int = 900) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": height}, locale="en-IN", timezone_id="Asia/Kolkata"
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
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


@pytest.fixture(scope="module")
def app_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., AppProcess]]:
    """Return a starter of apps, each with a data folder of its own; all are stopped at the end.

    `app_server()` starts one with the demo, `app_server({"DEMO": "off"})` one without; `folder`
    (the parent of an earlier app's data) starts on data that is there already.
    """
    running: list[AppProcess] = []

    def start(
        environment: Mapping[str, str] | None = None,
        *,
        folder: Path | None = None,
        wait: bool = True,
    ) -> AppProcess:
        folder = folder or tmp_path_factory.mktemp("app")
        running.append(start_app(folder=folder, environment=environment, wait=wait))
        return running[-1]

    yield start
    unclean = [app for app in running if app.process.poll() is None and not app.stop()]
    assert not unclean, "The app did not end when asked to. Its log:\n" + unclean[0].log()
