"""Every page and every endpoint as every role and as nobody, against the table of permissions."""

import importlib
import re
from collections.abc import Mapping
from typing import Any, Final

import pytest
import streamlit as st
from flask.testing import FlaskClient
from starlette.applications import Starlette
from starlette.routing import Mount, Route
from starlette.testclient import TestClient
from streamlit.testing.v1 import AppTest
from werkzeug.routing import Rule

from app import create_app
from pages import registry
from pages.shared.session import now
from services.identity.permissions import PERMISSIONS_OF, Permission, Role
from services.settings import PROJECT_FOLDER
from services.web.asgi import SESSION_COOKIE
from tests.integration.api.talk import UNKNOWN_ID
from tests.integration.utility import Utility
from tests.ui.page_runs import user_of, visitor, words
from tests.ui.test_each_page import Asked, asked, utility  # noqa: F401 - fixtures

pytestmark = pytest.mark.postgres
PAGES: Final = [p for p in vars(registry).values() if isinstance(p, registry.PageEntry)]
Needs = tuple[Permission, ...] | None
SUBMIT: Final = (Permission.SUBMIT_READINGS,)
# The permissions of which one is enough; (): whoever is signed in, None: everybody.
ENDPOINTS: Final[Mapping[tuple[str, str], Needs]] = {
    ("POST", "/webhook/meter-reading"): SUBMIT,
    # Stripe's signature is what counts.
    ("POST", "/webhook/stripe"): None,
    # So are Twilio's and WhatsApp's; WhatsApp asks for a word of ours first.
    ("POST", "/webhook/twilio"): None,
    ("POST", "/webhook/twilio/incoming"): None,
    ("GET", "/webhook/whatsapp"): None,
    ("POST", "/webhook/whatsapp"): None,
    ("GET", "/api/bills/<bill_id>"): (Permission.VIEW_BILLS, *SUBMIT),
    ("GET", "/api/bills/customer/<path:customer>"): (Permission.VIEW_BILLS, *SUBMIT),
    ("GET", "/api/credit-notes"): (Permission.VIEW_BILLS,),
    ("GET", "/api/credit-notes/<credit_note_id>/pdf"): (Permission.VIEW_BILLS,),
    ("GET", "/api/autopay/<path:customer>"): (Permission.VIEW_CUSTOMERS,),
    ("GET", "/api/scheduler/status"): (),
    ("GET", "/api/health"): None,
    ("GET", "/api/metrics"): (Permission.VIEW_SYSTEM,),
    # By these somebody signs in.
    ("GET", "/sign-in"): None,
    ("GET", "/sign-in/code"): None,
    ("GET", "/sign-in/new-password"): None,
    ("GET", "/sign-in/first"): None,
    ("GET", "/sign-in/<name>"): None,
    # The round's page itself holds nothing of anybody.
    ("GET", "/round"): None,
    ("GET", "/round/manifest.webmanifest"): None,
    ("GET", "/round/<name>"): None,
    ("GET", "/round/start"): SUBMIT,
    ("GET", "/round/routes"): SUBMIT,
    ("GET", "/round/meters"): SUBMIT,
    ("GET", "/round/file/<kind>"): SUBMIT,
    ("POST", "/round/missed"): SUBMIT,
    ("PUT", "/round/photos/<key>"): SUBMIT,
    ("GET", "/round/photos/<photo_id>"): (Permission.VIEW_READINGS, *SUBMIT),
}
# What the sign-in's forms send counts only from a page of this site: tests/integration/people.
FORMS: Final = {
    ("POST", path)
    for path in ("/sign-in", "/sign-in/code", "/sign-in/new-password", "/sign-in/first")
}
# A customer's page knows its customers alone: no role opens anything of it.
_BILLS: Final = (
    "/bills",
    "/bills/<bill_id>",
    "/bills/<bill_id>/pdf",
    "/bills/<bill_id>/credit-note",
)
_PAYMENTS: Final = ("/payments", "/payments/<payment_id>", "/payments/<payment_id>/pdf")
_SHOWN: Final = ("", *_BILLS, *_PAYMENTS, "/usage", "/statement", "/statement/pdf", "/autopay")
_ASKED: Final = ("/bills/<bill_id>/dispute", "/moving-out", "/reading", "/contact", "/end-links")
_ENTRY: Final = ("/open", "/sign-in", "/confirm")
_DONE: Final = (
    *("/code", "/confirm/send", "/sign-out", "/requests/<request_id>/withdraw", "/contact/trust"),
    *("/bills/<bill_id>/pay", "/autopay", "/autopay/end", "/autopay/resume", "/autopay/confirm"),
)
CUSTOMER_PAGE: Final = {
    *(("GET", f"/my{path}") for path in (*_SHOWN, *_ASKED, *_ENTRY)),
    *(("POST", f"/my{path}") for path in (*_ASKED, *_ENTRY, *_DONE)),
    *(("GET", f"/my/{path}") for path in ("my.css", "<path:rest>")),
    ("POST", "/my/language"),
}
# Those beside Flask: the session's own routes are how somebody becomes signed in, or leaves.
ASGI_ROUTES: Final[Mapping[str, Needs]] = {
    "/session/begin": None,
    "/session/end": None,
    "/session/link": None,
    "/export-file/{name}": (Permission.EXPORT_FILES,),
    "/report-file/{name}": (Permission.VIEW_BOOKS,),
}
# What reads only, or is of the page itself.
READING_BUTTONS: Final = re.compile(
    "Sign out|Skip|Older|Newest|Check the ledger|Show what it will do|Choose again|Find"
    "|Show|Try on the last year|Try again|Begin again.*"
)


def may(role: Role, needs: Needs) -> bool:
    return not needs or not PERMISSIONS_OF[role].isdisjoint(needs)


def at_home(utility: Utility, role: Role) -> AppTest:  # noqa: F811
    app = visitor()
    app.session_state["token"] = utility.services.tokens.issue(user_of(role), role, now())
    return app.run()


def opened(app: AppTest, page: registry.PageEntry, asked: Asked) -> AppTest:  # noqa: F811
    app.query_params.clear()
    for name, value in asked.get(page.script, {}).items():
        app.query_params[name] = value
    return app.switch_page(page.script).run()


def buttons(app: AppTest) -> set[str]:
    """What can be pressed: buttons of forms and of questions too."""
    return {button.label for button in app.button if not button.disabled}


@pytest.mark.parametrize("role", Role)
def test_each_page_opens_for_who_may_and_refuses_others(
    utility: Utility,  # noqa: F811
    asked: Asked,  # noqa: F811
    role: Role,
) -> None:
    app = at_home(utility, role)
    wrong = {}
    for page in PAGES:
        opened(app, page, asked)
        said = words(app)
        refused = any("this page is for" in error.value for error in app.error)
        if app.exception or refused is may(role, page.needs) or "on our side" in said:
            wrong[page.script] = said[-300:]
        elif role is Role.AUDITOR:
            pressed = {one for one in buttons(app) if not READING_BUTTONS.fullmatch(one)}
            if pressed:
                wrong[page.script] = f"an auditor may press {pressed}"
    assert wrong == {}


@pytest.mark.parametrize("role", Role)
def test_the_menu_has_what_a_role_may_open(
    utility: Utility,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    role: Role,
) -> None:
    menus = []
    navigation = st.navigation

    def seen(pages: dict[str, list[Any]], **how: Any) -> Any:
        menus.append([page for of_section in pages.values() for page in of_section])
        return navigation(pages, **how)

    monkeypatch.setattr(st, "navigation", seen)
    at_home(utility, role)
    by_path = {page.path: page for page in PAGES}
    shown = {page.url_path for page in menus[-1] if page.visibility == "visible"}
    assert {page.url_path or registry.HOME.path for page in menus[-1]} == set(by_path)
    assert shown == {path for path, page in by_path.items() if page.icon and may(role, page.needs)}


@pytest.mark.usefixtures("utility")
def test_nobody_is_shown_anything_but_the_sign_in_page() -> None:
    # There are users: the form for tokens is one that is asked for.
    app = visitor()
    app.query_params["sign-in"] = "token"
    assert [field.label for field in app.run().text_input] == ["User id", "Token"]
    for page in PAGES:
        # Without the entry script around it: each page asks who is there itself.
        app = AppTest.from_file(str(PROJECT_FOLDER / "pages" / page.script)).run(timeout=20)
        assert [warning.value for warning in app.warning] == ["Sign in first."], page.script
        assert not [*app.markdown, *app.title, *app.button, *app.exception], page.script


def test_each_endpoint_is_in_the_table(utility: Utility) -> None:  # noqa: F811
    rules = create_app(utility.services).url_map.iter_rules()
    found = {(method_of(rule), rule.rule) for rule in rules if rule.endpoint != "static"}
    assert found == set(ENDPOINTS) | FORMS | CUSTOMER_PAGE


@pytest.mark.parametrize("role", Role)
def test_no_role_opens_a_customer_s_page(
    utility: Utility,  # noqa: F811
    role: Role,
) -> None:
    client = create_app(utility.services).test_client()
    token = utility.services.tokens.issue(user_of(role), role, now())
    client.set_cookie(SESSION_COOKIE, token)
    headers = {"Authorization": f"Bearer {token}"}
    for path in (*_SHOWN, *_ASKED):
        address = re.sub(r"<[^>]*>", UNKNOWN_ID, f"/my{path}")
        answer = client.get(address, headers=headers)
        assert (answer.status_code, answer.headers["Location"]) == (303, "/my/sign-in"), path


@pytest.mark.parametrize("role", [*Role, None])
def test_each_endpoint_answers_who_may_and_refuses_others(
    utility: Utility,  # noqa: F811
    role: Role | None,
) -> None:
    client = create_app(utility.services).test_client()
    headers = {}
    if role is not None:
        token = utility.services.tokens.issue(user_of(role), role, now())
        headers = {"Authorization": f"Bearer {token}"}
    found = {one: asked_of(client, *one, headers) for one in ENDPOINTS}
    wrong = {
        one: status
        for one, status in found.items()
        if (status if status in {401, 403} else None) != refusal(role, ENDPOINTS[one])
    }
    assert wrong == {}


@pytest.mark.parametrize("role", [*Role, None])
def test_each_route_beside_the_api_is_in_the_table_and_keeps_to_it(
    utility: Utility,  # noqa: F811
    own_settings: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    role: Role | None,
) -> None:
    for name, value in own_settings.items():
        monkeypatch.setenv(name, value)
    routes = importlib.import_module("streamlit_app").app._user_routes
    to_flask = {"/webhook/stripe", "/webhook", "/api/health", "/round", "/api", "/sign-in"}
    to_flask |= {"/webhook/twilio", "/webhook/twilio/incoming", "/webhook/whatsapp", "/my"}
    own = [one for one in routes if isinstance(one, Route) and one.path not in to_flask]
    assert {one.path for one in own} == set(ASGI_ROUTES)
    assert {one.path for one in routes if isinstance(one, Mount)} <= to_flask
    client = TestClient(Starlette(routes=own), follow_redirects=False)
    if role is not None:
        token = utility.services.tokens.issue(user_of(role), role, now())
        client.cookies[SESSION_COOKIE] = token
    for path, needs in ASGI_ROUTES.items():
        if needs is not None:
            status = client.get(path.format(name="export-20260101-000000.zip")).status_code
            assert (status if status in {401, 403} else None) == refusal(role, needs), path


def refusal(role: Role | None, needs: Needs) -> int | None:
    """The status with which a role, or nobody, is refused; None where it is not."""
    if needs is None:
        return None
    if role is None:
        return 401
    return None if may(role, needs) else 403


def method_of(rule: Rule) -> str:
    (method,) = (rule.methods or set()) - {"HEAD", "OPTIONS"}
    return method


def asked_of(client: FlaskClient, method: str, rule: str, headers: Mapping[str, str]) -> int:
    """The status of a request that is right in form and about nothing."""
    path = rule.replace("<kind>", "csv")
    path = re.sub(r"<[^>]*>", UNKNOWN_ID, path)
    return client.open(path, method=method, headers=dict(headers), json={}).status_code
