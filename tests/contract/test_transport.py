"""What both transports promise, each case over the direct and the REST one."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
import pytest

from services.database.transport import (
    DatabaseError,
    DatabaseRefused,
    Filter,
    FilterOp,
    TemporaryDatabaseError,
    Transport,
)
from tests.contract.conftest import KINDS, NewTransport
from tests.integration.test_direct_transport import FIRST_ID, LARGE, SCHEMA

ODD_TEXTS = [
    "a.b.c",
    "a,b",
    "(a)",
    'say "a"',
    "it's",
    r"back\slash",
    "100%",
    "a_b",
    "a*b",
    "a+b?c=d&e#f/g:h;i",
    "[a]{b}|^$",
    "ಬೆಂಗಳೂರು ₹ 🙂",
    "eq.x",
    "not.null",
    "null",
    "true",
    "",
    " a ",
    "line\nbreak",
]
MORE_SCHEMA = """
create table public.texts (n int primary key, words text);
create view public.twins with (security_invoker = true) as
    select n % 3 as third, n % 2 = 0 as even, n as value, jsonb_build_object('n', n) as extra
    from generate_series(1, 2500) as n;
create table public.moments (n int primary key, at timestamptz);
insert into public.moments values
    (1, 'infinity'), (2, '2025-10-26 01:30:00+02:00'), (3, '1999-12-31 23:59:59.999999Z');
"""


@pytest.fixture(scope="module")
def dsn(empty_database: Callable[[], str]) -> str:
    dsn = empty_database()
    with psycopg.connect(dsn) as connection:
        connection.execute((SCHEMA + MORE_SCHEMA).encode())
        connection.cursor().executemany(
            "insert into public.texts values (%s, %s)", list(enumerate(ODD_TEXTS))
        )
    return dsn


@pytest.fixture(scope="module", params=KINDS)
def transport(request: pytest.FixtureRequest, dsn: str, new_transport: NewTransport) -> Transport:
    return new_transport(request.param, dsn)


def test_rows_have_exact_types(transport: Transport) -> None:
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
    (row,) = selection.rows
    kinds = {name: type(row[name]) for name in ("wh", "small", "rate", "active")}
    assert kinds == {"wh": int, "small": int, "rate": Decimal, "active": bool}
    assert type(row["extra"]["a"][0]) is Decimal
    assert selection.total is None


def test_nulls_are_none(transport: Transport) -> None:
    rows = transport.select("thing_list", filters=[Filter("wh", "eq", 0)]).rows
    nothing = dict.fromkeys(("name", "rate", "read_at", "on_date", "active", "extra"))
    assert {name: rows[0][name] for name in nothing} == nothing


def test_times_are_in_utc_to_the_microsecond(transport: Transport) -> None:
    rows = transport.select("moments", order=["n.asc"]).rows
    assert [row["at"] for row in rows] == [
        "infinity",
        "2025-10-25T23:30:00+00:00",
        "1999-12-31T23:59:59.999999+00:00",
    ]


def test_what_is_sent_comes_back_exactly_and_never_as_a_float(transport: Transport) -> None:
    sent = {"wh": LARGE, "negative": -LARGE, "text": "₹ \\ \" '", "none": None, "list": [True, {}]}
    assert transport.call("echo", sent) == sent
    assert transport.call("echo", {"huge": 10**30}) == {"huge": 10**30}
    answer = transport.call("echo", {"rate": Decimal("0.10"), "share": 0.5})
    assert answer == {"rate": "0.10", "share": Decimal("0.5")}
    assert isinstance(answer["share"], Decimal)


def test_times_dates_and_ids_are_sent_as_text(transport: Transport) -> None:
    answer = transport.call(
        "echo",
        {"at": datetime(2025, 1, 2, 3, tzinfo=UTC), "on": date(2025, 1, 2), "id": UUID(FIRST_ID)},
    )
    assert answer == {"at": "2025-01-02T03:00:00+00:00", "on": "2025-01-02", "id": FIRST_ID}


@pytest.mark.parametrize("value", [float("nan"), datetime(2025, 1, 1), b"", object()])  # noqa: DTZ001
def test_what_has_no_exact_text_is_not_sent(transport: Transport, value: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        transport.call("echo", {"value": value})


def test_a_function_may_answer_nothing(transport: Transport) -> None:
    assert transport.call("nothing", {}) is None


def test_both_work_as_service_role_in_utc(transport: Transport) -> None:
    answer = transport.call("session", {})
    assert (answer["role"], answer["zone"]) == ("service_role", "UTC")


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
        ("active", "neq", True, {2}),
        ("on_date", "gt", date(2025, 3, 30), {2}),
        ("rate", "eq", Decimal("1.1"), {1}),
        ("read_at", "lt", datetime(2025, 3, 29, 21, 0, 1, tzinfo=UTC), {1}),
        ("name", "eq", "'; drop table things; --", set()),
    ],
)
def test_each_filter_finds_its_rows(
    transport: Transport, column: str, op: FilterOp, value: Any, found: set[int]
) -> None:
    rows = transport.select("thing_list", filters=[Filter(column, op, value)]).rows
    assert {int(row["id"][-1]) for row in rows} == found


@pytest.mark.parametrize("text", ODD_TEXTS)
def test_a_text_is_taken_as_it_is_by_every_filter(transport: Transport, text: str) -> None:
    def found(op: FilterOp, value: Any) -> list[str]:
        return [
            r["words"] for r in transport.select("texts", filters=[Filter("words", op, value)]).rows
        ]

    assert found("eq", text) == [text]
    assert found("in_", [text]) == [text]
    assert set(found("in_", [text, "a.b.c"])) == {text, "a.b.c"}
    assert set(found("neq", text)) == set(ODD_TEXTS) - {text}
    assert sorted([*found("lt", text), *found("gte", text)]) == sorted(ODD_TEXTS)
    assert sorted([*found("lte", text), *found("gt", text)]) == sorted(ODD_TEXTS)
    literal = text.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
    assert found("ilike", literal) == [text]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("%*%", {"a*b"}),
        ("A*_", {"a*b"}),
        ("%.%", {"a.b.c", "eq.x", "not.null"}),
        ("%,%", {"a,b"}),
        ("(%)", {"(a)"}),
        (r"%\%", {"100%"}),
        ('%"%"', {'say "a"'}),
        ("line%break", {"line\nbreak"}),
        ("%₹%", {"ಬೆಂಗಳೂರು ₹ 🙂"}),
        ("%*%+%", set()),
    ],
)
def test_a_pattern_knows_two_wildcards_and_no_others(
    transport: Transport, pattern: str, found: set[str]
) -> None:
    rows = transport.select("texts", filters=[Filter("words", "ilike", pattern)]).rows
    assert {row["words"] for row in rows} == found


def test_all_filters_must_hold(transport: Transport) -> None:
    filters = [Filter("small", "eq", 2), Filter("name", "is_null", False)]
    assert [row["name"] for row in transport.select("things", filters=filters).rows] == ["bertha"]
    between = [Filter("n", "gt", 2), Filter("n", "lte", 4)]
    assert len(transport.select("texts", filters=between).rows) == 2


def test_a_long_list_of_values_finds_all_its_rows(transport: Transport) -> None:
    values = [f"{'x' * 30}-{n}" for n in range(600)] + ["a.b.c", "(a)", "a.b.c"]
    filters = [Filter("words", "in_", values), Filter("n", "lt", 100)]
    found = transport.select("texts", filters=filters, limit=1000, count=True)
    assert {row["words"] for row in found.rows} == {"a.b.c", "(a)"}
    assert found.total == 2
    assert len(transport.select("texts", filters=filters, limit=1).rows) == 1


@pytest.mark.parametrize(
    "one",
    [
        Filter("small", "eq", [1]),
        Filter("small", "in_", "12"),
        Filter("wh", "eq", 1.5),  # type: ignore[arg-type]
    ],
)
def test_a_filter_without_a_meaning_is_refused(transport: Transport, one: Filter) -> None:
    with pytest.raises(TypeError):
        transport.select("thing_list", filters=[one])


def test_order_is_by_each_entry_in_turn(transport: Transport) -> None:
    rows = transport.select("thing_list", order=["small.desc", "wh.asc"]).rows
    assert [row["wh"] for row in rows] == [-5, 0, LARGE]
    rows = transport.select("thing_list", order=["wh"]).rows
    assert [row["wh"] for row in rows] == [-5, 0, LARGE]


@pytest.mark.parametrize("name", [True, False])
def test_nulls_come_where_postgres_puts_them(transport: Transport, name: bool) -> None:
    rows = transport.select("thing_list", order=["name.asc" if name else "name.desc"]).rows
    assert [row["name"] is None for row in rows].index(True) == (2 if name else 0)


@pytest.mark.parametrize("entry", ["", "wh.up", ".desc", "wh.desc; drop table things"])
def test_an_order_without_a_meaning_is_refused(transport: Transport, entry: str) -> None:
    with pytest.raises(ValueError, match="order"):
        transport.select("thing_list", order=[entry])


@pytest.mark.parametrize("limit", [None, 2500, 9999])
def test_more_rows_than_rest_gives_at_once_come_whole(
    transport: Transport, limit: int | None
) -> None:
    selection = transport.select("many", order=["n.asc"], limit=limit, count=True)
    assert [row["n"] for row in selection.rows] == list(range(1, 2501))
    assert selection.total == 2500
    assert transport.select("many", limit=limit).total is None


def test_many_rows_come_once_each_whatever_the_order_leaves_open(transport: Transport) -> None:
    for order in ([], ["third.desc"], ["even.asc", "third.desc"]):
        rows = transport.select("twins", order=order).rows
        assert sorted(row["value"] for row in rows) == list(range(1, 2501))
        assert all(row["extra"] == {"n": row["value"]} for row in rows)
    thirds = [row["third"] for row in transport.select("twins", order=["third.desc"]).rows]
    assert thirds == sorted(thirds, reverse=True)


def test_a_long_stretch_from_the_middle(transport: Transport) -> None:
    rows = transport.select("many", order=["n.desc"], limit=1700, offset=600).rows
    assert [row["n"] for row in rows] == list(range(1900, 200, -1))


@pytest.mark.parametrize(
    ("limit", "offset", "first", "rows"),
    [(10, 0, 101, 10), (10, 2395, 2496, 5), (10, 2400, None, 0), (10, 9999, None, 0)],
)
def test_a_page_tells_the_total_of_all_pages(
    transport: Transport, limit: int, offset: int, first: int | None, rows: int
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


@pytest.mark.parametrize("code", ["EB001", "EB404", "P0001", "23514", "22000", "44000"])
def test_a_rule_of_the_database_is_a_refusal_with_its_code(transport: Transport, code: str) -> None:
    with pytest.raises(DatabaseRefused) as caught:
        transport.call("fail", {"code": code, "message": "Bills are chained."})
    assert (caught.value.code, caught.value.message) == (code, "Bills are chained.")
    assert caught.value.detail == "a detail"
    assert str(caught.value) == "Bills are chained."


@pytest.mark.parametrize("code", ["40P01", "57P03", "55P03", "53300", "57014", "08006"])
def test_what_may_succeed_later_is_temporary(transport: Transport, code: str) -> None:
    with pytest.raises(TemporaryDatabaseError) as caught:
        transport.call("fail", {"code": code, "message": "later"})
    assert caught.value.code == code


def test_an_error_of_the_database_itself_is_neither(transport: Transport) -> None:
    with pytest.raises(DatabaseError) as caught:
        transport.call("fail", {"code": "XX001", "message": "corrupted"})
    assert type(caught.value) is DatabaseError
    assert caught.value.code == "XX001"


def test_a_real_constraint_is_a_refusal_and_keeps_nothing(transport: Transport) -> None:
    with pytest.raises(DatabaseRefused) as caught:
        transport.call("add_thing", {"id": FIRST_ID, "name": "again"})
    assert caught.value.code == "23505"


def test_an_unreadable_value_is_a_refusal(transport: Transport) -> None:
    with pytest.raises(DatabaseRefused):
        transport.select("thing_list", filters=[Filter("id", "eq", "no uuid")])
    with pytest.raises(DatabaseRefused):
        transport.select("thing_list", filters=[Filter("name", "eq", "a\0b")])
    with pytest.raises(DatabaseRefused):
        transport.select("thing_list", filters=[Filter("name", "in_", ["b", "a\0b"])])
    with pytest.raises(DatabaseRefused):
        transport.call("echo", {"name": "a\0b"})


@pytest.mark.parametrize(
    "name", ["no_such", 'things"; drop table things; --', "things?limit=1", "../rpc/echo", ""]
)
def test_an_unknown_name_is_neither_temporary_nor_a_refusal(
    transport: Transport, name: str
) -> None:
    for ask in (
        lambda: transport.select(name),
        lambda: transport.call(name, {}),
        lambda: transport.select("things", filters=[Filter(name, "eq", 1)]),
        lambda: transport.select("things", filters=[Filter("select", "eq", "name")]),
    ):
        with pytest.raises(DatabaseError) as caught:
            ask()
        assert type(caught.value) is DatabaseError


@pytest.mark.parametrize("kind", KINDS)
def test_a_closed_transport_says_so(kind: str, dsn: str, new_transport: NewTransport) -> None:
    transport = new_transport(kind, dsn)
    transport.close()
    with pytest.raises(DatabaseError, match="closed"):
        transport.call("echo", {})
    with pytest.raises(DatabaseError, match="closed"):
        transport.select("things")
