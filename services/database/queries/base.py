"""What every question to the database is put with: calls, pages, single rows, searches."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from services.database.errors import NotFound, named
from services.database.transport import DatabaseRefused, Filter, Transport
from services.languages.sentence import sentence
from services.records.base import COUNTED_TO

Json = dict[str, Any]

# Supabase answers no more rows than this to one request.
ROWS_AT_ONCE = 1000


class Queries:
    """A subject's questions and writes over a transport; `DatabaseService` has them all."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def close(self) -> None:
        """Give back the connections."""
        self._transport.close()

    def _call(self, function: str, **params: Any) -> Any:
        if "outbox" in params:
            # What the functions call the plan of an outbox entry, or of several by their kind.
            params["owed"] = params.pop("outbox")
        return self._ask(function, params)

    def _ask(
        self, function: str, params: Mapping[str, Any], *, seconds: float | None = None
    ) -> Any:
        """With another limit than that of pages, where `seconds` says so."""
        try:
            return self._transport.call(function, params, seconds=seconds)
        except DatabaseRefused as error:
            raise named(error) from None

    def _page(
        self,
        view: str,
        *,
        filters: Sequence[Filter],
        order: Sequence[str],
        page: int,
        page_size: int,
    ) -> tuple[list[Json], int]:
        found = self._transport.select(
            view,
            filters=filters,
            order=order,
            limit=page_size,
            offset=(page - 1) * page_size,
            count=True,
        )
        return found.rows, min(found.total or 0, COUNTED_TO + 1)

    def _one(self, view: str, row_id: str, missing: str) -> Json:
        if is_uuid(row_id):
            rows = self._transport.select(view, filters=[Filter("id", "eq", row_id)], limit=1).rows
            if rows:
                return rows[0]
        raise NotFound("EB404", sentence(missing))


def escape_like(text: str) -> str:
    """`text` so that LIKE takes it literally."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def search_filters(text: str) -> list[Filter]:
    """That a row's search text has each word of `text`, at most six of them."""
    return [Filter("search", "ilike", f"%{escape_like(w)}%") for w in text.lower().split()[:6]]


def is_uuid(text: str) -> bool:
    """Whether it is an id as the database writes them."""
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False
