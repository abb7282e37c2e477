"""Users, Invite a user, a user's page and My account: what they do and what they refuse."""

import re
from collections.abc import Iterator

import pytest
from streamlit.testing.v1 import AppTest

from pages.registry import INVITE_USER, MY_ACCOUNT, USER, USERS
from pages.shared.session import now
from scheduler import Scheduler
from services.bootstrap import run_with
from services.identity.permissions import Role
from services.people.sign_in import Place
from services.people.totp import STEP_SECONDS, code_at
from tests.integration.people.office import PASSWORD, Office, open_office
from tests.servers import NewDatabase
from tests.ui.page_runs import fill, press, visitor, words

pytestmark = pytest.mark.postgres
OTHER = "rain on a tin roof at night"


@pytest.fixture(scope="module")
def office(
    fresh_database: NewDatabase, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Office]:
    made = open_office(fresh_database(), tmp_path_factory.mktemp("data"))
    run_with(made.services, Scheduler(made.services))
    made.first_administrator()
    yield made
    run_with(None)
    made.services.close()


def at(office: Office, page: str, *, name: str = "boss", **query: str) -> AppTest:
    """A user, signed in with their password, on a page."""
    user = office.services.database.user_to_sign_in(sign_in_name=name)
    desk = office.services.password_sign_in
    assert user is not None
    assert desk is not None
    app = visitor()
    app.session_state["token"] = desk.let_in(user, place=Place("127.0.0.1"), now=now()).token
    app.run()
    for key, value in query.items():
        app.query_params[key] = value
    return app.switch_page(page).run()


def link_in(app: AppTest) -> str:
    (link,) = [code.value for code in app.code]
    found = re.search(r"/sign-in/new-password\?code=([\w-]+)$", link)
    assert found
    return found.group(1)


def test_an_invitation_shows_its_link_once_and_what_is_wrong_keeps_the_form(
    office: Office,
) -> None:
    app = at(office, INVITE_USER.script)
    fill(app, "Name", "Asha Pillai")
    fill(app, "Sign-in name", "two words")
    press(app, "Invite")
    assert "without a space" in app.error[0].value
    assert "Asha Pillai" in [field.value for field in app.text_input]
    fill(app, "Sign-in name", "asha@example.org")
    press(app, "Invite")
    assert "at least one role" in app.error[0].value
    app.multiselect[0].select(Role.ENGINEER)
    press(app, "Invite")
    code = link_in(app)
    assert office.services.users.link(code, now()).display_name == "Asha Pillai"
    app.run()
    assert not app.code
    listed = at(office, USERS.script)
    assert not listed.exception
    assert not listed.error


def test_the_last_administrator_is_told_why_not(office: Office) -> None:
    app = at(office, USER.script, id=office.named("boss").id)
    assert not [b for b in app.button if b.label == "Yes, make a link"]
    press(app, "Yes, disable")
    assert "last administrator" in app.error[0].value
    app.multiselect[0].unselect(Role.ADMIN).select(Role.CLERK)
    press(app, "Save")
    assert "last administrator" in app.error[0].value
    assert office.named("boss").roles == ("admin",)


def test_a_user_is_changed_reset_disabled_and_enabled(office: Office) -> None:
    user = office.user("meera")
    app = at(office, USER.script, id=user.id)
    app.multiselect[0].select(Role.CASHIER)
    press(app, "Save")
    assert "The user is changed" in words(app)
    assert office.named("meera").roles == ("engineer", "cashier")
    press(app, "Yes, make a link")
    assert office.services.users.link(link_in(app), now()).kind == "reset"
    assert "reset; a new one is not set yet" in words(app)
    assert "good until" in words(app)
    press(app, "Yes, disable")
    assert office.named("meera").state == "disabled"
    press(app, "Yes, enable")
    assert office.named("meera").state == "active"


def test_ones_own_password_needs_the_old_one(office: Office) -> None:
    office.user("ravi")
    app = at(office, MY_ACCOUNT.script, name="ravi")

    def change(old: str, new: str, again: str) -> str:
        fill(app, "Old password", old)
        fill(app, "New password", new)
        fill(app, "The new one once more", again)
        press(app, "Change the password")
        return " ".join(error.value for error in app.error)

    assert "differ" in change(PASSWORD, OTHER, "x")
    assert "another one" in change("wrong", OTHER, OTHER)
    assert "at least 12" in change(PASSWORD, "short", "short")
    assert change(PASSWORD, OTHER, OTHER) == ""
    assert "Your password is changed" in words(app)
    assert office.sign_in(office.browser(), "ravi", OTHER).status_code == 303


def test_an_app_is_set_up_with_a_code_and_recovery_codes_are_shown_once(office: Office) -> None:
    office.user("sita")
    app = at(office, MY_ACCOUNT.script, name="sita")
    fill(app, "Your password", PASSWORD)
    press(app, "Go on")
    secret = app.code[0].value
    fill(app, "Code", "000 000")
    press(app, "Turn it on")
    assert "does not fit" in app.error[0].value
    fill(app, "Code", code_at(secret, int(now().timestamp()) // STEP_SECONDS))
    press(app, "Turn it on")
    [codes] = app.code
    assert len(codes.value.splitlines()) == 10
    assert "Code" not in {field.label for field in app.text_input}
    assert "Not now" not in {button.label for button in app.button}
    press(app, "I have kept them")
    assert not app.code
    assert "10 recovery codes left" in words(app)


def test_without_a_password_here_ones_account_has_the_sign_ins_alone(office: Office) -> None:
    app = visitor()
    app.session_state["token"] = office.services.tokens.issue("me", Role.ENGINEER, now())
    app.run().switch_page(MY_ACCOUNT.script).run()
    assert "without a password of this system" in app.info[0].value
    assert not app.text_input


def test_who_is_not_signed_in_is_led_to_the_form(office: Office) -> None:
    assert office.services.users.exist()
    app = visitor().run()
    assert not app.text_input
    assert not app.button
