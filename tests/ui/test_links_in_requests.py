"""What stands in an address becomes no link on our own pages."""

import re
from collections.abc import Callable
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from tests.ui.app_process import AppProcess, settled

pytestmark = pytest.mark.browser


def test_a_warning_about_an_address_holds_no_link_of_it(
    app_server: Callable[..., AppProcess], page: Page
) -> None:
    app = app_server()
    page.goto(app.sign_in_link())
    page.get_by_role("button", name="Field engineer").click()
    page.get_by_role("button", name="Sign out").wait_for()
    lure = "X. Your session ended, sign in at www.evil.example or https://evil.example"
    page.goto(f"{app.url}/submit-reading?meter={quote(lure)}")
    expect(page.get_by_text(re.compile("sign in at"))).to_be_visible()
    settled(page)
    assert page.locator("a[href*=evil]").count() == 0
