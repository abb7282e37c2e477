"""The graph: the database's bills, meters and grid as a network, in Neo4j or one of our own."""

from services.graph.answers import (
    AffectedBill,
    GraphCounts,
    GraphEdge,
    GraphNode,
    Neighbourhood,
    TransformerBalance,
)
from services.graph.filling import GraphFilling
from services.graph.graph import FOLLOWED_AT_ONCE, Graph
from services.graph.opening import OpenedGraph, forget_embedded_graph, open_graph
from services.graph.passes import PassHalted, PassState
from services.graph.step import GraphCheck, SaveToGraph

__all__ = [
    "FOLLOWED_AT_ONCE",
    "AffectedBill",
    "Graph",
    "GraphCheck",
    "GraphCounts",
    "GraphEdge",
    "GraphFilling",
    "GraphNode",
    "Neighbourhood",
    "OpenedGraph",
    "PassHalted",
    "PassState",
    "SaveToGraph",
    "TransformerBalance",
    "forget_embedded_graph",
    "open_graph",
]
