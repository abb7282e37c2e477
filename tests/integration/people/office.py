"""An office with users, and browsers that sign in there, for tests that go by HTTP."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app import create_app
from services.bootstrap import build_services
from services.container import Services
from services.identity.auth import Principal
from services.identity.permissions import Role
from services.people.hashing import PasswordHashing
from services.people.totp import STEP_SECONDS, code_at
from services.people.users import Invited
from services.records.sessions import User
from services.settings import load_settings

PASSWORD = "quiet lantern under water"
SITE = {"Sec-Fetch-Site": "same-origin"}


@dataclass
class Office:
    """The services of an own database, without anybody at first; time moves by `now`."""

    services: Services
    now: datetime = field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))
    boss: Principal = field(
        default_factory=lambda: Principal("boss", frozenset({Role.ADMIN}), None, "password")
    )
    recovery_codes: list[str] = field(default_factory=list)

    def browser(self) -> FlaskClient:
        """A browser without cookies."""
        return create_app(self.services, clock=lambda: self.now).test_client()

    def first_administrator(self) -> None:
        """Make the user boss."""
        self.services.users.create_first_administrator(
            sign_in_name="boss", display_name="The Boss", password=PASSWORD, now=self.now
        )

    def invite(self, name: str, *roles: Role) -> Invited:
        """Invite somebody, as an engineer unless roles are given."""
        return self.services.users.invite(
            sign_in_name=name,
            display_name=f"Of {name}",
            roles=roles or (Role.ENGINEER,),
            principal=self.boss,
            now=self.now,
        )

    def user(self, name: str, *roles: Role) -> User:
        """Invite somebody who sets PASSWORD at once."""
        invited = self.invite(name, *roles)
        self.services.users.set_password(invited.code, PASSWORD, self.now)
        return self.named(name)

    def named(self, name: str) -> User:
        """The user of this name as it is now."""
        found = self.services.database.user_named(sign_in_name=name)
        assert found is not None
        return found

    def sign_in(
        self,
        browser: FlaskClient,
        name: str = "boss",
        password: str = PASSWORD,
        *,
        next: str = "/",  # noqa: A002 - the form's own field
    ) -> TestResponse:
        """Send the form."""
        return browser.post(
            "/sign-in", data={"name": name, "password": password, "next": next}, headers=SITE
        )

    def who(self, browser: FlaskClient) -> Principal:
        """Whom the browser's session stands for."""
        return self.services.who(self.cookie(browser, "session"), self.now)

    @staticmethod
    def cookie(browser: FlaskClient, name: str) -> str:
        """The value of a browser's cookie; empty without one."""
        found = browser.get_cookie(name)
        return found.value if found else ""

    @staticmethod
    def cookie_below(browser: FlaskClient, name: str) -> str:
        """The value of a cookie that only the sign-in's own addresses are sent."""
        found = browser.get_cookie(name, path="/sign-in")
        return found.value if found else ""

    def principal(self, name: str) -> Principal:
        """A user as they are signed in."""
        browser = self.browser()
        self.sign_in(browser, name)
        return self.who(browser)

    def turn_code_on(self, name: str) -> str:
        """Set an app up for a user; the secret that it holds."""
        own = self.services.own_account
        assert own is not None
        who = self.principal(name)
        setup = own.begin_code(password=PASSWORD, issuer="Office", principal=who, now=self.now)
        self.recovery_codes = own.confirm_code(
            setup, self.code(setup.secret), principal=who, now=self.now
        )
        return setup.secret

    def code(self, secret: str, steps_on: int = 0) -> str:
        """What the app shows now, or so many steps from now."""
        return code_at(secret, int(self.now.timestamp()) // STEP_SECONDS + steps_on)

    def right(self) -> str:
        """The cookie of a browser that opened the terminal's link."""
        assert self.services.passwordless is not None
        return self.services.passwordless.choices.issue(self.now)

    @staticmethod
    def weak_hash() -> str:
        """PASSWORD under parameters of years ago."""
        return PasswordHashing(memory_kib=1024, passes=1).hash(PASSWORD)


def open_office(dsn: str, data_dir: Path) -> Office:
    """An office on a database with all migrations; close its services afterwards."""
    settings = load_settings({"DATABASE_URL": dsn, "DATA_DIR": str(data_dir)})
    return Office(build_services(settings, step_handlers={}))
