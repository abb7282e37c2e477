"""Who owes charges beside their bills is found among what is open, not all that was charged."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from bench.large_utility import fill
from bench.plans import ExplainingTransport, nodes, scanned
from services.database.embedded import EmbeddedPostgres
from services.database.schema.migrations import apply_migrations
from tests.integration.dunning_process import OWED
from tests.integration.server_process import superuser_dsn
from tests.servers import MIGRATIONS

CUSTOMERS = 4_000
# As many as _FEES leaves open.
OPEN = 25
# Ten fees of each account, paid long ago, and one that is open of a few that have paid their bills.
_FEES = """
    set session_replication_role = replica;
    update bills set amount_paid_minor = total_minor, overdue_since = null where status = 'issued';
    insert into ledger_entries (id, customer_id, book, currency, entry_no, kind, amount_minor,
                                balance_minor, on_date, note, actor)
    select md5('f' || n || 'of' || c.id)::uuid, c.id, 'account', 'INR', 100 + n, 'fee', 500, 0,
           '2026-01-01'::date + n, 'Reconnection', 'bench'
    from customers c cross join generate_series(1, 10) n;
    insert into open_items (entry_id, customer_id, book, currency, entry_no, order_on, amount_minor,
                            open_minor, is_charge)
    select e.id, e.customer_id, 'account', 'INR', e.entry_no, e.on_date, 500,
           case when e.entry_no = 110 and r.place <= 25 then 500 else 0 end, true
    from ledger_entries e
    join (select id, row_number() over (order by md5(id::text)) as place from customers) r
        on r.id = e.customer_id
    where e.kind = 'fee';
    reset session_replication_role;
    vacuum analyze"""


@pytest.fixture(scope="module")
def large(embedded_server: EmbeddedPostgres) -> Iterator[ExplainingTransport]:
    apply_migrations(embedded_server.database("open_charges"), MIGRATIONS)
    dsn = superuser_dsn(embedded_server, database="open_charges")
    with psycopg.connect(dsn, autocommit=True) as connection:
        fill(connection, customers=CUSTOMERS)
        for statement in _FEES.split(";"):
            connection.execute(statement.encode())
        yield ExplainingTransport(connection)


@pytest.mark.parametrize(
    ("function", "more"),
    [
        ("arrears_page", {"after": None}),
        ("take_dunning_steps", {"actor": "test", "after": None, "owed": OWED}),
    ],
)
def test_open_charges_are_found_by_their_index(
    large: ExplainingTransport, function: str, more: dict[str, Any]
) -> None:
    large.explain(True)
    answer = large.call(function, {"today": "2026-11-15", "limit": 100, **more})
    large.explain(False)
    assert len(answer["rows"]) == OPEN if "rows" in answer else answer["count"] >= 0
    read = ("open_items", "ledger_entries")
    assert scanned(large.plans, read) == []
    by_index = [n for n in nodes(large.plans) if n.get("Index Name") == "open_items_charges"]
    assert by_index, "what is open is found by its own index"
    looked_at = sum(
        node["Actual Loops"] * (node["Actual Rows"] + node.get("Rows Removed by Filter", 0))
        for node in nodes(large.plans)
        if node.get("Relation Name") in read and "Scan" in node["Node Type"]
    )
    # A few statements look at each of those that are open; nobody at the forty thousand others.
    assert looked_at <= 10 * OPEN
