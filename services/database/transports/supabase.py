"""The REST transport: the two methods over Supabase's REST interface, through its own client."""

import json
import logging
import random
import re
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from typing import Any, TypeVar

import httpx
from postgrest import SyncPostgrestClient

from services.database.transport import (
    DatabaseError,
    Filter,
    Selection,
    TemporaryDatabaseError,
    dump_json,
    load_json,
)
from services.database.transports.supabase_errors import (
    UNREACHABLE,
    as_database_error,
)
from services.database.transports.supabase_select import ROWS_AT_ONCE, RestQuery, check_name
from supabase import ClientOptions, create_client

Answer = TypeVar("Answer")
Json = dict[str, Any]

SECONDS = 10.0
CONNECT_SECONDS = 5.0
REPEATS = 2
FIRST_PAUSE_SECONDS = 0.2
CLOSED = "client_closed"
TIMED_OUT = "timeout"

PLAIN_KEY = re.compile(r"[\x21-\x7e]+")
# The total of "0-24/2400" or "*/2400".
RANGE_TOTAL = re.compile(r"/(\d+)$")

log = logging.getLogger(__name__)
pauses = random.SystemRandom()


class RestTransport:
    """The transport over a Supabase project's REST interface, as role service_role.

    The service key is sent to the project and shown nowhere else.
    """

    def __init__(self, url: str, service_key: str, *, seconds: float = SECONDS) -> None:
        """Reach the project at `url`; nothing is sent yet. Raises ValueError for a broken key."""
        if not PLAIN_KEY.fullmatch(service_key):
            raise ValueError("SUPABASE_SERVICE_KEY holds characters that no key has.")
        self._url = url
        self._session = httpx.Client(
            timeout=httpx.Timeout(seconds, connect=min(seconds, CONNECT_SECONDS)),
            # Another address would be sent the key.
            follow_redirects=False,
        )
        self._client = _rest_client(url, service_key, self._session)
        # Not an attribute of the key's own, which whoever prints this would see.
        self._patient: Callable[[float], RestTransport] = lambda seconds: RestTransport(
            url, service_key, seconds=seconds
        )

    def __repr__(self) -> str:
        return f"RestTransport({self._url!r})"

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
        """Rows of a view in schema public; see Transport.select.

        More than 1,000 rows come in pages, which is not one moment of the database: rows that are
        added or taken away meanwhile may be missed or come twice.
        """
        check_name(view)
        query = RestQuery(filters=filters, order=order)
        parts = query.parts()
        if len(parts) == 1:
            return self._select(view, parts[0], limit=limit, offset=offset, count=count)
        found = [self._select(view, part, limit=None, offset=0, count=False) for part in parts]
        rows = [row for selection in found for row in selection.rows]
        end = None if limit is None else offset + limit
        return Selection(rows[offset:end], len(rows) if count else None)

    def call(
        self, function: str, params: Mapping[str, Any], *, seconds: float | None = None
    ) -> Any:
        """The answer of a function `f(p jsonb) returns jsonb`; see Transport.call.

        Repeated only while no connection could be made, when nothing had been sent: some functions
        count, so a repeat of what may have arrived is its caller's to decide. With `seconds`, the
        function itself has to allow its statement as many (`set statement_timeout`).
        """
        check_name(function)
        if seconds is not None:
            with closing(self._patient(seconds)) as patient:
                return patient.call(function, params)
        body = {"p": json.loads(dump_json(dict(params)))}

        def ask() -> Any:
            response = self._send(lambda: self._client.rpc(function, body).request)
            if not response.is_success:
                raise as_database_error(response)
            return _content(response)

        return _repeat(ask, when=lambda error: error.code == UNREACHABLE)

    def close(self) -> None:
        """Close the connections; later requests raise DatabaseError."""
        self._session.close()

    def _select(
        self, view: str, query: RestQuery, *, limit: int | None, offset: int, count: bool
    ) -> Selection:
        if limit is not None and limit <= ROWS_AT_ONCE:
            return self._page(view, query, limit=limit, offset=offset, count=count)
        found = self._all_pages(view, query, limit=limit, offset=offset)
        return found if count else Selection(found.rows)

    def _all_pages(
        self, view: str, query: RestQuery, *, limit: int | None, offset: int
    ) -> Selection:
        """Page after page until as many rows as there are, since a server may give fewer at once
        than it was asked for."""
        first = self._page(view, query, limit=ROWS_AT_ONCE, offset=offset, count=True)
        total = first.total or 0
        wanted = max(0, total - offset if limit is None else min(limit, total - offset))
        if len(first.rows) >= wanted or not first.rows:
            return Selection(first.rows[:wanted], total)
        # Pages fit together only if the order leaves no two rows equal.
        query = query.with_ties_broken_by(first.rows[0])
        rows: list[Json] = []
        while len(rows) < wanted:
            size = min(ROWS_AT_ONCE, wanted - len(rows))
            page = self._page(view, query, limit=size, offset=offset + len(rows), count=False)
            if not page.rows:
                break
            rows.extend(page.rows)
        return Selection(rows, total)

    def _page(
        self, view: str, query: RestQuery, *, limit: int, offset: int, count: bool
    ) -> Selection:
        def ask() -> Selection:
            response = self._send(
                lambda: query.request(
                    self._client.from_(view), limit=limit, offset=offset, count=count
                )
            )
            if response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
                return Selection([], _total(response))
            if not response.is_success:
                raise as_database_error(response)
            return Selection(_content(response), _total(response) if count else None)

        # Whoever waited ten seconds in vain does not wait for ten more.
        return _repeat(ask, when=lambda error: error.code not in {TIMED_OUT, "57014"})

    def _send(self, make: Callable[[], Any]) -> httpx.Response:
        if self._session.is_closed:
            raise DatabaseError(CLOSED, "The database is closed.")
        failure: DatabaseError
        try:
            response: httpx.Response = make().send(httpx.Headers())
            return response
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            failure = TemporaryDatabaseError(
                UNREACHABLE,
                "The database cannot be reached; please try again.",
                detail=_kind(error),
            )
        except httpx.TimeoutException as error:
            failure = TemporaryDatabaseError(
                TIMED_OUT,
                "The database did not answer in time; please try again.",
                detail=_kind(error),
            )
        except (httpx.TransportError, httpx.DecodingError) as error:
            failure = TemporaryDatabaseError(
                "08006",
                "The connection to the database broke; please try again.",
                detail=_kind(error),
            )
        # Raised outside the `except`: the client's errors hold the request, and so the key.
        raise failure


def _rest_client(url: str, service_key: str, session: httpx.Client) -> SyncPostgrestClient:
    options = ClientOptions(
        httpx_client=session,
        # No user signs in with this client, and repeats are decided here.
        auto_refresh_token=False,
        persist_session=False,
        postgrest_client_retry=False,
    )
    return create_client(url, service_key, options).postgrest


def _repeat(ask: Callable[[], Answer], *, when: Callable[[TemporaryDatabaseError], bool]) -> Answer:
    """The answer of the first of three tries that is answered, with growing pauses."""
    for attempt in range(REPEATS):
        try:
            return ask()
        except TemporaryDatabaseError as error:
            if not when(error):
                raise
            log.info("the database will be asked again: %s", error.code)
        # Not all at the same moment, when many were refused at once.
        time.sleep(FIRST_PAUSE_SECONDS * 2**attempt * pauses.uniform(0.5, 1.5))
    return ask()


def _content(response: httpx.Response) -> Any:
    """The exact JSON of an answer: the client's own reading would make floats of fractions."""
    try:
        return load_json(response.content) if response.content else None
    except ValueError:
        unreadable = TemporaryDatabaseError(
            "08P01", "The database's answer could not be read; please try again."
        )
    raise unreadable


def _total(response: httpx.Response) -> int | None:
    match = RANGE_TOTAL.search(response.headers.get("Content-Range", ""))
    return int(match[1]) if match else None


def _kind(error: Exception) -> str:
    return type(error).__name__
