"""How many bills a second the monthly run stores, beside a raw COPY of the rows that it stored.

`python -m bench.monthly_run [--workers N] [--rounds N] [--rest] [--intervals PERCENT] [--mixed]
[METERS …]`; each size is a utility of its own, each round a copy of it. Times of processors are
those of the program with its workers, and of the database. With one process it says how many bills
were not drawn up with others.
"""

import argparse
import multiprocessing
import os
import resource
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import astuple, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final
from unittest.mock import Mock, patch

import psycopg
from psycopg import sql

from bench.database import OwnDatabase, own_database, server_seconds
from bench.large.mixed import mix
from bench.large_utility import fill
from services.bootstrap import services_of_worker, wire
from services.container import Services
from services.database.service import DatabaseService
from services.database.transports.supabase import RestTransport
from services.jobs import cycle_bills
from services.jobs.by_hand import run_job
from services.workers import Workers
from tests.contract.supabase_project import find_postgrest, supabase_project

SIZES: Final = (1_000, 10_000, 100_000)
# On no billing day: each agreement is billed for its own last cycle, all of them in one run.
AT: Final = datetime(2026, 11, 29, 2, 0, tzinfo=UTC)
# What a run writes, and which rows of it are new: fill() wrote the others.
_WRITTEN: Final = {
    "bills": "period_end = '2026-11-01'",
    "ledger_entries": "created_at >= %s",
    "open_items": "entry_id in (select id from ledger_entries where created_at >= %s)",
    "outbox": "created_at >= %s",
    "audit_log": "at >= %s",
}
_CHUNK: Final = 1 << 20
_WORKER_ENDS_SECONDS: Final = 30.0


def main() -> None:
    """Fill, bill, copy; lines for each size."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument(
        "--intervals",
        type=int,
        default=0,
        metavar="PERCENT",
        help="so many of a hundred meters are billed from hours, by time of use",
    )
    parser.add_argument(
        "--mixed",
        action="store_true",
        help="some have registers, estimates to settle, gaps, or a tariff that changes",
    )
    parser.add_argument(
        "--rounds", type=int, default=1, help="so many times, each on a copy; medians at the end"
    )
    parser.add_argument(
        "--rest", action="store_true", help="over PostgREST and a gateway, as with Supabase"
    )
    parser.add_argument("meters", type=int, nargs="*", default=SIZES)
    given = parser.parse_args()
    how = How(given.workers, given.rounds, given.rest)
    for meters in given.meters:
        measure(meters, how, hourly_percent=given.intervals, mixed=given.mixed)


@dataclass(frozen=True)
class How:
    """By how many processes, how often, and by which transport."""

    workers: int
    rounds: int = 1
    rest: bool = False


@dataclass(frozen=True)
class _Figures:
    """Of one round: bills a second, microseconds of processors a bill, part of COPY's speed."""

    a_second: float
    program: float
    database: float
    of_copied: float


def measure(meters: int, how: How, *, hourly_percent: int = 0, mixed: bool = False) -> None:
    """Bill so many and say how fast, and how fast the same rows are copied.

    Of each hundred so many are billed from the hours of their meter; `mixed` as in bench.large.
    """
    with own_database() as own:
        with own.owner() as connection:
            fill(connection, customers=meters, hourly_percent=hourly_percent)
            if mixed:
                mix(connection)
        if how.rounds == 1:
            _round(own, how)
            return
        rounds = []
        for number in range(how.rounds):
            copy = own.copy(f"round_{number}")
            rounds.append(_round(copy, how))
            with own.owner() as connection:
                connection.execute(f"drop database {copy.name} with (force)".encode())
        _show_medians(meters, rounds)


def _show_medians(meters: int, rounds: Sequence[_Figures]) -> None:
    a_second, program, database, of_copied = (
        statistics.median(each) for each in zip(*map(astuple, rounds), strict=True)
    )
    least, most = min(r.a_second for r in rounds), max(r.a_second for r in rounds)
    print(
        f"{meters:,} meters, medians of {len(rounds)}: {a_second:,.0f} bills a second "
        f"({least:,.0f} to {most:,.0f}), program {program:.0f} µs, database {database:.0f} µs, "
        f"{of_copied:.2f} of copied",
        flush=True,
    )


@contextmanager
def _services(own: OwnDatabase, how: How) -> Iterator[Services]:
    zone = "Asia/Kolkata"
    if not how.rest:
        services = own.services(workers=how.workers, TIMEZONE=zone)
        yield services
        services.database.close()
        return
    with supabase_project(find_postgrest(), own.dsn) as project:
        key = project.service_key
        settings = own.settings(
            DATABASE_URL="", SUPABASE_URL=project.url, SUPABASE_SERVICE_KEY=key, TIMEZONE=zone
        )
        database = DatabaseService(RestTransport(project.url, key))
        workers = Workers(partial(services_of_worker, settings, None, ()), how.workers)
        yield replace(wire(settings, database), workers=workers)
        database.close()


def _round(own: OwnDatabase, how: How) -> _Figures:
    with own.owner() as connection, _services(own, how) as services:
        began = _value(connection, "select clock_timestamp()")
        before = _Spent.now(connection)
        with _alone() as alone:
            run = run_job(services, "monthly_bills", AT, "bench")
        ended = time.perf_counter()
        # What workers used is known once they are gone, for which the run does not wait.
        for worker in multiprocessing.active_children():
            worker.join(_WORKER_ENDS_SECONDS)
        spent = replace(_Spent.now(connection), wall=ended) - before
        bills = run.done_count
        each = 1e6 / max(bills, 1)
        print(
            f"{bills:,} bills by {how.workers} processes in {spent.wall:.1f} s: "
            f"{bills / spent.wall:,.0f} a second; processor time of each: program "
            f"{spent.program * each:.0f} µs, database {spent.database * each:.0f} µs; "
            f"{run.failed_count} set aside, "
            + (f"{alone.call_count} drawn up alone, " if how.workers == 1 else "")
            + f"at most {_memory():.0f} MB a process; load {os.getloadavg()[0]:.1f}",
            flush=True,
        )
        seconds, size = copied(connection, own.folder, began)
        print(
            f"   the same rows copied, with all indexes, in {seconds:.1f} s: "
            f"{bills / seconds:,.0f} bills a second, {size / max(bills, 1):,.0f} bytes each; "
            f"the run is {seconds / spent.wall:.2f} of that",
            flush=True,
        )
    return _Figures(
        bills / spent.wall, spent.program * each, spent.database * each, seconds / spent.wall
    )


def _alone() -> AbstractContextManager[Mock]:
    """Counts the agreements whose bills this process draws up one by one."""
    return patch.object(cycle_bills, "draw_up_bills", Mock(wraps=cycle_bills.draw_up_bills))


def _memory() -> float:
    """The most that this process or a worker of its has had, in MB."""
    each = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return max(resource.getrusage(who).ru_maxrss for who in each) / 1024


def copied(connection: psycopg.Connection[Any], folder: Path, began: object) -> tuple[float, int]:
    """How long COPY takes for the rows since `began`, and what they take with their indexes."""
    seconds, size = 0.0, 0
    connection.execute("create schema raw")
    for table, which in _WRITTEN.items():
        names = {"table": sql.Identifier(table), "where": sql.SQL(which)}
        rows = sql.SQL("copy (select * from {table} where {where}) to stdout (format binary)")
        file = folder / f"{table}.copy"
        with file.open("wb") as to, connection.cursor() as cursor:
            values = [began] if "%s" in which else []
            with cursor.copy(rows.format(**names), values) as read:
                for data in read:
                    to.write(data)
        connection.execute(
            sql.SQL("create table raw.{table} (like public.{table} including all)").format(**names)
        )
        start = time.perf_counter()
        into = sql.SQL("copy raw.{table} from stdin (format binary)").format(**names)
        with connection.cursor() as cursor, cursor.copy(into) as write:
            for chunk in _chunks(file):
                write.write(chunk)
        seconds += time.perf_counter() - start
        size += _value(connection, "select pg_total_relation_size('raw.' || %s)", table)
    return seconds, size


def _chunks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as read:
        while chunk := read.read(_CHUNK):
            yield chunk


def _value(connection: psycopg.Connection[Any], query: str, *values: object) -> Any:
    row = connection.execute(query.encode(), values).fetchone()
    return None if row is None else row[0]


@dataclass(frozen=True)
class _Spent:
    """Seconds: by the clock, and of processors."""

    wall: float
    program: float
    database: float

    @classmethod
    def now(cls, connection: psycopg.Connection[Any]) -> "_Spent":
        own = [resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return cls(
            wall=time.perf_counter(),
            program=sum(one.ru_utime + one.ru_stime for one in own),
            database=server_seconds(connection),
        )

    def __sub__(self, other: "_Spent") -> "_Spent":
        return _Spent(
            self.wall - other.wall,
            self.program - other.program,
            self.database - other.database,
        )


if __name__ == "__main__":
    main()
