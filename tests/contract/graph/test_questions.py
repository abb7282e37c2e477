"""What the graph answers, against figures worked out by hand."""

import pytest

from services.graph import AffectedBill, Graph, GraphEdge, TransformerBalance
from services.graph import graph as graphs
from tests.contract.graph.network import (
    Rows,
    agreement,
    bill,
    day,
    meter,
    network,
    payment,
    place,
    placed,
    reading,
    supply,
    transformer,
)

# Energy balance


def balances(graph: Graph, rows: Rows, since: str, until: str) -> list[TransformerBalance]:
    graph.project(rows if rows["service_points"] else placed(rows))
    return graph.energy_balance(since=day(since), until=day(until))


def test_bills_for_just_the_supply_period_are_subtracted_whole(graph: Graph) -> None:
    rows = network()
    rows["meters"] = [meter("m1"), meter("m2")]
    rows["bills"] = [
        bill("b1", "m1", "2026-01-01", "2026-02-01", 40_000),
        bill("b2", "m2", "2026-01-01", "2026-02-01", 45_500),
    ]
    rows["supplies"] = [supply("s1", "t1", "2026-01-01", "2026-02-01", 100_000)]
    (balance,) = balances(graph, rows, "2026-01-01", "2026-02-01")
    # 100,000 - 40,000 - 45,500 = 14,500 Wh, which is 145 of 1,000.
    assert balance == TransformerBalance(
        transformer_id="t1",
        code="T1",
        name="Station T1",
        feeder_code="F-1",
        period_start=day("2026-01-01"),
        period_end=day("2026-02-01"),
        supplied_wh=100_000,
        billed_wh=85_500,
        loss_wh=14_500,
        loss_permille=145,
        meters=2,
        meters_unread=0,
    )


def test_a_bill_that_only_partly_overlaps_counts_by_its_days(graph: Graph) -> None:
    rows = network()
    rows["meters"] = [meter("m1"), meter("m2")]
    rows["bills"] = [
        # 17 of January's 31 days: 31,000 × 17 / 31 = 17,000.
        bill("b1", "m1", "2026-01-01", "2026-02-01", 31_000),
        # 14 of February's 28 days: 1,001 × 14 / 28 = 500.5, half up 501.
        bill("b2", "m1", "2026-02-01", "2026-03-01", 1_001),
        # 31 days of 3: the supply lies inside the bill. 100 × 31 / 90 = 34.44…, so 34.
        bill("b3", "m2", "2025-12-01", "2026-03-01", 100),
        # Ends on the first day of the supply, which is not its own; begins on the day after.
        bill("b4", "m2", "2025-01-01", "2026-01-15", 999_999),
        bill("b5", "m2", "2026-02-15", "2026-04-01", 999_999),
    ]
    rows["supplies"] = [supply("s1", "t1", "2026-01-15", "2026-02-15", 20_000)]
    (balance,) = balances(graph, rows, "2026-01-01", "2026-12-31")
    assert balance.billed_wh == 17_000 + 501 + 34
    assert balance.loss_wh == 20_000 - 17_535
    # 2,465 of 20,000 are 123.25 of 1,000.
    assert (balance.loss_permille, balance.meters, balance.meters_unread) == (123, 2, 0)


def test_void_bills_do_not_count_and_drafts_do(graph: Graph) -> None:
    rows = network()
    rows["meters"] = [meter("m1")]
    period = ("2026-01-01", "2026-02-01")
    rows["bills"] = [
        bill("b1", "m1", *period, 70_000, status="void"),
        bill("b2", "m1", *period, 90_000, status="draft", number=None),
    ]
    rows["supplies"] = [supply("s1", "t1", *period, 100_000)]
    (balance,) = balances(graph, rows, *period)
    assert (balance.billed_wh, balance.loss_permille) == (90_000, 100)


def test_meters_whose_bills_leave_days_open_are_told(graph: Graph) -> None:
    rows = network()
    period = ("2026-01-01", "2026-02-01")
    rows["meters"] = [
        meter("whole"),
        meter("partly"),
        meter("never"),
        # Opened within the period: its bill covers every day that it was there.
        meter("new", opened_on="2026-01-11"),
        # Opened on the day after the period, or closed before it: it was not there.
        meter("later", opened_on="2026-02-01"),
        meter("gone", status="closed"),
        # Closed within the period: it was there, and nothing more is to come.
        meter("closed", status="closed"),
        meter("elsewhere", on="t2"),
        meter("nowhere", on=None),
    ]
    rows["bills"] = [
        bill("b1", "whole", "2025-12-20", "2026-02-10", 52),
        bill("b2", "partly", "2026-01-01", "2026-01-31", 300),
        bill("b3", "new", "2026-01-11", "2026-02-01", 21),
        bill("b4", "closed", "2026-01-01", "2026-01-05", 40),
        bill("b5", "elsewhere", *period, 999_999),
        bill("b6", "nowhere", *period, 999_999),
        bill("b7", "gone", "2025-01-01", "2025-12-31", 999_999),
    ]
    rows["supplies"] = [supply("s1", "t1", *period, 1_000)]
    placed(rows, closed="2026-01-05", gone="2025-12-31")
    (balance,) = balances(graph, rows, *period)
    # 31 of 52 days of 52 Wh, and 300, 21 and 40 Wh whole.
    assert balance.billed_wh == 31 + 300 + 21 + 40
    assert (balance.meters, balance.meters_unread) == (5, 2)


def test_without_supply_a_loss_is_no_part_of_anything(graph: Graph) -> None:
    rows = network()
    rows["meters"] = [meter("m1")]
    rows["bills"] = [bill("b1", "m1", "2026-01-01", "2026-02-01", 500)]
    rows["supplies"] = [
        supply("s1", "t1", "2026-01-01", "2026-02-01", 0),
        supply("s2", "t2", "2026-01-01", "2026-02-01", 10),
    ]
    fed, zero = balances(graph, rows, "2026-01-01", "2026-02-01")
    assert (zero.loss_wh, zero.loss_permille) == (-500, None)
    # No meter, no feeder: all of it is lost.
    assert (fed.code, fed.feeder_code, fed.loss_permille, fed.meters) == ("T2", None, 1000, 0)


def test_the_worst_loss_comes_first_and_only_what_was_asked_for(graph: Graph) -> None:
    rows = network()
    rows["transformers"].append(transformer("t3"))
    rows["meters"] = [meter("m1"), meter("m2", on="t2"), meter("m3", on="t3")]
    january, february = ("2026-01-01", "2026-02-01"), ("2026-02-01", "2026-03-01")
    rows["bills"] = [
        bill("b1", "m1", *january, 900),
        # More than was supplied: a loss below zero. 2 of 999 are 2.002 of 1,000.
        bill("b2", "m2", *january, 1_001),
        bill("b3", "m3", *january, 700),
    ]
    rows["supplies"] = [
        supply("s1", "t1", *january, 1_000),
        supply("s2", "t2", *january, 999),
        supply("s3", "t3", *january, 1_000),
        supply("s4", "t3", *february, 1_000),
    ]
    asked = balances(graph, rows, *january)
    assert [(b.code, b.loss_permille) for b in asked] == [("T3", 300), ("T1", 100), ("T2", -2)]
    both = graph.energy_balance(since=day("2026-01-31"), until=day("2026-02-02"))
    assert [b.loss_permille for b in both] == [1000, 300, 100, -2]


def test_energies_beyond_what_a_float_holds_are_exact(graph: Graph) -> None:
    rows = network()
    rows["meters"] = [meter("m1")]
    much = 9_007_199_254_740_993  # 2^53 + 1
    rows["bills"] = [bill("b1", "m1", "2026-01-01", "2026-02-01", much)]
    rows["supplies"] = [supply("s1", "t1", "2026-01-01", "2026-02-01", much + 2)]
    (balance,) = balances(graph, rows, "2026-01-01", "2026-02-01")
    assert (balance.billed_wh, balance.loss_wh) == (much, 2)


def an_exchange(graph: Graph) -> None:
    """Meter m1 was exchanged for m2 within bill feb, and c2 moved in for c1 in March.

    m1 lies in the store and m2 was put in on 10 February. After that m1 was taken to t2.
    """
    rows = network()
    rows["customers"].append({"id": "c2", "account_no": "A-2"})
    rows["meters"] = [
        meter("m1", "t2", opened_on="2026-03-15", customer_id=None, status="closed"),
        meter("m2", opened_on="2026-02-10", customer_id="c2"),
    ]
    rows["service_points"] = [place("p1"), place("p2", "t2", opened_on="2026-03-15")]
    rows["agreements"] = [
        agreement("a1", "p1", ends_on="2026-03-01"),
        agreement("a2", "p1", customer_id="c2", starts_on="2026-03-01"),
    ]
    days = ("2026-01-01", "2026-01-20", "2026-03-01", "2026-04-01")
    rows["readings"] = [
        reading("r0", "m1", days[0]),
        reading("r1", "m1", days[1]),
        reading("out", "m1", "2026-02-10"),
        reading("in", "m2", "2026-02-10"),
        reading("r2", "m2", days[2]),
        reading("r3", "m2", days[3]),
    ]
    rows["bills"] = [
        bill("jan", "m1", days[0], days[1], 190, agreement_id="a1", number=1)
        | {"opening_reading_id": "r0", "closing_reading_id": "r1"},
        bill("feb", "m2", days[1], days[2], 400, agreement_id="a1", number=2)
        | {"opening_reading_id": "r1", "closing_reading_id": "r2"}
        | {"earlier_meter_ids": ["m1"], "inner_reading_ids": ["in", "out"]},
        bill("mar", "m2", days[2], days[3], 310, agreement_id="a2", number=3)
        | {"opening_reading_id": "r2", "closing_reading_id": "r3"},
    ]
    rows["supplies"] = [
        supply("s1", "t1", "2026-01-01", "2026-02-01", 500),
        supply("s2", "t1", "2026-02-01", "2026-03-01", 500),
        supply("s3", "t2", "2026-01-01", "2026-02-01", 500),
    ]
    graph.project(rows)


def test_what_an_exchanged_meter_measured_stays_with_its_place(graph: Graph) -> None:
    an_exchange(graph)
    found = graph.energy_balance(since=day("2026-01-01"), until=day("2026-03-01"))
    # Bill feb has 40 days of 10 Wh, 12 of them in January.
    assert {(b.code, b.period_start.month): (b.billed_wh, b.meters) for b in found} == {
        ("T1", 1): (190 + 120, 1),
        ("T1", 2): (280, 1),
        ("T2", 1): (0, 0),
    }
    assert {b.meters_unread for b in found} == {0}


def test_a_vacant_place_has_no_days_to_bill_and_one_that_is_supplied_has(graph: Graph) -> None:
    rows = network()
    rows["service_points"] = [place("p1"), place("p2")]
    rows["agreements"] = [
        agreement("a1", "p1", ends_on="2026-01-11"),
        agreement("a2", "p2", ends_on="2026-01-11"),
    ]
    rows["meters"] = [meter("m1")]
    rows["bills"] = [bill("b1", "m1", "2026-01-01", "2026-01-11", 100, agreement_id="a1")]
    rows["supplies"] = [supply("s1", "t1", "2026-01-01", "2026-02-01", 500)]
    (balance,) = balances(graph, rows, "2026-01-01", "2026-02-01")
    assert (balance.meters, balance.meters_unread) == (2, 1)


# What a correction would touch


@pytest.mark.parametrize(
    ("asked", "affected"),
    [
        ({"meter_id": "m1"}, [("jan", "A-1"), ("feb", "A-1")]),
        ({"meter_id": "m2"}, [("feb", "A-1"), ("mar", "A-2")]),
        ({"reading_id": "out"}, [("feb", "A-1")]),
        ({"reading_id": "in"}, [("feb", "A-1")]),
        ({"reading_id": "r0"}, [("jan", "A-1"), ("feb", "A-1")]),
        # The one who left and the one who came meet at this read.
        ({"reading_id": "r2"}, [("feb", "A-1"), ("mar", "A-2")]),
    ],
)
def test_a_correction_touches_the_bill_over_an_exchange_and_who_was_billed(
    graph: Graph, asked: dict[str, str], affected: list[tuple[str, str]]
) -> None:
    an_exchange(graph)
    assert [(b.bill_id, b.account_no) for b in graph.affected_by(**asked)] == affected


def test_around_a_bill_over_an_exchange_lie_both_meters_and_their_reads(graph: Graph) -> None:
    an_exchange(graph)
    around = graph.neighbourhood(bill_id="feb")
    edges = {(e.source, e.kind, e.target) for e in around.edges}
    assert {("feb", "BILLS", "m2"), ("feb", "ALSO_BILLS", "m1")} <= edges
    assert {("feb", "OVER", "out"), ("out", "OF", "m1"), ("in", "OF", "m2")} <= edges
    assert {("c1", "HAS_AGREEMENT", "a1"), ("p1", "CONNECTED_TO", "t1")} <= edges


def a_chain(graph: Graph) -> None:
    """Two meters; m1 with bills for January (void, made again), February and March."""
    rows = network()
    rows["tariffs"].append({"id": "v2", "code": "LT", "effective_from": "2026-03-01"})
    rows["meters"] = [meter("m1"), meter("m2")]
    days = ("2026-01-01", "2026-02-01", "2026-03-01", "2026-04-01")
    rows["readings"] = [reading(f"r{n}", "m1", on) for n, on in enumerate(days)]
    rows["readings"] += [reading("evidence", "m1", "2026-02-14"), reading("q0", "m2", days[0])]

    def link(n: int) -> dict[str, str]:
        return {"opening_reading_id": f"r{n}", "closing_reading_id": f"r{n + 1}"}

    rows["bills"] = [
        bill("void", "m1", days[0], days[1], 90, status="void", number=7, **link(0)),
        bill("jan", "m1", days[0], days[1], 100, number=8, **link(0)),
        bill("feb", "m1", days[1], days[2], 100, number=9, **link(1)),
        bill("mar", "m1", days[2], days[3], 100, tariff_version_id="v2")
        | {"status": "draft", "number": None, **link(2)},
        bill("other", "m2", days[0], days[1], 100, number=10) | {"opening_reading_id": "q0"},
    ]
    rows["payments"] = [payment("p1", "jan", 200), payment("p2", "jan", -50)]
    graph.project(placed(rows))


def test_a_meter_touches_all_its_bills_that_are_not_void(graph: Graph) -> None:
    a_chain(graph)
    affected = graph.affected_by(meter_id="m1")
    assert [b.bill_id for b in affected] == ["jan", "feb", "mar"]
    assert affected[0] == AffectedBill(
        bill_id="jan",
        number=8,
        status="issued",
        meter_serial="M1",
        account_no="A-1",
        period_start=day("2026-01-01"),
        period_end=day("2026-02-01"),
        currency="INR",
        total_minor=54_035,
        paid_minor=150,
    )
    assert (affected[2].number, affected[2].status, affected[2].paid_minor) == (None, "draft", 0)


@pytest.mark.parametrize(
    ("reading_id", "affected"),
    [
        ("r0", ["jan", "feb", "mar"]),
        ("r1", ["jan", "feb", "mar"]),
        ("r2", ["feb", "mar"]),
        ("r3", ["mar"]),
        ("evidence", []),
        ("unknown", []),
    ],
)
def test_a_reading_touches_its_bills_and_all_later_ones(
    graph: Graph, reading_id: str, affected: list[str]
) -> None:
    a_chain(graph)
    assert [b.bill_id for b in graph.affected_by(reading_id=reading_id)] == affected


def test_a_tariff_version_touches_the_bills_that_it_priced(graph: Graph) -> None:
    a_chain(graph)
    assert [b.bill_id for b in graph.affected_by(tariff_version_id="v1")] == ["jan", "other", "feb"]
    assert [b.bill_id for b in graph.affected_by(tariff_version_id="v2")] == ["mar"]


def test_of_a_tariff_that_prices_many_bills_only_some_are_listed(
    graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_chain(graph)
    monkeypatch.setattr(graphs, "MOST_OF_A_TARIFF", 2)
    listed = [bill.bill_id for bill in graph.affected_by(tariff_version_id="v1")]
    assert len(listed) == 2
    assert set(listed) < {"jan", "other", "feb"}


def test_just_one_thing_can_be_corrected_at_a_time(graph: Graph) -> None:
    for asked in ({}, {"meter_id": "m1", "reading_id": "r1"}):
        with pytest.raises(ValueError, match="Give a tariff version, a meter or a reading"):
            graph.affected_by(**asked)


# A bill's neighbourhood


def test_around_a_bill_lies_all_that_it_hangs_together_with(graph: Graph) -> None:
    a_chain(graph)
    around = graph.neighbourhood(bill_id="feb")
    assert {(node.label, node.caption) for node in around.nodes} == {
        ("Bill", "INV-000009"),
        ("Bill", "INV-000008"),
        ("Bill", "Draft"),
        ("Meter", "M1"),
        ("Customer", "A-1"),
        ("Agreement", "from 2020-01-01"),
        ("ServicePoint", "P-M1"),
        ("Transformer", "T1"),
        ("Feeder", "F-1"),
        ("Tariff", "LT from 2026-01-01"),
        ("Reading", "2026-02-01: 1.5 kWh"),
        ("Reading", "2026-03-01: 1.5 kWh"),
    }
    expected = {("feb", "BILLS", "m1"), ("feb", "FROM", "r1"), ("feb", "TO", "r2")}
    expected |= {("jan", "TO", "r1"), ("jan", "BILLS", "m1")}
    expected |= {("mar", "FROM", "r2"), ("mar", "BILLS", "m1")}
    expected |= {("r1", "OF", "m1"), ("r2", "OF", "m1"), ("v1", "PRICED", "feb")}
    expected |= {("c1", "HAS_METER", "m1"), ("m1", "FED_BY", "t1"), ("t1", "ON", "f1")}
    expected |= {("feb", "UNDER", "a-m1"), ("a-m1", "AT", "p-m1"), ("p-m1", "CONNECTED_TO", "t1")}
    expected |= {("c1", "HAS_AGREEMENT", "a-m1")}
    assert {(e.source, e.kind, e.target) for e in around.edges} == expected
    assert len(around.edges) == len(expected)
    ends = {end for edge in around.edges for end in (edge.source, edge.target)}
    assert ends == {node.id for node in around.nodes}


def test_a_bill_is_shown_with_its_payments_and_a_void_one_with_what_replaced_it(
    graph: Graph,
) -> None:
    a_chain(graph)
    paid = graph.neighbourhood(bill_id="jan")
    captions = {node.caption for node in paid.nodes if node.label == "Payment"}
    assert captions == {"2026-03-05: ₹2.00", "2026-03-05: −₹0.50"}
    assert GraphEdge("p1", "jan", "PAYS") in paid.edges
    assert "void" not in {node.id for node in paid.nodes}
    replaced = {node.id for node in graph.neighbourhood(bill_id="void").nodes}
    assert {"void", "jan", "feb"} <= replaced


def test_around_a_bill_that_the_graph_does_not_have_lies_nothing(graph: Graph) -> None:
    around = graph.neighbourhood(bill_id="unknown")
    assert (around.nodes, around.edges) == ([], [])
