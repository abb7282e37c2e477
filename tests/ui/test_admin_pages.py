"""The sign-in form behind a tenant, the API keys and the services page, over a real database."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from streamlit.testing.v1 import AppTest

from scheduler import Scheduler
from services.bootstrap import build_services, run_with
from services.container import Services
from services.graph import OpenedGraph, PassState
from services.identity.auth import hash_api_key
from services.identity.auth0 import Auth0Tokens
from services.identity.permissions import Role
from services.integrations.failures import TemporaryFailure
from services.settings import PROJECT_FOLDER, load_settings
from services.utility_settings.current import CurrentSettings
from tests.oidc.keys import (
    AUDIENCE,
    ROLES_CLAIM,
    KeyServer,
    Signer,
    Weak,
    bad_tokens,
    good_claims,
    key_server,
    published,
)
from tests.ui.page_runs import without_database

pytestmark = pytest.mark.postgres

GOOD, WEAK = Signer("good"), Weak()
HOW = sorted(bad_tokens(GOOD, WEAK, "https://tenant.example/", datetime.now(UTC)))
AUTH0_SETTINGS = {
    "auth0_domain": "tenant.example",
    "auth0_audience": AUDIENCE,
    "auth0_client_id": "billing-pages",
}


@pytest.fixture(scope="module")
def services(own_settings: dict[str, str]) -> Iterator[Services]:
    """Services over a database of this module's own, empty."""
    built = build_services(load_settings(own_settings))
    yield built
    built.close()


@pytest.fixture(autouse=True)
def run(services: Services) -> Iterator[Callable[[Services], None]]:
    """Say what the pages find in this process: these services, if not told otherwise."""

    def say(others: Services) -> None:
        run_with(others, Scheduler(others))

    say(services)
    yield say
    run_with(None)


@pytest.fixture(scope="module")
def tenant() -> Iterator[KeyServer]:
    with key_server() as served:
        served.keys = [GOOD.jwk, published("weak", WEAK.modulus)]
        yield served


@pytest.fixture
def behind_auth0(
    services: Services, run: Callable[[Services], None], tenant: KeyServer
) -> KeyServer:
    """The tenant that people sign in through now."""
    settings = services.current_settings.deployed.model_copy(update=AUTH0_SETTINGS)
    current = CurrentSettings(settings, services.database)
    tokens = Auth0Tokens(tenant.domain, AUDIENCE, ROLES_CLAIM)
    run(replace(services, current_settings=current, tokens=tokens))
    return tenant


def now() -> datetime:
    return datetime.now(UTC)


def visitor() -> AppTest:
    return AppTest.from_file(str(PROJECT_FOLDER / "pages/main.py"), default_timeout=20)


def signed_in(services: Services, role: Role, page: str) -> AppTest:
    app = visitor()
    app.session_state["token"] = services.tokens.issue(f"some.{role}", role, now())
    return app.run().switch_page(page).run()


def press(app: AppTest, label: str) -> AppTest:
    (button,) = [button for button in app.button if button.label == label]
    return button.click().run()


def words(app: AppTest) -> str:
    kinds = ("title", "markdown", "caption", "warning", "success", "error", "code")
    found = [str(getattr(element, "value", "")) for kind in kinds for element in app.get(kind)]
    return "\n".join(found).replace("\\", "")


def hand_in(user: str, token: str) -> AppTest:
    """Fill in the sign-in form and send it."""
    app = visitor().run()
    app.text_input(key="user-id").set_value(user)
    app.text_input(key="sign-in-token").set_value(token)
    return press(app, "Sign in")


class TestFormBehindAuth0:
    """User id and token, as always; but only the tenant's tokens count."""

    @pytest.mark.parametrize("how", HOW)
    def test_a_bad_token_is_refused_with_a_sentence(
        self, behind_auth0: KeyServer, how: str
    ) -> None:
        token = bad_tokens(GOOD, WEAK, behind_auth0.issuer, now())[how]
        app = hand_in("auth0|user-7", token)
        assert len(app.error) == 1
        assert token not in words(app)
        assert "token" not in app.session_state
        assert not app.exception

    def test_a_good_token_of_the_same_user_leads_to_the_pages(
        self, behind_auth0: KeyServer
    ) -> None:
        app = hand_in("auth0|user-7", GOOD.sign(good_claims(behind_auth0.issuer, now())))
        assert any("/session/begin?ticket=" in str(html.proto.body) for html in app.get("html"))
        assert app.run().title[0].value == "Submit a reading"

    def test_a_good_token_of_another_user_is_refused(self, behind_auth0: KeyServer) -> None:
        app = hand_in("auth0|user-8", GOOD.sign(good_claims(behind_auth0.issuer, now())))
        assert "This token belongs to another user id." in words(app)

    def test_a_token_without_a_role_is_not_allowed(self, behind_auth0: KeyServer) -> None:
        claims = good_claims(behind_auth0.issuer, now(), **{ROLES_CLAIM: ["owner"]})
        assert "no role here" in words(hand_in("auth0|user-7", GOOD.sign(claims)))

    def test_a_token_of_the_local_key_is_refused(
        self, services: Services, behind_auth0: KeyServer
    ) -> None:
        token = services.tokens.issue("user-7", Role.ADMIN, now())
        assert "not a token of ours" in words(hand_in("user-7", token))
        assert behind_auth0.keys

    def test_a_tenant_that_is_away_is_a_sentence_and_keeps_the_sign_in(
        self, behind_auth0: KeyServer
    ) -> None:
        token = GOOD.sign(good_claims(behind_auth0.issuer, now()))
        behind_auth0.answer = lambda handler: handler.send_error(500)
        try:
            assert "cannot be reached just now" in words(hand_in("auth0|user-7", token))
            app = visitor()
            app.session_state["token"] = token
            app.run()
            assert "cannot be reached just now" in words(app)
            assert not app.sidebar.button
        finally:
            behind_auth0.answer = None
        assert app.session_state["token"] == token

    def test_there_are_no_demo_buttons_but_one_of_auth0(self, behind_auth0: KeyServer) -> None:
        labels = [button.label for button in visitor().run().button]
        assert labels == ["Sign in with Auth0", "Sign in"]
        assert behind_auth0.keys

    def test_the_reason_of_a_failed_sign_in_comes_from_a_fixed_list(
        self, behind_auth0: KeyServer
    ) -> None:
        for query, said in (("refused", "did not let you in"), ("<b>made up</b>", "")):
            app = visitor()
            app.query_params["sign-in"] = query
            app.run()
            assert said in words(app)
            assert "made up" not in words(app)
        assert behind_auth0.keys


class TestApiKeys:
    """Made on a page, shown once, revoked after a question."""

    PAGE = "system/api_keys.py"

    def make(self, services: Services, name: str) -> tuple[AppTest, str]:
        app = signed_in(services, Role.ADMIN, self.PAGE)
        app.text_input(key="key-name").set_value(name)
        app = press(app, "Make a key")
        return app, str(app.code[0].value)

    def test_a_new_key_is_shown_once(self, services: Services) -> None:
        app, key = self.make(services, "head-end")
        found = services.database.api_key(key_hash=hash_api_key(key))
        assert found is not None
        assert (found.name, found.role) == ("head-end", "engineer")
        app.run()
        assert not app.code
        assert key not in words(app)
        assert key not in repr(app.session_state)
        assert "by some.admin" in words(app)

    def test_a_key_is_revoked_after_a_question(self, services: Services) -> None:
        app, key = self.make(services, "old app")
        (found,) = [k for k in services.database.api_keys() if k.name == "old app"]
        app.button(key=f"revoke-{found.id}").click().run()
        assert services.database.api_key(key_hash=hash_api_key(key)) is None
        assert "Revoked" in words(app)
        assert f"revoke-{found.id}" not in [button.key for button in app.button]

    @pytest.mark.parametrize(("name", "says"), [("twice", "already a key"), (" ", "1 to 100")])
    def test_an_unusable_name_is_explained(self, services: Services, name: str, says: str) -> None:
        if name.strip() and name not in [key.name for key in services.database.api_keys()]:
            self.make(services, name)
        app = signed_in(services, Role.ADMIN, self.PAGE)
        app.text_input(key="key-name").set_value(name)
        app = press(app, "Make a key")
        assert says in words(app)
        assert not app.code

    def test_only_administrators_see_it(self, services: Services) -> None:
        app = signed_in(services, Role.ENGINEER, self.PAGE)
        assert "Not allowed: this page is for" in words(app)
        assert not app.title

    def test_without_a_database_it_says_so_calmly(
        self, services: Services, run: Callable[[Services], None]
    ) -> None:
        with without_database(services) as away:
            run(away)
            said = words(signed_in(services, Role.ADMIN, self.PAGE))
        assert "The database cannot be reached just now" in said
        assert "10.0.0.7" not in said


@dataclass
class Graph:
    """A system that another part plugs in."""

    answer: str | Exception
    name: str = "Graph"
    configured: bool = True

    def check(self) -> str:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class Compared:
    """A graph whose comparison with the database is a quarter done."""

    def __init__(self) -> None:
        self.state = PassState(2_500, 10_000, True, False, True, 90)
        self.asked: list[str] = []

    def pass_state(self) -> PassState:
        return self.state

    def halt_pass(self) -> None:
        self.asked.append("halt")
        self.state = replace(self.state, at_work=False, halted=True)

    def ask_for_pass(self) -> None:
        self.asked.append("ask")
        self.state = replace(self.state, halted=False)


def _progress(app: AppTest) -> str:
    (bar,) = app.get("progress")
    return str(bar.proto.text)


class TestServices:
    """Each system, whether it is used, whether it works, and a test of it."""

    PAGE = "system/services.py"

    def test_each_system_is_tested_when_the_page_is_first_opened(self, services: Services) -> None:
        said = words(signed_in(services, Role.ADMIN, self.PAGE))
        assert "It answers, in" in said
        assert "It does not run in this process" in said
        assert said.count("Not configured") == 9

    def test_a_plugged_in_system_is_tested_by_its_button(
        self, services: Services, run: Callable[[Services], None]
    ) -> None:
        graph = Graph(TemporaryFailure("It refused the password."))
        run(replace(services, checks=(graph,)))
        app = signed_in(services, Role.ADMIN, self.PAGE)
        assert "It refused the password." in words(app)
        graph.answer = "It answers."
        app.button(key="test-Graph").click().run()
        said = words(app)
        assert "It answers." in said
        assert "It refused the password." in said.split("Last error, ")[1]

    def test_the_comparison_of_the_graph_is_seen_stopped_and_goes_on(
        self, services: Services, run: Callable[[Services], None]
    ) -> None:
        graph = Compared()
        run(replace(services, graph=OpenedGraph(cast("Any", graph))))
        app = signed_in(services, Role.ADMIN, self.PAGE)
        assert _progress(app) == "2,500 of about 10,000 rows, 2 minutes left."
        app.button(key="graph-halt").click().run()
        assert _progress(app) == "Stopped at 2,500 of about 10,000 rows."
        app.button(key="graph-compare").click().run()
        assert _progress(app).endswith("it goes on within a minute.")
        assert graph.asked == ["halt", "ask"]
        auditor = signed_in(services, Role.AUDITOR, self.PAGE)
        assert "graph-halt" not in {button.key for button in auditor.button}

    def test_an_unexpected_error_shows_nothing_secret(
        self, services: Services, run: Callable[[Services], None]
    ) -> None:
        run(replace(services, checks=(Graph(ValueError("bolt://neo4j:hush@10.0.0.7")),)))
        app = signed_in(services, Role.ADMIN, self.PAGE)
        assert "hush" not in words(app)
        assert not app.exception

    def test_the_tenant_says_how_many_keys_it_signs_with(
        self, services: Services, behind_auth0: KeyServer
    ) -> None:
        app = visitor()
        claims = good_claims(behind_auth0.issuer, now(), **{ROLES_CLAIM: "admin"})
        app.session_state["token"] = GOOD.sign(claims)
        app.run().switch_page(self.PAGE).run()
        assert "it signs with 1 key." in words(app)
        assert services.settings.auth0_domain is None

    def test_without_a_database_it_still_opens(
        self, services: Services, run: Callable[[Services], None]
    ) -> None:
        with without_database(services) as away:
            run(away)
            said = words(signed_in(services, Role.ADMIN, self.PAGE))
        assert "The database cannot be reached." in said
        assert "10.0.0.7" not in said

    def test_what_is_wrong_stands_above_and_what_is_over_below(self, services: Services) -> None:
        log, at = services.database.operation_log, now()
        seen: list[dict[str, Any]] = [{"condition": "trial:over", "sentence": "It was late."}]
        log.note_alerts(now=at, seen=seen, clear=[], quiet_minutes=0)
        for _ in range(2):
            log.note_alerts(now=at, seen=[], clear=["trial:over"], quiet_minutes=0)
        told = {"mail/begin": at.isoformat()}
        seen = [{"condition": "outbox", "sentence": "It waits.", "told": told}]
        log.note_alerts(now=at, seen=seen, clear=[], quiet_minutes=0)
        app = signed_in(services, Role.ADMIN, self.PAGE)
        (shown,) = [e.value for e in app.error if "The outbox is stuck" in e.value]
        assert shown.endswith("Sent by e-mail.")
        said = words(app)
        assert "It waits." in said
        assert all("late" not in error.value for error in app.error)
        for _ in range(2):
            log.note_alerts(now=at, seen=[], clear=["outbox"], quiet_minutes=0)

    def test_only_administrators_see_it(self, services: Services) -> None:
        app = signed_in(services, Role.ENGINEER, self.PAGE)
        assert "Not allowed: this page is for" in words(app)
        assert not app.title


@pytest.mark.parametrize("page", ["system/api_keys.py", "system/services.py"])
def test_a_page_run_past_the_menu_still_asks_who_is_there(page: str) -> None:
    app = AppTest.from_file(str(PROJECT_FOLDER / "pages" / page), default_timeout=20).run()
    assert words(app) == "Sign in first."
