"""Signing in through a tenant, in a real browser, with real OpenID Connect on both sides."""

import re
import time
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.oidc.tenant import Tenant, running_tenant
from tests.ui.app_process import AppProcess, free_port, settled

pytestmark = pytest.mark.browser

BUTTON = "Sign in with Auth0"


@pytest.fixture(scope="module")
def tenant() -> Iterator[Tenant]:
    yield from running_tenant()


@pytest.fixture(scope="module")
def app(app_server: Callable[..., AppProcess], tenant: Tenant) -> AppProcess:
    """The demo's data behind a tenant, opened under the address that the tenant knows."""
    port = free_port()
    own = {"STREAMLIT_SERVER_PORT": str(port), "PUBLIC_URL": f"http://localhost:{port}"}
    return app_server({**tenant.settings, **own})


def sign_in(page: Page) -> None:
    page.get_by_role("button", name=BUTTON).click()
    page.get_by_role("button", name="Sign out").wait_for()
    settled(page)


def test_an_engineer_signs_in_by_the_button_and_comes_to_the_page_asked_for(
    app: AppProcess, tenant: Tenant, page: Page
) -> None:
    tenant.next_person("auth0|engineer-7", roles=["engineer"])
    page.goto(f"{app.url}/my-readings?page=1")
    sign_in(page)
    assert page.url == f"{app.url}/my-readings?page=1"
    expect(page.get_by_role("heading", name="My readings")).to_be_visible()
    expect(page.get_by_text("auth0|engineer-7")).to_be_visible()
    expect(page.get_by_text("Field engineer")).to_be_visible()
    page.goto(f"{app.url}/overview")
    expect(page.get_by_text("Not allowed: this page is for")).to_be_visible()


def test_an_administrator_stays_signed_in_across_a_reload_until_signing_out(
    app: AppProcess, tenant: Tenant, page: Page
) -> None:
    tenant.next_person("auth0|boss", roles="admin")
    page.goto(app.url)
    sign_in(page)
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    settled(page)
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("button", name=BUTTON).wait_for()
    settled(page)
    kept = [str(cookie.get("name")) for cookie in page.context.cookies()]
    assert not [name for name in kept if name.startswith("_streamlit_user") or name == "session"]
    page.goto(f"{app.url}/overview")
    expect(page.get_by_role("button", name=BUTTON)).to_be_visible()


def test_somebody_without_a_role_is_told_that_it_is_not_allowed(
    app: AppProcess, tenant: Tenant, page: Page
) -> None:
    tenant.next_person("auth0|nobody", roles=["owner"])
    page.goto(f"{app.url}/bills")
    sign_in(page)
    expect(
        page.get_by_text("Not allowed: You are signed in, but have no role here")
    ).to_be_visible()
    expect(page.get_by_test_id("stSidebar")).to_have_count(0)
    assert "₹" not in page.inner_text("body")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("button", name=BUTTON)).to_be_visible()


def test_a_sign_in_that_expires_leads_back_to_the_sign_in_page_and_on_again(
    app: AppProcess, tenant: Tenant, page: Page
) -> None:
    # With the minute of leeway there are 25 seconds left.
    tenant.next_person("auth0|boss", roles=["admin"], seconds=-35)
    page.goto(f"{app.url}/jobs")
    sign_in(page)
    ends_at = time.monotonic() + 26
    expect(page.get_by_role("heading", name="Jobs")).to_be_visible()
    page.wait_for_timeout(max(0, ends_at - time.monotonic()) * 1000)
    page.get_by_role("link", name="Bills").first.click()
    expect(page.get_by_text("This sign-in has expired. Sign in again.")).to_be_visible()
    tenant.next_person("auth0|boss", roles=["admin"])
    sign_in(page)
    assert page.url == f"{app.url}/bills"


def test_a_refused_sign_in_says_so_and_can_be_tried_again(
    app: AppProcess, tenant: Tenant, page: Page
) -> None:
    tenant.refuse_next()
    page.goto(f"{app.url}/bills")
    page.get_by_role("button", name=BUTTON).click()
    expect(page.get_by_text("The sign-in service did not let you in.")).to_be_visible()
    tenant.next_person("auth0|boss", roles=["admin"])
    sign_in(page)
    assert page.url == f"{app.url}/bills"


def test_a_token_with_its_user_id_opens_the_form_and_another_key_of_the_tenant_too(
    app: AppProcess, tenant: Tenant, page: Page
) -> None:
    tenant.rotate()
    page.goto(f"{app.url}/my-readings")
    page.get_by_label("User id").fill("auth0|engineer-8")
    page.get_by_label("Token", exact=True).fill(tenant.token(sub="auth0|engineer-8"))
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.get_by_role("button", name="Sign out").wait_for()
    settled(page)
    assert page.url == f"{app.url}/my-readings"
    page.reload()
    expect(page.get_by_text("auth0|engineer-8")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("button", name=BUTTON)).to_be_visible()


def test_there_is_no_sign_in_without_a_password(app: AppProcess, page: Page) -> None:
    page.goto(app.url)
    page.get_by_role("button", name=BUTTON).wait_for()
    settled(page)
    expect(
        page.get_by_role("button", name=re.compile("Field engineer|Administrator"))
    ).to_have_count(0)


def test_another_address_of_the_system_leads_to_the_one_that_the_tenant_knows(
    app: AppProcess, page: Page
) -> None:
    page.goto(f"{app.url.replace('localhost', '127.0.0.1')}/bills")
    link = page.get_by_role("link", name=f"{BUTTON} at {app.url}")
    expect(link).to_have_attribute("href", f"{app.url}/bills")


def test_a_tenant_that_is_away_is_a_sentence(app: AppProcess, tenant: Tenant, page: Page) -> None:
    tenant.stop()
    page.goto(f"{app.url}/bills")
    page.get_by_role("button", name=BUTTON).click()
    expect(page.get_by_text("The sign-in service cannot be reached just now.")).to_be_visible()
    assert page.url.startswith(f"{app.url}/bills")
    assert "Traceback" not in page.inner_text("body")
