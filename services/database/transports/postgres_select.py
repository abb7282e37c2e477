"""A select of the transport as SQL: every name quoted, every value a parameter."""

from collections.abc import Sequence

from psycopg import sql

from services.database.transport import Filter, filter_text, filter_texts, split_order
from services.records.base import COUNTED_TO

COMPARISONS = {
    "eq": sql.SQL("="),
    "neq": sql.SQL("<>"),
    "lt": sql.SQL("<"),
    "lte": sql.SQL("<="),
    "gt": sql.SQL(">"),
    "gte": sql.SQL(">="),
    "ilike": sql.SQL("ilike"),
}
DIRECTIONS = {"asc": sql.SQL("asc"), "desc": sql.SQL("desc")}


class SelectQuery:
    """The queries for the rows and for their number, and the values that both take, as texts.

    The number is counted to COUNTED_TO and one more.
    Values go without a type, as in PostgREST, so that the column decides what they are.
    Raises TypeError or ValueError for a filter or an order that no transport understands.
    """

    def __init__(
        self,
        view: str,
        *,
        filters: Sequence[Filter],
        order: Sequence[str],
        limit: int | None,
        offset: int,
    ) -> None:
        self.values: list[str] = []
        self._limit = limit
        self._offset = offset
        source = sql.SQL("public.{} as t").format(sql.Identifier(view)) + self._where(filters)
        self.rows = sql.SQL("select to_jsonb(t) from ") + source + _order_by(order) + self._page()
        counted = sql.SQL("select from ") + source + sql.SQL(" limit {}").format(COUNTED_TO + 1)
        self.count = sql.SQL("select count(*) from (") + counted + sql.SQL(") counted")

    def total_if_known(self, *, found: int) -> int | None:
        """How many rows there are in all, when a page of `found` rows says so itself."""
        last_page = self._limit is None or found < self._limit
        return self._offset + found if last_page and (found or not self._offset) else None

    def _where(self, filters: Sequence[Filter]) -> sql.Composed:
        if not filters:
            return sql.Composed([])
        conditions = [self._condition(one) for one in filters]
        return sql.SQL(" where ") + sql.SQL(" and ").join(conditions)

    def _condition(self, one: Filter) -> sql.Composable:
        column = sql.SQL("t.{}").format(sql.Identifier(one.column))
        if one.op == "is_null":
            return column + (sql.SQL(" is null") if one.value else sql.SQL(" is not null"))
        if one.op == "in_":
            return self._one_of(column, filter_texts(one.value))
        if isinstance(one.value, Sequence) and not isinstance(one.value, str):
            raise TypeError(f"The filter {one.op} on {one.column} takes one value.")
        self.values.append(filter_text(one.value))
        return sql.SQL("{} {} {}").format(column, COMPARISONS[one.op], sql.Placeholder())

    def _one_of(self, column: sql.Composed, texts: list[str]) -> sql.Composable:
        if not texts:
            return sql.SQL("false")
        self.values.extend(texts)
        marks = sql.SQL(", ").join([sql.Placeholder()] * len(texts))
        return sql.SQL("{} in ({})").format(column, marks)

    def _page(self) -> sql.Composed:
        page = sql.Composed([])
        if self._limit is not None:
            page += sql.SQL(" limit {}").format(sql.Literal(self._limit))
        if self._offset:
            page += sql.SQL(" offset {}").format(sql.Literal(self._offset))
        return page


def _order_by(order: Sequence[str]) -> sql.Composed:
    if not order:
        return sql.Composed([])
    parts = [
        sql.SQL("t.{} {}").format(sql.Identifier(column), DIRECTIONS[ending])
        for column, ending in map(split_order, order)
    ]
    return sql.SQL(" order by ") + sql.SQL(", ").join(parts)
