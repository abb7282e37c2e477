"""Step 8 of many bills, as a monthly run leaves them, is done for many at once."""

from dataclasses import replace

import pytest

from scheduler import Scheduler
from services.graph import Graph, OpenedGraph
from services.records.bills import Bill
from tests.contract.graph.conftest import NewStory, step_8
from tests.contract.graph.network import clear, whole
from tests.contract.graph.test_following import billed
from tests.contract.over import direct_transport_of
from tests.integration.utility import Utility

# As a run leaves them: nobody has begun with any step.
UNTOUCHED = """
    update public.outbox set status = 'open', finished_at = null, lease_owner = null,
           lease_until = null, steps = jsonb_set(steps, '{8}', '{"status": "pending"}')
"""
LEASED = "update public.outbox set lease_owner = 'x', lease_until = now() + interval '1 minute'"


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three are many."""
    monkeypatch.setattr("services.graph.graph.FEW", 3)


def change(utility: Utility, statement: str) -> None:
    """Change the outbox as its owner."""
    with direct_transport_of(utility.services.database)._pool.connection() as connection:
        connection.execute("set role postgres")
        connection.execute("set billing.actor = 'test'")
        connection.execute(statement.encode())


def a_run(utility: Utility, graph: Graph, bills: int) -> list[Bill]:
    """So many bills whose step 8 waits, and an empty graph."""
    made = [billed(utility, f"M{n}") for n in range(bills)]
    change(utility, UNTOUCHED)
    clear(graph)
    return made


def test_many_go_there_at_once_and_their_entries_end(graph: Graph, new_story: NewStory) -> None:
    utility = new_story(graph)
    bills = a_run(utility, graph, 5)
    graph.rebuild(utility.services.database)
    right = whole(graph)
    clear(graph)
    database = utility.services.database
    assert [graph.deliver(database, limit=3) for _ in range(2)] == [3, 0]
    graph.project(database.graph_backlog(limit=9, at_least=1)[1])
    assert {bill.id for bill in bills} <= {node["id"] for node in whole(graph)[0]}
    assert whole(graph)[1] == right[1]
    states = [step_8(utility, bill.id) for bill in bills]
    done, waiting = ("done", "with its meter, readings and tariff"), ("pending", "")
    assert sorted(states) == [done] * 3 + [waiting] * 2
    statuses = {work.status for bill in bills for work in database.outbox_of(bill.id)}
    assert statuses == {"finished", "open"}


def test_a_step_that_waits_for_something_else_keeps_the_entry_open(
    graph: Graph, new_story: NewStory
) -> None:
    utility = new_story(graph)
    bills = a_run(utility, graph, 3)
    change(
        utility,
        "update public.outbox set steps = jsonb_set(steps, '{9}', '{\"status\": \"pending\"}')",
    )
    assert graph.deliver(utility.services.database) == 3
    for bill in bills:
        (work,) = utility.services.database.outbox_of(bill.id)
        assert (work.status, work.steps[8].status, work.steps[9].status) == (
            *("open", "done", "pending"),
        )


def test_what_somebody_works_on_is_left_to_them(graph: Graph, new_story: NewStory) -> None:
    utility = new_story(graph)
    a_run(utility, graph, 4)
    change(utility, LEASED)
    assert graph.deliver(utility.services.database) == 0


def test_what_was_taken_up_meanwhile_is_not_ended_for_them(
    graph: Graph, new_story: NewStory
) -> None:
    utility = new_story(graph)
    bills = a_run(utility, graph, 3)
    database = utility.services.database
    work, _ = database.graph_backlog(limit=3, at_least=1)
    change(utility, LEASED)
    ids = [one["id"] for one in work]
    assert database.graph_backlog_done(actor="test", work=ids, detail="x") == 0
    assert {step_8(utility, bill.id)[0] for bill in bills} == {"pending"}


def test_the_scheduler_delivers(graph: Graph, new_story: NewStory) -> None:
    utility = new_story(graph)
    bills = a_run(utility, graph, 3)
    scheduler = Scheduler(replace(utility.services, graph=OpenedGraph(graph)))
    scheduler.follow_bills()
    assert {step_8(utility, bill.id)[0] for bill in bills} == {"done"}
