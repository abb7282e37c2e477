"""Users in an administrator's hands, and what people change of their own account."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

import psycopg
import pytest

from services.database.errors import IllegalChange, NotFound
from services.identity.auth import NotAllowed, NotSignedIn, Principal
from services.identity.permissions import Permission, Role
from services.people.limits import TooManyTries
from services.people.own_account import OwnAccount, WrongCode, WrongPassword
from services.people.password_rules import UnusablePassword
from services.people.sign_in import Place
from services.people.users import UnusableUser
from services.records.base import PageRequest
from services.records.sessions import UserFilter
from tests.integration.people.office import PASSWORD, Office, open_office
from tests.servers import NewDatabase

OTHER = "rain on a tin roof at night"
PAGE = PageRequest("display_name")


@pytest.fixture
def office(database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    made = open_office(database, tmp_path_factory.mktemp("data"))
    made.first_administrator()
    yield made
    made.services.close()


@pytest.fixture
def own(office: Office) -> OwnAccount:
    account = office.services.own_account
    assert account is not None
    return account


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.ADMIN])
def test_only_administrators_do_anything_about_users(office: Office, role: Role) -> None:
    who = Principal("someone", frozenset({role}), None, "token")
    assert not who.may(Permission.MANAGE_USERS)
    asha, users, now = office.user("asha"), office.services.users, office.now
    for attempt in (
        lambda: users.invite(
            sign_in_name="x", display_name="X", roles={Role.ADMIN}, principal=who, now=now
        ),
        lambda: users.change(asha, display_name="A", roles={Role.ADMIN}, principal=who, now=now),
        lambda: users.new_link(asha, principal=who, now=now),
        lambda: users.reset_code(asha, principal=who),
        lambda: users.disable(asha, principal=who, now=now),
        lambda: users.enable(asha, principal=who),
        lambda: users.end_sessions(asha, principal=who, now=now),
    ):
        with pytest.raises(NotAllowed):
            attempt()


@pytest.mark.parametrize("role", Role)
def test_administrators_and_auditors_see_the_users(office: Office, role: Role) -> None:
    who = Principal("someone", frozenset({role}), None, "token")
    asha, users, lists = office.user("asha"), office.services.users, office.services.lists
    for look in (
        lambda: users.user(user_id=asha.id, principal=who),
        lambda: lists.users(wanted=UserFilter(), page=PAGE, principal=who),
        lambda: lists.users_file(wanted=UserFilter(), page=PAGE, kind="csv", principal=who),
    ):
        if role in {Role.ADMIN, Role.AUDITOR}:
            assert look()
        else:
            with pytest.raises(NotAllowed):
                look()


@pytest.mark.parametrize(
    ("sign_in_name", "display_name", "roles"),
    [
        ("", "Asha", {Role.CLERK}),
        ("two words", "Asha", {Role.CLERK}),
        ("job:asha", "Asha", {Role.CLERK}),
        ("ＳＹＳＴＥＭ", "Asha", {Role.CLERK}),
        ("demo.admin", "Asha", {Role.CLERK}),
        ("x" * 101, "Asha", {Role.CLERK}),
        ("asha\u0000", "Asha", {Role.CLERK}),
        ("asha", "  ", {Role.CLERK}),
        ("asha", "x" * 101, {Role.CLERK}),
        ("asha", "Asha", set()),
    ],
)
def test_what_is_no_user_is_refused(
    office: Office, sign_in_name: str, display_name: str, roles: set[Role]
) -> None:
    with pytest.raises(UnusableUser):
        office.services.users.invite(
            sign_in_name=sign_in_name,
            display_name=display_name,
            roles=roles,
            principal=office.boss,
            now=office.now,
        )


def test_a_name_belongs_to_one_user_however_it_is_typed(office: Office) -> None:
    office.invite("asha")
    with pytest.raises(IllegalChange, match="already a user"):
        office.invite(" ＡＳＨＡ ")


def test_the_last_administrator_neither_loses_the_role_nor_is_disabled(office: Office) -> None:
    users, boss = office.services.users, office.named("boss")
    invited = office.invite("meera", Role.ADMIN)
    for attempt in (
        lambda: users.change(
            boss, display_name="B", roles={Role.CLERK}, principal=office.boss, now=office.now
        ),
        lambda: users.disable(boss, principal=office.boss, now=office.now),
        # Nor on the page of sign-ins.
        lambda: office.services.sessions.end_all_of(
            "boss", principal=office.boss, now=office.now, dismiss=True
        ),
    ):
        # Somebody who was only invited is no administrator yet.
        with pytest.raises(IllegalChange, match="last administrator"):
            attempt()
    users.set_password(invited.code, PASSWORD, office.now)
    users.disable(boss, principal=office.boss, now=office.now)
    with pytest.raises(IllegalChange, match="last administrator"):
        users.disable(office.named("meera"), principal=office.boss, now=office.now)


def test_of_two_administrators_who_demote_each_other_one_stays(office: Office) -> None:
    office.user("meera", Role.ADMIN)

    def demote(name: str) -> str:
        try:
            office.services.users.change(
                office.named(name),
                display_name="X",
                roles={Role.CLERK},
                principal=office.boss,
                now=office.now,
            )
        except IllegalChange:
            return "refused"
        return "done"

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(demote, ["boss", "meera"])) == ["done", "refused"]


def wait_for_locks(watching: psycopg.Connection, number: int, *done: Future[None]) -> None:
    """Wait until so many calls wait for a row, or one of them is through."""
    asked = "select count(*) from pg_stat_activity where wait_event_type = 'Lock'"
    for _ in range(400):
        row = watching.execute(asked).fetchone()
        if (row and row[0] >= number) or any(one.done() for one in done):
            return
        watching.execute("select pg_sleep(0.025)")
    raise AssertionError("nobody waits")


def test_a_link_used_as_its_user_is_disabled_is_no_deadlock(office: Office, database: str) -> None:
    office.user("asha")
    asha, users = office.named("asha"), office.services.users
    code = users.new_link(asha, principal=office.boss, now=office.now)

    def use() -> None:
        with suppress(IllegalChange):
            users.set_password(code, OTHER, office.now)

    def disable() -> None:
        users.disable(asha, principal=office.boss, now=office.now)

    with (
        ThreadPoolExecutor(2) as pool,
        psycopg.connect(database, autocommit=True) as watching,
        psycopg.connect(database) as holding,
    ):
        # Whoever uses the link stops between the two rows that the other wants the other way about.
        holding.execute("select 1 from public.user_credentials for update")
        used = pool.submit(use)
        wait_for_locks(watching, 1, used)
        disabled = pool.submit(disable)
        wait_for_locks(watching, 2, used, disabled)
        holding.rollback()
        for one in (used, disabled):
            one.result(timeout=30)
    with psycopg.connect(database) as connection:
        found = connection.execute(
            "select deadlocks from pg_stat_database where datname = current_database()"
        ).fetchone()
    assert found == (0,)
    assert office.named("asha").state == "disabled"


@pytest.mark.parametrize("what", ["roles", "password"])
def test_a_sign_in_under_way_does_not_keep_what_is_taken_away_meanwhile(
    office: Office, what: str
) -> None:
    asha, users = office.user("asha", Role.MANAGER), office.services.users
    desk, database = office.services.password_sign_in, office.services.database
    assert desk is not None
    verified = database.user_to_sign_in(sign_in_name="asha")
    assert verified is not None
    # All of it in one second, as tokens know time.
    if what == "roles":
        users.change(
            asha,
            display_name="Asha",
            roles={Role.ENGINEER},
            principal=office.boss,
            now=office.now,
        )
    else:
        users.new_link(asha, principal=office.boss, now=office.now)
    with pytest.raises(NotSignedIn):
        desk.let_in(verified, place=Place("", None), now=office.now)


def test_only_one_of_many_becomes_the_first_administrator(
    fresh_database: NewDatabase, tmp_path_factory: pytest.TempPathFactory
) -> None:
    office = open_office(fresh_database(), tmp_path_factory.mktemp("data"))

    def first(number: int) -> bool:
        try:
            office.services.users.create_first_administrator(
                sign_in_name=f"boss{number}", display_name="B", password=PASSWORD, now=office.now
            )
        except IllegalChange:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(first, range(4))) == 1
    office.services.close()


def test_no_audit_row_no_list_and_no_file_holds_a_secret(office: Office, database: str) -> None:
    office.user("asha")
    secret = office.turn_code_on("asha")
    kept = office.services.database.user_to_sign_in(sign_in_name="asha")
    assert kept is not None
    assert secret not in (kept.totp_secret or "")
    with psycopg.connect(database) as connection:
        rows = connection.execute("select to_jsonb(a)::text from public.audit_log a").fetchall()
    told = " ".join(text for (text,) in rows)
    assert '"table_name": "user_credentials"' in told
    assert '"recovery_codes": 10' in told
    assert '"table_name": "user_links"' in told
    file = office.services.lists.users_file(
        wanted=UserFilter(), page=PAGE, kind="csv", principal=office.boss
    ).decode("utf-8-sig")
    assert file.splitlines()[0].startswith("sign_in_name,name,roles,state,last_active_at")
    for text in (told, file):
        assert "argon2" not in text
        assert (kept.totp_secret or "") not in text


def test_a_person_is_told_what_the_security_log_has_about_them(
    office: Office, own: OwnAccount
) -> None:
    office.user("asha")
    who = office.principal("asha")
    told = [event.event for event in own.events(principal=who, limit=10)]
    assert told == ["sign_in", "password_set", "user_invited"]


class TestOwnAccount:
    def test_another_password_asks_the_old_one_and_ends_other_sign_ins(
        self, office: Office, own: OwnAccount
    ) -> None:
        office.user("asha")
        elsewhere, here = office.browser(), office.browser()
        office.sign_in(elsewhere, "asha")
        office.sign_in(here, "asha")
        who = office.who(here)
        office.who(elsewhere)
        with pytest.raises(WrongPassword):
            own.change_password(old="wrong", new=OTHER, principal=who, now=office.now)
        with pytest.raises(UnusablePassword):
            own.change_password(old=PASSWORD, new="short", principal=who, now=office.now)
        own.change_password(old=PASSWORD, new=OTHER, principal=who, now=office.now)
        assert office.who(here).user == "asha"
        with pytest.raises(NotSignedIn):
            office.who(elsewhere)
        assert office.sign_in(office.browser(), "asha").status_code == 401
        assert office.sign_in(office.browser(), "asha", OTHER).status_code == 303

    def test_guesses_in_an_open_sign_in_have_a_limit_that_is_its_own(
        self, office: Office, own: OwnAccount
    ) -> None:
        office.user("asha")
        who = office.principal("asha")
        for _ in range(10):
            with pytest.raises(WrongPassword):
                own.change_password(old="wrong", new=OTHER, principal=who, now=office.now)
        with pytest.raises(TooManyTries):
            own.change_password(old=PASSWORD, new=OTHER, principal=who, now=office.now)
        assert office.sign_in(office.browser(), "asha").status_code == 303

    def test_a_code_counts_once_it_was_confirmed_and_goes_with_the_password(
        self, office: Office, own: OwnAccount
    ) -> None:
        office.user("asha")
        who = office.principal("asha")
        with pytest.raises(WrongPassword):
            own.begin_code(password="wrong", issuer="Office", principal=who, now=office.now)
        setup = own.begin_code(password=PASSWORD, issuer="Office", principal=who, now=office.now)
        with pytest.raises(WrongCode):
            own.confirm_code(setup, "000", principal=who, now=office.now)
        assert office.sign_in(office.browser(), "asha").status_code == 303
        codes = own.confirm_code(setup, office.code(setup.secret), principal=who, now=office.now)
        assert len(set(codes)) == 10
        assert office.sign_in(office.browser(), "asha").status_code == 200
        own.remove_code(password=PASSWORD, principal=who, now=office.now)
        assert office.sign_in(office.browser(), "asha").status_code == 303

    def test_people_end_their_own_sign_ins_and_nobody_elses(
        self, office: Office, own: OwnAccount
    ) -> None:
        office.user("asha")
        boss, who = office.principal("boss"), office.principal("asha")
        (of_boss,) = own.open_sessions(principal=boss, limit=10)
        with pytest.raises(NotFound):
            own.end_session(of_boss, principal=who)
        (mine,) = own.open_sessions(principal=who, limit=10)
        own.end_session(mine, principal=who)
        assert own.open_sessions(principal=who, limit=10) == []
        assert own.open_sessions(principal=boss, limit=10) == [of_boss]

    def test_a_token_of_the_command_line_changes_no_password(
        self, office: Office, own: OwnAccount
    ) -> None:
        office.user("asha")
        token = office.services.tokens.issue("asha", Role.ENGINEER, office.now)
        who = office.services.who(token, office.now)
        assert own.of(who) is None
        with pytest.raises(NotFound):
            own.change_password(old=PASSWORD, new=OTHER, principal=who, now=office.now)
