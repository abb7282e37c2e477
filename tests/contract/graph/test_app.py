"""The whole app with its embedded graph: filled after the demo's data, and found after a kill."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from services.graph import Graph
from services.graph.embedded import EmbeddedGraph
from services.integrations.failures import TemporaryFailure
from tests.contract.graph.servers import PATIENT_SECONDS, START_SECONDS
from tests.folders import enterable_folder
from tests.integration.server_process import runs, wait_until
from tests.ui.app_process import AppProcess, start_app

WITH_GRAPH = {"EMBEDDED_GRAPH": "on"}


@pytest.fixture
def place() -> Iterator[Path]:
    yield from enterable_folder()


def look_in(place: Path) -> tuple[Graph, int]:
    """The graph of the app in this place, beside it, and the process of its server."""
    server = EmbeddedGraph(place / "data" / "graph" / "demo")
    graph = Graph(server, timeout_seconds=PATIENT_SECONDS)
    graph.await_start(seconds=START_SECONDS)
    pid = server._jvm._pid()
    assert pid is not None
    return graph, pid


def test_the_demo_is_in_the_graph_and_a_kill_leaves_nothing_in_the_way(place: Path) -> None:
    app: AppProcess = start_app(folder=place, environment=WITH_GRAPH)
    wait_until((place / "data" / "graph" / "demo" / "server.pid").exists, seconds=60)
    graph, pid = look_in(place)

    def is_filled() -> bool:
        with suppress(TemporaryFailure):
            return graph.was_rebuilt()
        return False

    wait_until(is_filled, seconds=120)
    counts = graph.counts()
    assert counts.nodes["Bill"] > 100
    assert counts.relationships["FROM"] == counts.nodes["Bill"]
    today = datetime.now(UTC).date()
    assert graph.energy_balance(since=today - timedelta(days=180), until=today)
    graph.close()
    app.kill()
    assert runs(pid)
    again = start_app(folder=place, environment=WITH_GRAPH)
    graph, same = look_in(place)
    assert same == pid
    graph.close()
    assert again.stop()
    wait_until(lambda: not runs(pid), seconds=30)
