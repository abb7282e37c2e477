"""A utility from before service points, as tests of upgrades begin with it."""

import shutil
import tarfile
from datetime import datetime
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from services.bootstrap_database import MIGRATIONS

DATA = Path(__file__).parent / "upgrade_data"
LAST_BEFORE = "20261128975100"


def migrations_up_to(version: str, folder: Path) -> Path:
    """A new folder with the migrations up to a version, and that one too."""
    folder.mkdir()
    for file in MIGRATIONS.glob("*.sql"):
        if file.name.partition("_")[0] <= version:
            shutil.copy(file, folder)
    return folder


def load_old_data(dsn: str) -> datetime:
    """Fill a database whose schema is LAST_BEFORE's; when that was.

    The tables are copied in, without the triggers that keep books beside them.
    """
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
