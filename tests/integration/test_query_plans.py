"""What people ask a large utility for is found by indexes, however many customers there are."""

from collections.abc import Iterator

import psycopg
import pytest

from bench.large_utility import fill
from bench.plans import ExplainingTransport, nodes, scanned, walked
from bench.questions import LARGE, questions
from services.database.embedded import EmbeddedPostgres
from services.database.schema.migrations import apply_migrations
from services.database.service import DatabaseService
from tests.integration.server_process import superuser_dsn
from tests.servers import MIGRATIONS

# Enough that Postgres reads an index rather than a whole table.
CUSTOMERS = 20_000


@pytest.fixture(scope="module")
def large(embedded_server: EmbeddedPostgres) -> Iterator[ExplainingTransport]:
    name = "large_utility"
    apply_migrations(embedded_server.database(name), MIGRATIONS)
    dsn = superuser_dsn(embedded_server, database=name)
    with psycopg.connect(dsn, autocommit=True) as connection:
        fill(connection, customers=CUSTOMERS)
        # To read a table is dear as if it had a million rows, fifty times as many as are here.
        connection.execute("set seq_page_cost = 50")
        yield ExplainingTransport(connection)


def test_nothing_that_is_asked_for_reads_a_whole_table(large: ExplainingTransport) -> None:
    reading: dict[str, list[str]] = {}
    for label, ask in questions(DatabaseService(large), customers=CUSTOMERS):
        large.explain(True)
        ask()
        large.explain(False)
        assert any("Scan" in node["Node Type"] for node in nodes(large.plans)), label
        reading[label] = [*scanned(large.plans, LARGE), *walked(large.plans, LARGE)]
    found = [f"{label}: {', '.join(tables)}" for label, tables in reading.items() if tables]
    assert found == [], "\n".join(found)


def test_a_scan_would_be_seen(large: ExplainingTransport) -> None:
    large.explain(True)
    large.connection.execute("select count(*) from bills where payment_url = 'none'")
    large.explain(False)
    assert scanned(large.plans, LARGE) == ["bills"]
