"""A select of the transport in PostgREST's words: one address, or several when it is too long."""

import re
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

from postgrest import CountMethod, SyncRequestBuilder, SyncSelectRequestBuilder

from services.database.transport import (
    DatabaseRefused,
    Filter,
    filter_text,
    filter_texts,
    split_order,
)
from services.database.transports.supabase_errors import unknown_name

# Supabase answers no more rows than this to one request.
ROWS_AT_ONCE = 1000
# Servers on the way take addresses of 8 kB; this leaves room for the rest of one.
LONGEST_LIST = 5000

PLAIN_NAME = re.compile(r"[a-z_][a-z0-9_]*")
# Words of an address that mean something else there than a column.
RESERVED = {"select", "order", "limit", "offset", "and", "or", "not", "columns", "on_conflict"}
SPECIAL_IN_REGEX = re.compile(r"([.^$*+?()\[\]{}|\\])")


@dataclass(frozen=True)
class RestQuery:
    """The conditions and the order of a select.

    Raises TypeError or ValueError for a filter or an order that no transport understands,
    DatabaseError for a column that cannot be named, DatabaseRefused for a text with a zero byte.
    """

    filters: Sequence[Filter]
    order: Sequence[str]

    def __post_init__(self) -> None:
        ordered = [split_order(entry)[0] for entry in self.order]
        for column in (*ordered, *(one.column for one in self.filters)):
            check_name(column, reserved=RESERVED)
        for one in self.filters:
            # PostgREST would take the text only as far as the zero byte.
            if "\0" in _condition(one)[1]:
                raise DatabaseRefused("22021", "A text in the database has no zero bytes.")

    def parts(self) -> list["RestQuery"]:
        """Queries whose rows together are this one's, each with an address that is not too long.

        Raises ValueError for a long list beside an order: the parts could not be merged.
        """
        for number, one in enumerate(self.filters):
            if one.op != "in_":
                continue
            lists = list(_short_lists(filter_texts(one.value)))
            if len(lists) < 2:
                continue
            if self.order:
                raise ValueError(f"So many values for {one.column} leave no room for an order.")
            before, after = self.filters[:number], self.filters[number + 1 :]
            split = [
                replace(self, filters=[*before, replace(one, value=values), *after])
                for values in lists
            ]
            return [part for query in split for part in query.parts()]
        return [self]

    def with_ties_broken_by(self, row: Mapping[str, Any]) -> "RestQuery":
        """The same order, and within it that of every other plain column of such a row."""
        ordered = {split_order(entry)[0] for entry in self.order}
        ties = [c for c, v in row.items() if c not in ordered and not isinstance(v, dict | list)]
        return replace(self, order=[*self.order, *ties])

    def request(self, table: SyncRequestBuilder, *, limit: int, offset: int, count: bool) -> Any:
        """The client's request for a page."""
        builder: SyncSelectRequestBuilder = table.select(
            "*", count=CountMethod.exact if count else None
        )
        for one in self.filters:
            builder = builder.filter(one.column, *_condition(one))
        for column, ending in map(split_order, self.order):
            builder = builder.order(column, desc=ending == "desc")
        return builder.limit(limit).offset(offset).request


def check_name(name: str, *, reserved: Set[str] = frozenset()) -> None:
    """Names become parts of an address, where only plain ones mean what they say.

    Raises DatabaseError.
    """
    if name in reserved or not PLAIN_NAME.fullmatch(name):
        raise unknown_name(name)


def _condition(one: Filter) -> tuple[str, str]:
    """PostgREST's operator and the text after its dot, of which every character counts."""
    if one.op == "is_null":
        return ("is" if one.value else "not.is"), "null"
    if one.op == "in_":
        texts = filter_texts(one.value)
        # A list of one empty text would be read as the empty list.
        return ("eq", texts[0]) if len(texts) == 1 else ("in", _listed(texts))
    if isinstance(one.value, Sequence) and not isinstance(one.value, str):
        raise TypeError(f"The filter {one.op} on {one.column} takes one value.")
    text = filter_text(one.value)
    if one.op == "ilike" and "*" in text:
        # PostgREST reads * as %, and knows no way to mean the star itself.
        return "imatch", _as_regex(text)
    return one.op, text


def _listed(texts: Sequence[str]) -> str:
    return f"({','.join(map(_quoted, texts))})"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _short_lists(texts: Sequence[str]) -> Iterator[list[str]]:
    """The distinct values in lists that each fit into an address."""
    held: list[str] = []
    length = 0
    for text in dict.fromkeys(texts):
        more = len(quote(f"{_quoted(text)},", safe=""))
        if held and length + more > LONGEST_LIST:
            yield held
            held, length = [], 0
        held.append(text)
        length += more
    yield held


def _as_regex(pattern: str) -> str:
    """A pattern of LIKE as a regular expression of Postgres. Raises ValueError at a lone escape."""
    parts: list[str] = []
    characters = iter(pattern)
    for character in characters:
        if character == "\\":
            following = next(characters, None)
            if following is None:
                raise ValueError("A pattern must not end with its escape character.")
            parts.append(SPECIAL_IN_REGEX.sub(r"\\\1", following))
        elif character in "%_":
            parts.append(".*" if character == "%" else ".")
        else:
            parts.append(SPECIAL_IN_REGEX.sub(r"\\\1", character))
    return f"^{''.join(parts)}$"
