"""Shared by the graph's tests: one server of each kind a session, cleared between the tests."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from services.database.service import DatabaseService
from services.database.transports.postgres import DirectTransport
from services.graph import Graph, SaveToGraph
from services.graph.bolt import Server
from tests.contract.graph.network import clear
from tests.contract.graph.servers import PATIENT_SECONDS, embedded_graph
from tests.contract.over import direct_transport_of
from tests.integration.utility import Utility, make_utility
from tests.servers import Databases, NewDatabase

KINDS = ("embedded", "neo4j")
NewServer = Callable[[str], Server]
NewStory = Callable[[Graph], Utility]


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the driver give up on a server that is away sooner; it still tries more than once."""
    # Imported here: loading Neo4j's driver takes a second.
    from services.graph import driver  # noqa: PLC0415

    monkeypatch.setattr(driver, "RETRY_SECONDS", 0.3)


def sweep_now(utility: Utility) -> None:
    """Let the pauses of all open work be over, and take it up."""
    with direct_transport_of(utility.services.database)._pool.connection() as connection:
        connection.execute("set role postgres")
        connection.execute("update public.outbox set next_attempt_at = now() - interval '1 second'")
    utility.services.outbox.sweep()


def step_8(utility: Utility, bill_id: str) -> tuple[str, str]:
    """How step 8 of a bill stands: its state and what is said of it."""
    (outbox,) = utility.services.database.outbox_of(bill_id)
    return outbox.steps[8].status, outbox.steps[8].detail


@pytest.fixture(scope="session")
def graph_server(request: pytest.FixtureRequest) -> Iterator[NewServer]:
    """Call it with a kind for this session's server of that kind."""
    with ExitStack() as stack:
        embedded: list[Server] = []

        def server(kind: str) -> Server:
            if kind == "neo4j":
                neo4j: Server = request.getfixturevalue("neo4j_server")
                return neo4j
            if not embedded:
                embedded.append(stack.enter_context(embedded_graph()))
            return embedded[0]

        yield server


@pytest.fixture(params=KINDS)
def graph(request: pytest.FixtureRequest, graph_server: NewServer) -> Graph:
    """An empty graph, on each kind of server in turn."""
    graph = Graph(graph_server(request.param), timeout_seconds=PATIENT_SECONDS)
    graph.prepare()
    clear(graph)
    return graph


@pytest.fixture
def new_story(
    fresh_database: NewDatabase, databases: Databases, tmp_path: Path
) -> Iterator[NewStory]:
    """Call it with a graph for a small utility whose bills go there at step 8."""
    with ExitStack() as stack:

        def make(graph: Graph) -> Utility:
            dsn = fresh_database()
            stack.callback(databases.drop, dsn)
            database = DatabaseService(DirectTransport(dsn))
            stack.callback(database.close)
            steps = {8: SaveToGraph(graph, database)}
            utility = make_utility(dsn, tmp_path, step_handlers=steps)
            stack.callback(utility.services.close)
            return utility

        yield make
