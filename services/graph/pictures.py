"""The neighbourhood of a bill as a picture: nodes with captions that people know, and edges."""

from collections.abc import Iterable, Mapping
from typing import Any

from services.graph.answers import GraphEdge, GraphNode, Neighbourhood
from services.quantities.money import Money, scaled_text
from services.records.bills import invoice_reference

Properties = Mapping[str, Any]


def neighbourhood_of(
    bill: Iterable[Mapping[str, Any]], around: Iterable[Mapping[str, Any]]
) -> Neighbourhood:
    """What `cypher.BILL` and `cypher.AROUND_BILL` brought, each node and edge once."""
    nodes = {node.id: node for row in bill for node in [_node("Bill", row["properties"])]}
    edges: dict[GraphEdge, None] = {}
    for row in around:
        ends = [_node(row[f"{end}_label"], row[end]) for end in ("source", "target")]
        nodes |= {node.id: node for node in ends}
        edges[GraphEdge(ends[0].id, ends[1].id, row["kind"])] = None
    return Neighbourhood(
        nodes=sorted(nodes.values(), key=lambda node: (node.label, node.caption, node.id)),
        edges=sorted(edges, key=lambda edge: (edge.kind, edge.source, edge.target)),
    )


def _node(label: str, properties: Properties) -> GraphNode:
    return GraphNode(id=properties["id"], label=label, caption=_caption(label, properties))


def _caption(label: str, properties: Properties) -> str:
    match label:
        case "Bill":
            number = properties.get("number")
            return invoice_reference(number) if number is not None else "Draft"
        case "Reading":
            return f"{properties['read_on']}: {_kwh(properties['register_wh'])} kWh"
        case "Payment":
            money = Money(properties["amount_minor"], properties["currency"])
            paid = money.display() if money.minor else "pays it no more"
            return f"{properties['received_on']}: {paid}"
        case "Tariff":
            return f"{properties['code']} from {properties['effective_from']}"
        case "Agreement":
            until = f" to {properties['ends_on']}" if properties.get("ends_on") else ""
            return f"from {properties['starts_on']}{until}"
    names = ("serial", "account_no", "code")
    return str(next(properties[name] for name in names if name in properties))


def _kwh(wh: int) -> str:
    return scaled_text(wh, places=3, trim=True)
