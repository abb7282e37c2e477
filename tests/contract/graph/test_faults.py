"""The graph fails, and no bill is lost: it is kept, the step says what happened, and it ends."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from services.database.embedded.access import free_port
from services.graph import Graph
from services.graph.bolt import CALLS_AT_ONCE, ConfiguredServer
from services.integrations.http import RequestRejected, ServiceUnavailable
from tests.contract.graph.conftest import NewStory, step_8, sweep_now
from tests.contract.graph.network import bill, meter, network, whole
from tests.contract.graph.servers import PATIENT_SECONDS, Elsewhere, Line, silent_server

SECRET = "hush-hush-0123456789"


NewClient = Callable[..., Graph]


@pytest.fixture
def new_client() -> Iterator[NewClient]:
    """Call it with an address for a graph there, closed in the end."""
    with ExitStack() as stack:

        def make(uri: str, *, timeout_seconds: float = 10.0) -> Graph:
            server = ConfiguredServer(uri, user="u", password=SECRET)
            stack.callback(server.close)
            return Graph(server, timeout_seconds=timeout_seconds)

        yield make


@pytest.fixture
def line(graph: Graph) -> Iterator[Line]:
    """A line to the server of `graph`."""
    line = Line(Elsewhere(graph.server).port)
    yield line
    line.close()


@pytest.fixture
def afar(graph: Graph, line: Line, hasty: None) -> Iterator[Graph]:  # noqa: ARG001
    """The same graph, reached by the line."""
    afar = Graph(Elsewhere(graph.server, port=line.port), timeout_seconds=PATIENT_SECONDS)
    yield afar
    afar.close()


def test_a_bill_outlives_a_graph_that_is_away_and_gets_there_later(
    graph: Graph, afar: Graph, line: Line, new_story: NewStory
) -> None:
    utility = new_story(afar)
    utility.add_meter("M1")
    line.cut()
    answer = utility.submit("M1", 1117)
    assert answer.bill is not None
    assert (answer.bill.total_minor, answer.bill.status) == (54_035, "issued")
    assert step_8(utility, answer.bill.id) == ("pending", "The graph cannot be reached.")
    sweep_now(utility)
    assert step_8(utility, answer.bill.id)[0] == "pending"
    line.mend()
    sweep_now(utility)
    assert step_8(utility, answer.bill.id) == ("done", "with its meter, readings and tariff")
    assert answer.bill.id in {node["id"] for node in whole(graph)[0]}


def test_a_line_cut_in_the_middle_leaves_no_half_of_a_bill(
    graph: Graph, afar: Graph, line: Line
) -> None:
    rows = network()
    rows["meters"] = [meter("m1")]
    rows["bills"] = [bill("b1", "m1", "2026-01-01", "2026-02-01", 1)]
    afar.project({"feeders": rows["feeders"]})
    line.cut(after_bytes=2_500)
    with pytest.raises(ServiceUnavailable, match="cannot be reached"):
        afar.project(rows)
    assert {node["label"] for node in whole(graph)[0]} == {"Feeder"}
    line.mend()
    afar.project(rows)
    assert ("b1", "BILLS", "m1") in whole(graph)[1]


def test_a_wrong_password_is_for_a_person_to_mend(graph: Graph, new_story: NewStory) -> None:
    stranger = Graph(Elsewhere(graph.server, password=SECRET))
    with pytest.raises(RequestRejected) as refused:
        stranger.check()
    assert str(refused.value) == "The graph does not accept the user name and password."
    utility = new_story(stranger)
    utility.add_meter("M1")
    answer = utility.submit("M1", 1117)
    assert answer.bill is not None
    assert step_8(utility, answer.bill.id) == ("failed", str(refused.value))
    stranger.close()


@pytest.mark.parametrize("scheme", ["bolt", "neo4j"])
def test_a_server_that_is_not_there_is_told_soon(new_client: NewClient, scheme: str) -> None:
    began = time.monotonic()
    with pytest.raises(ServiceUnavailable) as away:
        new_client(f"{scheme}://127.0.0.1:{free_port(0)}").check()
    assert time.monotonic() - began < 8
    assert str(away.value) == "The graph cannot be reached."


@pytest.mark.parametrize("scheme", ["bolt", "neo4j", "bolt+s"])
def test_a_server_that_never_answers_is_not_waited_for_long(
    new_client: NewClient, scheme: str
) -> None:
    with silent_server() as port:
        began = time.monotonic()
        with pytest.raises(ServiceUnavailable) as away:
            new_client(f"{scheme}://127.0.0.1:{port}", timeout_seconds=1).check()
        assert time.monotonic() - began < 3
        assert str(away.value) == "The graph did not answer in time."


def test_many_calls_to_a_silent_server_do_not_pile_up(new_client: NewClient) -> None:
    with silent_server() as port:
        graph = new_client(f"bolt://127.0.0.1:{port}", timeout_seconds=0.05)
        before = threading.active_count()
        for _ in range(3 * CALLS_AT_ONCE):
            with pytest.raises(ServiceUnavailable):
                graph.check()
        assert threading.active_count() <= before + CALLS_AT_ONCE


def test_a_question_that_takes_too_long_is_broken_off(graph: Graph) -> None:
    hasty = Graph(graph.server, timeout_seconds=1.5)
    endless = "UNWIND range(1, 30000) AS a UNWIND range(1, 30000) AS b WITH a * b AS c "
    endless += "WHERE c % 7 = 3 RETURN count(c) AS found"
    began = time.monotonic()
    with pytest.raises(ServiceUnavailable, match="in time"):
        hasty._bolt.read(endless)
    assert time.monotonic() - began < 6


def test_a_mistake_in_a_question_is_final_and_shows_no_values(graph: Graph) -> None:
    for wrong in ("THIS IS NOT CYPHER", "RETURN 1 / 0 AS x"):
        with pytest.raises(RequestRejected) as refused:
            graph._bolt.read(wrong, secret=SECRET)
        assert str(refused.value).startswith("The graph refused what it was asked (Neo.ClientError")
        assert SECRET not in str(refused.value)


@pytest.mark.parametrize("uri", ["bolt://no.such.host.invalid:7687", "bolt://[broken"])
def test_an_address_that_leads_nowhere_is_told_without_it(new_client: NewClient, uri: str) -> None:
    with pytest.raises((ServiceUnavailable, RequestRejected)) as failure:
        new_client(uri).check()
    assert "invalid" not in str(failure.value)
    assert SECRET not in str(failure.value)
