"""A database from before service points, upgraded, bills the next months exactly as before."""

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psycopg

from services.bootstrap import build_services
from services.database.schema.migrations import apply_migrations
from services.jobs.by_hand import run_job
from services.rating import BillLine
from services.settings import load_settings
from tests.integration.old_data import DATA, LAST_BEFORE, load_old_data, migrations_up_to

NEW_BILLS = """
    select m.serial, array[b.period_start::text, b.period_end::text] as period, b.status,
           b.opening_wh, b.closing_wh, b.consumption_wh, b.currency, b.total_minor, b.lines,
           b.id::text, b.held_because, b.reissue_no
    from public.bills b join public.meters m on m.id = b.meter_id
    where b.created_at > %s order by m.serial, b.period_start, b.id"""


def test_the_next_months_are_billed_as_before(
    empty_database: Callable[[], str], tmp_path: Path
) -> None:
    dsn = empty_database()
    apply_migrations(dsn, migrations_up_to(LAST_BEFORE, tmp_path / "migrations"))
    loaded_at = load_old_data(dsn)
    data_dir = tmp_path / "data"
    services = build_services(
        load_settings({"DATABASE_URL": dsn, "DATA_DIR": str(data_dir)}), step_handlers={}
    )
    zone = ZoneInfo("Asia/Kolkata")
    try:
        for month in (11, 12):
            at = datetime(2026, month, 1, 2, 30, tzinfo=zone)
            assert run_job(services, "monthly_bills", at, "test").status == "done"
    finally:
        services.close()
    expected = json.loads((DATA / "bills.json").read_text(encoding="utf-8"))
    assert len(expected) == 62
    assert _read(_rows(dsn, NEW_BILLS, loaded_at)) == _read(expected)
    # Each account still is the sum of its entries.
    unequal = _rows(
        dsn,
        "select a.customer_id from public.accounts a where a.balance_minor <> coalesce((select "
        "sum(e.amount_minor) from public.ledger_entries e where e.customer_id = a.customer_id "
        "and e.book = a.book and e.currency = a.currency), 0)",
    )
    assert unequal == []


def _read(bills: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """With their lines as they mean it, in whatever form they are stored.

    Of an id the end is compared, which is made from what the bill is of; it begins with a time.
    """
    return [
        bill
        | {"lines": [BillLine.from_json(line) for line in bill["lines"]]}
        | {"id": bill["id"].rpartition("-")[2]}
        for bill in bills
    ]


def _rows(dsn: str, query: str, *values: object) -> list[dict[str, Any]]:
    with (
        psycopg.connect(dsn) as connection,
        connection.cursor(row_factory=psycopg.rows.dict_row) as cursor,
    ):
        return cursor.execute(query, values).fetchall()
