"""How long the search over everything takes among a million customers, and as many meters."""

import statistics
import tempfile
import time
from pathlib import Path
from typing import Final

import psycopg

from bench.utility import AGENT
from services.accounts.search import Search
from services.bootstrap import MIGRATIONS
from services.database.embedded import EmbeddedPostgres
from services.database.schema.migrations import apply_migrations
from services.database.service import DatabaseService
from services.database.transports.postgres import DirectTransport
from services.identity.auth import Principal, Role

CUSTOMERS: Final = 1_000_000
ROUNDS: Final = 5
OFFICE: Final = Principal(AGENT.user, Role.ADMIN, None, "token")
# What people type, and about how often it occurs.
TEXTS: Final = (
    ("one customer's number", "A0700001"),
    ("a phone", "9800700001"),
    ("a rare name", "family 70000"),
    ("a street and a number", "7001 canal rd"),
    ("a word of every tenth", "canal road"),
    ("a meter", "M0700001"),
    ("a part of a meter", "0700001"),
    ("nothing that is there", "zebra crossing"),
)
_TARIFF: Final = """
    insert into tariffs (id, code, name, currency) values (md5('t')::uuid, 'T', 'T', 'INR')"""
_CUSTOMERS: Final = """
    insert into customers (id, account_no, name, phone, email, address)
    select md5('c' || n)::uuid, 'A' || lpad(n::text, 7, '0'), 'Family ' || n / 10,
           '+91 98' || lpad(n::text, 8, '0'), 'family' || n || '@example.org',
           n %% 10000 || ' ' || (array[
               'Canal', 'Temple', 'Station', 'Market', 'Hill', 'Church', 'Beach', 'School', 'River',
               'Garden'])[n %% 10 + 1] || ' Road, Ward ' || n %% 200
    from generate_series(1, %(number)s) n"""
_METERS: Final = """
    insert into meters (id, serial, kind, dials)
    select md5('m' || n)::uuid, 'M' || lpad(n::text, 7, '0'), 'manual', 5
    from generate_series(1, %(number)s) n"""


def main() -> None:
    """Load, search, print the table."""
    with tempfile.TemporaryDirectory(prefix="billing-bench-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        with EmbeddedPostgres(folder) as server:
            dsn = server.database("bench")
            apply_migrations(dsn, MIGRATIONS)
            began = time.perf_counter()
            load(dsn)
            print(f"{CUSTOMERS:,} customers and meters in {time.perf_counter() - began:.0f} s")
            search = Search(DatabaseService(DirectTransport(dsn)), lambda: "INR")
            print(f"search, median of {ROUNDS} and the slowest of them:")
            for label, text in TEXTS:
                print(f"{label:34}{_times(search, text)}")
            search.database.close()


def load(dsn: str) -> None:
    """Customers and meters that differ as real ones do, without an audit row each."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("select set_config('billing.actor', 'bench', false)")
        connection.execute(_TARIFF)
        for table, insert in (("customers", _CUSTOMERS), ("meters", _METERS)):
            connection.execute(f"alter table {table} disable trigger audit_insert")
            connection.execute(insert, {"number": CUSTOMERS})
            connection.execute(f"alter table {table} enable trigger audit_insert")
            connection.execute(f"vacuum analyze {table}")


def _times(search: Search, text: str) -> str:
    taken = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        search.find(text, principal=OFFICE)
        taken.append((time.perf_counter() - start) * 1000)
    return f"{statistics.median(taken):>8.1f} ms{max(taken):>9.1f} ms"
