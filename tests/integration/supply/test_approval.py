"""A change of supply that lowers issued bills is a request where voids need a second person."""

from datetime import timedelta
from typing import get_args
from uuid import uuid4

import pytest

from services.approvals.asking import AwaitsApproval
from services.identity.auth import NotAllowed, Principal
from services.identity.permissions import Role
from services.records.drafts import ApprovalRequest
from services.supply.approval import change_of, change_to_json
from services.supply.changes import (
    Change,
    Connect,
    Deposit,
    Disconnect,
    Exchange,
    MoveIn,
    MoveOut,
    NotDisconnected,
    NotReconnected,
    OtherMultiplier,
    OtherTariff,
    Reconnect,
    Stay,
    TypedRead,
)
from tests.integration.supply.supplied import Supplied
from tests.integration.test_four_eyes import want

CLERK = Principal("ravi", frozenset({Role.CLERK}), None, "token")
MANAGER = Principal("boss", frozenset({Role.MANAGER}), None, "token")


def do(at: Supplied, change: Change, *, form: str, by: Principal = CLERK) -> None:
    supply, now = at.utility.services.supply, at.utility.now
    plan = supply.plan(change, change_id=form, principal=by, now=now)
    supply.execute(
        change,
        previewed=plan.fingerprint,
        change_id=form,
        reason="moved long ago",
        acknowledged=True,
        principal=by,
        now=now,
    )


def waiting(at: Supplied) -> list[ApprovalRequest]:
    return list(at.database.approvals(waiting=True).items)


def approve(at: Supplied, by: Principal = MANAGER) -> ApprovalRequest:
    (request,) = waiting(at)
    return at.utility.services.approvals.approve(
        request_id=request.id, reason="seen", principal=by, now=at.utility.now
    )


def test_a_late_move_that_lowers_a_bill_waits_and_is_done_as_it_was_shown(at: Supplied) -> None:
    point, form = at.meter("M1"), str(uuid4())
    at.read("M1", 1100, 30)
    at.read("M1", 1160, 5)
    want(at.utility, four_eyes=["voids"])
    change = MoveOut(point, at.day(15), TypedRead("1130"))
    for _ in range(2):
        with pytest.raises(AwaitsApproval, match="second person"):
            do(at, change, form=form)
    (request,) = waiting(at)
    number = at.bills("M1")[1].reference
    assert request.summary == (
        f"Move out at {at.place(point).point.code}, which changes {number}: "
        "the customer owes ₹60.00 less"
    )
    assert request.asked_by == "ravi"
    assert [b.total_minor for b in at.bills("M1")] == [20_000, 12_000]
    about = at.utility.services.approvals.about(["supply"], [point], principal=CLERK)
    assert [one.id for one in about] == [request.id]
    with pytest.raises(NotAllowed):
        approve(at, CLERK)
    # An hour later, by somebody else: neither is part of what was looked at.
    at.utility.now += timedelta(hours=1)
    done = approve(at)
    assert (done.state, done.outcome) == ("done", "")
    assert [b.total_minor for b in at.bills("M1")] == [20_000, 6_000]
    changed = at.place(point).changes[0]
    assert (changed.id, changed.created_by) == (form, "ravi (approved by boss)")
    at.ledger_is_whole()


def test_a_reading_that_came_since_is_said_and_nothing_is_done(at: Supplied) -> None:
    point = at.meter("M1")
    at.read("M1", 1100, 30)
    at.read("M1", 1160, 5)
    want(at.utility, four_eyes=["voids"])
    with pytest.raises(AwaitsApproval):
        do(at, MoveOut(point, at.day(15), TypedRead("1130")), form=str(uuid4()))
    at.read("M1", 1170, 1)
    failed = approve(at)
    assert failed.state == "failed"
    assert "Something changed" in failed.outcome
    assert at.place(point).agreement is not None


def test_what_lowers_no_bill_or_without_the_setting_is_done_at_once(at: Supplied) -> None:
    point = at.meter("M1")
    at.read("M1", 1100, 30)
    want(at.utility, four_eyes=["voids"])
    # Dearer since then, and an end that nobody was billed beyond.
    do(at, OtherTariff(point, at.day(45), "DEAR"), form=str(uuid4()))
    with pytest.raises(AwaitsApproval):
        do(at, OtherTariff(point, at.day(45), "FLAT"), form=str(uuid4()))
    do(at, MoveOut(point, at.day(10), TypedRead("1150")), form=str(uuid4()))
    assert at.place(point).agreement is None
    other = at.meter("M2")
    at.read("M2", 1100, 30)
    want(at.utility, four_eyes=[])
    at.do(OtherTariff(other, at.day(45), "DEAR"))
    do(at, OtherTariff(other, at.day(45), "FLAT"), form=str(uuid4()))
    assert len(waiting(at)) == 1


def test_every_change_can_be_kept_as_a_request(at: Supplied) -> None:
    on, read = at.day(3), TypedRead("1,5", {"night": "7"}, rolled_over=True)
    changes: list[Change] = [
        MoveOut("p", on, read, use_deposit=False),
        MoveIn("p", "c", on, read, "T", deposit=Deposit("5", "bank", "r")),
        Stay("p"),
        Exchange("p", on, read, "S", read, multiplier="40"),
        OtherMultiplier("p", on, read, "40"),
        OtherTariff("p", on, "T"),
        Disconnect("p", on, read),
        Reconnect("p", on, read, "5"),
        NotDisconnected("p"),
        NotReconnected("p"),
        Connect(on, "A", "N", "Street", "S", "T", read, known=True),
    ]
    assert {type(change) for change in changes} == set(get_args(Change))
    assert [change_of(change_to_json(change)) for change in changes] == changes
