"""The monthly bills made by several processes are those that one process makes."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest

from bench.large_utility import fill
from services.bootstrap import services_of_cluster_worker, services_of_worker, wire
from services.container import Services
from services.database.embedded import EmbeddedPostgres
from services.database.schema.migrations import apply_migrations
from services.database.service import DatabaseService
from services.database.transports.postgres import DirectTransport
from services.jobs import monthly_bills
from services.jobs.by_hand import run_job
from services.jobs.runs import claim, perform
from services.records.jobs import JobRun
from services.settings import Settings, load_settings
from services.workers import Workers
from tests.integration.server_process import superuser_dsn
from tests.servers import MIGRATIONS

METERS: Final = 1_200
# On no billing day: all cycles are billed in one run.
AT: Final = datetime(2026, 11, 29, 2, 0, tzinfo=UTC)
SHORT_LEASE_SECONDS: Final = 5
# What a bill is, but its number: those go in the order in which batches end.
_BILLS: Final = """
    select id, agreement_id, lines, total_minor, usage, opening_reading_id, closing_reading_id,
           priced_by
    from bills where period_end = '2026-11-01' order by id"""
_LEDGER: Final = """
    select a.customer_id, a.balance_minor, a.entries, count(e.id), sum(e.amount_minor)
    from accounts a join ledger_entries e using (customer_id, book, currency)
    group by 1, 2, 3 order by 1"""
_OWED: Final = """
    select o.id, o.bill_id, o.kind, o.steps, o.status from outbox o order by o.id"""


@pytest.fixture(scope="module")
def server(embedded_server: EmbeddedPostgres) -> EmbeddedPostgres:
    name = "side_by_side"
    apply_migrations(embedded_server.database(name), MIGRATIONS)
    with psycopg.connect(superuser_dsn(embedded_server, database=name), autocommit=True) as made:
        fill(made, customers=METERS)
    return embedded_server


@contextmanager
def a_utility(server: EmbeddedPostgres, name: str, folder: Path) -> Iterator[tuple[Services, str]]:
    """A copy of the utility with two workers, and its database's address."""
    owner = superuser_dsn(server, database="postgres")
    with psycopg.connect(owner, autocommit=True) as connection:
        connection.execute(f"create database {name} template side_by_side".encode())
    dsn = server.database(name)
    settings = load_settings(
        {"DATABASE_URL": dsn, "DATA_DIR": str(folder), "TIMEZONE": "Asia/Kolkata"}
    )
    services = wire(settings, DatabaseService(DirectTransport(dsn)))
    workers = Workers(partial(services_of_worker, settings, dsn, ()), 2)
    try:
        yield replace(services, workers=workers), dsn
    finally:
        services.close()


def bill(services: Services) -> JobRun:
    return run_job(services, "monthly_bills", AT, "test")


def found(dsn: str) -> dict[str, list[Any]]:
    with psycopg.connect(dsn) as connection:
        numbers = connection.execute(
            "select number from bills where period_end = '2026-11-01' order by 1"
        ).fetchall()
        return {
            "numbers": numbers,
            **{
                query: connection.execute(query.encode()).fetchall()
                for query in (_BILLS, _LEDGER, _OWED)
            },
        }


@pytest.fixture(scope="module")
def by_one(server: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    with a_utility(server, "by_one", tmp_path_factory.mktemp("one")) as (services, dsn):
        run = bill(replace(services, workers=Workers(lambda: None)))
        assert run.status == "done"
        return found(dsn) | {"done": run.done_count, "set_aside": run.failed_count}


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(monthly_bills, "ENOUGH_TO_SPREAD", 1)
    monkeypatch.setattr(monthly_bills, "A_PART", 100)


def test_two_processes_make_the_bills_of_one(
    server: EmbeddedPostgres, by_one: dict[str, Any], tmp_path: Path
) -> None:
    with a_utility(server, "by_two", tmp_path) as (services, dsn):
        run = bill(services)
        assert (run.status, run.done_count, run.failed_count) == (
            "done",
            by_one["done"],
            by_one["set_aside"],
        )
        assert run.done_count > METERS * 0.9
        assert {**found(dsn), "done": run.done_count, "set_aside": run.failed_count} == by_one


def test_killed_workers_cost_time_only(
    server: EmbeddedPostgres, by_one: dict[str, Any], tmp_path: Path
) -> None:
    with a_utility(server, "by_mortals", tmp_path) as (services, dsn):
        killer = threading.Thread(target=_kill_two, args=(dsn,), daemon=True)
        killer.start()
        run = bill(services)
        killer.join(10)
        assert not killer.is_alive()
        assert run.status == "done"
        assert {**found(dsn), "done": run.done_count, "set_aside": run.failed_count} == by_one


def _kill_two(dsn: str) -> None:
    """Kill a worker as soon as bills are there, and one of those that come after it."""
    killed: set[int] = set()
    with psycopg.connect(dsn, autocommit=True) as connection:
        for least in (1, METERS // 2):
            while _number(connection) < least:
                time.sleep(0.01)
            alive = [p.pid for p in multiprocessing.active_children() if p.pid not in killed]
            pid = next(pid for pid in alive if pid is not None)
            killed.add(pid)
            os.kill(pid, signal.SIGKILL)


def _number(connection: psycopg.Connection[Any]) -> int:
    row = connection.execute(
        "select count(*) from bills where period_end = '2026-11-01'"
    ).fetchone()
    return 0 if row is None else int(row[0])


@dataclass(frozen=True)
class Cluster:
    """A Dask scheduler and the processes of its workers."""

    address: str
    workers: "list[subprocess.Popen[bytes]]"


@contextmanager
def a_cluster(folder: Path, environment: Mapping[str, str]) -> Iterator[Cluster]:
    """Processes of their own, begun by the commands of docs/scale.md, with two workers."""
    note = folder / "scheduler.json"

    def run(*command: str) -> "subprocess.Popen[bytes]":
        dask = [sys.executable, "-m", "dask", *command, "--no-dashboard"]
        return subprocess.Popen(dask, env={**os.environ, **environment})

    with ExitStack() as processes:
        address = ["--host", "127.0.0.1", "--port", "0"]
        begun = [run("scheduler", *address, "--scheduler-file", str(note))]
        processes.callback(_ended, begun)
        deadline = time.monotonic() + 60
        while not note.exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        scheduler = json.loads(note.read_text())["address"]
        begun += (run("worker", scheduler, "--nthreads", "1", "--no-nanny") for _ in range(2))
        yield Cluster(scheduler, begun[1:])


def _ended(processes: "list[subprocess.Popen[bytes]]") -> None:
    # A worker whose scheduler goes first would wait for another one.
    for process in processes:
        process.kill()
        process.wait(10)


def test_a_dask_cluster_makes_the_same_bills_also_where_one_of_its_workers_is_killed(
    server: EmbeddedPostgres, by_one: dict[str, Any], tmp_path: Path
) -> None:
    # Each machine of a cluster has its own settings.
    with (
        a_utility(server, "by_cluster", tmp_path) as (services, dsn),
        a_cluster(
            tmp_path,
            {"DATABASE_URL": dsn, "DATA_DIR": str(tmp_path), "TIMEZONE": "Asia/Kolkata"},
        ) as cluster,
    ):
        workers = Workers(partial(services_of_cluster_worker, ()), 2, cluster.address)
        killer = threading.Thread(target=_kill_one, args=(dsn, cluster.workers[0].pid), daemon=True)
        killer.start()
        run = bill(replace(services, workers=workers))
        killer.join(10)
        assert not killer.is_alive()
        assert cluster.workers[0].wait(10) == -signal.SIGKILL
        assert run.status == "done"
        assert {**found(dsn), "done": run.done_count, "set_aside": run.failed_count} == by_one


def _kill_one(dsn: str, pid: int) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        while _number(connection) < 1:
            time.sleep(0.01)
    os.kill(pid, signal.SIGKILL)


def services_in_a_while(settings: Settings, dsn: str) -> Services:
    """As on a machine that has other things to do first."""
    time.sleep(2 * SHORT_LEASE_SECONDS)
    return services_of_worker(settings, dsn, ())


def test_a_run_whose_workers_begin_slowly_keeps_its_lease(
    server: EmbeddedPostgres, tmp_path: Path
) -> None:
    with a_utility(server, "slow_start", tmp_path) as (services, dsn):
        slow = Workers(partial(services_in_a_while, services.settings, dsn), 2)
        context, _ = claim(
            replace(services, workers=slow),
            job="monthly_bills",
            scheduled_on=AT.date(),
            started_by="test",
            clock=lambda: AT,
            lease_seconds=SHORT_LEASE_SECONDS,
        )
        assert context is not None
        ended: list[JobRun | None] = []
        one = threading.Thread(target=lambda: ended.append(perform(context, monthly_bills.run)))
        one.start()
        while one.is_alive():
            other, run = claim(
                services, job="monthly_bills", scheduled_on=AT.date(), started_by="another"
            )
            assert other is None
            assert run.attempt == 1
            one.join(SHORT_LEASE_SECONDS / 10)
        assert [run.status for run in ended if run] == ["done"]


def test_a_run_that_was_taken_over_ends_in_all_its_processes(
    server: EmbeddedPostgres, tmp_path: Path
) -> None:
    with a_utility(server, "taken_over", tmp_path) as (services, dsn):

        def take_over() -> None:
            with psycopg.connect(dsn, autocommit=True) as connection:
                while _number(connection) < 1:
                    time.sleep(0.01)
                connection.execute("update job_runs set attempt = attempt + 1")

        other = threading.Thread(target=take_over, daemon=True)
        other.start()
        run = bill(services)
        other.join(10)
        # As it was claimed: another attempt says how it ends.
        assert run.status == "running"
        with psycopg.connect(dsn) as connection:
            made = _number(connection)
            time.sleep(1)
            assert _number(connection) == made
            assert 0 < made < METERS * 0.99
