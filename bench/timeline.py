"""How long a page of a timeline takes among two million rows of the audit trail."""

import statistics
import time
from typing import Any, Final
from zoneinfo import ZoneInfo

import psycopg

from bench.database import own_database
from bench.utility import AGENT
from services.database.service import DatabaseService
from services.database.transports.postgres import DirectTransport
from services.history.timeline import Timeline
from services.identity.auth import Principal
from services.identity.permissions import Role

CUSTOMERS: Final = 20_000
# Of each customer: so many readings, and bills with four changes each.
MONTHS: Final = 20
# The first customer is a landlord with as many changes as a thousand others.
LANDLORDS_CHANGES: Final = 100_000
ROUNDS: Final = 5
OFFICE: Final = Principal(AGENT.user, frozenset({Role.ADMIN}), None, "token")
_PEOPLE: Final = """
    insert into customers (id, account_no, name)
    select md5('c' || n)::uuid, 'A' || n, 'Family ' || n from generate_series(1, {customers}) n;
    insert into meters (id, serial, kind, dials)
    select md5('m' || n)::uuid, 'M' || n, 'manual', 5 from generate_series(1, {customers}) n;
    insert into service_points (id, code)
    select md5('p' || n)::uuid, 'P' || n from generate_series(1, {customers}) n;
    insert into meter_installations (id, service_point_id, meter_id, installed_at, installed_on,
                                     multiplier_milli, opening_reading_id)
    select md5('i' || n)::uuid, md5('p' || n)::uuid, md5('m' || n)::uuid, '2020-01-01',
           '2020-01-01', 1000, md5('o' || n)::uuid
    from generate_series(1, {customers}) n;
    insert into service_agreements (id, service_point_id, customer_id, starts_on,
                                    opening_reading_id)
    select md5('a' || n)::uuid, md5('p' || n)::uuid, md5('c' || n)::uuid, '2020-01-01',
           md5('o' || n)::uuid
    from generate_series(1, {customers}) n;"""
_READINGS: Final = """
    insert into audit_log (at, actor, action, table_name, row_id, meter_id, after)
    select '2024-01-01'::timestamptz + m * interval '30 days' + n * interval '1 second', 'bench',
           'insert', 'readings', md5('r' || n || '/' || m), md5('m' || n)::uuid,
           jsonb_build_object('meter_id', md5('m' || n)::uuid, 'register_wh', m * 100000,
                              'read_on', '2024-01-01'::date + m * 30, 'source', 'field',
                              'status', 'accepted')
    from generate_series(1, {months}) m, generate_series(1, {customers}) n"""
_BILLS: Final = """
    insert into audit_log (at, actor, action, table_name, row_id, customer_id, meter_id, before,
                           after)
    select '2024-01-01'::timestamptz + m * interval '30 days' + n * interval '1 second', 'bench',
           case c when 1 then 'insert' else 'update' end, 'bills', md5('b' || n || '/' || m),
           md5('c' || n)::uuid, md5('m' || n)::uuid,
           case when c > 1 then jsonb_build_object('amount_paid_minor', c) end,
           jsonb_build_object('amount_paid_minor', c + 1, 'total_minor', 5, 'currency', 'INR')
    from generate_series(1, {months}) m, generate_series(1, {customers}) n,
         generate_series(1, 4) c"""
_LANDLORD: Final = """
    insert into audit_log (at, actor, action, table_name, row_id, customer_id, before, after)
    select '2024-01-01'::timestamptz + n * interval '5 minutes', 'bench', 'update', 'bills',
           md5('x' || n), md5('c1')::uuid, '{{"amount_paid_minor": 0}}',
           '{{"amount_paid_minor": 5}}'
    from generate_series(1, {landlord}) n"""
_WITH_READS: Final = ("meter_installations", "service_agreements")
_PLAN: Final = """
    explain (analyze, costs off, timing off, summary off)
    select a.* from audit_log a
    where a.customer_id = md5('c1')::uuid and a.at <= '2024-06-01'
    order by a.at desc, a.id desc limit 26"""


def main() -> None:
    """Load, page, print the table and the plan."""
    with own_database() as own:
        began = time.perf_counter()
        rows, size = load(own.dsn)
        taken = time.perf_counter() - began
        print(f"{rows:,} audit rows, {size} with indexes, in {taken:.0f} s")
        timeline = Timeline(DatabaseService(DirectTransport(own.dsn)), ZoneInfo("Asia/Kolkata"))
        print(f"a page of 25, median of {ROUNDS} and the slowest of them:")
        for label, how in _questions(own.dsn):
            print(f"{label:48}{_times(timeline, how)}")
        _print_plan(own.dsn)
        timeline.database.close()


def load(dsn: str) -> tuple[int, str]:
    """Customers with their meters and the trail of some years; how many rows, and how large."""
    given = {"customers": CUSTOMERS, "months": MONTHS, "landlord": LANDLORDS_CHANGES}
    with psycopg.connect(dsn, autocommit=True) as connection:
        # Neither audited nor checked: opening reads and bills are not what is measured.
        for table in ("customers", "meters", "service_points", "audit_log", *_WITH_READS):
            connection.execute(f"alter table {table} disable trigger user")
        for table in _WITH_READS:
            connection.execute(
                f"alter table {table} drop constraint {table}_opening_reading_id_fkey"
            )
        for insert in (_PEOPLE, _READINGS, _BILLS, _LANDLORD):
            connection.execute(insert.format(**given).encode())
        connection.execute("vacuum analyze")
        found = connection.execute(
            "select count(*), pg_size_pretty(pg_total_relation_size('audit_log')) from audit_log"
        ).fetchone()
    assert found is not None
    return int(found[0]), str(found[1])


def _questions(dsn: str) -> list[tuple[str, dict[str, Any]]]:
    with psycopg.connect(dsn) as connection:
        row = connection.execute(
            "select md5('c1')::uuid::text, md5('c777')::uuid::text, md5('m777')::uuid::text"
        ).fetchone()
    assert row is not None
    landlord, customer, meter = row
    far_back = ("2024-02-01T00:00:00+00:00", "~")
    return [
        ("a customer, the newest", {"subject": "customer", "subject_id": customer}),
        (
            "a customer, far back",
            {"subject": "customer", "subject_id": customer, "after": far_back},
        ),
        (
            "a customer's readings",
            {"subject": "customer", "subject_id": customer, "kind": "reading"},
        ),
        (
            "a customer's notes: none",
            {"subject": "customer", "subject_id": customer, "kind": "note"},
        ),
        ("a meter, the newest", {"subject": "meter", "subject_id": meter}),
        (
            "the landlord of 100,000 changes, the newest",
            {"subject": "customer", "subject_id": landlord},
        ),
        (
            "the landlord, far back",
            {"subject": "customer", "subject_id": landlord, "after": far_back},
        ),
        (
            "the landlord's notes: none",
            {"subject": "customer", "subject_id": landlord, "kind": "note"},
        ),
    ]


def _times(timeline: Timeline, how: dict[str, Any]) -> str:
    taken = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        timeline.of(**how, principal=OFFICE)
        taken.append((time.perf_counter() - start) * 1000)
    return f"{statistics.median(taken):>8.1f} ms{max(taken):>9.1f} ms"


def _print_plan(dsn: str) -> None:
    with psycopg.connect(dsn) as connection:
        for (line,) in connection.execute(_PLAN).fetchall():
            print(line)
