"""Each error that a graph server can answer with: tried again at once, later, or not at all."""

from collections.abc import Iterator

import pytest

from services.graph import Graph
from services.graph.bolt import ConfiguredServer
from services.graph.driver import TRIES_AT_A_CLASH
from services.integrations.http import RequestRejected, ServiceUnavailable
from services.outbox.outbox import MAX_ATTEMPTS
from tests.contract.graph.bolt_server import FailingBolt, Fault, failing_bolt
from tests.contract.graph.conftest import NewStory, step_8, sweep_now
from tests.contract.graph.network import network

NOT_FOUND = "Neo.ClientError.Statement.EntityNotFound"
CLASHES = (
    NOT_FOUND,
    "Neo.ClientError.Schema.ConstraintValidationFailed",
    "Neo.TransientError.Transaction.DeadlockDetected",
)
BROKEN = "Neo.DatabaseError.General.UnknownError"
DONE = ("done", "with its meter, readings and tariff")
BY_OTHERS = "The graph was being changed by others at the same time."


@pytest.fixture
def server() -> Iterator[FailingBolt]:
    with failing_bolt() as server:
        yield server


@pytest.fixture
def failing(server: FailingBolt, hasty: None) -> Iterator[Graph]:  # noqa: ARG001
    """A graph on that server, its constraints made."""
    graph = Graph(ConfiguredServer(server.uri, user="u", password="p"), timeout_seconds=5)
    graph.prepare()
    yield graph
    graph.close()


@pytest.mark.parametrize("code", CLASHES)
def test_a_clash_with_others_is_tried_again_at_once(
    failing: Graph, server: FailingBolt, code: str
) -> None:
    server.faults += [code] * (TRIES_AT_A_CLASH - 1)
    before = server.statements
    failing.was_rebuilt()
    assert server.faults == []
    assert server.statements == before + TRIES_AT_A_CLASH


@pytest.mark.parametrize("code", CLASHES[:2])
def test_a_change_that_clashes_is_made_again_as_a_whole(
    failing: Graph, server: FailingBolt, code: str
) -> None:
    before = server.statements
    failing.project(network())
    once = server.statements - before
    # Not its questions for the time and for what is there of each kind, but the second statement of
    # the change clashes three times.
    questions = 1 + sum(map(bool, network().values()))
    server.faults += [None] * questions + [None, code] * 3
    failing.project(network())
    assert server.faults == []
    assert server.statements == before + once + once + 3 * 2


@pytest.mark.parametrize("code", CLASHES[:2])
def test_a_clash_that_does_not_end_is_left_for_later_and_is_nobodys_fault(
    failing: Graph, server: FailingBolt, code: str
) -> None:
    server.faults += [code] * 99
    with pytest.raises(ServiceUnavailable) as away:
        failing.was_rebuilt()
    assert str(away.value) == BY_OTHERS
    assert len(server.faults) == 99 - TRIES_AT_A_CLASH


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (BROKEN, "The graph failed."),
        ("Neo.ClientError.Request.RateLimit", "The graph failed."),
        ("Neo.ClientError.Transaction.TransactionTimedOut", "The graph did not answer in time."),
        (b"HTTP/1.1 200 OK\r\n\r\n<html>maintenance</html>", "The graph cannot be reached."),
        # A success that says nothing, and one with a number where its words should be.
        (b"\x00\x02\xb0\x70\x00\x00", "The graph's answer cannot be read."),
        (b"\x00\x03\xb1\x70\x07\x00\x00" * 2, "The graph's answer cannot be read."),
        (b"", "The graph cannot be reached."),
    ],
)
def test_a_fault_three_times_then_fine_costs_no_bill(
    failing: Graph, server: FailingBolt, new_story: NewStory, fault: Fault, said: str
) -> None:
    utility = new_story(failing)
    utility.add_meter("M1")
    # More than the driver, which connects again by itself, gets to before it gives up.
    server.faults += [fault] * 99
    answer = utility.submit("M1", 1117)
    assert answer.bill is not None
    assert (answer.bill.total_minor, answer.bill.status) == (54_035, "issued")
    for _ in range(2):
        assert step_8(utility, answer.bill.id) == ("pending", said)
        sweep_now(utility)
    assert step_8(utility, answer.bill.id) == ("pending", said)
    server.faults.clear()
    sweep_now(utility)
    assert step_8(utility, answer.bill.id) == DONE


def test_a_graph_that_stays_broken_is_given_up_with_its_reason(
    failing: Graph, server: FailingBolt, new_story: NewStory
) -> None:
    utility = new_story(failing)
    utility.add_meter("M1")
    server.faults += [BROKEN] * MAX_ATTEMPTS
    answer = utility.submit("M1", 1117)
    assert answer.bill is not None
    for _ in range(MAX_ATTEMPTS - 1):
        sweep_now(utility)
    given_up = f"given up after {MAX_ATTEMPTS} attempts: The graph failed."
    assert step_8(utility, answer.bill.id) == ("failed", given_up)
    (work,) = utility.services.database.failed_work().items
    utility.services.database.retry_outbox(actor="test", work_id=work.id)
    sweep_now(utility)
    assert step_8(utility, answer.bill.id) == DONE


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (
            "Neo.ClientError.Security.Unauthorized",
            "The graph does not accept the user name and password.",
        ),
        (
            "Neo.ClientError.Statement.SyntaxError",
            "The graph refused what it was asked (Neo.ClientError.Statement.SyntaxError).",
        ),
    ],
)
def test_a_refusal_is_final_and_shows_nothing_of_a_row(
    failing: Graph, server: FailingBolt, code: str, said: str
) -> None:
    server.faults += [code]
    with pytest.raises(RequestRejected) as refused:
        failing.was_rebuilt()
    assert str(refused.value) == said
    assert server.faults == []
