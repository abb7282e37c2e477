"""Requests for approval over both transports."""

from uuid import uuid4

import pytest

from services.database.errors import IllegalChange, NotFound
from tests.contract.over import Json, Over


def test_a_request_is_asked_decided_on_and_done_once(over: Over) -> None:
    action = str(uuid4())
    asked: Json = {"actor": "asha", "request_id": str(uuid4()), "kind": "refund"}
    asked |= {"group": "refunds", "action_id": action, "payload": {"a": [1, "x"]}}
    asked |= {"summary": "Refund 5", "reason": "double", "currency": "INR", "amount_minor": 501}
    assert over.here.ask_approval(**asked, may_over_limit=False).state == "not_needed"
    over.here.save_utility_settings(
        actor="boss", change_id=str(uuid4()), settings={"refund_limits": {"INR": 500}}, seen={}
    )
    assert over.here.ask_approval(**asked, may_over_limit=True).state == "not_needed"
    assert over.here.ask_approval(**asked | {"amount_minor": 500}, may_over_limit=False).state == (
        "not_needed"
    )
    first = over.here.ask_approval(**asked, may_over_limit=False)
    again = over.here.ask_approval(**asked | {"request_id": str(uuid4())}, may_over_limit=False)
    assert (first.state, first.id) == ("pending", asked["request_id"])
    assert (again.id, again.same) == (first.id, True)
    request = over.same("approval", request_id=first.id)
    assert (request.over_limit, request.payload, request.asked_by) == (
        True,
        {"a": [1, "x"]},
        "asha",
    )
    for kinds, waiting in ((None, 1), ([request.kind], 1), (["tariff", "credit"], 0)):
        assert over.same("approvals", waiting=True, kinds=kinds).total == waiting
    assert over.same("approvals", waiting=False).total == 0
    decision: Json = {"request_id": first.id, "state": "approved", "reason": ""}
    with pytest.raises(IllegalChange, match="Somebody else"):
        over.here.decide_approval(actor="Asha", **decision)
    with pytest.raises(NotFound):
        over.here.decide_approval(actor="boss", **decision | {"request_id": str(uuid4())})
    assert over.here.decide_approval(actor="boss", **decision).state == "approved"
    assert over.here.decide_approval(actor="boss", **decision).state == "approved"
    with pytest.raises(IllegalChange, match="already"):
        over.here.decide_approval(actor="other", **decision | {"state": "rejected"})
    ended: Json = {"actor": "boss", "request_id": first.id, "state": "done", "outcome": ""}
    assert over.here.end_approval(**ended).state == "done"
    assert over.here.end_approval(**ended | {"state": "failed"}).state == "done"
    assert over.same("approvals", waiting=False).total == 1
