"""Step 8 of the story, and what the Services page tests: the graph as the rest sees it."""

from collections.abc import Mapping
from dataclasses import dataclass

from services.database.transport import TemporaryDatabaseError
from services.graph.graph import SAVED, Graph, GraphSource
from services.graph.opening import OpenedGraph
from services.integrations.http import RequestRejected, ServiceUnavailable
from services.languages.sentence import N_
from services.outbox.outbox import StepDone
from services.records.bills import Bill
from services.records.outbox import OutboxKind


@dataclass(frozen=True)
class SaveToGraph:
    """Brings the bill into the graph; may be repeated."""

    graph: Graph
    database: GraphSource

    def __call__(self, *, bill: Bill, kind: OutboxKind, facts: Mapping[str, str]) -> StepDone:  # noqa: ARG002
        """Write the bill and what it stands on; raises ServiceUnavailable."""
        try:
            self.graph.project_bill(self.database, bill.id)
        except TemporaryDatabaseError:
            raise ServiceUnavailable("The database could not be asked for the bill.") from None
        return StepDone(SAVED)


@dataclass(frozen=True)
class GraphCheck:
    """Asks the graph how many bills it holds; without a graph, says why there is none."""

    opened: OpenedGraph
    name: str = N_("Graph")

    @property
    def configured(self) -> bool:
        """Whether there should be one: also where the embedded one cannot run."""
        opened = self.opened
        return opened.graph is not None or bool(opened.off and not opened.is_switched_off)

    @property
    def switched_off(self) -> str:
        """That the settings switched it off, where they did."""
        return f"{self.opened.off} (EMBEDDED_GRAPH)" if self.opened.is_switched_off else ""

    def check(self) -> str:
        """A sentence on its answer; raises TemporaryFailure or FinalFailure."""
        if self.opened.graph is None:
            raise RequestRejected(f"The graph is off. {self.opened.off}".strip())
        return f"{self.opened.graph.check()} ({self.opened.graph.server.kind})"
