"""A database beside another one, filled and looked at before it takes its place."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final, LiteralString

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from services.database.dump.programs import UnableToDump

log = logging.getLogger(__name__)

# Where one connects who renames another database; each server has both.
_MAINTENANCE: Final = ("postgres", "template1")
# What the first migration and `supabase_roles.sql` leave: new objects are the server's role's.
_DEFAULT_RIGHTS: Final = """
    alter default privileges in schema public grant all on tables to current_user, service_role;
    alter default privileges in schema public grant all on sequences to current_user, service_role;
    alter default privileges in schema public grant all on functions to current_user, service_role;
    alter default privileges revoke execute on functions from public;
"""
# Who has changed anything yet has left a row there; what migrations and jobs write has not.
_USED: Final = "select exists (select 1 from public.audit_log)"


class SwapUnknown(Exception):
    """The connection was lost while two databases swapped their names: they did, or did not."""


class Replacement:
    """An empty database beside the one of a DSN, on the same server, for the same role."""

    def __init__(self, dsn: str) -> None:
        known = conninfo_to_dict(dsn)
        self._name = str(known["dbname"])
        self._new, self._old = f"{self._name}_restoring", f"{self._name}_replaced"
        elsewhere = next(name for name in _MAINTENANCE if name != self._name)
        self._server = make_conninfo(dsn, dbname=elsewhere)
        self.dsn = make_conninfo(dsn, dbname=self._new)

    def take_its_place(self) -> str:
        """Let the new database have the name, and drop the old one.

        The name that the old one has if it could not be dropped, else "". Raises UnableToDump, and
        then the old one is where it was; or SwapUnknown.
        """
        with _connected(self._server) as connection:
            try:
                with connection.transaction():
                    _run(connection, "alter database {} rename to {}", self._name, self._old)
                    _run(connection, "alter database {} rename to {}", self._new, self._name)
            except psycopg.errors.ObjectInUse:
                raise UnableToDump(
                    "The database is in use. Stop the app and every command that works with it, "
                    "and restore again; nothing was changed."
                ) from None
            except psycopg.OperationalError as error:
                if connection.closed:
                    raise SwapUnknown from error
                raise
            try:
                _run(connection, "drop database {}", self._old)
            except psycopg.Error as error:
                log.warning("the database %s could not be dropped: %s", self._old, error)
                return self._old
        return ""

    def make(self) -> None:
        """Make it, empty; what an interrupted restore left of it goes first."""
        with _connected(self._server) as connection:
            for left in (self._new, self._old):
                _run(connection, "drop database if exists {}", left)
            _run(connection, "create database {}", self._new)

    def drop(self) -> None:
        """Drop it, which did not take the other's place."""
        with _connected(self._server) as connection:
            _run(connection, "drop database if exists {} with (force)", self._new)


@contextmanager
def replacement_of(dsn: str) -> Iterator[Replacement]:
    """A new database beside the one of the DSN, dropped unless it takes its place.

    Raises UnableToDump.
    """
    made = Replacement(dsn)
    made.make()
    try:
        yield made
    except SwapUnknown:
        raise
    except BaseException:
        # What went wrong is raised, not that its remains are left for the next restore to drop.
        with suppress(UnableToDump):
            made.drop()
        raise


def set_default_rights(dsn: str) -> None:
    """What a dump leaves out: the rights of what later migrations will make."""
    with _connected(dsn) as connection:
        connection.execute(_DEFAULT_RIGHTS)


def end_sign_ins(dsn: str) -> None:
    """End what a backup cannot know to have ended since: sign-ins, and links to a password."""
    with _connected(dsn) as connection:
        connection.execute("select private.end_restored_sign_ins()")


def is_used(dsn: str) -> bool:
    """Whether anything was ever entered into the database. Raises UnableToDump."""
    with _connected(dsn) as connection:
        known = connection.execute("select to_regclass('public.audit_log') is not null").fetchone()
        if known != (True,):
            return False
        return bool((connection.execute(_USED).fetchone() or [False])[0])


@contextmanager
def _connected(dsn: str) -> Iterator[psycopg.Connection[Any]]:
    try:
        with psycopg.connect(dsn, connect_timeout=10, autocommit=True) as connection:
            yield connection
    except psycopg.errors.InsufficientPrivilege as error:
        raise UnableToDump(
            "A restore makes a database beside the old one and swaps them, which this role may "
            f"not do ({error.diag.message_primary}). Let a superuser run: alter role … createdb."
        ) from error
    except psycopg.Error as error:
        reason = (error.diag.message_primary or str(error)).strip().rstrip(".")
        raise UnableToDump(f"The database server refused: {reason}.") from error


def _run(connection: psycopg.Connection[Any], statement: LiteralString, *names: str) -> None:
    connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))
