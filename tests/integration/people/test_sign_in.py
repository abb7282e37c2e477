"""People sign in with a name and a password over HTTP; what does not let them in looks alike."""

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from urllib.parse import urlencode

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from services.identity.auth import NotSignedIn
from services.identity.permissions import Role
from services.people.totp import STEP_SECONDS
from tests.integration.people.office import PASSWORD, SITE, Office, open_office
from tests.servers import NewDatabase

STEP = timedelta(seconds=STEP_SECONDS)


@pytest.fixture
def office(
    fresh_database: NewDatabase, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Office]:
    made = open_office(fresh_database(), tmp_path_factory.mktemp("data"))
    yield made
    made.services.close()


@pytest.fixture
def browser(office: Office) -> FlaskClient:
    return office.browser()


def test_the_form_helps_password_managers_and_holds_no_script_of_others(
    office: Office, browser: FlaskClient
) -> None:
    office.first_administrator()
    answer = browser.get("/sign-in?next=/bills")
    text = answer.get_data(as_text=True)
    assert answer.status_code == 200
    for wanted in ('autocomplete="username"', 'autocomplete="current-password"', 'value="/bills"'):
        assert wanted in text
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Cache-Control"] == "no-store"
    for name in ("sign-in.css", "show-password.js"):
        assert browser.get(f"/sign-in/{name}").status_code == 200
    assert browser.get("/sign-in/base.html").status_code == 404
    assert browser.get("/sign-in/..%2Froutes.py").status_code == 404


def test_who_signs_in_gets_a_session_and_a_known_device_and_goes_on(
    office: Office, browser: FlaskClient
) -> None:
    office.first_administrator()
    answer = office.sign_in(browser, "BOSS ", next="/bills?id=7")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/bills?id=7")
    cookies = answer.headers.getlist("Set-Cookie")
    assert cookies[0].startswith("session=")
    assert all("HttpOnly" in c and "SameSite=Lax" in c for c in cookies)
    who = office.who(browser)
    assert (who.user, who.roles, who.via) == ("boss", frozenset({Role.ADMIN}), "password")
    # Straight on, once signed in.
    again = browser.get("/sign-in?next=/bills")
    assert (again.status_code, again.headers["Location"]) == (303, "/bills")


@pytest.mark.parametrize(
    "path", ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)"]
)
def test_nobody_is_led_to_another_site(office: Office, browser: FlaskClient, path: str) -> None:
    office.first_administrator()
    assert office.sign_in(browser, next=path).headers["Location"] == "/"


@pytest.mark.parametrize(
    "fields",
    [
        {"next": "/customers?q=മഴ"},
        {"next": "/\u0000"},
        {"name": "bo\u0000ss"},
        {"name": "x" * 100_000},
        {"name": "\ud800"},
        {"password": "\u0000" * 20},
        {"password": "ﷺ" * 100_000},
    ],
)
def test_whatever_is_typed_is_answered_with_a_page(
    office: Office, browser: FlaskClient, fields: dict[str, str]
) -> None:
    office.first_administrator()
    sent = {"name": "boss", "password": PASSWORD, "next": "/"} | fields
    encoded = urlencode(sent, errors="surrogatepass")
    answer = browser.post(
        "/sign-in",
        data=encoded,
        headers=SITE,
        content_type="application/x-www-form-urlencoded",
    )
    assert answer.status_code == (303 if "next" in fields else 401)
    if answer.status_code == 303:
        assert answer.headers["Location"].isascii()


def test_unknown_names_wrong_passwords_and_disabled_users_are_answered_alike(
    office: Office,
) -> None:
    office.first_administrator()
    office.user("asha")
    disabled = office.user("meera")
    office.services.users.disable(disabled, principal=office.boss, now=office.now)
    invited = office.invite("ravi")
    assert invited.code
    answers = {
        name: office.sign_in(office.browser(), name, password)
        for name, password in {
            "nobody": PASSWORD,
            "asha": "not the password",
            "meera": PASSWORD,
            "ravi": PASSWORD,
        }.items()
    }
    shown = {
        answer.get_data(as_text=True).replace(name, "NAME") for name, answer in answers.items()
    }
    assert len(shown) == 1
    assert "do not fit together" in shown.pop()
    assert {answer.status_code for answer in answers.values()} == {401}
    assert not any(answer.headers.getlist("Set-Cookie") for answer in answers.values())


def test_what_was_typed_as_a_name_is_logged_only_for_users(office: Office) -> None:
    office.first_administrator()
    office.sign_in(office.browser(), "my secret passphrase", "x")
    office.sign_in(office.browser(), "boss", "wrong password 1")
    events = office.services.database.security_events(limit=50)
    told = " ".join(f"{event.who} {event.detail}" for event in events)
    assert "secret" not in told
    assert "wrong password 1" not in told
    assert [event.who for event in events if event.event == "refused"] == ["boss", ""]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
)
def test_a_form_of_another_site_does_nothing(office: Office, headers: dict[str, str]) -> None:
    office.first_administrator()
    invited = office.invite("asha")
    browser = office.browser()
    fields = {"name": "boss", "password": PASSWORD, "again": PASSWORD, "code": invited.code}
    for path in ("/sign-in", "/sign-in/code", "/sign-in/new-password", "/sign-in/first"):
        answer = browser.post(path, data=fields, headers=headers)
        assert answer.status_code in {303, 403}
        assert "session=" not in " ".join(answer.headers.getlist("Set-Cookie"))
    assert office.services.users.link(invited.code, office.now).sign_in_name == "asha"


def test_a_session_before_the_sign_in_is_ended_by_it(office: Office, browser: FlaskClient) -> None:
    office.first_administrator()
    office.user("asha")
    office.sign_in(browser, "asha")
    before = office.cookie(browser, "session")
    office.sign_in(browser, "boss")
    after = office.cookie(browser, "session")
    assert after != before
    with pytest.raises(NotSignedIn):
        office.services.who(before, office.now)
    # One that an attacker planted is not taken up either.
    browser.set_cookie("session", before)
    office.sign_in(browser, "boss")
    assert office.cookie(browser, "session") not in {before, after}


@pytest.mark.parametrize("how", ["sign out", "end", "disable", "reset", "roles"])
def test_a_copied_cookie_is_refused_after(office: Office, browser: FlaskClient, how: str) -> None:
    office.first_administrator()
    asha = office.user("asha")
    office.sign_in(browser, "asha")
    copied = office.cookie(browser, "session")
    office.services.who(copied, office.now)
    users, boss, now = office.services.users, office.boss, office.now
    act: dict[str, Callable[[], object]] = {
        "sign out": lambda: office.services.sign_out(copied, None, office.now),
        "end": lambda: users.end_sessions(asha, principal=boss, now=now),
        "disable": lambda: users.disable(asha, principal=boss, now=now),
        "reset": lambda: users.new_link(asha, principal=boss, now=now),
        "roles": lambda: users.change(
            asha, display_name="A", roles={Role.CASHIER}, principal=boss, now=now
        ),
    }
    act[how]()
    with pytest.raises(Exception, match=r"was ended|no longer sign in"):
        office.services.who(copied, office.now)
    can_again = how in {"sign out", "end", "roles"}
    assert office.sign_in(office.browser(), "asha").status_code == (303 if can_again else 401)


class TestCodes:
    @pytest.fixture
    def secret(self, office: Office) -> str:
        office.first_administrator()
        office.user("asha")
        return office.turn_code_on("asha")

    def with_password(self, office: Office, browser: FlaskClient) -> TestResponse:
        answer = office.sign_in(browser, "asha", next="/home")
        assert answer.status_code == 200
        assert 'autocomplete="one-time-code"' in answer.get_data(as_text=True)
        assert office.cookie(browser, "session") == ""
        return answer

    def enter(self, browser: FlaskClient, code: str) -> TestResponse:
        return browser.post("/sign-in/code", data={"code": code, "next": "/home"}, headers=SITE)

    def test_a_code_is_asked_for_and_lets_in_once(self, office: Office, secret: str) -> None:
        office.now += 2 * STEP
        browser, code = office.browser(), office.code(secret)
        self.with_password(office, browser)
        assert self.enter(browser, "000000").status_code == 401
        assert self.enter(browser, f"{code[:3]} {code[3:]}").headers["Location"] == "/home"
        assert office.who(browser).user == "asha"
        another = office.browser()
        self.with_password(office, another)
        assert self.enter(another, code).status_code == 401
        # Nor an older one, which was never used.
        assert self.enter(another, office.code(secret, -1)).status_code == 401
        office.now += STEP
        assert self.enter(another, office.code(secret)).status_code == 303

    def test_the_code_that_turned_it_on_does_not_sign_in(self, office: Office, secret: str) -> None:
        browser = office.browser()
        self.with_password(office, browser)
        assert self.enter(browser, office.code(secret)).status_code == 401

    @pytest.mark.usefixtures("secret")
    def test_a_recovery_code_works_once(self, office: Office) -> None:
        code = office.recovery_codes[0].upper().replace("-", " ")
        browser, another = office.browser(), office.browser()
        self.with_password(office, browser)
        assert self.enter(browser, code).status_code == 303
        self.with_password(office, another)
        assert self.enter(another, code).status_code == 401
        assert self.enter(another, office.recovery_codes[1]).status_code == 303

    @pytest.mark.usefixtures("secret")
    def test_codes_have_a_limit_of_their_own(self, office: Office) -> None:
        browser = office.browser()
        self.with_password(office, browser)
        statuses = [self.enter(browser, f"{n:06}").status_code for n in range(12)]
        assert statuses[:5] == [401] * 5
        assert statuses[-1] == 429
        # The password's own tries are untouched.
        self.with_password(office, browser)

    def test_the_second_step_ends_after_minutes_and_with_the_password(
        self, office: Office, secret: str
    ) -> None:
        browser = office.browser()
        self.with_password(office, browser)
        office.now += timedelta(minutes=6)
        answer = self.enter(browser, office.code(secret))
        assert answer.status_code == 401
        assert "took too long" in answer.get_data(as_text=True)
        self.with_password(office, browser)
        asha = office.named("asha")
        office.services.users.new_link(asha, principal=office.boss, now=office.now)
        assert self.enter(browser, office.code(secret)).status_code == 401

    def test_without_the_first_step_there_is_no_second(self, office: Office, secret: str) -> None:
        browser = office.browser()
        assert browser.get("/sign-in/code").headers["Location"] == "/sign-in"
        assert self.enter(browser, office.code(secret, 1)).status_code == 401

    @pytest.mark.usefixtures("secret")
    def test_an_administrator_takes_a_lost_app_away(self, office: Office) -> None:
        asha = office.named("asha")
        office.services.users.reset_code(asha, principal=office.boss)
        assert office.sign_in(office.browser(), "asha").status_code == 303


class TestLinks:
    def set_password(
        self, office: Office, code: str, password: str = PASSWORD, again: str = ""
    ) -> TestResponse:
        self.browser = office.browser()
        return self.browser.post(
            "/sign-in/new-password",
            data={"code": code, "password": password, "again": again or password},
            headers=SITE,
        )

    def test_an_invitation_sets_a_password_signs_in_and_works_once(self, office: Office) -> None:
        office.first_administrator()
        code = office.invite("asha", Role.CLERK).code
        for _ in range(2):  # Looking does not use it up.
            shown = office.browser().get(f"/sign-in/new-password?code={code}")
            assert 'autocomplete="new-password"' in shown.get_data(as_text=True)
            assert 'value="asha"' in shown.get_data(as_text=True)
        assert self.set_password(office, code, "short").status_code == 422
        assert self.set_password(office, code, again="another one").status_code == 422
        assert self.set_password(office, code).status_code == 303
        assert office.who(self.browser).roles == {Role.CLERK}
        again = self.set_password(office, code, "quite another password")
        assert (again.status_code, office.cookie(self.browser, "session")) == (410, "")
        assert office.sign_in(office.browser(), "asha").status_code == 303

    def test_old_replaced_and_made_up_links_are_refused_alike(self, office: Office) -> None:
        office.first_administrator()
        office.user("asha")
        old, replaced = office.invite("old").code, office.invite("replaced").code
        office.services.users.new_link(
            office.named("replaced"), principal=office.boss, now=office.now
        )
        disabled = office.invite("disabled").code
        office.services.users.disable(
            office.named("disabled"), principal=office.boss, now=office.now
        )
        refused = {self.set_password(office, code).get_data() for code in (replaced, disabled, "x")}
        office.now += timedelta(days=7)
        refused.add(self.set_password(office, old).get_data())
        assert len(refused) == 1
        assert b"used already, or is too old" in refused.pop()

    def test_a_reset_ends_the_old_password_at_once(self, office: Office) -> None:
        office.first_administrator()
        asha = office.user("asha")
        code = office.services.users.new_link(asha, principal=office.boss, now=office.now)
        assert office.sign_in(office.browser(), "asha").status_code == 401
        assert self.set_password(office, code, "rain on a tin roof").status_code == 303
        assert office.sign_in(office.browser(), "asha").status_code == 401
        assert office.sign_in(office.browser(), "asha", "rain on a tin roof").status_code == 303

    def test_a_reset_leaves_the_code_and_a_recovery_takes_it_away(self, office: Office) -> None:
        office.first_administrator()
        office.turn_code_on("boss")
        boss = office.named("boss")
        code = office.services.users.new_link(boss, principal=office.boss, now=office.now)
        answer = self.set_password(office, code)
        assert (answer.status_code, office.cookie(self.browser, "session")) == (200, "")
        code = office.services.users.recovery_link(
            sign_in_name="boss", actor="cli:me", now=office.now
        )
        assert self.set_password(office, code).status_code == 303
        assert office.named("boss").totp_on_at is None


class TestFirst:
    def test_with_nobody_there_the_form_leads_to_the_choice_of_a_role(
        self, browser: FlaskClient
    ) -> None:
        assert browser.get("/sign-in").headers["Location"] == "/"
        assert browser.get("/sign-in/first").headers["Location"] == "/"

    def test_who_opened_the_terminals_link_becomes_administrator_and_ends_the_choice(
        self, office: Office, browser: FlaskClient
    ) -> None:
        services = office.services
        right, demo = (
            office.right(),
            services.tokens.issue("demo.admin", Role.ADMIN, office.now, via="demo"),
        )
        services.who(demo, office.now)
        browser.set_cookie("role_choice", right)
        assert "first administrator" in browser.get("/sign-in/first").get_data(as_text=True)
        fields = {"name": "Boss@Example.org", "display_name": "The Boss", "password": PASSWORD}
        fields["again"] = PASSWORD
        refused = browser.post("/sign-in/first", data=fields | {"name": "two words"}, headers=SITE)
        assert refused.status_code == 422
        assert 'value="The Boss"' in refused.get_data(as_text=True)
        assert browser.post("/sign-in/first", data=fields, headers=SITE).status_code == 303
        assert office.who(browser).user == "boss@example.org"
        assert not services.may_choose_role(right, office.now)
        assert not services.may_choose_role(office.right(), office.now)
        with pytest.raises(NotSignedIn, match="with a password"):
            services.who(demo, office.now)
        second = office.browser()
        second.set_cookie("role_choice", office.right())
        assert second.post("/sign-in/first", data=fields, headers=SITE).headers["Location"] == "/"

    @pytest.mark.parametrize("role", [Role.ADMIN, Role.MANAGER])
    def test_an_administrator_by_token_may_create_the_first_and_nobody_else(
        self, office: Office, browser: FlaskClient, role: Role
    ) -> None:
        browser.set_cookie("session", office.services.tokens.issue("me", role, office.now))
        status = 200 if role is Role.ADMIN else 303
        assert browser.get("/sign-in/first").status_code == status

    def test_tokens_of_the_command_line_still_work(self, office: Office) -> None:
        office.first_administrator()
        token = office.services.tokens.issue("me", Role.ENGINEER, office.now)
        assert office.services.who(token, office.now).via == "token"


def test_the_page_says_how_long_to_wait(office: Office) -> None:
    office.first_administrator()
    office.user("asha")
    browser = office.browser()
    for _ in range(5):
        assert office.sign_in(browser, "asha", "wrong").status_code == 401
    answer = office.sign_in(browser, "asha")
    assert answer.status_code == 429
    assert answer.headers["Retry-After"] == "2"
    assert re.search(r"Wait 2 s and try again", answer.get_data(as_text=True))
    office.now += timedelta(seconds=2)
    assert office.sign_in(browser, "asha").status_code == 303


def test_a_hash_of_other_parameters_is_made_again_at_the_next_sign_in(office: Office) -> None:
    office.first_administrator()
    asha = office.user("asha")
    old = office.weak_hash()
    kept = office.services.database.user_to_sign_in(sign_in_name="asha")
    assert kept is not None
    office.services.database.rehash_password(
        user_id=asha.id, old_hash=kept.password_hash or "", password_hash=old
    )
    assert office.sign_in(office.browser(), "asha").status_code == 303
    kept = office.services.database.user_to_sign_in(sign_in_name="asha")
    assert kept is not None
    assert "m=19456" in (kept.password_hash or "")


def test_with_the_database_away_the_page_says_so(
    office: Office, browser: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.first_administrator()

    def broken(**_: object) -> None:
        raise RuntimeError("anything")

    monkeypatch.setattr(office.services.database, "user_to_sign_in", broken)
    answer = office.sign_in(browser)
    assert (answer.status_code, answer.mimetype) == (503, "text/html")
    assert "Try again in a minute" in answer.get_data(as_text=True)
