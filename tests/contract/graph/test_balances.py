"""Energy balances are kept, and forgotten in the change that makes them wrong."""

from dataclasses import replace

import pytest

from scheduler import Scheduler
from services.graph import Graph, OpenedGraph
from services.graph.bolt import Statement
from tests.contract.graph.conftest import NewStory
from tests.contract.graph.network import (
    Kept,
    Rows,
    bill,
    day,
    meter,
    network,
    placed,
    supply,
)

JANUARY = ("2026-01-01", "2026-02-01")
FEBRUARY = ("2026-02-01", "2026-03-01")
# To tell what is kept from what is worked out.
SPOIL = "MATCH (supply:Supply) WHERE supply.billed_wh IS NOT NULL SET supply.billed_wh = 1"


def a_network() -> Rows:
    """Two transformers with a place each, billed for January; supplied in January and February."""
    rows = network()
    rows["meters"] = [meter("m1"), meter("m2", "t2")]
    rows["bills"] = [bill("b1", "m1", *JANUARY, 400), bill("b2", "m2", *JANUARY, 500)]
    rows["supplies"] = [
        supply("s1", "t1", *JANUARY, 1_000),
        supply("s2", "t1", *FEBRUARY, 1_000),
        supply("s3", "t2", *JANUARY, 1_000),
    ]
    return placed(rows)


def billed(graph: Graph) -> dict[tuple[str, int], int]:
    """What was billed, by transformer and month."""
    found = graph.energy_balance(since=day(JANUARY[0]), until=day(FEBRUARY[1]))
    return {(one.code, one.period_start.month): one.billed_wh for one in found}


def keep_all(graph: Graph) -> int:
    """Mark what is not kept, keep it at once, and spoil it; how many were kept."""
    graph.keep_balances(settled_ms=0)
    kept = graph.keep_balances(settled_ms=0)
    graph._bolt.write([Statement(SPOIL)])
    return kept


def test_what_is_kept_is_not_worked_out_again(graph: Graph) -> None:
    graph.project(a_network())
    right = {("T1", 1): 400, ("T1", 2): 0, ("T2", 1): 500}
    assert billed(graph) == right
    assert graph.keep_balances(settled_ms=0) == 0
    assert graph.keep_balances(settled_ms=60_000) == 0
    assert graph.keep_balances(settled_ms=0) == 3
    assert billed(graph) == right
    graph._bolt.write([Statement(SPOIL)])
    assert set(billed(graph).values()) == {1}
    assert graph.keep_balances(settled_ms=0) == 0


def test_a_bill_makes_the_balances_of_its_days_be_forgotten_and_no_others(graph: Graph) -> None:
    rows = a_network()
    graph.project(rows)
    assert keep_all(graph) == 3
    graph.project({"bills": [rows["bills"][0] | {"status": "void"}]})
    assert billed(graph) == {("T1", 1): 0, ("T1", 2): 1, ("T2", 1): 1}
    graph.project({"bills": [bill("b3", "m1", "2026-01-20", "2026-02-20", 3_100)]})
    assert billed(graph) == {("T1", 1): 1_200, ("T1", 2): 1_900, ("T2", 1): 1}
    assert keep_all(graph) == 2


def test_a_change_after_the_mark_is_not_lost(graph: Graph) -> None:
    rows = a_network()
    graph.project(rows)
    graph.keep_balances(settled_ms=0)
    graph.project({"bills": [rows["bills"][1] | {"consumption_wh": 700}]})
    # Its mark is gone: only the others are kept now.
    assert graph.keep_balances(settled_ms=0) == 2
    graph._bolt.write([Statement(SPOIL)])
    assert billed(graph) == {("T1", 1): 1, ("T1", 2): 1, ("T2", 1): 700}


@pytest.mark.parametrize("what", ["service_points", "agreements"])
def test_a_place_that_changes_makes_those_of_its_transformers_be_forgotten(
    graph: Graph, what: str
) -> None:
    rows = a_network()
    graph.project(rows)
    keep_all(graph)
    if what == "service_points":
        graph.project({what: [rows[what][0] | {"transformer_id": "t2"}]})
        assert billed(graph) == {("T1", 1): 0, ("T1", 2): 0, ("T2", 1): 900}
    else:
        graph.project({what: [rows[what][0] | {"ends_on": "2026-01-20"}]})
        assert billed(graph) == {("T1", 1): 400, ("T1", 2): 0, ("T2", 1): 1}


def test_a_pass_over_the_graph_lets_none_be_kept(graph: Graph) -> None:
    rows = a_network()
    graph.project(rows)
    keep_all(graph)
    rows["bills"][0] |= {"consumption_wh": 450}
    graph.rebuild(Kept(rows), thorough=False)
    assert billed(graph) == {("T1", 1): 450, ("T1", 2): 0, ("T2", 1): 500}
    assert graph.nodes()["Bill"] == 2


def test_the_scheduler_begins_with_what_is_not_kept(graph: Graph, new_story: NewStory) -> None:
    services = replace(new_story(graph).services, graph=OpenedGraph(graph))
    graph.project(a_network())
    Scheduler(services).keep_balances()
    marked = graph._bolt.read("MATCH (supply:Supply) RETURN supply.marked AS marked")
    assert len(marked) == 3
    assert all(row["marked"] for row in marked)
    Scheduler(replace(services, graph=OpenedGraph(None))).keep_balances()
