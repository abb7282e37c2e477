"""The graph is what the database says: bill by bill, made again as a whole, and both at once."""

import threading
from datetime import timedelta
from typing import Any
from uuid import uuid4

from services.graph import Graph
from services.importing import Importer
from services.records.entries import NewPayment
from services.supply.changes import Exchange, TypedRead
from tests.contract.graph.conftest import NewStory
from tests.contract.graph.network import (
    Kept,
    Rows,
    bill,
    clear,
    meter,
    network,
    payment,
    placed,
    reading,
    supply,
    whole,
)
from tests.integration.supply.supplied import Supplied
from tests.integration.utility import ACTOR, ADMIN, Utility


def a_bill(rows: Rows) -> Rows:
    """One bill with its meter and readings, and nothing that hangs loose."""
    rows["meters"] = [meter("m1")]
    placed(rows)
    rows["readings"] = [reading("r1", "m1", "2026-01-01"), reading("r2", "m1", "2026-02-01")]
    ends = {"opening_reading_id": "r1", "closing_reading_id": "r2"}
    rows["bills"] = [bill("b1", "m1", "2026-01-01", "2026-02-01", 500, **ends)]
    rows["payments"] = [payment("p1", "b1", 100)]
    rows["supplies"] = [supply("s1", "t1", "2026-01-01", "2026-02-01", 600)]
    return rows


def test_labels_and_relationships_are_as_agreed(graph: Graph) -> None:
    graph.project(a_bill(network()))
    nodes, edges = whole(graph)
    assert edges == [
        ("a-m1", "AT", "p-m1"),
        ("b1", "BILLS", "m1"),
        ("b1", "FROM", "r1"),
        ("b1", "TO", "r2"),
        ("b1", "UNDER", "a-m1"),
        ("c1", "HAS_AGREEMENT", "a-m1"),
        ("c1", "HAS_METER", "m1"),
        ("m1", "FED_BY", "t1"),
        ("p-m1", "CONNECTED_TO", "t1"),
        ("p1", "PAYS", "b1"),
        ("r1", "OF", "m1"),
        ("r2", "OF", "m1"),
        ("s1", "INTO", "t1"),
        ("t1", "ON", "f1"),
        ("v1", "PRICED", "b1"),
    ]
    (of_bill,) = (node for node in nodes if node["label"] == "Bill")
    assert of_bill == {
        "label": "Bill",
        "id": "b1",
        "number": 1,
        "status": "issued",
        "period_start": "2026-01-01",
        "period_end": "2026-02-01",
        "start_day": 20_454,
        "end_day": 20_485,
        "consumption_wh": 500,
        "currency": "INR",
        "total_minor": 54_035,
    }


def test_the_same_again_changes_nothing_and_news_take_the_place_of_the_old(graph: Graph) -> None:
    rows = a_bill(network())
    graph.project(rows)
    before = whole(graph)
    graph.project(rows)
    assert whole(graph) == before
    rows["meters"] = [meter("m1", on="t2")]
    rows["bills"][0] |= {"status": "void", "number": None}
    graph.project(rows)
    nodes, edges = whole(graph)
    assert ("m1", "FED_BY", "t2") in edges
    assert ("m1", "FED_BY", "t1") not in edges
    (of_bill,) = (node for node in nodes if node["label"] == "Bill")
    assert of_bill["status"] == "void"
    assert "number" not in of_bill
    rows["meters"] = [meter("m1", on=None)]
    graph.project(rows)
    assert "FED_BY" not in {kind for _, kind, _ in whole(graph)[1]}


def test_of_a_list_of_targets_those_stay_that_are_in_the_new_one(graph: Graph) -> None:
    rows = a_bill(network())
    rows["meters"] += [meter(f"m{n}") for n in (2, 3, 4)]
    rows["bills"][0] |= {"earlier_meter_ids": ["m2", "m3"], "inner_reading_ids": ["r2"]}
    graph.project(rows)
    rows["bills"][0] |= {"earlier_meter_ids": ["m3", "m4", "m1"], "inner_reading_ids": []}
    graph.project(rows)
    graph.rebuild(Kept(rows))
    _, edges = whole(graph)
    assert sorted(edge for edge in edges if edge[1] in {"ALSO_BILLS", "OVER"}) == [
        ("b1", "ALSO_BILLS", "m1"),
        ("b1", "ALSO_BILLS", "m3"),
        ("b1", "ALSO_BILLS", "m4"),
    ]


def test_a_rebuild_twice_is_the_same_and_what_is_gone_vanishes(graph: Graph) -> None:
    rows = a_bill(network())
    rows["customers"] = [{"id": f"c{n:04}", "account_no": f"A-{n}"} for n in range(1_100)]
    rows["customers"].append({"id": "c1", "account_no": "A-1"})
    graph.rebuild(Kept(rows))
    counts = graph.counts()
    before = whole(graph)
    assert graph.was_rebuilt()
    assert (counts.nodes["Customer"], counts.nodes["Bill"]) == (1_101, 1)
    assert (counts.relationships["PRICED"], counts.relationships["FED_BY"]) == (1, 1)
    graph.rebuild(Kept(rows))
    assert whole(graph) == before
    rows["customers"] = rows["customers"][-1:]
    rows["payments"] = []
    graph.rebuild(Kept(rows))
    counts = graph.counts()
    assert (counts.nodes["Customer"], counts.nodes["Payment"]) == (1, 0)
    assert counts.relationships["PAYS"] == 0


def a_year(utility: Utility) -> list[str]:
    """Three meters on a grid, one bill void, one paid; the bills' ids."""
    serials = ("M1", "M2", "M3")
    for serial in serials:
        utility.add_meter(serial)
    importer = Importer(utility.services.database, utility.services.settings.timezone)
    how: dict[str, Any] = {"actor": ACTOR, "now": utility.now}
    grid = (
        "code,name,feeder_code,feeder_name,rated_kva\nT-1,Hill,F-1,North,100\nT-2,Mill,F-1,North,63"
    )
    assert importer.transformers(grid, **how).ok
    opened = utility.today - timedelta(days=31)
    fed = "serial,account_no,tariff_code,kind,dials,multiplier,opening_kwh,opened_on,"
    fed += "transformer_code"
    for serial, at in zip(serials, ("T-1", "T-2", ""), strict=True):
        fed += f"\n{serial},A-{serial},KSEB-LT1A,manual,5,1,1000,{opened},{at}"
    assert importer.meters(fed, **how).ok
    bills = [utility.submit(serial, 1_100).bill for serial in serials]
    ids = [found.id for found in bills if found is not None]
    database = utility.services.database
    database.void_bill(actor=ADMIN.user, bill_id=ids[2], reason="wrong meter")
    paid: dict[str, Any] = {"id": str(uuid4()), "bill_id": ids[0], "amount_minor": 100}
    paid |= {"currency": "INR", "method": "cash", "reference": "R-1"}
    paid |= {"received_at": utility.now.isoformat(), "received_on": utility.today.isoformat()}
    assert (
        database.record_payments(actor=ADMIN.user, payments=[NewPayment.model_validate(paid)]) == 1
    )
    return ids


def test_bill_by_bill_is_the_same_as_a_rebuild(graph: Graph, new_story: NewStory) -> None:
    utility = new_story(graph)
    ids = a_year(utility)
    clear(graph)
    for bill_id in ids:
        graph.project_bill(utility.services.database, bill_id)
    one_by_one = whole(graph)
    graph.rebuild(utility.services.database)
    assert whole(graph) == one_by_one
    # Three customers, places, agreements, meters and bills, six readings; a tariff, two
    # transformers on a feeder.
    assert len(one_by_one[0]) == 3 * 5 + 6 + 1 + 2 + 1 + 1
    assert "House M1" not in str(one_by_one)


def test_of_an_exchange_a_bill_brings_all_that_a_rebuild_brings(
    graph: Graph, new_story: NewStory
) -> None:
    utility = new_story(graph)
    at = Supplied(utility)
    point = at.meter("M1")
    at.read("M1", 1_040, 40)
    at.do(Exchange(point, at.day(20), TypedRead("1060"), "N1", TypedRead("5"), multiplier="2"))
    at.read("N1", 15, 0)
    first, over = sorted(at.bills("A-M1"), key=lambda b: b.period_start)
    clear(graph)
    for one in (first, over):
        graph.project_bill(utility.services.database, one.id)
    bill_by_bill, edges = whole(graph)
    graph.rebuild(utility.services.database)
    nodes, edges_of_all = whole(graph)
    assert edges_of_all == edges
    # There are tariffs that priced no bill.
    unused = [node for node in nodes if node not in bill_by_bill]
    assert {node["label"] for node in unused} == {"Tariff"}
    assert len(nodes) == len(bill_by_bill) + len(unused)
    of_old = graph.affected_by(meter_id=over.metered[0].meter_id)
    assert [b.bill_id for b in of_old] == [first.id, over.id]
    removal = over.metered[0].closing_reading_id
    assert [b.bill_id for b in graph.affected_by(reading_id=removal)] == [over.id]


def test_two_who_save_the_same_bill_at_once_do_not_clash(graph: Graph) -> None:
    rows = a_bill(network())
    failures: list[Exception] = []
    begin = threading.Barrier(3)

    def save() -> None:
        begin.wait()
        try:
            for _ in range(4):
                graph.project(rows)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=save) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    twice = whole(graph)
    clear(graph)
    graph.project(rows)
    assert whole(graph) == twice


class Busy(Kept):
    """A database where a bill comes in, and one turns void, while its pages are being read."""

    def __init__(self, graph: Graph, rows: Rows) -> None:
        super().__init__(rows)
        self._graph = graph
        self._stale: list[dict[str, Any]] = []

    def graph_rows(self, *, what: str, after: str | None, limit: int) -> list[dict[str, Any]]:
        page = super().graph_rows(what=what, after=after, limit=limit)
        if what == "bills" and not self._stale:
            # The page has been read; before it is written, step 8 of others comes in between.
            self._stale = [dict(row) for row in page]
            new = self.rows["bills"][0] | {"id": "b2", "number": 2}
            old = self.rows["bills"][0] | {"status": "void"}
            self.rows["bills"] = [old, new]
            self._graph.project({"bills": self.rows["bills"]})
            return self._stale
        return page


def test_bills_that_come_in_during_a_rebuild_stay_and_the_later_look_wins(graph: Graph) -> None:
    rows = a_bill(network())
    graph.rebuild(Busy(graph, rows))
    nodes, edges = whole(graph)
    found = {node["id"]: node["status"] for node in nodes if node["label"] == "Bill"}
    assert found == {"b1": "void", "b2": "issued"}
    assert {("b2", "FROM", "r1"), ("v1", "PRICED", "b2"), ("p1", "PAYS", "b1")} <= set(edges)
