"""How long what the pages ask takes on a large utility, and by which plans.

`python -m bench.scale [--months N] [--dsn DSN] [CUSTOMERS]`: for each question the median and the
95th percentile, and how many blocks of 8 kB it reads. `--dsn` asks, as a superuser, a database
that was filled before.
"""

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any, Final

import psycopg

from bench.database import own_database
from bench.large.office import fill_office
from bench.large.pages import page_questions
from bench.large.reports import add_up, report_questions, work_out
from bench.large_utility import fill
from bench.plans import ExplainingTransport, blocks, node_types, scanned, walked
from bench.questions import LARGE, questions
from services.database.errors import DatabaseError
from services.database.service import DatabaseService

CUSTOMERS: Final = 1_000_000
ROUNDS: Final = 11
# What a page may take of the database, in milliseconds.
SLOW: Final = 300
BYTES_A_CUSTOMER: Final = 12_000
BYTES_A_BILL: Final = 4_500


def main() -> None:
    """Fill, analyse, ask, print a line for each question."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--months", type=int, default=1)
    parser.add_argument("--dsn")
    parser.add_argument("customers", type=int, nargs="?", default=CUSTOMERS)
    given = parser.parse_args()
    if given.dsn:
        with psycopg.connect(given.dsn, autocommit=True) as connection:
            _report(connection, given.customers)
        return
    needed = given.customers * (BYTES_A_CUSTOMER + given.months * BYTES_A_BILL)
    if shutil.disk_usage(tempfile.gettempdir()).free < needed:
        sys.exit(f"This needs {needed / 1e9:.0f} GB of free disk.")
    with own_database() as own, own.owner() as connection:
        began = time.perf_counter()
        fill(connection, customers=given.customers, months=given.months)
        fill_office(connection, customers=given.customers)
        print(f"filled in {time.perf_counter() - began:.0f} s", flush=True)
        _report(connection, given.customers)


def _report(connection: psycopg.Connection[Any], customers: int) -> None:
    row = connection.execute(
        "select pg_size_pretty(pg_database_size(current_database())),"
        " (select reltuples::bigint from pg_class where oid = 'bills'::regclass)"
    ).fetchone()
    assert row is not None
    print(f"{customers:,} customers, about {row[1]:,} bills, {row[0]}")
    print(f"median and 95th percentile of {ROUNDS} rounds; load {os.getloadavg()[0]:.1f}:")
    transport = ExplainingTransport(connection)
    database = DatabaseService(transport)
    for what, work in (("postings added up", add_up), ("receivables of a month", work_out)):
        began = time.perf_counter()
        work(database)
        print(f"{what} in {time.perf_counter() - began:.0f} s", flush=True)
    for label, ask in (
        *questions(database, customers=customers),
        *page_questions(database, customers=customers),
        *report_questions(database, customers=customers),
    ):
        print(_line(transport, label, ask), flush=True)
    print(f"load of the machine at the end {os.getloadavg()[0]:.1f}")


def _line(transport: ExplainingTransport, label: str, ask: Callable[[], Any]) -> str:
    transport.explain(True)
    try:
        ask()
    except DatabaseError as error:
        return f"{label:44}    failed: {error}"
    except psycopg.Error as error:
        return f"{label:44}    failed: {str(error).splitlines()[0]}"
    finally:
        transport.explain(False)
    taken: list[float] = []
    # One that is slow is not asked over and over.
    while len(taken) < (3 if taken and taken[0] > 10 * SLOW else ROUNDS):
        start = time.perf_counter()
        ask()
        taken.append((time.perf_counter() - start) * 1000)
    found = "".join(f" SEQ SCAN {table}" for table in scanned(transport.plans, LARGE))
    found += "".join(f" walks {table}" for table in walked(transport.plans, LARGE))
    types = ", ".join(t for t in node_types(transport.plans) if "Scan" in t and t != "Seq Scan")
    late = sorted(taken)[min(len(taken) * 95 // 100, len(taken) - 1)]
    slow = " SLOW" if late > SLOW else ""
    return (
        f"{label:44}{statistics.median(taken):>9.1f}{late:>9.1f} ms "
        f"{blocks(transport.plans):>9,} blocks{slow}{found} [{types}]"
    )


if __name__ == "__main__":
    main()
