"""The direct transport against a real server: types, filters, pages, errors, broken connections."""

import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest

from services.database.embedded import EmbeddedPostgres
from services.database.transport import (
    DatabaseError,
    DatabaseRefused,
    Filter,
    FilterOp,
    TemporaryDatabaseError,
)
from services.database.transports import postgres as direct
from services.database.transports.postgres import CONNECTION_SETTINGS, DirectTransport

LARGE = 2**53 + 1
FIRST_ID = "00000000-0000-4000-8000-000000000001"
SCHEMA = """
create table public.things (
    id uuid primary key, name text, wh bigint, small int, rate numeric, read_at timestamptz,
    on_date date, active boolean, extra jsonb);
insert into public.things values
    ('00000000-0000-4000-8000-000000000001', 'Ánna 100%', 9007199254740993, 1, 1.10,
     '2025-03-30 02:30:00.5+05:30', '2025-03-30', true, '{"a": [1.5, 12345678901234567890]}'),
    ('00000000-0000-4000-8000-000000000002', 'bertha', -5, 2, null,
     null, '2025-03-31', false, null),
    ('00000000-0000-4000-8000-000000000003', null, 0, 2, null,
     null, null, null, null);
create view public.thing_list with (security_invoker = true) as select * from public.things;
create view public.many with (security_invoker = true) as
    select n from generate_series(1, 2500) as n;

create function public.echo(p jsonb) returns jsonb language sql set search_path = ''
    as $$ select p $$;
create function public.nothing(p jsonb) returns jsonb language sql set search_path = ''
    as $$ select null::jsonb $$;
create function public.session(p jsonb) returns jsonb language sql set search_path = '' as $$
    select jsonb_build_object('role', current_user, 'zone', current_setting('TimeZone'),
        'limit', current_setting('statement_timeout'),
        'name', current_setting('application_name')) $$;
create function public.fail(p jsonb) returns jsonb language plpgsql set search_path = '' as $$
begin
    raise exception using errcode = p->>'code', message = p->>'message', detail = 'a detail';
end $$;
create function public.add_thing(p jsonb) returns jsonb language plpgsql set search_path = '' as $$
begin
    insert into public.things (id, name) values ((p->>'id')::uuid, p->>'name');
    return p;
end $$;
create function public.cancelled(p jsonb) returns jsonb
language sql security definer set search_path = ''
    as $$ select to_jsonb(pg_catalog.pg_cancel_backend(pg_catalog.pg_backend_pid())) $$;

create sequence public.attempts;
create function public.die(p jsonb) returns jsonb
language plpgsql security definer set search_path = '' as $$
begin
    if nextval('public.attempts') <= (p->>'times')::bigint then
        perform pg_catalog.pg_terminate_backend(pg_catalog.pg_backend_pid());
        perform pg_catalog.pg_sleep(1);
    end if;
    return p;
end $$;
create view public.dies_once as select public.die('{"times": 1}') as answer;
"""


@pytest.fixture(scope="module")
def dsn(empty_database: Callable[[], str]) -> str:
    dsn = empty_database()
    with psycopg.connect(dsn) as connection:
        connection.execute(SCHEMA.encode())
    return dsn


@pytest.fixture(scope="module")
def transport(dsn: str) -> Iterator[DirectTransport]:
    transport = DirectTransport(dsn)
    yield transport
    transport.close()


def test_rows_have_the_json_types_of_rest(transport: DirectTransport) -> None:
    selection = transport.select("thing_list", filters=[Filter("id", "eq", FIRST_ID)])
    assert selection.rows == [
        {
            "id": FIRST_ID,
            "name": "Ánna 100%",
            "wh": LARGE,
            "small": 1,
            "rate": Decimal("1.10"),
            "read_at": "2025-03-29T21:00:00.5+00:00",
            "on_date": "2025-03-30",
            "active": True,
            "extra": {"a": [Decimal("1.5"), 12345678901234567890]},
        }
    ]
    assert selection.total is None


def test_what_is_sent_comes_back_exactly_and_never_as_a_float(transport: DirectTransport) -> None:
    sent = {"wh": LARGE, "negative": -LARGE, "text": "₹ \\ \" '", "none": None, "list": [True, {}]}
    assert transport.call("echo", sent) == sent
    answer = transport.call("echo", {"rate": Decimal("0.10"), "share": 0.5})
    assert answer == {"rate": "0.10", "share": Decimal("0.5")}
    assert isinstance(answer["share"], Decimal)


def test_times_dates_and_ids_are_sent_as_text(transport: DirectTransport) -> None:
    answer = transport.call(
        "echo",
        {"at": datetime(2025, 1, 2, 3, tzinfo=UTC), "on": date(2025, 1, 2), "id": UUID(FIRST_ID)},
    )
    assert answer == {"at": "2025-01-02T03:00:00+00:00", "on": "2025-01-02", "id": FIRST_ID}


@pytest.mark.parametrize("value", [math.nan, math.inf, datetime(2025, 1, 1), b"", object()])  # noqa: DTZ001
def test_what_has_no_exact_text_is_not_sent(transport: DirectTransport, value: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        transport.call("echo", {"value": value})


def test_a_function_may_answer_nothing(transport: DirectTransport) -> None:
    assert transport.call("nothing", {}) is None


def test_connections_work_as_service_role_in_utc_with_a_time_limit(
    transport: DirectTransport,
) -> None:
    assert transport.call("session", {}) == {
        "role": "service_role",
        "zone": "UTC",
        "limit": "10s",
        "name": "electricity-billing",
    }


def test_a_call_may_be_given_another_time_limit_which_ends_with_it(dsn: str) -> None:
    transport = DirectTransport(dsn, pool_size=1)
    try:
        limits = [transport.call("session", {}, seconds=s)["limit"] for s in (1800.0, 0.5, None)]
        with pytest.raises(TemporaryDatabaseError):
            transport.call("cancelled", {}, seconds=60)
    finally:
        transport.close()
    assert limits == ["30min", "500ms", "10s"]


@pytest.mark.parametrize(
    ("column", "op", "value", "found"),
    [
        ("small", "eq", 2, {2, 3}),
        ("small", "neq", 2, {1}),
        ("wh", "lt", 0, {2}),
        ("wh", "lte", 0, {2, 3}),
        ("wh", "gt", 0, {1}),
        ("wh", "gte", "0", {1, 3}),
        ("wh", "eq", LARGE, {1}),
        ("wh", "eq", LARGE - 1, set()),
        ("small", "in_", [1, 7], {1}),
        ("name", "in_", ["bertha", "Ánna 100%"], {1, 2}),
        ("id", "in_", [UUID(FIRST_ID)], {1}),
        ("small", "in_", [], set()),
        ("name", "ilike", "%BERT%", {2}),
        ("name", "ilike", "ánna%", {1}),
        ("name", "ilike", r"%\%", {1}),
        ("name", "is_null", True, {3}),
        ("name", "is_null", False, {1, 2}),
        ("active", "eq", True, {1}),
        ("on_date", "gt", date(2025, 3, 30), {2}),
        ("rate", "eq", Decimal("1.1"), {1}),
        ("read_at", "lt", datetime(2025, 3, 29, 21, 0, 1, tzinfo=UTC), {1}),
        ("name", "eq", "'; drop table things; --", set()),
    ],
)
def test_each_filter_finds_its_rows(
    transport: DirectTransport, column: str, op: FilterOp, value: Any, found: set[int]
) -> None:
    rows = transport.select("thing_list", filters=[Filter(column, op, value)]).rows
    assert {int(row["id"][-1]) for row in rows} == found


def test_a_select_is_planned_for_its_values_each_time(dsn: str) -> None:
    with psycopg.connect(dsn, **CONNECTION_SETTINGS) as connection:
        for _ in range(10):
            connection.execute("select name from things where id = %s", [FIRST_ID])
        found = connection.execute("select count(*) from pg_prepared_statements").fetchone()
    assert found == (0,)


def test_all_filters_must_hold(transport: DirectTransport) -> None:
    filters = [Filter("small", "eq", 2), Filter("name", "is_null", False)]
    assert [row["name"] for row in transport.select("things", filters=filters).rows] == ["bertha"]


@pytest.mark.parametrize(
    "one",
    [
        Filter("small", "eq", [1]),
        Filter("small", "in_", "12"),
        Filter("wh", "eq", 1.5),  # type: ignore[arg-type]
    ],
)
def test_a_filter_without_a_meaning_is_refused(transport: DirectTransport, one: Filter) -> None:
    with pytest.raises(TypeError):
        transport.select("thing_list", filters=[one])


def test_order_is_by_each_entry_in_turn(transport: DirectTransport) -> None:
    rows = transport.select("thing_list", order=["small.desc", "wh.asc"]).rows
    assert [row["wh"] for row in rows] == [-5, 0, LARGE]
    rows = transport.select("thing_list", order=["wh"]).rows
    assert [row["wh"] for row in rows] == [-5, 0, LARGE]


@pytest.mark.parametrize("entry", ["", "wh.up", ".desc", "wh.desc; drop table things"])
def test_an_order_without_a_meaning_is_refused(transport: DirectTransport, entry: str) -> None:
    with pytest.raises(ValueError, match="order"):
        transport.select("thing_list", order=[entry])


def test_more_rows_than_rest_gives_at_once_come_whole(transport: DirectTransport) -> None:
    selection = transport.select("many", order=["n.asc"], count=True)
    assert [row["n"] for row in selection.rows] == list(range(1, 2501))
    assert selection.total == 2500


@pytest.mark.parametrize(
    ("limit", "offset", "first", "rows"),
    [(10, 0, 101, 10), (10, 2395, 2496, 5), (10, 2400, None, 0), (10, 9999, None, 0)],
)
def test_a_page_tells_the_total_of_all_pages(
    transport: DirectTransport, limit: int, offset: int, first: int | None, rows: int
) -> None:
    page = transport.select(
        "many",
        filters=[Filter("n", "gt", 100)],
        order=["n.asc"],
        limit=limit,
        offset=offset,
        count=True,
    )
    assert page.total == 2400
    assert len(page.rows) == rows
    assert (page.rows[0]["n"] if page.rows else None) == first


@pytest.mark.parametrize("code", ["EB001", "EB404", "P0001", "23514"])
def test_a_rule_of_the_database_is_a_refusal_with_its_code(
    transport: DirectTransport, code: str
) -> None:
    with pytest.raises(DatabaseRefused) as caught:
        transport.call("fail", {"code": code, "message": "Bills are chained."})
    assert (caught.value.code, caught.value.message) == (code, "Bills are chained.")
    assert caught.value.detail == "a detail"
    assert str(caught.value) == "Bills are chained."


@pytest.mark.parametrize("code", ["40001", "40P01", "57P03", "55P03", "53300", "57014", "08006"])
def test_what_may_succeed_later_is_temporary(transport: DirectTransport, code: str) -> None:
    with pytest.raises(TemporaryDatabaseError) as caught:
        transport.call("fail", {"code": code, "message": "later"})
    assert caught.value.code == code


def test_a_call_that_takes_too_long_is_temporary(transport: DirectTransport) -> None:
    with pytest.raises(TemporaryDatabaseError) as caught:
        transport.call("cancelled", {})
    assert caught.value.code == "57014"


def test_a_real_constraint_is_a_refusal_and_keeps_nothing(transport: DirectTransport) -> None:
    with pytest.raises(DatabaseRefused) as caught:
        transport.call("add_thing", {"id": FIRST_ID, "name": "again"})
    assert caught.value.code == "23505"


def test_an_unreadable_value_is_a_refusal(transport: DirectTransport) -> None:
    with pytest.raises(DatabaseRefused):
        transport.select("thing_list", filters=[Filter("id", "eq", "no uuid")])
    with pytest.raises(DatabaseRefused):
        transport.select("thing_list", filters=[Filter("name", "eq", "a\0b")])


@pytest.mark.parametrize("name", ["no_such", 'things"; drop table things; --'])
def test_an_unknown_view_or_function_is_neither_temporary_nor_a_refusal(
    transport: DirectTransport, name: str
) -> None:
    with pytest.raises(DatabaseError) as caught:
        transport.select(name)
    assert type(caught.value) is DatabaseError
    with pytest.raises(DatabaseError) as caught:
        transport.call(name, {})
    assert type(caught.value) is DatabaseError


def test_a_read_on_a_connection_that_breaks_is_done_once_more(
    dsn: str, transport: DirectTransport
) -> None:
    restart_attempts(dsn)
    assert transport.select("dies_once").rows == [{"answer": {"times": 1}}]


def test_a_call_on_a_connection_that_breaks_is_left_to_its_caller(
    dsn: str, transport: DirectTransport
) -> None:
    restart_attempts(dsn)
    with pytest.raises(TemporaryDatabaseError):
        transport.call("die", {"times": 1})
    assert transport.call("die", {"times": 1}) == {"times": 1}
    with psycopg.connect(dsn) as connection:
        assert connection.execute("select last_value from attempts").fetchone() == (2,)


def test_more_callers_than_connections_all_get_their_turn(dsn: str) -> None:
    transport = DirectTransport(dsn, pool_size=2)
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda n: transport.call("echo", {"n": n})["n"], range(100)))
    transport.close()
    assert answers == list(range(100))


def test_a_closed_transport_says_so(dsn: str) -> None:
    transport = DirectTransport(dsn)
    transport.close()
    with pytest.raises(DatabaseError, match="closed"):
        transport.call("echo", {})


def test_the_pool_survives_a_restart_of_the_server(
    data_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(direct, "POOL_WAIT_SECONDS", 1.0)
    with EmbeddedPostgres(data_folder) as server:
        dsn = server.database("billing")
        with psycopg.connect(dsn) as connection:
            connection.execute(SCHEMA.encode())
        transport = DirectTransport(dsn, pool_size=3)
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(lambda n: transport.call("echo", {"n": n}), range(30)))

        server.stop()
        with pytest.raises(TemporaryDatabaseError):
            transport.call("echo", {})
        server.start()

        monkeypatch.undo()
        assert eventually(lambda: transport.call("echo", {"n": 1})) == {"n": 1}
        assert len(transport.select("thing_list").rows) == 3
        server.stop()
        server.start()
        # Every connection of the pool is of before the restart; none of them reaches a caller.
        assert transport.call("echo", {"n": 2}) == {"n": 2}
        transport.close()


def eventually(work: Callable[[], Any]) -> Any:
    """The answer of the first try that finds the database back, of at most five."""
    for _ in range(4):
        try:
            return work()
        except TemporaryDatabaseError:
            continue
    return work()


def restart_attempts(dsn: str) -> None:
    with psycopg.connect(dsn) as connection:
        connection.execute("alter sequence attempts restart")
