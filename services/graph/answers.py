"""What the graph answers: energy balances, affected bills, a bill's neighbourhood, its counts."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from services.records.bills import BillStatus


@dataclass(frozen=True, slots=True)
class TransformerBalance:
    """Energy into a transformer against what its places were billed, over one supply period.

    Energy in Wh; `period_end` is exclusive. What places exported, `exported_wh`, was used behind
    the transformer too: `loss_wh` is what was supplied and exported less what was billed, negative
    when more was billed. `loss_permille` is of the energy supplied and exported, rounded half up;
    None when that is 0. `meters` counts places, each of which has one meter at a time;
    `meters_unread` those whose bills leave days of an agreement open, so that a part of the loss
    may only be energy not billed yet.
    """

    transformer_id: str
    code: str
    name: str
    feeder_code: str | None
    period_start: date
    period_end: date
    supplied_wh: int
    billed_wh: int
    loss_wh: int
    loss_permille: int | None
    meters: int
    meters_unread: int
    exported_wh: int = 0


@dataclass(frozen=True, slots=True)
class AffectedBill:
    """A bill that would have to be reissued; amounts in minor units of its currency.

    `account_no` is that of the customer who was billed, who may have moved out since.

    `number` is None for a draft; `status` is the one that people see; `period_end` is exclusive.
    """

    bill_id: str
    number: int | None
    status: BillStatus
    meter_serial: str
    account_no: str
    period_start: date
    period_end: date
    currency: str
    total_minor: int
    paid_minor: int


@dataclass(frozen=True, slots=True)
class GraphNode:
    """A node to draw: `label` is its kind, such as Bill, `caption` what people know it by."""

    id: str
    label: str
    caption: str


@dataclass(frozen=True, slots=True)
class GraphEdge:
    """A relationship to draw, from node `source` to node `target`; `kind` such as BILLS."""

    source: str
    target: str
    kind: str


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """What lies around a bill, each node and edge once; empty when the graph has no such bill."""

    nodes: list[GraphNode]
    edges: list[GraphEdge]


@dataclass(frozen=True, slots=True)
class GraphCounts:
    """How much the graph holds: nodes by label, relationships by kind."""

    nodes: Mapping[str, int]
    relationships: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class GraphDifference:
    """Where graph and database disagree: of a label the number of nodes, or a property's sum."""

    label: str
    of: str
    in_graph: int
    in_database: int

    def __str__(self) -> str:
        return (
            f"{self.label}, {self.of}: {self.in_graph:,} in the graph, "
            f"{self.in_database:,} in the database"
        )
