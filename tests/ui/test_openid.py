"""Signing in through a provider as Keycloak is one, and as Google, with real OpenID Connect."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from services.bootstrap import tokens_for
from services.identity.auth import NotAllowed
from services.identity.permissions import Role
from services.settings import load_settings
from services.web.asgi import utc_now
from tests.oidc.tenant import CLIENT_ID, Tenant, running_tenant
from tests.ui.app_process import AppProcess, free_port, settled
from tests.unit.identity.test_openid import invited

pytestmark = pytest.mark.browser

BUTTON = "Sign in with your organisation's account"
KEYCLOAK = {"OIDC_ROLES_CLAIM": "realm_access.roles", "OIDC_ROLE_NAMES": "Field=engineer"}


@pytest.fixture(scope="module")
def tenant() -> Iterator[Tenant]:
    yield from running_tenant()


@pytest.fixture(scope="module")
def app(app_server: Callable[..., AppProcess], tenant: Tenant) -> AppProcess:
    port = free_port()
    own = {"STREAMLIT_SERVER_PORT": str(port), "PUBLIC_URL": f"http://localhost:{port}"}
    return app_server({**tenant.openid, **KEYCLOAK, **own})


def test_a_sign_in_outlasts_the_providers_token_until_signing_out(
    app: AppProcess, tenant: Tenant, phone: Page
) -> None:
    # With the minute of leeway there are 25 seconds left, as towards the end of Keycloak's 300.
    access = {"roles": ["offline_access", "Field"]}
    tenant.next_person("f00d-7", seconds=-35, realm_access=access)
    phone.goto(f"{app.url}/my-readings?page=1")
    phone.get_by_role("button", name=BUTTON).click()
    expect(phone.get_by_role("heading", name="My readings")).to_be_visible()
    settled(phone)
    assert phone.url == f"{app.url}/my-readings?page=1"
    phone.wait_for_timeout(26_000)
    phone.reload()
    expect(phone.get_by_role("heading", name="My readings")).to_be_visible()
    phone.goto(f"{app.url}/round")
    expect(phone.get_by_text("f00d-7")).to_be_visible()
    phone.goto(f"{app.url}/overview")
    expect(phone.get_by_text("Not allowed: this page is for")).to_be_visible()


def test_somebody_without_a_role_is_told_so(app: AppProcess, tenant: Tenant, page: Page) -> None:
    tenant.next_person("nobody", realm_access={"roles": ["offline_access"]})
    page.goto(f"{app.url}/bills")
    page.get_by_role("button", name=BUTTON).click()
    expect(page.get_by_text("have no role here")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("button", name=BUTTON)).to_be_visible()


def test_a_google_like_provider_lets_in_whom_an_administrator_invited(
    tenant: Tenant, tmp_path: Path
) -> None:
    settings = load_settings({**tenant.openid, "DATA_DIR": str(tmp_path)})
    tokens = tokens_for(settings, user_of_email=invited)
    person = {"sub": "1024", "aud": CLIENT_ID, "email": "asha@example.org"}
    token = tenant.token(**person, email_verified=True)
    assert tokens.verify(token, utc_now()).roles == {Role.ENGINEER, Role.CASHIER}
    with pytest.raises(NotAllowed, match="verified"):
        tokens.verify(tenant.token(**person, email_verified=False), utc_now())
