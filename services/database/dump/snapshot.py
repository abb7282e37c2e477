"""One consistent view of a database while others write: what is in it, and a dump of just that."""

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import psycopg
from psycopg import sql

from services.database.dump.programs import UnableToDump, dump, major
from services.database.schema.migrations import MIGRATIONS_LOCK, applied_versions

# A migration that is under way may take that long.
LOCK_WAIT: Final = "60s"

# Rows are summed as text, which must not depend on the session.
_AS_TEXT: Final = (
    "set time zone 'UTC'; set datestyle = 'ISO, YMD'; set intervalstyle = 'postgres';"
    " set bytea_output = 'hex'; set extra_float_digits = 1; set statement_timeout = 0;"
    " set idle_in_transaction_session_timeout = 0"
)
_TABLES: Final = """
    select n.nspname, c.relname from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where c.relkind = 'r' and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
      and not exists (select 1 from pg_catalog.pg_depend d
                      where d.objid = c.oid and d.classid = 'pg_catalog.pg_class'::regclass
                        and d.deptype = 'e')
    order by 1, 2"""
# The sum does not depend on the order of the rows; a row that is missing, added or changed shows.
_SUM: Final = """
    select count(*),
           coalesce(sum(('x' || left(md5(t::text), 16))::bit(64)::bigint::numeric), 0)::text
    from only {} t"""

Connection = psycopg.Connection[Any]
Pulse = Callable[[], None]


@dataclass(frozen=True, slots=True)
class TableSum:
    """How many rows a table has, and the sum of what is in them."""

    rows: int
    sum: str


@dataclass(frozen=True)
class Snapshot:
    """A database as it was at an instant (UTC), open for as long as the transaction is."""

    connection: Connection
    dsn: str
    id: str
    at: datetime
    versions: tuple[str, ...]

    def tables(self, *, pulse: Pulse) -> dict[str, TableSum]:
        """Rows and sum of each table, by "schema.table"; `pulse` is called before each."""
        return _sums(self.connection, pulse=pulse)

    def dump(self) -> Generator[bytes]:
        """The dump of exactly this, to be closed; raises UnableToDump."""
        return dump(self.dsn, snapshot=self.id)


@contextmanager
def open_snapshot(dsn: str) -> Iterator[Snapshot]:
    """A snapshot of a database with our schema, taken between migrations, never within one.

    Raises UnableToDump with a sentence.
    """
    try:
        with psycopg.connect(dsn, connect_timeout=10, autocommit=True) as connection:
            theirs = connection.info.server_version // 10_000
            if theirs > major():
                raise UnableToDump(
                    f"The database runs Postgres {theirs}, and the programs that come with this "
                    f"version dump {major()} or older. Back it up with that server's own pg_dump."
                )
            connection.execute(_AS_TEXT)
            if _one(connection, "select to_regrole('supabase_auth_admin') is not null"):
                raise UnableToDump(
                    "This database is a Supabase project's, which holds more than ours. Use "
                    "Supabase's own backups (docs/backup.md)."
                )
            _wait_for_migrations(connection)
            versions = applied_versions(connection)
            if not versions:
                raise UnableToDump("There is nothing to back up: the database has no tables yet.")
            with connection.transaction():
                connection.execute("set transaction isolation level repeatable read, read only")
                at = _one(connection, "select now()")
                name = _one(connection, "select pg_export_snapshot()")
                yield Snapshot(connection, dsn, name, at, versions)
    except psycopg.Error as error:
        raise UnableToDump(f"The database could not be read: {_words(error)}.") from error


def sums_of(dsn: str) -> dict[str, TableSum]:
    """Rows and sum of each table as it is now. Raises UnableToDump."""
    try:
        with psycopg.connect(dsn, connect_timeout=10) as connection:
            connection.execute(_AS_TEXT)
            return _sums(connection, pulse=lambda: None)
    except psycopg.Error as error:
        raise UnableToDump(f"The database could not be read: {_words(error)}.") from error


def _sums(connection: Connection, *, pulse: Pulse) -> dict[str, TableSum]:
    """Of each table that is not Postgres's own; the session is set as `_AS_TEXT` says."""
    found = {}
    for schema, table in connection.execute(_TABLES).fetchall():
        pulse()
        query = sql.SQL(_SUM).format(sql.Identifier(schema, table))
        row = connection.execute(query).fetchone()
        if row is not None:
            found[f"{schema}.{table}"] = TableSum(*row)
    return found


def _wait_for_migrations(connection: Connection) -> None:
    """Keep migrations out for as long as the session lasts: backups may do so together."""
    connection.execute(f"set lock_timeout = '{LOCK_WAIT}'".encode())
    try:
        connection.execute(f"select pg_advisory_lock_shared({MIGRATIONS_LOCK})".encode())
    except psycopg.errors.LockNotAvailable:
        raise UnableToDump(
            "The database is being brought up to date at this moment. Try again in a while."
        ) from None


def _one(connection: Connection, query: str) -> Any:
    row = connection.execute(query.encode()).fetchone()
    return None if row is None else row[0]


def _words(error: psycopg.Error) -> str:
    return (error.diag.message_primary or str(error)).strip().rstrip(".")
