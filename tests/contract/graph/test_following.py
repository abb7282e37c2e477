"""The graph has the status that people see, and follows what changes of a bill after its issue."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

from scheduler import Scheduler
from services.graph import Graph, OpenedGraph
from services.graph.bolt import ConfiguredServer
from services.records.bills import Bill
from services.records.entries import NewPayment, NewReturn
from tests.contract.graph.conftest import NewStory
from tests.contract.graph.network import whole
from tests.integration.test_plans import mark_overdue
from tests.integration.utility import ADMIN, Utility

STATUS = "MATCH (bill:Bill {status: $status}) RETURN bill.id AS id"
Json = dict[str, Any]


def in_status(graph: Graph, status: str) -> list[str]:
    return [row["id"] for row in graph._bolt.read(STATUS, status=status)]


def billed(utility: Utility, serial: str) -> Bill:
    utility.add_meter(serial)
    bill = utility.submit(serial, 1117).bill
    assert bill is not None
    return bill


def pay(utility: Utility, bill: Bill, minor: int) -> str:
    """Pay at the office; the payment's id."""
    payment: Json = {"id": str(uuid4()), "bill_id": bill.id, "amount_minor": minor}
    payment |= {"currency": "INR", "method": "cash", "reference": ""}
    payment |= {"received_at": utility.now.isoformat(), "received_on": utility.today.isoformat()}
    utility.services.database.record_payments(
        actor=ADMIN.user, payments=[NewPayment.model_validate(payment)]
    )
    return str(payment["id"])


def reverse(utility: Utility, payment_id: str, minor: int) -> None:
    row: Json = {"id": str(uuid4()), "payment_id": payment_id, "kind": "reversal"}
    row |= {"method": "cash", "status": "done", "reason": "bounced", "amount_minor": minor}
    row |= {"on_date": utility.today}
    utility.services.database.record_return(actor=ADMIN.user, entry=NewReturn.model_validate(row))


def test_a_bill_is_followed_through_all_that_people_see_of_it(
    graph: Graph, new_story: NewStory
) -> None:
    utility = new_story(graph)
    database = utility.services.database
    bill, other = billed(utility, "M1"), billed(utility, "M2")
    paid: list[str] = []

    def go_by() -> None:
        utility.now += timedelta(days=60)
        mark_overdue(utility)

    steps: Sequence[tuple[Callable[[], object], str]] = (
        (lambda: pay(utility, bill, 10_000), "partially_paid"),
        (go_by, "overdue"),
        (lambda: paid.append(pay(utility, bill, 44_035)), "paid"),
        (lambda: reverse(utility, paid[0], 44_035), "overdue"),
        (lambda: database.void_bill(actor=ADMIN.user, bill_id=bill.id, reason="wrong"), "void"),
    )
    assert graph.follow(database) == 0
    assert set(in_status(graph, "issued")) == {bill.id, other.id}
    for change, status in steps:
        change()
        assert database.bill(bill.id).status == status
        assert graph.follow(database) > 0
        assert bill.id in in_status(graph, status)
        assert graph.follow(database) == 0
    assert in_status(graph, "overdue") == [other.id]
    followed = whole(graph)
    graph.rebuild(database)
    assert whole(graph) == followed


def test_what_a_correction_would_touch_has_the_status_that_people_see(
    graph: Graph, new_story: NewStory
) -> None:
    utility = new_story(graph)
    bill = billed(utility, "M1")
    pay(utility, bill, 10_000)
    graph.follow(utility.services.database)
    (touched,) = graph.affected_by(meter_id=bill.meter_id)
    assert (touched.status, touched.paid_minor) == ("partially_paid", 10_000)


def test_many_are_followed_some_at_a_time_also_after_an_outage(
    graph: Graph, new_story: NewStory
) -> None:
    utility = new_story(graph)
    database = utility.services.database
    bills = [billed(utility, f"M{n}") for n in range(5)]
    for bill in bills:
        pay(utility, bill, 54_035)
    assert [graph.follow(database, limit=2) for _ in range(4)] == [2, 2, 1, 0]
    assert len(in_status(graph, "paid")) == 5


class PaidMeanwhile:
    """A queue whose bill is paid between the look at it and the word that the graph has it."""

    def __init__(self, utility: Utility, bill: Bill) -> None:
        self._utility, self._bill = utility, bill

    def graph_changes(self, *, limit: int) -> tuple[list[Json], dict[str, list[Json]]]:
        """As the database has them."""
        return self._utility.services.database.graph_changes(limit=limit)

    def graph_changes_done(self, changes: Sequence[Mapping[str, Any]]) -> None:
        """After another payment."""
        pay(self._utility, self._bill, 44_035)
        self._utility.services.database.graph_changes_done([dict(one) for one in changes])


def test_what_changes_while_it_is_told_is_told_again(graph: Graph, new_story: NewStory) -> None:
    utility = new_story(graph)
    bill = billed(utility, "M1")
    pay(utility, bill, 10_000)
    assert graph.follow(PaidMeanwhile(utility, bill)) == 1
    assert in_status(graph, "paid") == []
    assert graph.follow(utility.services.database) == 1
    assert in_status(graph, "paid") == [bill.id]


def test_the_scheduler_follows_and_waits_for_a_graph_that_is_away(
    graph: Graph, new_story: NewStory
) -> None:
    utility = new_story(graph)
    bill = billed(utility, "M1")
    pay(utility, bill, 54_035)
    away = Graph(ConfiguredServer("bolt://127.0.0.1:1", user="neo4j", password="away"))
    services = replace(utility.services, graph=OpenedGraph(away))
    Scheduler(services).follow_bills()
    away.close()
    assert services.last_errors.last("Graph") is not None
    Scheduler(replace(services, graph=OpenedGraph(graph))).follow_bills()
    assert in_status(graph, "paid") == [bill.id]
