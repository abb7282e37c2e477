"""What a bill owes is done once, tried again when it failed, and given up at last."""

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from services.integrations.failures import FinalFailure, TemporaryFailure
from services.outbox.outbox import (
    LONGEST_PAUSE_SECONDS,
    MAX_ATTEMPTS,
    Outbox,
    StepDone,
    StepHandler,
    pause_seconds,
)
from services.records.bills import Bill
from services.records.outbox import OutboxKind
from tests.integration.utility import Utility, make_utility


class Recorder:
    """A handler that notes its calls and does what it is told."""

    def __init__(self, does: Callable[[int], StepDone] | None = None) -> None:
        self.calls: list[str] = []
        self.facts: dict[str, str] = {}
        self._does = does or (lambda _: StepDone("done"))
        self._lock = threading.Lock()

    def __call__(self, *, bill: Bill, kind: OutboxKind, facts: Mapping[str, str]) -> StepDone:
        with self._lock:
            self.calls.append(f"{bill.id}/{kind}")
            self.facts = dict(facts)
            count = len(self.calls)
        return self._does(count)


def fail_first(times: int) -> Callable[[int], StepDone]:
    def does(count: int) -> StepDone:
        if count <= times:
            raise TemporaryFailure("the service is down")
        return StepDone("done at last")

    return does


def always(error: Exception) -> Callable[[int], StepDone]:
    def does(_: int) -> StepDone:
        raise error

    return does


MakeUtility = Callable[[dict[int, StepHandler]], Utility]


@pytest.fixture
def utility_with(database: str, tmp_path: Path) -> MakeUtility:
    return lambda handlers: make_utility(
        database, tmp_path, step_handlers=handlers, lease_seconds=1
    )


def make_due(database: str) -> None:
    """Let the pause of all open work be over."""
    with psycopg.connect(database) as connection:
        connection.execute("update public.outbox set next_attempt_at = now() - interval '1 second'")


def state_of(utility: Utility, bill_id: str) -> tuple[str, dict[int, str]]:
    (outbox,) = utility.services.database.outbox_of(bill_id)
    return outbox.status, {step: state.status for step, state in outbox.steps.items()}


def test_what_fails_for_a_while_is_tried_again_and_nothing_else_is(
    utility_with: MakeUtility, database: str
) -> None:
    graph, link = Recorder(), Recorder(fail_first(2))
    utility = utility_with({8: graph, 9: link, 10: Recorder()})
    utility.add_meter("M1")
    answer = utility.submit("M1", 1117)
    assert answer.bill is not None
    assert [s.status for s in answer.steps[7:10]] == ["done", "pending", "pending"]
    assert answer.steps[8].detail == "the service is down"
    assert answer.steps[9].detail == "waits for step 9"
    assert utility.services.outbox.sweep() == 0, "its pause is not over"
    for _ in range(2):
        make_due(database)
        assert utility.services.outbox.sweep() == 1
    status, steps = state_of(utility, answer.bill.id)
    assert status == "finished"
    assert steps == {8: "done", 9: "done", 10: "done", 11: "skipped", 12: "skipped", 13: "skipped"}
    assert (len(graph.calls), len(link.calls)) == (1, 3)
    utility.services.close()


def test_a_final_failure_is_not_tried_again(utility_with: MakeUtility, database: str) -> None:
    link = Recorder(always(FinalFailure("the account is closed")))
    utility = utility_with({9: link, 10: Recorder()})
    utility.add_meter("M1")
    answer = utility.submit("M1", 1117)
    assert answer.bill is not None
    assert [(s.status, s.detail) for s in answer.steps[8:10]] == [
        ("failed", "the account is closed"),
        ("skipped", "step 9 failed"),
    ]
    make_due(database)
    assert utility.services.outbox.sweep() == 0
    assert len(link.calls) == 1
    utility.services.close()


@pytest.mark.parametrize("error", [TemporaryFailure("down"), RuntimeError("a mistake of ours")])
def test_it_is_given_up_after_ten_attempts(
    utility_with: MakeUtility, database: str, error: Exception
) -> None:
    graph = Recorder(always(error))
    utility = utility_with({8: graph})
    utility.add_meter("M1")
    answer = utility.submit("M1", 1117)
    assert answer.bill is not None
    for _ in range(MAX_ATTEMPTS + 2):
        make_due(database)
        utility.services.outbox.sweep()
    assert len(graph.calls) == MAX_ATTEMPTS
    assert state_of(utility, answer.bill.id)[0] == "given_up"
    utility.services.close()


@pytest.mark.parametrize(
    "created",
    ["now() - interval '6 minutes'", "now() + interval '3 hours'"],
    ids=["later", "ahead"],
)
def test_the_message_waits_for_the_link_but_not_for_ever(
    utility_with: MakeUtility, database: str, created: str
) -> None:
    message = Recorder()
    handlers = {9: Recorder(fail_first(99)), 10: Recorder(), 11: message, 12: Recorder()}
    utility = utility_with({**handlers, 13: Recorder()})
    utility.add_meter("M1")
    answer = utility.submit("M1", 1117)
    assert answer.steps[10].detail == "waits for the payment link"
    with psycopg.connect(database) as connection:
        # The clock of the host may be hours behind the database's.
        connection.execute(f"update public.outbox set created_at = {created}".encode())  # noqa: S608
    make_due(database)
    utility.services.outbox.sweep()
    assert len(message.calls) == 1
    assert answer.bill is not None
    assert state_of(utility, answer.bill.id)[1][13] == "done"
    utility.services.close()


def test_a_step_knows_what_the_steps_before_left_behind_also_after_a_pause(
    utility_with: MakeUtility, database: str
) -> None:
    message = Recorder(lambda _: StepDone("written", facts={"text": "Your bill is ready."}))
    send = Recorder(fail_first(1))
    utility = utility_with({11: message, 12: send})
    utility.add_meter("M1")
    utility.submit("M1", 1117)
    make_due(database)
    utility.services.outbox.sweep()
    assert send.facts == {"text": "Your bill is ready.", "occasion": ""}
    assert (len(message.calls), len(send.calls)) == (1, 2)
    utility.services.close()


def test_two_processes_never_do_the_same_work(utility_with: MakeUtility, database: str) -> None:
    # The submitter is too slow for every step, so all is left for the background.
    failing = utility_with({8: Recorder(fail_first(99))})
    for i in range(20):
        failing.add_meter(f"M{i}")
        failing.submit(f"M{i}", 1117)
    make_due(database)
    graph = Recorder()
    workers = [Outbox(database=failing.services.database, handlers={8: graph}) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        taken = list(pool.map(lambda worker: worker.sweep(limit=20), workers))
    assert sum(taken) == 20
    assert len(graph.calls) == len(set(graph.calls)) == 20
    failing.services.close()


def test_pauses_grow_up_to_an_hour() -> None:
    for attempts in range(30):
        assert 1 <= pause_seconds(attempts) <= LONGEST_PAUSE_SECONDS * 1.25
    assert pause_seconds(5) > pause_seconds(0)
