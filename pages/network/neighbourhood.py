"""What hangs together with a bill, drawn as a graph."""

from typing import Final

import streamlit as st

from pages.languages.words import Said, _, language, say
from pages.registry import BILL
from pages.shared.format import escaped
from pages.shared.permitted import page_link
from pages.shared.session import services
from services.graph import Graph, GraphEdge, GraphNode, Neighbourhood
from services.identity.auth import Principal
from services.languages.sentence import N_, P_, Sentence
from services.records.bills import Bill

# A colour for each kind, by its label in lower case, that reads on white and on dark.
_COLORS: Final = {
    "bill": "#f5c04e",
    "meter": "#7fb3ff",
    "customer": "#9ad29a",
    "agreement": "#c4e3a3",
    "servicepoint": "#a9c7c7",
    "transformer": "#d7b3ff",
    "feeder": "#c9a0a0",
    "reading": "#d5dbe3",
    "payment": "#8fd6c8",
    "tariff": "#f2a7b9",
}
_KINDS: Final = Said(
    {
        "bill": N_("Bill"),
        "meter": N_("Meter"),
        "customer": N_("Customer"),
        "agreement": N_("Agreement"),
        "servicepoint": N_("Service point"),
        "transformer": N_("Transformer"),
        "feeder": N_("Feeder"),
        "reading": N_("Reading"),
        "payment": N_("Payment"),
        "tariff": N_("Tariff"),
    }
)
_GRAPH: Final = "graph"
_IN_WORDS: Final = {
    "HAS_METER": P_("graph", "has meter now"),
    "HAS_AGREEMENT": P_("graph", "has agreement"),
    "AT": P_("graph", "at"),
    "CONNECTED_TO": P_("graph", "connected to"),
    "UNDER": P_("graph", "under"),
    "FED_BY": P_("graph", "fed by"),
    "ON": P_("graph", "on"),
    "OF": P_("graph", "of"),
    "BILLS": P_("graph", "bills"),
    "ALSO_BILLS": P_("graph", "bills, until exchanged"),
    "OVER": P_("graph", "over"),
    "FROM": P_("graph", "from"),
    "TO": P_("graph", "to"),
    "PAYS": P_("graph", "pays"),
    "PRICED": P_("graph", "priced"),
    "INTO": P_("graph", "into"),
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
            _(
                "The graph does not have this bill yet. It comes with the bill's step 8, or with "
                "`.venv/bin/python -m services graph rebuild`."
            ),
            icon=":material/hub:",
        )
        return
    st.markdown(
        _(
            "**{reference}** of {name}, meter {meter_serial}",
            reference=_known_by(bill),
            name=escaped(bill.customer_name),
            meter_serial=escaped(bill.meter_serial),
        )
    )
    st.graphviz_chart(dot_of(around, bill_id), width="stretch")
    page_link(
        BILL,
        label=_("Open the bill"),
        icon=":material/receipt_long:",
        query_params={"id": bill_id},
    )


def _ask_bill(principal: Principal) -> str | None:
    text = st.text_input(
        _("Bill"),
        key="picture-bill",
        type="search",
        placeholder=_("Number, customer, account or meter"),
    )
    found = services().bills.search(text=text or "", limit=20, principal=principal)
    if not found:
        st.info(_("No bill fits.") if text else _("No bill yet."))
        return None
    chosen = st.selectbox(
        _("Which of them?"),
        found,
        format_func=lambda b: f"{_known_by(b)}, {b.customer_name}",
        key="picture-which",
    )
    return chosen.id


def _known_by(bill: Bill) -> str:
    return bill.reference if bill.number is not None else _("Draft")


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
    color = _COLORS.get(node.label.lower(), "#ffffff")
    width = 3 if chosen else 1
    kind = _KINDS.get(node.label.lower(), node.label)
    label = f"{_quoted(kind)[:-1]}\\n{_quoted(_caption(node))[1:]}"
    return f'{_quoted(node.id)} [label={label}, fillcolor="{color}", penwidth={width}];'


def _caption(node: GraphNode) -> str:
    """What it is known by; names stay as they are."""
    return say(node.caption) if isinstance(node.caption, Sentence) else node.caption


def _edge(edge: GraphEdge) -> str:
    kind = language().pgettext(_GRAPH, _IN_WORDS.get(edge.kind, edge.kind))
    return f"{_quoted(edge.source)} -> {_quoted(edge.target)} [label={_quoted(kind)}];"


def _quoted(text: str) -> str:
    """A text as Graphviz takes it literally: no quote ends it, no backslash escapes."""
    safe = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")
    return f'"{safe}"'
