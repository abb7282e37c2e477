"""Reminders and overdue marks go by batches of an index, and owe a step of a bill once."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import psycopg
import pytest

from bench.dunning import ALL_DUE, DUE, MARKED, REMINDED
from bench.large_utility import fill
from bench.plans import ExplainingTransport, nodes, scanned, walked
from services.database.embedded import EmbeddedPostgres
from services.database.schema.migrations import apply_migrations
from services.database.transports.postgres import DirectTransport
from tests.integration.dunning_process import OWED, walk
from tests.integration.server_process import ROOT, superuser_dsn
from tests.servers import MIGRATIONS

CUSTOMERS = 6_000
PROCESSES, KILLED = 8, 3
ALL_MARKED = """
    set session_replication_role = replica;
    update bills set overdue_since = due_date + 1 where status = 'issued';
    reset session_replication_role"""
REMIND = {"today": REMINDED.isoformat(), "until": DUE.isoformat()}
MARK = {"today": MARKED.isoformat()}


def filled(server: EmbeddedPostgres, name: str, customers: int) -> str:
    """A database of bills that are all due on one day; the address of a superuser."""
    apply_migrations(server.database(name), MIGRATIONS)
    dsn = superuser_dsn(server, database=name)
    with psycopg.connect(dsn, autocommit=True) as connection:
        fill(connection, customers=customers)
        connection.execute(ALL_DUE.encode())
        connection.execute("vacuum analyze")
    return dsn


@pytest.fixture(scope="module")
def large(embedded_server: EmbeddedPostgres) -> Iterator[ExplainingTransport]:
    dsn = filled(embedded_server, "dunning_batches", CUSTOMERS)
    with psycopg.connect(dsn, autocommit=True) as connection:
        # As dear as with a million rows.
        connection.execute("set seq_page_cost = 50")
        yield ExplainingTransport(connection)


@pytest.mark.parametrize(
    ("function", "params"), [("queue_reminders", REMIND), ("mark_overdue", MARK)]
)
def test_a_batch_is_a_constant_number_of_statements_by_an_index(
    large: ExplainingTransport, function: str, params: dict[str, Any]
) -> None:
    statements = []
    after: dict[str, Any] | None = None
    for limit in (10, 10, 200, 200):
        large.explain(True)
        answer = large.call(
            function, {"actor": "test", "limit": limit, "owed": OWED, "after": after, **params}
        )
        large.explain(False)
        after = answer["after"]
        assert answer["count"] > limit * 9 // 10
        assert scanned(large.plans, ("bills", "outbox", "audit_log")) == []
        assert walked(large.plans, ("bills", "outbox", "audit_log")) == []
        by_key = [n for n in nodes(large.plans) if n.get("Index Name") == "bills_to_dun"]
        assert by_key, "the batch is found by the key after which the last one ended"
        assert max(n["Actual Rows"] for n in by_key) <= limit
        assert all("Sort" not in n["Node Type"] for n in by_key)
        statements.append(len([p for p in large.plans if not is_check(p["Query Text"])]))
    # How many bills a batch has makes no statement more.
    assert statements[-1] == statements[1]


def test_a_page_of_accounts_is_a_constant_number_of_statements_by_an_index(
    embedded_server: EmbeddedPostgres,
) -> None:
    dsn = filled(embedded_server, "dunning_pages", CUSTOMERS)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(ALL_MARKED.encode())
        connection.execute("vacuum analyze bills")
        connection.execute("set seq_page_cost = 50")
        transport = ExplainingTransport(connection)
        statements = []
        after: str | None = None
        for limit in (10, 10, 200, 200):
            transport.explain(True)
            params = {"actor": "test", "limit": limit, "owed": OWED, "after": after, **MARK}
            answer = transport.call("take_dunning_steps", params)
            transport.explain(False)
            after = answer["after"]
            assert answer["count"] > limit * 9 // 10
            read = ("bills", "outbox", "dunning_actions", "open_items", "audit_log")
            assert scanned(transport.plans, read) == []
            by_key = [
                n for n in nodes(transport.plans) if n.get("Index Name") == "bills_in_arrears"
            ]
            assert by_key, "the page is found by the account after which the last one ended"
            statements.append(len([p for p in transport.plans if not is_check(p["Query Text"])]))
        # How many accounts a page has makes no statement more.
        assert statements[-1] == statements[1]


@pytest.mark.parametrize(
    ("lane", "index"),
    [
        ("graph", "outbox_due_graph"),
        ("links", "outbox_due_links"),
        ("messages", "outbox_due_messages"),
    ],
)
def test_each_lane_finds_its_own_past_a_backlog_of_the_others(
    large: ExplainingTransport, lane: str, index: str
) -> None:
    (backlog,) = large.connection.execute("select count(*) from outbox").fetchone() or (0,)
    assert backlog > 500
    large.connection.execute("reset role; analyze outbox; set role service_role")
    large.explain(True)
    answer = large.call(
        "claim_owed_work",
        {"owner": "o", "lease_seconds": 0, "limit": 1, "lane": lane, "link_patience_seconds": 300},
    )
    large.explain(False)
    assert len(answer["owed"]) == (1 if lane == "messages" else 0)
    assert scanned(large.plans, ("outbox",)) == []
    by_lane = [n for n in nodes(large.plans) if n.get("Index Name") == index]
    assert by_lane
    assert all("Sort" not in n["Node Type"] for n in nodes(large.plans[:1]))
    assert max(n["Actual Rows"] for n in by_lane) <= 1


def test_a_channel_finds_the_first_in_its_queue(large: ExplainingTransport) -> None:
    large.connection.execute("reset role")
    large.connection.execute("""
        insert into notifications (id, bill_id, kind, channel, status, queued_at)
        select gen_random_uuid(), o.bill_id, o.kind, 'discord', 'waiting', now() from outbox o""")
    large.connection.execute("analyze notifications; set role service_role")
    large.explain(True)
    params = {"owner": "o", "lease_seconds": 60, "channel": "discord", "per_minute": 30}
    answer = large.call("claim_messages", {**params, "limit": 16})
    large.explain(False)
    assert len(answer["owed"]) == 1
    assert scanned(large.plans, ("outbox", "notifications")) == []
    in_order = [n for n in nodes(large.plans) if n.get("Index Name") == "notifications_queue"]
    assert in_order
    assert max(n["Actual Rows"] for n in in_order) <= 1
    assert large.call("claim_messages", {**params, "limit": 16})["owed"] == []


def test_eight_processes_some_of_them_killed_owe_each_step_once(
    embedded_server: EmbeddedPostgres,
) -> None:
    dsn = filled(embedded_server, "dunning_processes", 400)
    ours = embedded_server.database("dunning_processes")
    script = [sys.executable, "-m", "tests.integration.dunning_process", ours]
    script += [REMINDED.isoformat(), DUE.isoformat(), MARKED.isoformat()]
    with ExitStack() as started:
        processes = [
            started.enter_context(
                subprocess.Popen(
                    script, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
                )
            )
            for _ in range(PROCESSES)
        ]
        assert [said(p) for p in processes] == ["ready\n"] * PROCESSES
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        for process in processes[:KILLED]:
            assert said(process) == "on\n"
            os.kill(process.pid, signal.SIGKILL)
        ended = [process.wait(timeout=120) for process in processes]
    assert ended == [-signal.SIGKILL] * KILLED + [0] * (PROCESSES - KILLED)
    transport = DirectTransport(ours)
    for function, params in (("queue_reminders", REMIND), ("mark_overdue", MARK)):
        walk(transport, function, params)
        assert walk(transport, function, params) == 0, "all were taken"
    transport.close()
    with psycopg.connect(dsn) as connection:
        owed = connection.execute("""
            select kind, count(*), count(distinct bill_id) from outbox group by 1 order by 1""")
        due = connection.execute("""
            select count(*) from bills b where status = 'issued' and not exists (
                select 1 from spared_bills s where s.bill_id = b.id)""").fetchone()
        assert due is not None
        expected = (due[0], due[0])
        assert owed.fetchall() == [("overdue_notice", *expected), ("payment_reminder", *expected)]
        with pytest.raises(psycopg.errors.UniqueViolation, match="outbox_once"):
            connection.execute("""
                insert into outbox (id, bill_id, kind, steps)
                select gen_random_uuid(), bill_id, kind, steps from outbox limit 1""")


def is_check(query: str) -> bool:
    """Whether it is a check that the table makes of each row: a foreign key, or a bill's total."""
    return "FOR KEY SHARE OF x" in query or "jsonb_array_elements(p_lines) l" in query


def said(process: subprocess.Popen[str]) -> str:
    """The next line that a process says."""
    assert process.stdout is not None
    return process.stdout.readline()
