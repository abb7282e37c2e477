"""A database from before service points, upgraded, bills the next months exactly as before."""

import json
import shutil
import tarfile
from collections.abc import Callable
from datetime import datetime
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
from psycopg import sql

from services.bootstrap import build_services
from services.bootstrap_database import MIGRATIONS
from services.database.schema.migrations import apply_migrations
from services.jobs.by_hand import run_job
from services.settings import load_settings

DATA = Path(__file__).parent / "upgrade_data"
LAST_BEFORE = "20261128975100"
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
    apply_migrations(dsn, _older_migrations(tmp_path))
    loaded_at = _load(dsn)
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
    assert _rows(dsn, NEW_BILLS, loaded_at) == expected
    # Each account still is the sum of its entries.
    unequal = _rows(
        dsn,
        "select a.customer_id from public.accounts a where a.balance_minor <> coalesce((select "
        "sum(e.amount_minor) from public.ledger_entries e where e.customer_id = a.customer_id "
        "and e.book = a.book and e.currency = a.currency), 0)",
    )
    assert unequal == []


def _older_migrations(tmp_path: Path) -> Path:
    folder = tmp_path / "migrations"
    folder.mkdir()
    for file in MIGRATIONS.glob("*.sql"):
        if file.name[: len(LAST_BEFORE)] <= LAST_BEFORE:
            shutil.copy(file, folder)
    return folder


def _load(dsn: str) -> datetime:
    """Copy the tables in, without the triggers that keep books beside them; when that was."""
    with psycopg.connect(dsn) as connection:
        connection.execute("set constraints all deferred")
        with tarfile.open(DATA / "before_service_points.tar.xz") as tar:
            files = {m.name.removesuffix(".csv"): _content(tar, m) for m in tar}
        for table in _referenced_first(connection, set(files)):
            _copy(connection, table, files[table])
        for table, column in _identities(connection):
            connection.execute(
                sql.SQL("select setval(pg_get_serial_sequence(%s, %s), max({})) from {}").format(
                    sql.Identifier(column), sql.Identifier(table)
                ),
                [f"public.{table}", column],
            )
        row = connection.execute("select clock_timestamp()").fetchone()
        assert row is not None
        loaded_at: datetime = row[0]
        return loaded_at


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    assert file is not None
    return file.read()


def _copy(connection: psycopg.Connection[Any], table: str, content: bytes) -> None:
    name = sql.Identifier(*table.split("."))
    columns, _, rows = content.partition(b"\n")
    connection.execute(sql.SQL("alter table {} disable trigger user").format(name))
    connection.execute(sql.SQL("delete from {}").format(name))
    copy = sql.SQL("copy {} ({}) from stdin (format csv)").format(name, sql.SQL(columns.decode()))
    with connection.cursor().copy(copy) as into:
        into.write(rows)
    # No check may be left open when the triggers come back.
    connection.execute("set constraints all immediate; set constraints all deferred")
    connection.execute(sql.SQL("alter table {} enable trigger user").format(name))


def _referenced_first(connection: psycopg.Connection[Any], tables: set[str]) -> list[str]:
    needs: dict[str, set[str]] = {table: set() for table in tables}
    found = connection.execute(
        "select conrelid::regclass::text, confrelid::regclass::text from pg_constraint "
        "where contype = 'f' and not condeferrable and conrelid <> confrelid"
    )
    for table, needed in found:
        if {f"public.{table}", f"public.{needed}"} <= tables:
            needs[f"public.{table}"].add(f"public.{needed}")
    return list(TopologicalSorter(needs).static_order())


def _identities(connection: psycopg.Connection[Any]) -> list[tuple[str, str]]:
    return connection.execute(
        "select table_name, column_name from information_schema.columns "
        "where table_schema = 'public' and is_identity = 'YES'"
    ).fetchall()


def _rows(dsn: str, query: str, *values: object) -> list[dict[str, Any]]:
    with (
        psycopg.connect(dsn) as connection,
        connection.cursor(row_factory=psycopg.rows.dict_row) as cursor,
    ):
        return cursor.execute(query, values).fetchall()
