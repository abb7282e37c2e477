"""A page of autopay's planning and announcing reads its own charges, however many there are."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from bench.autopay import DUE, sign_up
from bench.plans import ExplainingTransport, nodes, scanned
from services.database.embedded import EmbeddedPostgres
from services.database.schema.migrations import apply_migrations
from tests.integration.dunning_process import OWED
from tests.integration.server_process import superuser_dsn
from tests.integration.test_dunning_batches import is_check
from tests.servers import MIGRATIONS

ACCOUNTS = 2_000
PAGE = 100
READ = ("autopay_charges", "autopay_charge_bills", "autopay_mandates", "bills", "spared_bills")
TODAY = (DUE - timedelta(days=7)).isoformat()


@pytest.fixture(scope="module")
def large(embedded_server: EmbeddedPostgres) -> Iterator[ExplainingTransport]:
    apply_migrations(embedded_server.database("autopay_batches"), MIGRATIONS)
    dsn = superuser_dsn(embedded_server, database="autopay_batches")
    with psycopg.connect(dsn, autocommit=True) as connection:
        sign_up(connection, ACCOUNTS)
        connection.execute("set seq_page_cost = 50")
        yield ExplainingTransport(connection)


def asked(large: ExplainingTransport, function: str, limit: int, after: str | None) -> Any:
    """A page; the plans of its statements are kept."""
    plans = dict.fromkeys(("autopay_notice", "autopay_failed", "balance_changed"), OWED)
    params = {"actor": "test", "today": TODAY, "limit": limit, "after": after, "owed": plans}
    large.explain(True)
    answer = large.call(function, params)
    large.explain(False)
    return answer


def rows_of(large: ExplainingTransport, table: str) -> int:
    """How many rows of a table the page looked at, those with it that it passed over."""
    return sum(
        node["Actual Loops"] * (node["Actual Rows"] + node.get("Rows Removed by Filter", 0))
        for node in nodes(large.plans)
        if node.get("Relation Name") == table and "Scan" in node["Node Type"]
    )


@pytest.mark.parametrize("function", ["plan_autopay", "announce_autopay"])
def test_a_page_is_a_constant_number_of_statements_by_an_index(
    large: ExplainingTransport, function: str
) -> None:
    statements, charges = [], []
    after: str | None = None
    # The last page is as the second one, though by then there are charges of all before.
    for limit in (10, PAGE, ACCOUNTS - 2 * PAGE - 10, PAGE):
        answer = asked(large, function, limit, after)
        after = answer["after"]
        assert answer["count"] == limit
        assert scanned(large.plans, READ) == []
        statements.append(len([p for p in large.plans if not is_check(p["Query Text"])]))
        charges.append(rows_of(large, "autopay_charges"))
    assert statements[1] == statements[3]
    assert charges[3] <= charges[1] + PAGE
