"""Without a password only the terminal's link signs in, also behind a proxy on this machine."""

import json
import re
from collections.abc import Callable
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from playwright.sync_api import Page, expect

from services.bootstrap import tokens_for
from services.identity.permissions import Role
from services.settings import PROJECT_FOLDER, load_settings
from services.web.asgi import utc_now
from tests.ui.app_process import AppProcess, settled
from tests.ui.nginx import CONFIGURATIONS, nginx_before

pytestmark = pytest.mark.browser

LINK = re.compile(r"http://localhost:[0-9]+/session/link\?code=\S+")
API = (
    ("GET", "/api/scheduler/status"),
    ("GET", "/api/bills/customer/DEMO-A1"),
    ("GET", "/api/bills/1"),
    ("POST", "/webhook/meter-reading"),
)


@pytest.fixture(scope="module")
def app(app_server: Callable[..., AppProcess]) -> AppProcess:
    return app_server()


def role_buttons(page: Page) -> int:
    return page.get_by_role("button", name=re.compile("Field engineer|Administrator")).count()


def test_the_start_prints_one_link_that_signs_one_browser_in_once(
    app: AppProcess, page: Page, phone: Page
) -> None:
    (link,) = app.waited_for(LINK)
    page.goto(link)
    page.get_by_role("button", name="Field engineer").click()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("button", name="Administrator").click()
    page.get_by_role("button", name="Sign out").wait_for()
    phone.goto(link)
    expect(phone.get_by_text("has been used already")).to_be_visible()
    settled(phone)
    assert role_buttons(phone) == 0


def test_without_the_link_a_visitor_on_this_machine_is_told_how_to_get_one(
    app: AppProcess, page: Page
) -> None:
    page.goto(app.url)
    expect(page.get_by_text("python -m services sign-in")).to_be_visible()
    expect(page.get_by_label("User id")).to_be_visible()
    settled(page)
    assert role_buttons(page) == 0
    page.goto(app.sign_in_link())
    page.get_by_role("button", name="Administrator").wait_for()


def test_signing_out_ends_the_other_tab_and_what_was_copied_from_the_cookies(
    app: AppProcess, page: Page, phone: Page
) -> None:
    page.goto(app.sign_in_link())
    page.get_by_role("button", name="Administrator").click()
    page.get_by_role("button", name="Sign out").wait_for()
    copied = {cookie["name"]: cookie["value"] for cookie in page.context.cookies()}
    other = page.context.new_page()
    other.goto(f"{app.url}/api-keys")
    other.get_by_label("Name").fill("made after the end")
    assert _status("GET", f"{app.url}/api/scheduler/status", "localhost", copied["session"]) == 200

    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("button", name="Administrator").wait_for()

    other.get_by_role("button", name="Make a key").click()
    expect(other.get_by_label("User id")).to_be_visible()
    expect(other.get_by_text("Copy it now")).to_have_count(0)
    # It goes on with its old cookies, and offers to take those that the browser has by now.
    page.get_by_role("button", name="Administrator").click()
    page.get_by_role("button", name="Sign out").wait_for()
    other.get_by_role("button", name="Load this page again").click()
    expect(other.get_by_role("heading", name="API keys")).to_be_visible()
    assert _status("GET", f"{app.url}/api/scheduler/status", "localhost", copied["session"]) == 401
    for name in ("session", "role_choice"):
        phone.context.add_cookies([{"name": name, "value": copied[name], "url": app.url}])
    phone.goto(f"{app.url}/bills")
    expect(phone.get_by_label("User id")).to_be_visible()
    settled(phone)
    assert role_buttons(phone) == 0


def test_an_administrator_uploads_a_tariff(app: AppProcess, page: Page) -> None:
    page.goto(app.sign_in_link())
    page.get_by_role("button", name="Administrator").click()
    page.get_by_role("button", name="Sign out").wait_for()
    page.goto(f"{app.url}/tariff-editor")
    page.get_by_text("Take it from a file").click()
    example = PROJECT_FOLDER / "examples" / "tariffs" / "delhi-shops-5kw.json"
    page.locator("input[type=file]").set_input_files(example)
    expect(page.get_by_role("button", name="Use it")).to_be_visible()


def test_a_made_up_right_opens_nothing(app: AppProcess, page: Page) -> None:
    token = tokens_for(load_settings({"DATA_DIR": str(app.data_dir)})).issue(
        "me", Role.ENGINEER, utc_now()
    )
    for value in ("made-up", "a.b.c", token):
        page.context.add_cookies([{"name": "role_choice", "value": value, "url": app.url}])
        page.goto(app.url)
        page.get_by_label("User id").wait_for()
        settled(page)
        assert role_buttons(page) == 0


@pytest.mark.parametrize("configuration", CONFIGURATIONS)
def test_behind_a_proxy_nobody_comes_in_without_proving_who_they_are(
    app: AppProcess, page: Page, configuration: str
) -> None:
    with nginx_before(app.url, configuration) as address:
        page.goto(address)
        # Refused; without a WebSocket, or with one of another origin, the page stays empty.
        page.wait_for_timeout(3_000)
        if configuration == "upgrading":
            expect(page.get_by_label("User id")).to_be_visible()
            settled(page)
        assert role_buttons(page) == 0
        page.goto(f"{address}/session/link?code=guessed")
        page.wait_for_timeout(1_000)
        assert role_buttons(page) == 0
        for method, path in API:
            for host in ("localhost", "127.0.0.1:8501"):
                assert _status(method, address + path, host) in {401, 403}


def test_tokens_of_the_command_line_still_work_over_loopback(app: AppProcess) -> None:
    token = tokens_for(load_settings({"DATA_DIR": str(app.data_dir)})).issue(
        "me", Role.ENGINEER, utc_now()
    )
    request = Request(f"{app.url}/api/scheduler/status")  # noqa: S310 - always http
    request.add_header("Authorization", f"Bearer {token}")
    with urlopen(request, timeout=20) as answer:  # noqa: S310
        assert json.load(answer)["running"] is True


def _status(method: str, url: str, host: str, token: str = "") -> int:
    body = b"{}" if method == "POST" else None
    request = Request(url, data=body, method=method, headers={"Host": host})  # noqa: S310
    request.add_header("Content-Type", "application/json")
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urlopen(request, timeout=20) as answer:  # noqa: S310
            return int(answer.status)
    except HTTPError as error:
        return error.code
