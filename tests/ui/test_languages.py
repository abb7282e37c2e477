"""The office in Arabic: from right to left, nothing cut off, and a choice that is remembered."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, Page, expect

from services.languages.language import Language
from tests.ui.app_process import AppProcess, choose, settled

pytestmark = [pytest.mark.browser, pytest.mark.slow]

ARABIC = Language.of("ar")
PAGES = (
    *("submit-reading", "rounds", "payments", "bills", "customers", "my-account", "dunning"),
    *("overview", "jobs", "services", "settings", "notifications", "letters", "permissions"),
    *("tariffs", "tariff-editor", "users", "sign-ins", "security-log", "api-keys"),
)
FAILED = "Something went wrong on our side. What was stored before is safe."
_OVERFLOW = "() => document.documentElement.scrollWidth - innerWidth"


def html_of(page: Page) -> tuple[str | None, str | None]:
    html = page.locator("html")
    return html.get_attribute("lang"), html.get_attribute("dir")


def test_the_office_speaks_the_browsers_language_until_another_is_chosen(
    app_server: Callable[..., AppProcess], browser: Browser
) -> None:
    app = app_server({"DEMO": "on"})
    context = browser.new_context(
        locale="ar", viewport={"width": 390, "height": 844}, reduced_motion="reduce"
    )
    page = context.new_page()
    page.goto(app.sign_in_link().strip().split()[-1])
    settled(page)
    assert html_of(page) == ("ar", "rtl")
    page.get_by_role("button", name=ARABIC.gettext("Administrator")).click()
    settled(page)
    for path in PAGES:
        page.goto(f"{app.url}/{path}")
        expect(page.locator("html[dir=rtl]")).to_be_attached()
        settled(page)
        assert page.evaluate(_OVERFLOW) <= 0, path
        expect(page.get_by_text(ARABIC.gettext(FAILED))).to_have_count(0)
        # The menu that is folded away covers nothing.
        expect(page.get_by_test_id("stSidebar")).not_to_be_visible()
    page.set_viewport_size({"width": 1440, "height": 900})
    page.goto(f"{app.url}/bills")
    settled(page)
    menu = page.get_by_test_id("stSidebar").bounding_box()
    assert menu is not None
    assert menu["x"] > 1000
    expect(page.get_by_role("link", name=ARABIC.gettext("Payments"))).to_be_visible()
    # Another language holds at once, and in a browser that asks for none of ours.
    page.goto(f"{app.url}/my-account")
    settled(page)
    choose(page.get_by_test_id("stSelectbox"), "Français")
    settled(page)
    expect(page.get_by_role("heading", name="Mon compte")).to_be_visible()
    assert html_of(page) == ("fr", "ltr")
    context.close()
    assert app.stop()
