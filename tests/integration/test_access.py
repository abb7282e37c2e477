"""Nobody but service_role reads a row or calls a function, under Supabase's own default grants."""

import psycopg
import pytest
from psycopg import sql

OUTSIDERS = ("anon", "authenticated")

RELATIONS = """
    select c.relname, c.relkind, c.relrowsecurity,
           coalesce('security_invoker=true' = any (c.reloptions), false)
    from pg_class c where c.relnamespace = 'public'::regnamespace and
      c.relkind in ('r', 'v', 'm', 'p')
"""
FUNCTIONS = """
    select p.oid::regprocedure::text, p.prosecdef,
           case when p.prosqlbody is null then p.proconfig else array['search_path=""'] end,
           n.nspname,
           pg_get_function_arguments(p.oid), p.prorettype::regtype::text
    from pg_proc p join pg_namespace n on n.oid = p.pronamespace
    where n.nspname in ('public', 'private')
"""


@pytest.mark.parametrize("role", OUTSIDERS)
def test_an_outsider_reads_and_writes_nothing(database: str, role: str) -> None:
    with psycopg.connect(database) as connection:
        relations = [row[0] for row in connection.execute(RELATIONS)]
        assert len(relations) > 15
        for privilege in ("select", "insert", "update", "delete", "truncate", "references"):
            open_to_role = connection.execute(
                "select t from unnest(%s::text[]) t"
                " where has_table_privilege(%s, 'public.' || t, %s)",
                [relations, role, privilege],
            ).fetchall()
            assert open_to_role == []


@pytest.mark.parametrize("role", OUTSIDERS)
def test_an_outsider_calls_nothing(database: str, role: str) -> None:
    with psycopg.connect(database) as connection:
        functions = [row[0] for row in connection.execute(FUNCTIONS)]
        assert len(functions) > 30
        callable_by_role = connection.execute(
            "select f from unnest(%s::text[]) f where has_function_privilege(%s, f, 'execute')",
            [functions, role],
        ).fetchall()
        assert callable_by_role == []


@pytest.mark.parametrize("role", OUTSIDERS)
def test_a_table_or_function_that_a_later_migration_adds_is_closed_too(
    database: str, role: str
) -> None:
    with psycopg.connect(database) as connection:
        connection.execute("create table public.later (id int)")
        connection.execute(
            "create function public.later_f() returns int language sql as $$ select 1 $$"
        )
        row = connection.execute(
            "select has_table_privilege(%s, 'public.later', 'select'),"
            " has_function_privilege(%s, 'public.later_f()', 'execute')",
            [role, role],
        ).fetchone()
        assert row == (False, False)


@pytest.mark.parametrize("role", OUTSIDERS)
def test_trying_as_the_outsider_is_refused(database: str, role: str) -> None:
    with psycopg.connect(database) as connection:
        connection.execute(sql.SQL("set role {}").format(sql.Identifier(role)))
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("select * from public.bills")
        connection.rollback()
        connection.execute(sql.SQL("set role {}").format(sql.Identifier(role)))
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("select public.overview('{}')")


def test_every_table_has_row_level_security_and_every_view_its_callers_rights(
    database: str,
) -> None:
    with psycopg.connect(database) as connection:
        for name, kind, row_security, invoker in connection.execute(RELATIONS):
            assert row_security if kind in "rp" else invoker, name


def test_functions_run_as_their_caller_with_an_empty_search_path(database: str) -> None:
    with psycopg.connect(database) as connection:
        for name, definer, config, schema, arguments, result in connection.execute(FUNCTIONS):
            # Only the audit trail's triggers act as their owner: nobody can call a trigger.
            assert not definer or result == "trigger", name
            # The names in a body of standard SQL were looked up when it was made.
            assert 'search_path=""' in (config or ()), name
            if schema == "public":
                assert (arguments, result in ("jsonb", "json")) == ("p jsonb", True), name


def test_service_role_cannot_rewrite_history(database: str) -> None:
    for attempt in (
        "delete from public.bills",
        "truncate public.payments",
        "update public.audit_log set actor = 'x'",
        "update public.security_log set who = 'x'",
        "delete from public.security_log",
        "truncate public.security_log",
        "delete from public.sessions",
        "truncate public.audit_log",
    ):
        with psycopg.connect(database) as connection:
            connection.execute("set role service_role")
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(attempt)


FORGED = """
    insert into public.audit_log (actor, action, table_name, row_id)
    values ('a', 'insert', 'b', 'c')
"""
OWN_TRIGGER = """
    create temp table bills (id int);
    create trigger forged after insert on bills referencing new table as new_rows
        for each statement execute function private.audit();
    select set_config('billing.actor', 'admin', true);
    insert into bills values (1)
"""


@pytest.mark.parametrize("attempt", [FORGED, OWN_TRIGGER])
@pytest.mark.parametrize("role", [None, "service_role", "authenticator", *OUTSIDERS])
def test_nobody_writes_the_audit_trail_by_hand_not_even_its_owner(
    database: str, role: str | None, attempt: str
) -> None:
    with psycopg.connect(database) as connection:
        if role is not None:
            connection.execute(sql.SQL("set role {}").format(sql.Identifier(role)))
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(attempt.encode())
        connection.rollback()
        assert connection.execute("select count(*) from public.audit_log").fetchone() == (0,)
