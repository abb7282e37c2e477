"""Shared by the tests of backups: a utility of one's own on an embedded server, and its files."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import psycopg
import pytest

from services.bootstrap_database import database_address
from services.database.dump.snapshot import TableSum, sums_of
from services.database.schema.migrations import apply_migrations
from services.settings import Settings, load_settings
from tests.command import run_command
from tests.folders import enterable_folder
from tests.integration.old_data import LAST_BEFORE, load_old_data, migrations_up_to

Command = Callable[..., CompletedProcess[str]]

# The version that made the old data folder.
OLD = "20261129009500"
BILLS = "select id, status, total_minor, lines, number from public.bills order by id"
WRONG_ACCOUNTS = """
    select a.customer_id from public.accounts a where a.balance_minor <> coalesce(
        (select sum(e.amount_minor) from public.ledger_entries e
         where e.customer_id = a.customer_id and e.book = a.book and e.currency = a.currency), 0)"""


@pytest.fixture
def command(tmp_path: Path) -> Command:
    """Runs a command on a database by its DSN, with a data folder of the test's own."""

    def run(*arguments: object, **environment: str) -> CompletedProcess[str]:
        given = {"DATA_DIR": str(tmp_path / "data"), "DEMO": "off"} | environment
        return run_command(*map(str, arguments), environment=given)

    return run


@pytest.fixture
def target(empty_database: Callable[[], str]) -> str:
    """The DSN of an empty place for a restore."""
    return empty_database()


def ask(dsn: str, query: str, *values: object) -> list[tuple[Any, ...]]:
    """Rows of a query."""
    with psycopg.connect(dsn) as connection:
        return connection.execute(query.encode(), values).fetchall()


def content_of(dsn: str) -> dict[str, TableSum]:
    """What is in each table, but for the one row that says when a backup was restored."""
    return {name: t for name, t in sums_of(dsn).items() if name != "public.installation"}


@pytest.fixture(scope="session")
def made_by_old_version(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A data folder as the version of migration OLD left it, with a utility's months in it."""
    migrations = tmp_path_factory.mktemp("migrations")
    for folder in enterable_folder():
        with database_address(settings_of(folder)) as dsn:
            apply_migrations(dsn, migrations_up_to(LAST_BEFORE, migrations / "first"))
            load_old_data(dsn)
            apply_migrations(dsn, migrations_up_to(OLD, migrations / "old"))
        yield folder


@pytest.fixture
def settings(made_by_old_version: Path, data_folder: Path) -> Settings:
    """The settings of a copy of that folder, in a place with a space in its name."""
    folder = data_folder / "our data"
    shutil.copytree(made_by_old_version, folder, symlinks=True)
    # As root the server's files are another user's.
    for path in [made_by_old_version, *made_by_old_version.rglob("*")]:
        if not path.is_symlink():
            about, copy = path.stat(), folder / path.relative_to(made_by_old_version)
            shutil.chown(copy, about.st_uid, about.st_gid)
    return settings_of(folder)


def settings_of(folder: Path) -> Settings:
    """The settings of a utility's own data folder."""
    return load_settings({"DATA_DIR": str(folder), "DEMO": "off"})


def kept(settings: Settings) -> list[Path]:
    """The backups that upgrades made."""
    return sorted(settings.backups_folder.glob("before-upgrade-*.zip"))


def found(settings: Settings, query: str) -> list[tuple[object, ...]]:
    """Rows of a query, of the database in a data folder."""
    with database_address(settings) as dsn:
        return ask(dsn, query)
