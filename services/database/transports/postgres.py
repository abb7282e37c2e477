"""The direct transport: the two methods over a pool of Postgres connections."""

import selectors
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import psycopg
from psycopg import sql
from psycopg.types.json import set_json_loads
from psycopg_pool import ConnectionPool, PoolClosed, PoolTimeout

from services.database.transport import (
    DISK_FULL,
    DatabaseError,
    DatabaseRefused,
    DiskFull,
    Filter,
    Selection,
    TemporaryDatabaseError,
    dump_json,
    load_json,
)
from services.database.transports.postgres_select import SelectQuery

Answer = TypeVar("Answer")

POOL_WAIT_SECONDS = 5.0
RECONNECT_SECONDS = 5.0
CONNECTION_LOST = "08006"
POOL_EXHAUSTED = "pool_timeout"
POOL_CLOSED = "pool_closed"

CONNECTION_SETTINGS: dict[str, Any] = {
    "autocommit": True,
    "application_name": "electricity-billing",
    "connect_timeout": 5,
    # A server that vanished without a word is noticed in seconds, not in a quarter of an hour.
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    # A prepared select would be planned once for any value: which of the indexes that hold a few
    # rows by their state may be entered is known by the value alone.
    "prepare_threshold": None,
    "tcp_user_timeout": 20_000,
}
SESSION_SETUP = "set role service_role; set time zone 'UTC'; set statement_timeout = '10s'"

_TIME_LIMIT = "select set_config('statement_timeout', %s, true)"

TEMPORARY_STATES = ("08", "40", "53", "57", "55P03")
REFUSED_STATES = ("EB", "22", "23", "44", "P0")


class DirectTransport:
    """The transport over Postgres itself, as role service_role and in UTC."""

    def __init__(self, dsn: str, *, pool_size: int = 10) -> None:
        self._pool: ConnectionPool[psycopg.Connection[Any]] = ConnectionPool(
            dsn,
            min_size=1,
            max_size=pool_size,
            timeout=POOL_WAIT_SECONDS,
            # Its pauses double up to this: after a long outage people should not wait for long.
            reconnect_timeout=RECONNECT_SECONDS,
            kwargs=CONNECTION_SETTINGS,
            configure=_set_up_session,
            check=_check_if_spoken_to,
            name="electricity-billing",
            open=True,
        )

    def select(
        self,
        view: str,
        *,
        filters: Sequence[Filter] = (),
        order: Sequence[str] = (),
        limit: int | None = None,
        offset: int = 0,
        count: bool = False,
    ) -> Selection:
        """Rows of a view in schema public; see Transport.select."""
        query = SelectQuery(view, filters=filters, order=order, limit=limit, offset=offset)

        def read(connection: psycopg.Connection[Any]) -> Selection:
            rows = [row for (row,) in connection.execute(query.rows, query.values)]
            if not count:
                return Selection(rows)
            total = query.total_if_known(found=len(rows))
            if total is None:
                total = _only_value(connection, query.count, query.values)
            return Selection(rows, total)

        return self._read(read)

    def call(
        self, function: str, params: Mapping[str, Any], *, seconds: float | None = None
    ) -> Any:
        """The answer of a function `f(p jsonb) returns jsonb`; see Transport.call."""
        query = sql.SQL("select public.{}(%s::jsonb)").format(sql.Identifier(function))
        body = dump_json(dict(params))
        with self._connection() as connection:
            if seconds is None:
                return _only_value(connection, query, [body])
            with connection.transaction():
                connection.execute(_TIME_LIMIT, [f"{round(seconds * 1000)}ms"])
                return _only_value(connection, query, [body])

    def pool_figures(self) -> Mapping[str, int]:
        """Connections of this process: {"size", "in_use", "waiting"}."""
        stats = self._pool.get_stats()
        size, free = stats.get("pool_size", 0), stats.get("pool_available", 0)
        return {
            "size": size,
            "in_use": max(0, size - free),
            "waiting": stats.get("requests_waiting", 0),
        }

    def close(self) -> None:
        """Close the pool; later requests raise DatabaseError."""
        self._pool.close()

    def _read(self, read: Callable[[psycopg.Connection[Any]], Answer]) -> Answer:
        """Read once more if the connection broke: reading twice changes nothing."""
        try:
            with self._connection() as connection:
                return read(connection)
        except TemporaryDatabaseError as error:
            if not _lost_connection(error):
                raise
        with self._connection() as connection:
            return read(connection)

    @contextmanager
    def _connection(self) -> Iterator[psycopg.Connection[Any]]:
        try:
            with self._pool.connection() as connection:
                yield connection
        except PoolTimeout as error:
            message = "No connection to the database could be had in time; please try again."
            raise TemporaryDatabaseError(POOL_EXHAUSTED, message) from error
        except PoolClosed as error:
            raise DatabaseError(POOL_CLOSED, "The database is closed.") from error
        except psycopg.Error as error:
            raise as_database_error(error) from error


def as_database_error(error: psycopg.Error) -> DatabaseError:
    """The transport's error for one of psycopg's: to be repeated, refused by a rule, or neither."""
    code = error.sqlstate
    message = error.diag.message_primary or str(error).strip()
    detail = error.diag.message_detail
    if code is None:
        lost = isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
        code = CONNECTION_LOST if lost else "22000"
    if code == DISK_FULL:
        return DiskFull()
    if code.startswith(TEMPORARY_STATES):
        return TemporaryDatabaseError(code, message, detail=detail)
    if code.startswith(REFUSED_STATES):
        return DatabaseRefused(code, message, detail=detail)
    return DatabaseError(code, message, detail=detail)


def _lost_connection(error: TemporaryDatabaseError) -> bool:
    return error.code.startswith(("08", "57P"))


def _check_if_spoken_to(connection: psycopg.Connection[Any]) -> None:
    """Refuse a connection from before a restart, before anyone uses it.

    A server that ends says so, or its system does: while nothing came there is nothing to ask, and
    asking each time would cost as much as many queries do.
    """
    with selectors.DefaultSelector() as selector:
        selector.register(connection.fileno(), selectors.EVENT_READ)
        came = selector.select(timeout=0)
    if came:
        ConnectionPool.check_connection(connection)


def _set_up_session(connection: psycopg.Connection[Any]) -> None:
    connection.execute(SESSION_SETUP)
    set_json_loads(load_json, connection)


def _only_value(
    connection: psycopg.Connection[Any], query: sql.Composed, values: Sequence[str]
) -> Any:
    row = connection.execute(query, values).fetchone()
    return None if row is None else row[0]
