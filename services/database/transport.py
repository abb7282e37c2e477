"""What the database service asks of a database: two methods, rows of plain JSON, named errors."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, Literal, Protocol
from uuid import UUID

FilterOp = Literal["eq", "neq", "lt", "lte", "gt", "gte", "in_", "ilike", "is_null"]
Scalar = str | int | bool | Decimal | date | datetime | UUID | Enum
FilterValue = Scalar | Sequence[Scalar]

ORDER_ENDINGS = {"asc", "desc"}


class DatabaseError(Exception):
    """The database could not do what was asked; `code` is an SQLSTATE or the transport's word."""

    def __init__(self, code: str, message: str, *, detail: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.detail = detail

    def __reduce__(self) -> tuple[Any, ...]:
        """As another process receives it."""
        return _again, (type(self), self.code, self.message, self.detail)


def _again(kind: "type[DatabaseError]", code: str, message: str, detail: str | None) -> Exception:
    error = kind.__new__(kind)
    DatabaseError.__init__(error, code, message, detail=detail)
    return error


class TemporaryDatabaseError(DatabaseError):
    """The database is away, busy or restarting; the same request may succeed a little later.

    A write that failed so may still have been committed, so it is repeated with the same id.
    """


DISK_FULL = "53100"


class DiskFull(TemporaryDatabaseError):
    """The database has no room: the transaction was undone, and nothing of it was stored."""

    def __init__(self) -> None:
        super().__init__(
            DISK_FULL,
            "The disk of the database is full, so nothing was stored. Send the same again once "
            "there is room: it counts only once.",
        )


class DatabaseRefused(DatabaseError):
    """A rule in the database refused the request: its own code ("EB001") or a constraint's."""


@dataclass(frozen=True, slots=True)
class Filter:
    """One condition on a column of a view; all filters of a select must hold.

    `in_` takes a sequence. `ilike` takes a pattern with `%`. `is_null` takes True or False.
    """

    column: str
    op: FilterOp
    value: FilterValue = True


@dataclass(frozen=True, slots=True)
class Selection:
    """The rows of a select, and how many there are without limit and offset if that was asked."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    total: int | None = None


class Transport(Protocol):
    """A way to the database; what it cannot do over REST is not offered on any transport."""

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
        """Rows of a view in schema public, with the JSON types that PostgREST gives.

        `order` holds entries like "period_end.desc". Without a limit all rows come.
        Raises TemporaryDatabaseError, DatabaseRefused or DatabaseError.
        """
        ...

    def call(
        self, function: str, params: Mapping[str, Any], *, seconds: float | None = None
    ) -> Any:
        """The answer of `public.<function>(p jsonb) returns jsonb`, or json, in one transaction.

        Never repeated here: the caller repeats a write, under the id that it gave it.
        `seconds` is how long it may take, where that is longer than anybody at a page would wait.
        Raises TemporaryDatabaseError, DatabaseRefused or DatabaseError.
        """
        ...

    def close(self) -> None:
        """Give back every connection; the transport is of no use afterwards."""
        ...


def filter_text(value: Scalar) -> str:
    """A filter's value as text, which the database reads as the type of the column.

    Raises TypeError for a float and ValueError for a time without a zone.
    """
    if isinstance(value, Enum):
        return filter_text(value.value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int):
        return str(value)
    return _as_text(value)


def filter_texts(value: FilterValue) -> list[str]:
    """The values of an `in_` filter as texts. Raises TypeError for what is not a sequence."""
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise TypeError(f"An in_ filter takes a sequence, not {type(value).__name__}.")
    return [filter_text(item) for item in value]


def split_order(entry: str) -> tuple[str, str]:
    """("period_end", "desc") of "period_end.desc"; ascending if not said. Raises ValueError."""
    column, _, ending = entry.partition(".")
    ending = ending or "asc"
    if not column or ending not in ORDER_ENDINGS:
        raise ValueError(f'An order is a column and "asc" or "desc", not {entry!r}.')
    return column, ending


def load_json(text: str | bytes) -> Any:
    """JSON from the database; a number with a fraction is a Decimal, never a float."""
    return json.loads(text, parse_float=Decimal)


def dump_json(value: Any) -> str:
    """JSON for the database; dates, times with a zone, ids and decimals become strings.

    Raises TypeError or ValueError for what has no exact text.
    """
    return json.dumps(value, default=_as_text, allow_nan=False, ensure_ascii=False)


def _as_text(value: object) -> str:
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError(f"A time for the database needs a zone: {value.isoformat()}.")
        return value.isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, UUID | Decimal):
        return str(value)
    raise TypeError(f"{type(value).__name__} cannot be sent to the database: it has no exact text.")
