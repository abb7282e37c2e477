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
    select p.oid::regprocedure::text, p.prosecdef, p.proconfig, n.nspname,
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
            assert not definer, name
            assert 'search_path=""' in config, name
            if schema == "public":
                assert (arguments, result) == ("p jsonb", "jsonb"), name


def test_service_role_cannot_rewrite_history(database: str) -> None:
    for attempt in (
        "delete from public.bills",
        "truncate public.payments",
        "update public.audit_log set actor = 'x'",
        "truncate public.audit_log",
    ):
        with psycopg.connect(database) as connection:
            connection.execute("set role service_role")
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(attempt)
