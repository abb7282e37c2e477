"""What was ended stays ended, also for who writes to the tables with the program's own rights."""

from collections.abc import Iterator

import psycopg
import pytest

ENDED = """
    set local role service_role;
    insert into public.sessions
        (id, user_id, role, via, issued_at, expires_at, ended_at, ended_by)
    values ('ended', 'u', 'admin', 'token', now(), now() + interval '1 day', now(), 'boss'),
           ('open', 'u', 'admin', 'token', now(), now() + interval '1 day', null, null),
           ('link', 'browser', null, 'link', now(), now() + interval '1 day', now(), 'browser');
    set local billing.actor = 'boss';
    insert into public.api_keys (id, name, key_hash, role, revoked_at, expires_at)
    values ('00000000-0000-0000-0000-000000000001', 'gone', 'h1', 'admin', now(), now());
    insert into public.user_access (id, sessions_end_before) values ('u', now());
"""


@pytest.fixture
def ended(database: str) -> Iterator[psycopg.Connection]:
    """A connection in a transaction that holds ended rows, and is rolled back."""
    with psycopg.connect(database) as connection:
        connection.execute(ENDED)
        yield connection
        connection.rollback()


@pytest.mark.parametrize(
    "reopening",
    [
        "update public.sessions set ended_at = null, ended_by = null where id = 'ended'",
        "update public.sessions set ended_at = ended_at + interval '1 year' where id = 'ended'",
        "update public.sessions set ended_by = 'another' where id = 'ended'",
        "update public.sessions set id = 'other' where id = 'ended'",
        "update public.sessions set ended_at = null, ended_by = null where id = 'link'",
        "update public.sessions set expires_at = expires_at + interval '1 year' where id = 'open'",
        "update public.sessions set role = 'engineer' where id = 'ended'",
        "update public.api_keys set revoked_at = null where name = 'gone'",
        "update public.api_keys set revoked_at = revoked_at + interval '1 year'",
        "update public.api_keys set expires_at = expires_at + interval '1 year'",
        "update public.api_keys set key_hash = 'h2' where name = 'gone'",
        "update public.user_access set sessions_end_before = sessions_end_before - interval '1 h'",
        "update public.user_access set id = 'nobody'",
    ],
)
def test_nobody_opens_again_what_was_ended(ended: psycopg.Connection, reopening: str) -> None:
    with pytest.raises(psycopg.Error, match="is not opened again") as refused:
        ended.execute(reopening)
    assert refused.value.sqlstate == "EB005"


@pytest.mark.parametrize(
    "change",
    [
        "update public.sessions set last_used_at = now() + interval '1 minute'",
        "update public.sessions set ended_at = now(), ended_by = 'boss' where id = 'open'",
        "update public.user_access set dismissed_at = null, sessions_end_before = now()",
    ],
)
def test_what_the_program_does_goes_on(ended: psycopg.Connection, change: str) -> None:
    assert ended.execute(change).rowcount > 0


@pytest.mark.parametrize("taking", ["delete from public.sessions", "delete from public.api_keys"])
def test_their_rows_are_kept_from_the_owner_too(ended: psycopg.Connection, taking: str) -> None:
    ended.execute("reset role")
    with pytest.raises(psycopg.Error, match="deleted"):
        ended.execute(taking)
