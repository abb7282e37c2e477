"""The pass over the whole graph: goes on where it was, one at a time, mends, and holds one page."""

import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from scheduler import Scheduler
from services.database.transport import TemporaryDatabaseError
from services.graph import Graph, OpenedGraph, PassHalted
from services.graph.bolt import SLOW, NotAsExpected, Statement
from services.graph.passes import state_of
from services.graph.writing import put
from services.integrations.http import ServiceUnavailable
from tests.contract.graph.conftest import NewStory
from tests.contract.graph.network import Kept, bill, clear, meter, network, placed, whole

FINGERS = "MATCH (node:Customer) RETURN node.id AS id, node.seen AS seen"


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of ten rows, of which there are several of each kind."""
    monkeypatch.setattr("services.graph.passes.PAGE", 10)
    monkeypatch.setattr("services.graph.passes.KNOWN_AT_ONCE", 40)


def many(customers: int = 35) -> Kept:
    rows = network()
    rows["customers"] += [{"id": f"c{n:04}", "account_no": f"A-{n}"} for n in range(customers)]
    rows["meters"] = [meter(f"m{n}") for n in range(15)]
    placed(rows)
    rows["bills"] = [bill(f"b{n}", f"m{n}", "2026-01-01", "2026-02-01", n) for n in range(15)]
    return Kept(rows)


class Crash(Exception):
    """The process ends here."""


def after(pages: int) -> Callable[[], None]:
    """What ends a pass after so many pages."""
    left = [pages]

    def go_on() -> None:
        left[0] -= 1
        if left[0] < 0:
            raise Crash

    return go_on


class Noting(Kept):
    """The database, with the pages that were asked for."""

    def __init__(self, kept: Kept) -> None:
        super().__init__(kept.rows)
        self.asked: list[tuple[str, str | None]] = []

    def graph_rows(self, *, what: str, after: str | None, limit: int) -> list[dict[str, Any]]:
        """As the database."""
        self.asked.append((what, after))
        return super().graph_rows(what=what, after=after, limit=limit)


def test_a_pass_that_was_broken_off_goes_on_where_it_was(graph: Graph) -> None:
    database = Noting(many())
    with pytest.raises(Crash):
        graph.rebuild(database, go_on=after(4))
    # The page after the last that was written may have been read already.
    assert ("customers", "c0009") in database.asked
    state = graph.pass_state()
    assert state is not None
    assert (state.done, state.total, state.to_go_on) == (23, 1 + 2 + 36 + 4 * 15 + 1, True)
    assert not graph.was_rebuilt()
    database.asked.clear()
    graph.rebuild(database)
    assert database.asked[0] == ("customers", "c0019")
    assert graph.was_rebuilt()
    at_once = whole(graph)
    clear(graph)
    graph.rebuild(many())
    assert whole(graph) == at_once


class Failing(Kept):
    """A database that fails when it is asked for a page of payments, some times."""

    def __init__(self, kept: Kept, *, times: int) -> None:
        super().__init__(kept.rows)
        self.left = times

    def graph_rows(self, *, what: str, after: str | None, limit: int) -> list[dict[str, Any]]:
        """As the database."""
        if what == "payments" and self.left:
            self.left -= 1
            raise TemporaryDatabaseError("503", "away")
        return super().graph_rows(what=what, after=after, limit=limit)


def test_a_page_that_could_not_be_read_ahead_costs_no_page_before_it(graph: Graph) -> None:
    database = Failing(many(), times=2)
    for _ in range(2):
        with pytest.raises(TemporaryDatabaseError):
            graph.rebuild(database)
        state = graph.pass_state()
        assert state is not None
        assert (state.done, state.to_go_on) == (1 + 2 + 36 + 4 * 15 + 1, True)
    graph.rebuild(database)
    once = whole(graph)
    clear(graph)
    graph.rebuild(many())
    assert whole(graph) == once


def test_a_page_that_takes_too_long_is_read_again_in_halves(
    graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.graph.passes.SMALLEST_PAGE", 3)
    write, slow = graph._bolt.write, [4, 7]

    def now_and_then_slow(statements: Sequence[Statement]) -> int:
        written.append(len(statements))
        if len(written) in slow:
            raise ServiceUnavailable(SLOW)
        return write(statements)

    written: list[int] = []
    monkeypatch.setattr(graph._bolt, "write", now_and_then_slow)
    database = Noting(many())
    graph.rebuild(database)
    at_once = whole(graph)
    assert len(database.asked) > len(written) - 4
    clear(graph)
    slow.clear()
    graph.rebuild(many())
    assert whole(graph) == at_once


def test_a_row_of_which_a_target_is_missing_is_written_all_the_same(graph: Graph) -> None:
    database = many()
    late = [database.rows["meters"].pop(index) for index in (9, 3)]
    graph.rebuild(database, thorough=False)
    assert graph.counts().nodes["Bill"] == 15
    assert graph.counts().relationships["BILLS"] == 13
    database.rows["meters"] = sorted([*database.rows["meters"], *late], key=lambda row: row["id"])
    graph.rebuild(database, thorough=False)
    mended = whole(graph)
    clear(graph)
    graph.rebuild(many())
    assert whole(graph) == mended


def test_a_node_that_is_there_is_not_made_a_second_time(graph: Graph) -> None:
    rows = [{"id": f"c{n}", "account_no": f"A-{n}"} for n in range(3)]
    graph.project({"customers": rows[1:2]})
    before = whole(graph)
    began = time.monotonic()
    with pytest.raises(NotAsExpected):
        graph._bolt.write(list(put("customers", rows, seen=1, known={})))
    # At the first try: at the next ones it would be there still.
    assert time.monotonic() - began < 0.5
    assert whole(graph) == before


def test_what_is_right_already_is_not_written_again(graph: Graph) -> None:
    graph.rebuild(many())
    before = {row["id"]: row["seen"] for row in graph._bolt.read(FINGERS)}
    changed = many()
    changed.rows["customers"][3] |= {"account_no": "A-new"}
    graph.rebuild(changed, thorough=False)
    now = {row["id"]: row["seen"] for row in graph._bolt.read(FINGERS)}
    assert {one for one in now if now[one] != before[one]} == {"c0003"}


def test_what_differs_is_mended_and_what_is_gone_vanishes(graph: Graph) -> None:
    database = many()
    graph.rebuild(database)
    right = whole(graph)
    for harm in (
        "MATCH (bill:Bill {id: 'b3'}) DETACH DELETE bill",
        "MATCH (bill:Bill {id: 'b4'}) SET bill.print = '', bill.status = 'void'",
        "UNWIND range(1, 100) AS n CREATE (:Payment {id: 'x' + toString(n), seen: 1})",
        "CREATE (:Customer {id: 'c0005x', seen: 1})",
    ):
        graph._bolt.write([Statement(harm)])
    graph.rebuild(database, thorough=False)
    assert whole(graph) == right


@pytest.mark.parametrize("at_once", [50_000, 7, 4, 1])
def test_where_graph_and_database_disagree_is_said_and_mended(
    graph: Graph, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr("services.graph.graph.ADDED_AT_ONCE", at_once)
    rows = network()
    rows["meters"] = [meter(f"{n:02x}m") for n in range(8)]
    placed(rows)
    for kind in ("service_points", "agreements"):
        rows[kind] = []
    rows["bills"] = [
        bill(f"{n:02x}b", f"{n % 8:02x}m", "2026-01-01", "2026-02-01", n) for n in range(20)
    ]
    for kind, row_id in (("feeders", "f1"), ("transformers", "f1"), ("customers", "c1")):
        rows[kind] = [row | {"id": row_id} for row in rows[kind][:1]]
    rows["tariffs"] = []
    database = Kept(rows)
    graph.rebuild(database)
    assert graph.differences(database) == []
    for harm in (
        "MATCH (bill:Bill {id: '03b'}) SET bill.total_minor = 1, bill.print = ''",
        "MATCH (meter:Meter {id: '04m'}) DETACH DELETE meter",
    ):
        graph._bolt.write([Statement(harm)])
    assert [str(one) for one in graph.differences(database)] == [
        "Meter, nodes: 7 in the graph, 8 in the database",
        "Bill, total_minor: 1,026,666 in the graph, 1,080,700 in the database",
    ]
    graph.rebuild(database, thorough=False)
    assert graph.differences(database) == []


def test_what_pointed_to_something_not_there_yet_is_looked_at_again(graph: Graph) -> None:
    database = many()
    late = database.rows["customers"].pop(0)
    assert late["id"] == "c0000"
    database.rows["agreements"][0] |= {"customer_id": "c0000"}
    graph.rebuild(database, thorough=False)
    database.rows["customers"].insert(0, late)
    graph.rebuild(database, thorough=False)
    assert ("c0000", "HAS_AGREEMENT", database.rows["agreements"][0]["id"]) in whole(graph)[1]


def test_only_one_process_at_a_time_makes_it_again(graph: Graph) -> None:
    refused: list[str] = []

    def go_on() -> None:
        if not refused:
            other = Graph(graph.server)
            with pytest.raises(ServiceUnavailable) as refusal:
                other.rebuild(many())
            refused.append(str(refusal.value))

    graph.rebuild(many(), go_on=go_on)
    assert refused == ["The graph is being made again by another process already."]


def test_a_process_that_lost_its_turn_writes_no_more(graph: Graph) -> None:
    taken: list[bool] = []

    def go_on() -> None:
        if len(taken) == 3:
            steal = "MATCH (pass:Rebuild {id: 'pass'}) SET pass.owner = 'another'"
            graph._bolt.write([Statement(steal)])
        taken.append(True)

    with pytest.raises(ServiceUnavailable):
        graph.rebuild(many(), go_on=go_on)
    assert len(taken) == 4


def test_it_stops_when_it_is_asked_to_and_goes_on_when_it_is_asked_to(graph: Graph) -> None:
    database = many()
    pages: list[bool] = []

    def go_on() -> None:
        pages.append(True)
        if len(pages) == 3:
            graph.halt_pass()

    with pytest.raises(PassHalted):
        graph.rebuild(database, go_on=go_on)
    state = graph.pass_state()
    assert state is not None
    assert (state.halted, state.at_work, state.to_go_on) == (True, False, False)
    graph.ask_for_pass()
    state = graph.pass_state()
    assert state is not None
    assert state.to_go_on
    graph.rebuild(database)
    state = graph.pass_state()
    assert state is not None
    assert (state.done, state.wanted) == (state.total, False)


def test_the_scheduler_goes_on_with_what_was_asked_for(graph: Graph, new_story: NewStory) -> None:
    utility = new_story(graph)
    utility.add_meter("M1")
    services = replace(utility.services, graph=OpenedGraph(graph))
    Scheduler(services).carry_graph_on()
    assert graph.pass_state() is None
    graph.ask_for_pass()
    graph.halt_pass()
    Scheduler(services).carry_graph_on()
    assert not graph.was_rebuilt()
    graph.ask_for_pass()
    Scheduler(services).carry_graph_on()
    assert graph.was_rebuilt()
    assert graph.counts().nodes["Meter"] == 1


def test_the_time_left_is_that_of_the_rows_of_this_turn() -> None:
    note = {"done": 3_000, "total": 9_000, "owner": "x", "lease_until": 70_000, "wanted": True}
    note |= {"went_on_from": 1_000, "went_on_at": 10_000}
    assert state_of(note, now=20_000).seconds_left == 30
    assert state_of(note, now=80_000).seconds_left is None


class Endless:
    """So many customers, made as they are asked for."""

    def __init__(self, customers: int) -> None:
        self._customers = customers

    def graph_rows(self, *, what: str, after: str | None, limit: int) -> list[dict[str, Any]]:
        """A page of them."""
        first = int(after[1:]) + 1 if after else 0
        last = min(first + limit, self._customers) if what == "customers" else first
        return [{"id": f"c{n:08}", "account_no": f"A-{n:040}"} for n in range(first, last)]

    def graph_totals(self) -> dict[str, int]:
        """Their number."""
        return {"customers": self._customers}

    def graph_sums(self) -> dict[str, dict[str, int]]:
        """Nobody asks."""
        raise NotImplementedError

    def graph_rows_of_bill(self, bill_id: str) -> dict[str, list[dict[str, Any]]]:
        """There are no bills."""
        raise NotImplementedError(bill_id)


@pytest.fixture
def traced() -> Iterator[None]:
    """Memory is watched."""
    tracemalloc.start()
    yield
    tracemalloc.stop()


def test_ten_times_the_rows_take_no_more_memory(
    graph: Graph,
    traced: None,  # noqa: ARG001
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("services.graph.passes.PAGE", 500)
    monkeypatch.setattr("services.graph.passes.KNOWN_AT_ONCE", 2_000)
    # The first loads what is loaded once.
    peaks = []
    for customers in (500, 2_000, 20_000):
        clear(graph)
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        graph.rebuild(Endless(customers))
        peaks.append(tracemalloc.get_traced_memory()[1] - before)
    assert peaks[2] < 1.5 * peaks[1] + 200_000
