"""The migrations runner: applies and records supabase/migrations as the Supabase CLI does."""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import psycopg

from services.database.transports.postgres import as_database_error
from services.quantities.counting import count

log = logging.getLogger(__name__)

FILE_NAME = re.compile(r"(?P<version>\d{14})_(?P<name>.+)\.sql")
OWN_TRANSACTION = re.compile(r"(?im)^\s*(begin|commit|rollback)(\s+(work|transaction))?\s*;")
SPACE_AND_ENDS = re.compile(r"[;\s]+")

# Held by who migrates, and shared by who must not see a database half-way.
MIGRATIONS_LOCK = "hashtext('electricity-billing.migrations')"
TAKE_LOCK = f"select pg_advisory_xact_lock({MIGRATIONS_LOCK})"
TAKE_UPGRADE_LOCK = "select pg_advisory_xact_lock(hashtext('electricity-billing.upgrade'))"
HISTORY_MISSING = "select to_regclass('supabase_migrations.schema_migrations') is null"
MAKE_HISTORY = """
    create schema if not exists supabase_migrations;
    create table if not exists supabase_migrations.schema_migrations (
        version text not null primary key, statements text[], name text);
"""
READ_VERSIONS = "select version from supabase_migrations.schema_migrations"
READ_HISTORY = "select version, statements from supabase_migrations.schema_migrations"
RECORD = """
    insert into supabase_migrations.schema_migrations (version, name, statements)
    values (%s, %s, %s)
"""

History = dict[str, list[str] | None]


class MigrationError(Exception):
    """The schema could not be brought up to date, and is as it was."""


class MigrationMisnamed(MigrationError):
    """A file in the migrations folder is not one that can be ordered."""


class MigrationChanged(MigrationError):
    """A migration was edited after this database applied it."""


class MigrationOutOfOrder(MigrationError):
    """A new migration comes before one that is already applied."""


class DatabaseNewerThanCode(MigrationError):
    """The database has migrations that this version of the program does not know."""


class MigrationFailed(MigrationError):
    """The database refused a migration."""


@dataclass(frozen=True)
class Migration:
    """One file: its version, its name, and its SQL."""

    version: str
    name: str
    text: str

    @property
    def stem(self) -> str:
        """The file's name without its ending."""
        return f"{self.version}_{self.name}"


def apply_migrations(dsn: str, folder: Path) -> list[str]:
    """Apply what is not yet applied; returns the files' stems.

    A database that has a schema of ours gets all of it in one transaction: if it fails, the
    version before still works. An empty one gets each file in its own. Any number of processes
    may do this at once. Raises MigrationError (see its kinds), or a DatabaseError if the database
    cannot be reached.
    """
    migrations = read_migrations(folder)
    done: list[str] = []
    try:
        with psycopg.connect(dsn, connect_timeout=10, autocommit=True) as connection:
            at_once = len(migrations) if applied_versions(connection) else 1
            while applied := _apply_next(connection, migrations, at_once):
                for one in applied:
                    log.debug("migration %s applied", one.stem, extra={"every": True})
                    done.append(one.stem)
    except psycopg.Error as error:
        raise as_database_error(error) from error
    finally:
        if done:
            said = count(len(done), "migration")
            log.info("%s applied, the last is %s", said, done[-1], extra={"every": True})
    return done


def upgrades(dsn: str, folder: Path) -> bool:
    """Whether the database has a schema of ours that lacks migrations of the folder.

    Raises MigrationError where they could not be applied, and DatabaseError.
    """
    migrations = read_migrations(folder)
    try:
        with psycopg.connect(dsn, connect_timeout=10) as connection:
            has = applied_versions(connection)
            if not has or {one.version for one in migrations} <= set(has):
                return False
            return bool(_due(connection, migrations))
    except psycopg.Error as error:
        raise as_database_error(error) from error


@contextmanager
def upgrading_alone(dsn: str) -> Iterator[None]:
    """Wait until no other process upgrades the database, and keep others waiting meanwhile.

    Backups and migrations may go on within. Raises DatabaseError.
    """
    try:
        with psycopg.connect(dsn, connect_timeout=10) as connection:
            # A transaction's lock, which also holds through a pool of connections.
            connection.execute("set local idle_in_transaction_session_timeout = 0")
            connection.execute(TAKE_UPGRADE_LOCK)
            yield
    except psycopg.Error as error:
        raise as_database_error(error) from error


def applied_versions(connection: psycopg.Connection[Any]) -> tuple[str, ...]:
    """The versions of the migrations that a database has, in order; none without our schema."""
    missing = connection.execute(HISTORY_MISSING).fetchone()
    if missing is not None and missing[0]:
        return ()
    return tuple(sorted(version for (version,) in connection.execute(READ_VERSIONS)))


def newest_version(folder: Path) -> str:
    """The version of the last migration of a folder."""
    return max(path.name for path in folder.glob("*.sql")).partition("_")[0]


def read_migrations(folder: Path) -> list[Migration]:
    """The migrations of a folder in their order. Raises MigrationMisnamed or MigrationError."""
    if not folder.is_dir():
        raise MigrationError(f"There is no folder {folder} with the database's migrations.")
    migrations = [_read_migration(path) for path in sorted(folder.glob("*.sql"))]
    for earlier, later in pairwise(migrations):
        if earlier.version == later.version:
            raise MigrationMisnamed(
                f"Two migrations have the version {later.version}: {earlier.name}, {later.name}."
            )
    return migrations


def _read_migration(path: Path) -> Migration:
    match = FILE_NAME.fullmatch(path.name)
    if match is None:
        raise MigrationMisnamed(
            f"{path.name} is not a migration's name: it must be 14 digits, _, a name and .sql, "
            "such as 20250131120000_add_meters.sql."
        )
    text = path.read_text(encoding="utf-8")
    if OWN_TRANSACTION.search(text):
        raise MigrationError(
            f"{path.name} holds a begin, commit or rollback of its own. Take it out: each "
            "migration already runs in one transaction."
        )
    return Migration(match["version"], match["name"], text)


def _apply_next(
    connection: psycopg.Connection[Any], migrations: list[Migration], at_once: int
) -> list[Migration]:
    """Apply the first of those that are due and return them; the lock is the transaction's."""
    with connection.transaction():
        connection.execute(TAKE_LOCK)
        due = _due(connection, migrations)[:at_once]
        for one in due:
            _apply(connection, one)
        return due


def _due(connection: psycopg.Connection[Any], migrations: list[Migration]) -> list[Migration]:
    history = _read_history(connection)
    _check(history, migrations)
    return [one for one in migrations if one.version not in history]


def _read_history(connection: psycopg.Connection[Any]) -> History:
    missing = connection.execute(HISTORY_MISSING).fetchone()
    if missing is not None and missing[0]:
        connection.execute(MAKE_HISTORY)
    rows = connection.execute(READ_HISTORY)
    return {str(version): statements for version, statements in rows}


def _check(history: History, migrations: list[Migration]) -> None:
    unknown = sorted(history.keys() - {one.version for one in migrations})
    if unknown:
        raise DatabaseNewerThanCode(
            f"This database was made by a newer version of the program (its schema is "
            f"{unknown[-1]}, this version knows it up to {migrations[-1].version}). Use the newer "
            "version, or restore a backup made with this one."
        )
    newest = max(history, default="")
    for one in migrations:
        statements = history.get(one.version)
        if statements is not None and not _same(statements, one.text):
            raise MigrationChanged(
                f"{one.stem}.sql was changed after this database applied it. Put the file back as "
                "it was, and make the change in a new migration."
            )
        if one.version not in history and one.version < newest:
            raise MigrationOutOfOrder(
                f"{one.stem}.sql is new but dated before {newest}, which this database already "
                "has. Give it a later version."
            )


def _same(statements: list[str], text: str) -> bool:
    # Most were stored by us, whole: a look at each character of all files would take longest.
    return statements == [text] or _essence("".join(statements)) == _essence(text)


def _essence(text: str) -> str:
    """What the CLI and we store alike: it splits a file at its semicolons and trims the parts."""
    return SPACE_AND_ENDS.sub("", text)


def _apply(connection: psycopg.Connection[Any], due: Migration) -> None:
    # What one migration sets or leaves open must not reach the next; a table with open checks
    # could not be altered.
    connection.execute("reset all")
    try:
        connection.execute(due.text.encode())
        connection.execute("set constraints all immediate; set constraints all deferred")
    except psycopg.OperationalError:
        raise
    except psycopg.Error as error:
        reason = error.diag.message_primary or error
        raise MigrationFailed(
            f"{due.stem}.sql failed{_place(error, due.text)}: {reason}. The database is as it was: "
            "the version before this one still works with it."
        ) from error
    connection.execute(RECORD, [due.version, due.name, [due.text]])


def _place(error: psycopg.Error, text: str) -> str:
    position = error.diag.statement_position
    if position is None:
        return ""
    return f" at line {text.count(chr(10), 0, int(position)) + 1}"
