"""What hangs together with a bill, drawn as a graph."""

from typing import Final

import streamlit as st

from pages.registry import BILL
from pages.shared.format import escaped
from pages.shared.permitted import page_link
from pages.shared.session import services
from services.graph import Graph, GraphEdge, GraphNode, Neighbourhood
from services.identity.auth import Principal

# A colour for each kind that reads on white and on dark.
_COLORS: Final = {
    "Bill": "#f5c04e",
    "Meter": "#7fb3ff",
    "Customer": "#9ad29a",
    "Agreement": "#c4e3a3",
    "ServicePoint": "#a9c7c7",
    "Transformer": "#d7b3ff",
    "Feeder": "#c9a0a0",
    "Reading": "#d5dbe3",
    "Payment": "#8fd6c8",
    "Tariff": "#f2a7b9",
}
_KINDS: Final = {"ServicePoint": "Service point"}
_IN_WORDS: Final = {
    "HAS_METER": "has meter now",
    "HAS_AGREEMENT": "has agreement",
    "AT": "at",
    "CONNECTED_TO": "connected to",
    "UNDER": "under",
    "FED_BY": "fed by",
    "ON": "on",
    "OF": "of",
    "BILLS": "bills",
    "ALSO_BILLS": "bills, until exchanged",
    "OVER": "over",
    "FROM": "from",
    "TO": "to",
    "PAYS": "pays",
    "PRICED": "priced",
    "INTO": "into",
}


def show_neighbourhood(graph: Graph, principal: Principal) -> None:
    """Find a bill by its number, customer or meter, and see what it hangs together with."""
    bill_id = st.query_params.get("bill") or _ask_bill(principal)
    if bill_id is None:
        return
    bill = services().bills.readable(bill_id=bill_id, principal=principal)
    around = graph.neighbourhood(bill_id=bill_id)
    if not around.nodes:
        st.info(
            "The graph does not have this bill yet. It comes with the bill's step 8, or with "
            "`.venv/bin/python -m services graph rebuild`.",
            icon=":material/hub:",
        )
        return
    name = bill.reference if bill.number is not None else "Draft"
    st.markdown(f"**{name}** of {escaped(bill.customer_name)}, meter {escaped(bill.meter_serial)}")
    st.graphviz_chart(dot_of(around, bill_id), width="stretch")
    page_link(
        BILL,
        label="Open the bill",
        icon=":material/receipt_long:",
        query_params={"id": bill_id},
    )


def _ask_bill(principal: Principal) -> str | None:
    text = st.text_input(
        "Bill",
        key="picture-bill",
        type="search",
        placeholder="Number, customer, account or meter",
    )
    found = services().bills.search(text=text or "", limit=20, principal=principal)
    if not found:
        st.info("No bill fits." if text else "No bill yet.")
        return None
    chosen = st.selectbox(
        "Which of them?",
        found,
        format_func=lambda b: f"{b.reference if b.number else 'Draft'}, {b.customer_name}",
        key="picture-which",
    )
    return chosen.id


def dot_of(around: Neighbourhood, bill_id: str) -> str:
    """The neighbourhood in Graphviz's language, the bill itself with a thick border."""
    nodes = "\n".join(_node(node, chosen=node.id == bill_id) for node in around.nodes)
    edges = "\n".join(map(_edge, around.edges))
    return (
        "digraph {\n"
        'rankdir="LR"; bgcolor="transparent";\n'
        'node [shape="box", style="rounded,filled", fontname="sans-serif", fontsize=11];\n'
        'edge [fontname="sans-serif", fontsize=9, color="#8a94a3", fontcolor="#8a94a3"];\n'
        f"{nodes}\n{edges}\n}}"
    )


def _node(node: GraphNode, *, chosen: bool) -> str:
    color = _COLORS.get(node.label, "#ffffff")
    width = 3 if chosen else 1
    kind = _KINDS.get(node.label, node.label)
    label = f"{_quoted(kind)[:-1]}\\n{_quoted(node.caption)[1:]}"
    return f'{_quoted(node.id)} [label={label}, fillcolor="{color}", penwidth={width}];'


def _edge(edge: GraphEdge) -> str:
    kind = _IN_WORDS.get(edge.kind, edge.kind)
    return f"{_quoted(edge.source)} -> {_quoted(edge.target)} [label={_quoted(kind)}];"


def _quoted(text: str) -> str:
    """A text as Graphviz takes it literally: no quote ends it, no backslash escapes."""
    safe = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")
    return f'"{safe}"'
