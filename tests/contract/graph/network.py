"""A small network made by hand, a place that holds it as the database would, and a whole graph."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from services.graph import Graph
from services.graph.bolt import Statement
from services.graph.shapes import ADDED

Json = dict[str, Any]
Rows = dict[str, list[Json]]

NODES = "MATCH (node) RETURN labels(node)[0] AS label, properties(node) AS properties"
EDGES = (
    "MATCH (source)-[edge]->(target) "
    "RETURN source.id AS source, type(edge) AS kind, target.id AS target"
)

# What a node keeps of how it was made.
OURS = ("seen", "print")


class Kept:
    """Rows as the database gives them."""

    def __init__(self, rows: Mapping[str, Sequence[Json]]) -> None:
        self.rows = {what: sorted(given, key=lambda r: r["id"]) for what, given in rows.items()}

    def graph_rows(self, *, what: str, after: str | None, limit: int) -> list[Json]:
        """A page in order of id."""
        rows = [r for r in self.rows.get(what, []) if after is None or r["id"] > after]
        return rows[:limit]

    def graph_rows_of_bill(self, bill_id: str) -> Rows:
        """The bill alone: the tests that need more ask a real database."""
        return {"bills": [bill for bill in self.rows["bills"] if bill["id"] == bill_id]}

    def graph_totals(self) -> dict[str, int]:
        """How many there are of each kind."""
        return {what: len(rows) for what, rows in self.rows.items()}

    def graph_sums(self) -> dict[str, dict[str, int]]:
        """With the sum of what is added up."""
        return {
            what: {"rows": len(rows)}
            | ({"sum": sum(row[ADDED[what]] for row in rows)} if what in ADDED else {})
            for what, rows in self.rows.items()
        }


def network() -> Rows:
    """A feeder with two transformers and a tariff; meters and bills are added by the tests."""
    return {
        "feeders": [{"id": "f1", "code": "F-1", "name": "North"}],
        "transformers": [transformer("t1", feeder="f1"), transformer("t2")],
        "customers": [{"id": "c1", "account_no": "A-1"}],
        "service_points": [],
        "agreements": [],
        "meters": [],
        "tariffs": [{"id": "v1", "code": "LT", "effective_from": "2026-01-01"}],
        "readings": [],
        "bills": [],
        "payments": [],
        "supplies": [],
    }


def transformer(row_id: str, *, feeder: str | None = None) -> Json:
    """A transformer, on a feeder or on none."""
    code = row_id.upper()
    return {"id": row_id, "code": code, "name": f"Station {code}"} | {
        "rated_kva": 100,
        "feeder_id": feeder,
    }


def meter(row_id: str, on: str | None = "t1", **how: Any) -> Json:
    """A meter of customer c1, opened long ago unless told otherwise."""
    row: Json = {"id": row_id, "serial": row_id.upper(), "status": "active"}
    row |= {"opened_on": "2020-01-01", "customer_id": "c1", "transformer_id": on}
    return row | how


def place(row_id: str, on: str | None = "t1", **how: Any) -> Json:
    """A place of supply with a meter, the first put in long ago unless told otherwise."""
    row: Json = {"id": row_id, "code": row_id.upper(), "transformer_id": on}
    return row | {"status": "active", "opened_on": "2020-01-01"} | how


def agreement(row_id: str, at: str, **how: Any) -> Json:
    """An agreement of customer c1 at a place, since long ago unless told otherwise."""
    row: Json = {"id": row_id, "service_point_id": at, "customer_id": "c1"}
    return row | {"starts_on": "2020-01-01", "ends_on": None} | how


def placed(rows: Rows, **ends: str) -> Rows:
    """The same with a place for each meter and an agreement there, which may have ended."""
    for of in rows["meters"]:
        at, since = f"p-{of['id']}", of["opened_on"]
        how = {"status": of["status"], "opened_on": since}
        rows["service_points"].append(place(at, of["transformer_id"], **how))
        rows["agreements"].append(
            agreement(f"a-{of['id']}", at, starts_on=since, ends_on=ends.get(of["id"]))
        )
    return rows


def reading(row_id: str, of: str, on: str) -> Json:
    """An accepted reading of a meter."""
    row: Json = {"id": row_id, "meter_id": of, "read_at": f"{on}T06:00:00+00:00", "read_on": on}
    return row | {"register_wh": 1_500, "status": "accepted", "source": "field"}


def bill(row_id: str, of: str, start: str, end: str, wh: int, **how: Any) -> Json:
    """An issued bill of a meter for the days from `start` up to `end`, as `placed` agreed on."""
    row: Json = {"id": row_id, "number": 1, "status": "issued", "meter_id": of}
    row |= {"agreement_id": f"a-{of}", "earlier_meter_ids": [], "inner_reading_ids": []}
    row |= {"tariff_version_id": "v1", "opening_reading_id": None, "closing_reading_id": None}
    row |= {"period_start": start, "period_end": end, "consumption_wh": wh}
    return row | {"currency": "INR", "total_minor": 54_035} | how


def supply(row_id: str, into: str, start: str, end: str, wh: int) -> Json:
    """Energy into a transformer in the days from `start` up to `end`."""
    row: Json = {"id": row_id, "transformer_id": into, "period_start": start}
    return row | {"period_end": end, "energy_wh": wh}


def payment(row_id: str, of: str, minor: int) -> Json:
    """A payment of a bill."""
    row: Json = {"id": row_id, "bill_id": of, "amount_minor": minor}
    return row | {"currency": "INR", "received_on": "2026-03-05"}


def whole(graph: Graph) -> tuple[list[Json], list[tuple[str, str, str]]]:
    """Every node and relationship, but not how the node was made; and no note of a rebuild."""
    nodes = [
        {"label": row["label"]} | {n: v for n, v in row["properties"].items() if n not in OURS}
        for row in graph._bolt.read(NODES)
        if row["label"] != "Rebuild"
    ]
    edges = [(row["source"], row["kind"], row["target"]) for row in graph._bolt.read(EDGES)]
    return sorted(nodes, key=lambda node: (node["label"], node["id"])), sorted(edges)


def clear(graph: Graph) -> None:
    """Leave nothing but the constraints."""
    graph._bolt.write([Statement("MATCH (node) DETACH DELETE node")])


def day(text: str) -> date:
    """A date from its text."""
    return date.fromisoformat(text)
