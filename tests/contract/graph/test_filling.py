"""The app fills an empty graph by itself, the command makes it again, both from the database."""

from pathlib import Path

import pytest
from neo4j import Driver

from services.__main__ import main
from services.graph import Graph, GraphFilling
from services.graph.bolt import Server, Statement
from services.graph.graph import GraphSource
from services.integrations.http import ServiceUnavailable
from tests.contract.graph.conftest import NewServer, NewStory
from tests.contract.graph.network import Kept, bill, clear, meter, network, placed, whole
from tests.contract.graph.servers import PASSWORD, USER, Neo4j
from tests.servers import NewDatabase


def a_database() -> Kept:
    rows = network()
    rows["meters"] = [meter("m1")]
    placed(rows)
    rows["bills"] = [bill("b1", "m1", "2026-01-01", "2026-02-01", 1)]
    return Kept(rows)


def filled(graph: Graph, database: GraphSource) -> None:
    """Let it be filled, and wait for the end of that."""
    filling = GraphFilling(graph, database)
    filling.start()
    filling._thread.join(60)
    assert not filling._thread.is_alive()


def test_an_empty_graph_is_filled_once(graph: Graph) -> None:
    filled(graph, a_database())
    assert ("b1", "BILLS", "m1") in whole(graph)[1]
    graph._bolt.write([Statement("MATCH (bill:Bill) DETACH DELETE bill")])
    filled(graph, a_database())
    assert "Bill" not in {node["label"] for node in whole(graph)[0]}


def test_a_filling_that_was_broken_off_is_taken_up_again(graph: Graph) -> None:
    # Some of it is there, but not the note that a rebuild came to its end.
    graph.project({"bills": a_database().rows["bills"]})
    filled(graph, a_database())
    assert ("b1", "BILLS", "m1") in whole(graph)[1]


def test_a_graph_of_an_earlier_release_is_made_again(graph: Graph) -> None:
    filled(graph, a_database())
    graph._bolt.write([Statement("MATCH (note:Rebuild {id: 'last'}) SET note.shape = 1")])
    graph._bolt.write([Statement("MATCH (:Bill)-[link:UNDER]->() DELETE link")])
    filled(graph, a_database())
    assert ("b1", "UNDER", "a-m1") in whole(graph)[1]


def test_an_imported_grid_is_there_before_the_first_bill(graph: Graph) -> None:
    rows = network()
    rows["meters"] = [meter("m1")]
    filled(graph, Kept(rows))
    assert ("m1", "FED_BY", "t1") in whole(graph)[1]


def test_with_no_meter_there_is_nothing_to_fill_yet(graph: Graph) -> None:
    filled(graph, Kept(network()))
    assert whole(graph) == ([], [])
    assert not graph.was_rebuilt()


class Away:
    """A server that is away until it is told to be there."""

    kind = "configured"
    trouble = ""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.database = server.database
        self.asked = 0

    def driver(self) -> Driver:
        """As in Server."""
        self.asked += 1
        if self.asked < 3:
            raise ServiceUnavailable("The graph cannot be reached.")
        return self._server.driver()

    def close(self) -> None:
        """Nothing is its own."""


def test_it_is_tried_until_the_server_is_there(
    graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.graph.filling.FIRST_PAUSE_SECONDS", 0.01)
    filled(Graph(Away(graph.server)), a_database())
    assert graph.was_rebuilt()


def test_it_ends_with_the_app_also_while_it_waits() -> None:
    class Nowhere(Away):
        def __init__(self) -> None:
            self.database, self.asked = None, -1_000

    filling = GraphFilling(Graph(Nowhere()), a_database())
    filling.start()
    filling.stop()
    assert not filling._thread.is_alive()


# The command


def test_the_command_makes_the_graph_again_and_says_what_it_did(
    graph_server: NewServer,
    new_story: NewStory,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    server = graph_server("neo4j")
    assert isinstance(server, Neo4j)
    graph = Graph(server)
    utility = new_story(graph)
    utility.add_meter("M1")
    utility.submit("M1", 1117)
    clear(graph)
    transport = utility.services.settings.database_url
    assert transport is not None
    monkeypatch.setenv("DATABASE_URL", transport.get_secret_value())
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.setenv("NEO4J_URI", f"bolt://127.0.0.1:{server.port}")
    monkeypatch.setenv("NEO4J_USER", USER)
    monkeypatch.setenv("NEO4J_PASSWORD", PASSWORD)
    assert main(["graph", "rebuild"]) == 0
    said = capsys.readouterr().out
    assert "1 Bill" in said
    assert "2 Reading" in said
    assert "made again in" in said
    assert main(["graph", "check"]) == 0
    assert capsys.readouterr().out == "The graph agrees with the database.\n"
    graph._bolt.write([Statement("MATCH (reading:Reading) DETACH DELETE reading")])
    assert main(["graph", "check"]) == 1
    assert "Reading, nodes: 0 in the graph, 2 in the database" in capsys.readouterr().err
    assert ("Bill", 1) in {(n["label"], n["number"]) for n in whole(graph)[0] if "number" in n}
    monkeypatch.setenv("NEO4J_PASSWORD", "wrong")
    assert main(["graph", "rebuild"]) == 1
    assert "does not accept the user name" in capsys.readouterr().err


def test_without_a_graph_the_command_refuses(
    fresh_database: NewDatabase,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("DATABASE_URL", fresh_database())
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.setenv("EMBEDDED_GRAPH", "off")
    assert main(["graph", "rebuild"]) == 1
    assert capsys.readouterr().err == "There is no graph. The embedded graph is switched off.\n"
