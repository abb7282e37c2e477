"""The neighbourhood of a bill as a picture: nodes with captions that people know, and edges."""

from collections.abc import Iterable, Mapping
from typing import Any

from services.graph.answers import GraphEdge, GraphNode, Neighbourhood
from services.languages.sentence import sentence
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
            return invoice_reference(number) if number is not None else sentence("Draft")
        case "Reading":
            return f"{properties['read_on']}: {_kwh(properties['register_wh'])} kWh"
        case "Payment":
            return _of_payment(properties)
        case "Tariff":
            code, begins = properties["code"], properties["effective_from"]
            return sentence("{code} from {day}", code=code, day=begins)
        case "Agreement":
            return _of_agreement(properties)
    names = ("serial", "account_no", "code")
    return str(next(properties[name] for name in names if name in properties))


def _of_payment(properties: Properties) -> str:
    on, money = properties["received_on"], Money(properties["amount_minor"], properties["currency"])
    if not money.minor:
        return sentence("{day}: pays it no more", day=on)
    return sentence("{day}: {amount}", day=on, amount=money)


def _of_agreement(properties: Properties) -> str:
    begins, ends = properties["starts_on"], properties.get("ends_on")
    if not ends:
        return sentence("from {day}", day=begins)
    return sentence("from {first} to {last}", first=begins, last=ends)


def _kwh(wh: int) -> str:
    return scaled_text(wh, places=3, trim=True)
