"""What pages call users, without a database."""

from datetime import UTC, datetime
from typing import cast

import pytest

from services.database.service import DatabaseService
from services.database.transport import TemporaryDatabaseError
from services.identity.security_log import SecurityLog
from services.identity.sessions import Sessions
from services.people.hashing import PasswordHashing
from services.people.users import Users
from services.records.base import KeyPage, PageRequest
from services.records.sessions import User, UserFilter


def user(name: str, called: str) -> User:
    return User(
        id=name,
        sign_in_name=name,
        display_name=called,
        roles=("clerk",),
        state="active",
        created_at=datetime(2026, 11, 1, tzinfo=UTC),
        activated_at=None,
        dismissed_at=None,
        has_password=True,
        password_set_at=None,
        totp_on_at=None,
        recovery_codes_left=0,
        last_active_at=None,
        link_expires_at=None,
    )


class TwoPages:
    """A database that answers one user a page, and may be away."""

    def __init__(self, *users: User) -> None:
        self.users = users
        self.away = False

    def list_users(self, *, wanted: UserFilter, page: PageRequest) -> KeyPage[User]:
        assert wanted == UserFilter()
        if self.away:
            raise TemporaryDatabaseError("away", "away")
        at = 0 if page.after is None else int(page.after[0])
        more = at + 1 < len(self.users)
        return KeyPage(
            self.users[at : at + 1], (str(at), ""), (str(at + 1), ""), at > 0, more, None
        )


@pytest.fixture
def seconds() -> list[float]:
    return [0.0]


def users_of(database: TwoPages, seconds: list[float]) -> Users:
    return Users(
        cast(DatabaseService, database),
        cast(Sessions, None),
        cast(SecurityLog, None),
        cast(PasswordHashing, None),
        clock=lambda: seconds[0],
    )


def test_a_user_is_called_by_name_and_those_alike_by_their_sign_in_names_too(
    seconds: list[float],
) -> None:
    database = TwoPages(user("first", "Sam"), user("second", "Kim"), user("third", "sam"))
    assert users_of(database, seconds).names() == {
        "first": "Sam (first)",
        "second": "Kim",
        "third": "sam (third)",
    }


def test_names_are_asked_for_again_after_some_seconds_and_kept_while_nobody_answers(
    seconds: list[float],
) -> None:
    database = TwoPages(user("first", "Sam"))
    users = users_of(database, seconds)
    assert users.names() == {"first": "Sam"}
    database.users = (user("first", "Sam Hill"),)
    assert users.names() == {"first": "Sam"}
    seconds[0] = 60.0
    database.away = True
    assert users.names() == {"first": "Sam"}
    database.away = False
    assert users.names() == {"first": "Sam Hill"}
