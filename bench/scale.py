"""How long search, lists and pages of jobs take at a million customers, and by which plans.

`python -m bench.scale [CUSTOMERS]`; a million takes some 8 GB of disk while it runs.
"""

import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import psycopg

from bench.large_utility import fill
from bench.plans import ExplainingTransport, node_types, scanned, walked
from bench.questions import LARGE, questions
from services.bootstrap_database import MIGRATIONS
from services.database.embedded import EmbeddedPostgres
from services.database.errors import DatabaseError
from services.database.schema.migrations import apply_migrations
from services.database.service import DatabaseService
from tests.integration.server_process import superuser_dsn

CUSTOMERS: Final = 1_000_000
ROUNDS: Final = 5
BYTES_A_CUSTOMER: Final = 16_000


def main() -> None:
    """Fill, analyse, ask, print a line for each question."""
    customers = int(sys.argv[1]) if len(sys.argv) > 1 else CUSTOMERS
    if shutil.disk_usage(tempfile.gettempdir()).free < customers * BYTES_A_CUSTOMER:
        sys.exit(f"This needs {customers * BYTES_A_CUSTOMER / 1e9:.0f} GB of free disk.")
    with tempfile.TemporaryDirectory(prefix="billing-bench-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        with EmbeddedPostgres(folder) as server:
            apply_migrations(server.database("bench"), MIGRATIONS)
            dsn = superuser_dsn(server, database="bench")
            with psycopg.connect(dsn, autocommit=True) as connection:
                _report(connection, customers)


def _report(connection: psycopg.Connection[Any], customers: int) -> None:
    began = time.perf_counter()
    fill(connection, customers=customers)
    row = connection.execute("select pg_size_pretty(pg_database_size('bench'))").fetchone()
    assert row is not None
    print(f"{customers:,} customers, {row[0]}, in {time.perf_counter() - began:.0f} s", flush=True)
    transport = ExplainingTransport(connection)
    print(f"median of {ROUNDS} rounds; load of the machine {os.getloadavg()[0]:.1f}:")
    for label, ask in questions(DatabaseService(transport), customers=customers):
        print(_line(transport, label, ask), flush=True)
    print(f"load of the machine at the end {os.getloadavg()[0]:.1f}")


def _line(transport: ExplainingTransport, label: str, ask: Callable[[], Any]) -> str:
    transport.explain(True)
    try:
        ask()
    except DatabaseError as error:
        return f"{label:34}    failed: {error}"
    except psycopg.Error as error:
        return f"{label:34}    failed: {str(error).splitlines()[0]}"
    transport.explain(False)
    taken = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        ask()
        taken.append((time.perf_counter() - start) * 1000)
    found = "".join(f" SEQ SCAN {table}" for table in scanned(transport.plans, LARGE))
    found += "".join(f" walks {table}" for table in walked(transport.plans, LARGE))
    types = ", ".join(t for t in node_types(transport.plans) if "Scan" in t and t != "Seq Scan")
    return f"{label:34}{statistics.median(taken):>9.1f} ms {found} [{types}]"


if __name__ == "__main__":
    main()
