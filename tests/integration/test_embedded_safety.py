"""The embedded server keeps data and secrets safe, and has Supabase's roles and default grants."""

import stat
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from services.database.embedded import EmbeddedPostgres
from services.database.schema.roles import UnableToPrepareRoles, prepare_roles
from services.database.transports.postgres import DirectTransport
from tests.integration.server_process import (
    server_pid,
    superuser_dsn,
)

# Safety of data and secrets


def test_it_is_durable_and_listens_on_loopback_alone(empty_database: Callable[[], str]) -> None:
    settings = {
        "fsync": "on",
        "synchronous_commit": "on",
        "full_page_writes": "on",
        "listen_addresses": "127.0.0.1",
        "password_encryption": "scram-sha-256",
        "server_encoding": "UTF8",
    }
    with psycopg.connect(empty_database()) as connection:
        for name, value in settings.items():
            assert connection.execute(f"show {name}".encode()).fetchone() == (value,)


def test_it_makes_no_unix_socket(embedded_server: EmbeddedPostgres) -> None:
    note = embedded_server.log_file.parent / "cluster" / "postmaster.pid"
    assert note.read_text().splitlines()[4] == ""


def test_nobody_comes_in_without_the_password(empty_database: Callable[[], str]) -> None:
    parts = psycopg.conninfo.conninfo_to_dict(empty_database())
    for role in ("postgres", "supabase_admin", "authenticator"):
        for password in ("", "postgres"):
            parts.update(user=role, password=password)
            with pytest.raises(psycopg.OperationalError, match=r"password|authentication"):
                psycopg.connect(**parts)  # type: ignore[arg-type]


def test_files_with_secrets_are_for_their_owner_only(
    embedded_server: EmbeddedPostgres,
) -> None:
    folder = embedded_server.log_file.parents[1]
    for name in ("access.json", "server/server.log"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600
    assert stat.S_IMODE((folder / "server").stat().st_mode) == 0o700


def test_the_server_does_not_know_the_apps_environment(
    server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = Path("/proc/self/environ")
    if not environment.exists():
        pytest.skip("this system does not show a process's environment")
    monkeypatch.setenv("STRIPE_SECRET_KEY", "not-for-the-server")
    monkeypatch.setenv("PGPORT", "1")
    server.start()
    shown = Path(f"/proc/{server_pid(server)}/environ").read_bytes()
    assert b"LC_ALL=C" in shown
    assert b"STRIPE" not in shown
    assert b"PGPORT" not in shown


# Supabase's roles and default grants


def test_roles_are_those_of_supabase(empty_database: Callable[[], str]) -> None:
    query = """
        select rolname, rolcanlogin, rolsuper, rolbypassrls, rolinherit from pg_roles
        where rolname in ('anon', 'authenticated', 'service_role', 'authenticator', 'postgres')
        order by rolname
    """
    with psycopg.connect(empty_database()) as connection:
        assert connection.execute(query).fetchall() == [
            ("anon", False, False, False, True),
            ("authenticated", False, False, False, True),
            ("authenticator", True, False, False, False),
            ("postgres", True, False, True, True),
            ("service_role", False, False, True, True),
        ]
        for role in ("anon", "authenticated", "service_role"):
            connection.execute(f"set role {role}; reset role".encode())


def test_what_postgres_makes_in_public_is_open_until_a_migration_revokes_it(
    empty_database: Callable[[], str],
) -> None:
    with psycopg.connect(empty_database()) as connection:
        connection.execute(
            """
            create table public.opened (id int);
            create sequence public.numbers;
            create function public.f(p jsonb) returns jsonb language sql as 'select p';
            create schema private;
            create table private.closed (id int);
            """
        )
        for role in ("anon", "authenticated", "service_role"):
            rights = connection.execute(
                """
                select has_table_privilege(r, 'public.opened', 'select,insert,update,delete'),
                    has_sequence_privilege(r, 'public.numbers', 'usage'),
                    has_function_privilege(r, 'public.f(jsonb)', 'execute'),
                    has_schema_privilege(r, 'public', 'usage'),
                    has_schema_privilege(r, 'public', 'create'),
                    has_schema_privilege(r, 'extensions', 'usage'),
                    has_schema_privilege(r, 'private', 'usage')
                from (select %s as r)
                """,
                [role],
            ).fetchone()
            assert rights == (True, True, True, True, False, True, False)


def test_a_plain_postgres_is_prepared_by_a_user_who_may_make_roles(
    server: EmbeddedPostgres,
) -> None:
    server.start()
    superuser = superuser_dsn(server)
    user = "create role %s login password 'pw' "
    with psycopg.connect(superuser, autocommit=True) as connection:
        connection.execute((user % "utility" + "createrole bypassrls").encode())
        connection.execute((user % "guest").encode())
        connection.execute("create database plain owner utility")
    plain = superuser.replace("/postgres?", "/plain?")
    with pytest.raises(UnableToPrepareRoles, match="superuser"):
        prepare_roles(as_user(plain, "guest"))
    dsn = as_user(plain, "utility")
    prepare_roles(dsn)
    prepare_roles(dsn)
    with psycopg.connect(dsn) as connection:
        connection.execute("create table public.things (id int)")
    transport = DirectTransport(dsn)
    assert transport.select("things", count=True).total == 0
    transport.close()


def test_a_supabase_database_is_left_as_it_is(server: EmbeddedPostgres) -> None:
    server.start()
    dsn = superuser_dsn(server)
    with psycopg.connect(dsn) as connection:
        connection.execute("create role supabase_auth_admin; create role service_role")
    prepare_roles(dsn)
    with psycopg.connect(dsn) as connection:
        assert connection.execute("select count(*) from pg_default_acl").fetchone() == (0,)
        assert connection.execute("select to_regrole('anon')").fetchone() == (None,)


def as_user(dsn: str, name: str) -> str:
    return psycopg.conninfo.make_conninfo(dsn, user=name, password="pw")
