"""Users, their links and what they sign in with are the same over both transports."""

from datetime import timedelta
from uuid import uuid4

import pytest

from services.database.errors import IllegalChange, NotFound
from services.records.base import PageRequest
from services.records.sessions import NewLink, UserFilter
from tests.contract.over import Over

HOUR = timedelta(hours=1)
PAGE = PageRequest("sign_in_name")


def new_link(over: Over, kind: str = "invitation") -> NewLink:
    return NewLink(
        id=str(uuid4()),
        kind=kind,  # type: ignore[arg-type]
        code_hash=str(uuid4()),
        expires_at=over.utility.now + HOUR,
    )


def first(over: Over) -> str:
    """The id of the first administrator, who is made unless there is one."""
    now = over.utility.now
    user_id = str(uuid4())
    over.here.create_first_administrator(
        actor="boss",
        user_id=user_id,
        sign_in_name="boss",
        display_name="The Boss",
        password_hash="a hash",
        at=now,
    )
    return user_id


def test_people_choose_their_language(over: Over) -> None:
    assert over.here.user_language(user="meera") is None
    over.here.choose_user_language(actor="meera", language="hi")
    over.here.choose_user_language(actor="meera", language="ar")
    over.here.choose_user_language(actor="meera", language="ar")
    assert over.here.user_language(user="meera") == "ar"
    assert over.here.user_language(user="asha") is None


def invite(over: Over, name: str, link: NewLink) -> str:
    user_id = str(uuid4())
    over.here.invite_user(
        actor="boss",
        user_id=user_id,
        sign_in_name=name,
        display_name=f"Name of {name}",
        roles=["engineer", "clerk"],
        link=link,
    )
    return user_id


def accepted(over: Over) -> str:
    """The id of an invited user who set the password whose hash is "hash 1"."""
    link = new_link(over)
    asha = invite(over, "asha", link)
    over.here.use_user_link(
        actor="asha", code_hash=link.code_hash, password_hash="hash 1", at=over.utility.now
    )
    return asha


def test_users_are_invited_and_set_a_password_the_same(over: Over) -> None:
    now = over.utility.now
    assert over.same("users_exist") is False
    link = new_link(over)
    with pytest.raises(IllegalChange, match="first user is an administrator"):
        invite(over, "asha", link)
    first(over)
    assert over.same("users_exist") is True
    with pytest.raises(IllegalChange, match="already"):
        first(over)
    invite(over, "asha", link)
    with pytest.raises(IllegalChange, match="already a user"):
        invite(over, "asha", new_link(over))

    found = over.same("user_link", code_hash=link.code_hash, at=now)
    assert (found.kind, found.state, found.sign_in_name) == ("invitation", "good", "asha")
    assert over.same("user_link", code_hash="nobody's", at=now) is None
    assert over.same("user_link", code_hash=link.code_hash, at=now + HOUR).state == "expired"
    for _ in range(2):  # The second is the first one's answer.
        over.here.use_user_link(
            actor="asha", code_hash=link.code_hash, password_hash="hash 1", at=now
        )
    with pytest.raises(IllegalChange, match="used already"):
        over.here.use_user_link(
            actor="asha", code_hash=link.code_hash, password_hash="hash 2", at=now
        )
    with pytest.raises(NotFound):
        over.here.use_user_link(actor="asha", code_hash="nobody's", password_hash="x", at=now)


def test_users_are_found_and_listed_the_same(over: Over) -> None:
    boss, asha = first(over), accepted(over)
    kept = over.same("user_to_sign_in", sign_in_name="asha")
    assert (kept.id, kept.password_hash, kept.disabled) == (asha, "hash 1", False)
    assert "hash 1" not in repr(kept)
    assert over.same("user_to_sign_in", sign_in_name="nobody") is None
    assert over.same("user_named", sign_in_name="nobody") is None
    assert over.same("user_named", sign_in_name="asha") == over.same("user", user_id=asha)
    listed = over.same("list_users", wanted=UserFilter(), page=PAGE)
    assert [(user.id, user.state) for user in listed.items] == [(asha, "active"), (boss, "active")]
    for wanted in (
        UserFilter(text="name ASHA"),
        UserFilter(role="engineer"),
        UserFilter(ids=(asha,)),
        UserFilter(role="clerk", state="active"),
    ):
        assert [u.id for u in over.same("list_users", wanted=wanted, page=PAGE).items] == [asha]
    last = over.same(
        "list_users",
        wanted=UserFilter(),
        page=PageRequest("display_name", descending=True, limit=1),
    )
    assert [user.id for user in last.items] == [boss]


def test_what_changes_of_a_user_changes_the_same(over: Over) -> None:
    now = over.utility.now
    boss, asha = first(over), accepted(over)
    over.here.change_user(
        actor="boss", user_id=asha, display_name="Asha", roles=["cashier"], at=now
    )
    changed = over.same("user", user_id=asha)
    assert (changed.display_name, changed.roles) == ("Asha", ("cashier",))
    with pytest.raises(IllegalChange, match="last administrator"):
        over.here.change_user(actor="boss", user_id=boss, display_name="B", roles=["clerk"], at=now)
    with pytest.raises(IllegalChange, match="last administrator"):
        over.here.end_sessions_of(actor="boss", user="boss", at=now, dismiss=True)


def test_passwords_and_second_factors_change_the_same(over: Over) -> None:
    now = over.utility.now
    first(over)
    asha = accepted(over)
    over.here.rehash_password(user_id=asha, old_hash="hash 1", password_hash="hash 1b")
    over.here.change_password(
        actor="asha", user_id=asha, old_hash="hash 1b", password_hash="hash 2", session="", at=now
    )
    with pytest.raises(IllegalChange, match="meanwhile"):
        over.here.change_password(
            actor="asha", user_id=asha, old_hash="hash 1", password_hash="3", session="", at=now
        )
    assert over.same("user_to_sign_in", sign_in_name="asha").password_hash == "hash 2"

    over.here.set_totp(
        actor="asha", user_id=asha, secret="sealed", step=7, recovery_codes=["a", "b"], at=now
    )
    assert over.same("user", user_id=asha).totp_on_at == now
    assert not over.here.use_totp_step(user_id=asha, step=7)
    assert over.here.use_totp_step(user_id=asha, step=8)
    assert not over.direct.use_totp_step(user_id=asha, step=8)
    assert over.here.use_recovery_code(actor="asha", user_id=asha, code_hash="a")
    assert not over.direct.use_recovery_code(actor="asha", user_id=asha, code_hash="a")
    assert over.same("user", user_id=asha).recovery_codes_left == 1
    over.here.clear_totp(actor="boss", user_id=asha)
    assert over.same("user", user_id=asha).totp_on_at is None


def test_other_links_replace_and_end_the_same(over: Over) -> None:
    now = over.utility.now
    first(over)
    asha = accepted(over)
    reset = new_link(over, "reset")
    over.here.make_user_link(actor="boss", user_id=asha, link=reset, at=now)
    assert over.same("user", user_id=asha).has_password is False
    with pytest.raises(IllegalChange, match="for administrators"):
        over.here.make_user_link(
            actor="cli:me", user_id=asha, link=new_link(over, "recovery"), at=now
        )
    with pytest.raises(NotFound):
        over.here.make_user_link(
            actor="boss", user_id=str(uuid4()), link=new_link(over, "reset"), at=now
        )
    over.here.end_sessions_of(actor="boss", user="asha", at=now, dismiss=True)
    assert over.same("user", user_id=asha).state == "disabled"
    assert over.same("user_link", code_hash=reset.code_hash, at=now).state == "disabled"
    with pytest.raises(IllegalChange, match="no longer good"):
        over.here.use_user_link(actor="asha", code_hash=reset.code_hash, password_hash="x", at=now)
    over.here.readmit_user(actor="boss", user="asha")
    assert over.same("user_link", code_hash=reset.code_hash, at=now).state == "void"
