"""What pages ask of a large utility is found by indexes, however much it has of everything."""

from collections.abc import Iterator
from itertools import chain

import psycopg
import pytest

from bench.large.office import fill_office
from bench.large.pages import OTHER_ORDER, page_questions
from bench.large_utility import fill
from bench.plans import ExplainingTransport, blocks, nodes, scanned, walked
from bench.questions import LARGE, questions
from services.database.embedded import EmbeddedPostgres
from services.database.schema.migrations import apply_migrations
from services.database.service import DatabaseService
from tests.integration.server_process import superuser_dsn
from tests.servers import MIGRATIONS

# More than a list counts, so that Postgres reads an index rather than a whole table.
CUSTOMERS = 12_000
MONTHS = 3
# A list looks at 10,000 rows to count them, each by some blocks of indexes and of its table.
MOST_BLOCKS = 60_000
# A table of which so few blocks were read was left early, with what was looked for.
FEW_BLOCKS = 100
# What adds up all bills or rows is asked by nobody who waits for a page to open: a toggle, the
# correction of a tariff, the nightly pass over the graph.
ADDED_UP = frozenset(
    {
        "month's books: receivables",
        "month's books: receivables now",
        "network: sums",
    }
)
# What counts nearly all rows of a table, and leaves it at 10,000.
COUNTED = frozenset({"tariffs", "payments: applied, by received"})
# What is kept added up is read from few blocks, however many bills there are of it.
KEPT = {
    "metrics: bills of a day": 100,
    "month's books: open drafts": 800,
    "drafts: totals": 800,
    "drafts: unusual": 800,
    "flagged readings: far page": 800,
    "network: backlog": 30_000,
    "tariffs": 400,
    "bill runs: billing days": 400,
    "tariff: bills to correct": 20_000,
    "tariff: reach": 15_000,
    "other order: customers: owing, by overdue": 25_000,
    "other order: customers: owing, by balance": 35_000,
    "bills: open, before, by period": 60,
}
# Each index that a page needs, dropped, and what then reads a whole table.
NEEDED = (
    ("payments_by_amount", "payments: all, by amount, last page"),
    ("ledger_entries_of_bills", "bill: payments"),
    ("ledger_entries_of_payments", "payment: allocations"),
    ("notifications_customer", "customer: messages"),
    ("readings_by_submitter", "my readings"),
)


@pytest.fixture(scope="module")
def large(embedded_server: EmbeddedPostgres) -> Iterator[ExplainingTransport]:
    name = "large_utility"
    apply_migrations(embedded_server.database(name), MIGRATIONS)
    dsn = superuser_dsn(embedded_server, database=name)
    with psycopg.connect(dsn, autocommit=True) as connection:
        fill(connection, customers=CUSTOMERS, months=MONTHS)
        fill_office(connection, customers=CUSTOMERS)
        # To read a table is dear as if it had some ten times as many rows.
        connection.execute("set seq_page_cost = 12")
        yield ExplainingTransport(connection)


def test_nothing_that_is_asked_for_reads_a_whole_table(large: ExplainingTransport) -> None:
    found: list[str] = []
    database = DatabaseService(large)
    for label, ask in chain(
        questions(database, customers=CUSTOMERS), page_questions(database, customers=CUSTOMERS)
    ):
        if label in ADDED_UP or label.startswith(OTHER_ORDER):
            continue
        large.explain(True)
        ask()
        large.explain(False)
        assert any("Scan" in node["Node Type"] for node in nodes(large.plans)), label
        tables = [*scanned(large.plans, LARGE), *walked(large.plans, LARGE)]
        read = blocks(large.plans)
        if label in COUNTED:
            tables = []
        if read > (FEW_BLOCKS if tables else MOST_BLOCKS):
            found.append(f"{label}: {', '.join(tables)} {read:,} blocks")
    assert found == [], "\n".join(found)


@pytest.mark.parametrize(("label", "most"), KEPT.items())
def test_what_is_kept_is_read_from_few_blocks(
    large: ExplainingTransport, label: str, most: int
) -> None:
    asked = dict(page_questions(DatabaseService(large), customers=CUSTOMERS))[label]
    large.explain(True)
    asked()
    large.explain(False)
    assert blocks(large.plans) <= most


@pytest.mark.parametrize(("index", "label"), NEEDED)
def test_a_page_needs_its_index(large: ExplainingTransport, index: str, label: str) -> None:
    asked = dict(page_questions(DatabaseService(large), customers=CUSTOMERS))[label]
    large.explain(True)
    asked()
    with_index = blocks(large.plans)
    large.connection.execute("reset role")
    with large.connection.transaction(force_rollback=True):
        large.connection.execute(f"drop index {index}".encode())
        large.explain(True)
        asked()
        large.explain(False)
    tables = (*LARGE, "notifications")
    whole = [*scanned(large.plans, tables), *walked(large.plans, tables)]
    assert whole or blocks(large.plans) > 4 * with_index


def test_a_scan_would_be_seen(large: ExplainingTransport) -> None:
    large.explain(True)
    large.connection.execute("select count(*) from bills where payment_url = 'none'")
    large.explain(False)
    assert scanned(large.plans, LARGE) == ["bills"]
