"""What Postgres did for a question: the plan of each statement, those within functions too."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import psycopg
from psycopg import sql
from psycopg.types.json import set_json_loads

from services.database.transport import Filter, Selection, dump_json, load_json
from services.database.transports.postgres import CONNECTION_SETTINGS, SESSION_SETUP
from services.database.transports.postgres_select import SelectQuery

Json = dict[str, Any]

# As many rows as a list counts may be looked at one by one.
LOOKED_AT: Final = 10_002
_EXPLAIN: Final = """
    load 'auto_explain';
    set auto_explain.log_nested_statements = on;
    set auto_explain.log_analyze = on;
    set auto_explain.log_timing = off;
    set auto_explain.log_buffers = on;
    set auto_explain.log_format = 'json';
    set auto_explain.log_level = 'notice';
    set client_min_messages = 'notice'"""


@dataclass
class ExplainingTransport:
    """A transport over one connection of a superuser, which keeps the plans on request."""

    connection: psycopg.Connection[Any]
    plans: list[Json] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Work as the application's role from now on."""
        self.connection.prepare_threshold = CONNECTION_SETTINGS["prepare_threshold"]
        self.connection.execute(_EXPLAIN)
        self.connection.execute(SESSION_SETUP)
        set_json_loads(load_json, self.connection)
        self.connection.add_notice_handler(self._keep)

    def explain(self, on: bool) -> None:
        """Keep the plans of what follows, from an empty list, or stop."""
        setting = f"set auto_explain.log_min_duration = {0 if on else -1}"
        self.connection.execute(f"reset role; {setting}; set role service_role".encode())
        if on:
            self.plans = []

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
        """See Transport.select."""
        query = SelectQuery(view, filters=filters, order=order, limit=limit, offset=offset)
        rows = [row for (row,) in self.connection.execute(query.rows, query.values)]
        total = query.total_if_known(found=len(rows)) if count else None
        if count and total is None:
            total = self._one(query.count, query.values)
        return Selection(rows, total)

    def call(self, function: str, params: Mapping[str, Any], **_: Any) -> Any:
        """See Transport.call."""
        query = sql.SQL("select public.{}(%s::jsonb)").format(sql.Identifier(function))
        return self._one(query, [dump_json(dict(params))])

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()

    def _one(self, query: Any, values: Sequence[Any]) -> Any:
        row = self.connection.execute(query, values).fetchone()
        return row[0] if row else None

    def _keep(self, notice: psycopg.errors.Diagnostic) -> None:
        _, _, plan = (notice.message_primary or "").partition("plan:\n")
        if plan:
            self.plans.append(json.loads(plan))


def nodes(plans: Sequence[Json]) -> Iterator[Json]:
    """The nodes of plans and all below them."""
    for plan in plans:
        node = plan.get("Plan", plan)
        yield node
        yield from nodes(node.get("Plans", []))


def node_types(plans: Sequence[Json]) -> list[str]:
    """The types of their nodes, each once."""
    return sorted({node["Node Type"] for node in nodes(plans)})


def scanned(plans: Sequence[Json], tables: Sequence[str]) -> list[str]:
    """Which of the tables are planned to be read from end to end."""
    return _of_nodes(plans, tables, lambda node: node["Node Type"] == "Seq Scan")


def walked(plans: Sequence[Json], tables: Sequence[str]) -> list[str]:
    """Of which of the tables more rows than a list counts were tried, in the order of an index."""
    return _of_nodes(plans, tables, _walks)


def blocks(plans: Sequence[Json]) -> int:
    """How many blocks of 8 kB the statement that read the most of them looked at."""
    # The statements within a function are counted with the one that called it.
    roots = [plan.get("Plan", plan) for plan in plans]
    return max((r["Shared Hit Blocks"] + r["Shared Read Blocks"] for r in roots), default=0)


def _of_nodes(
    plans: Sequence[Json], tables: Sequence[str], chosen: Callable[[Json], bool]
) -> list[str]:
    found = (n for n in nodes(plans) if n.get("Relation Name") in tables and chosen(n))
    return sorted({node["Relation Name"] for node in found})


def _walks(node: Json) -> bool:
    # What is in the index alone is a fraction of the table.
    if node["Node Type"] != "Index Scan" or "Index Cond" in node:
        return False
    tried = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
    return bool(node["Actual Loops"] * tried > LOOKED_AT)
