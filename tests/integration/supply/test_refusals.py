"""What cannot be at a place is said in a sentence, before anything is stored."""

from typing import Any
from uuid import uuid4

import pytest

from services.database.errors import IllegalChange
from services.quantities.energy import InvalidEnergy
from services.supply.changes import (
    CannotChangeSupply,
    Change,
    Disconnect,
    Exchange,
    MoveIn,
    MoveOut,
    OtherMultiplier,
    OtherTariff,
    Reconnect,
    TypedRead,
)
from tests.integration.supply.supplied import Supplied
from tests.integration.test_bill_states import draft_of
from tests.integration.utility import ADMIN


def refused(at: Supplied, changes: list[tuple[Change, str]]) -> None:
    for change, says in changes:
        with pytest.raises((CannotChangeSupply, InvalidEnergy), match=says):
            at.plan(change)


def new(point: str, ago: int, at: Supplied, kwh: str = "1110") -> MoveIn:
    name = f"N-{uuid4()}"
    return MoveIn(point, "", at.day(ago), TypedRead(kwh), "FLAT", account_no=name, name=name)


def row_of(at: Supplied, change: Change, change_id: str) -> dict[str, Any]:
    """What would be stored, for whoever does not look again before it is."""
    plan = at.plan(change, change_id)
    row = dict(plan.rows) | {"id": change_id, "kind": plan.kind, "reason": "r"}
    return row | {"on": at.utility.today.isoformat()}


def test_a_place_where_somebody_has_an_agreement(at: Supplied) -> None:
    point = at.meter("M1")
    at.meter("M2")
    at.read("M1", 1100, 10)
    read = TypedRead("1110")
    refused(at, [
        (new(point, 5, at), "House M1 has had an agreement here since .*: move them out first"),
        (Exchange(point, at.day(20), TypedRead("1050"), "N1", TypedRead("0")), "is billed up to"),
        (Exchange(point, at.day(5), read, "M2", TypedRead("0")), "installed at another place"),
        (Exchange(point, at.day(5), read, " ", TypedRead("0")), "Give the serial"),
        (Exchange(point, at.day(5), read, "N" * 61, TypedRead("0")), "longer than 60 characters"),
        (Exchange(point, at.day(5), read, "1.2E+12", TypedRead("0")), "a spreadsheet shortened"),
        (Exchange(point, at.day(5), read, "N1", TypedRead()), "Say what meter N1 showed"),
        (Exchange(point, at.day(5), read, "N1", TypedRead("0"), multiplier="0"), "more than 0"),
        (Exchange(point, at.day(5), TypedRead("abc"), "N1", TypedRead("0")), "must be a number"),
        (OtherMultiplier(point, at.day(5), read, "1"), "has this multiplier already"),
        (OtherMultiplier(point, at.day(5), read, "-2"), "cannot be negative"),
        (OtherTariff(point, at.day(5), "NONE"), "There is no tariff NONE"),
        (OtherTariff(point, at.day(70), "DEAR"), "give a later day"),
        (MoveOut(point, at.day(60), TypedRead()), "give a later day"),
    ])  # fmt: skip
    assert [r.register_wh for r in at.place(point).last_reads] == [1_100_000, 1_000_000]


def test_a_register_does_not_fall(at: Supplied) -> None:
    """Somebody could have said that it was right, and no bill could have been made after it."""
    point = at.meter("M1")
    at.read("M1", 1100, 20)
    low = TypedRead("1090")
    says = r"Meter M1 showed 1100 kWh on .* and cannot show 1090 kWh on .*: check what was typed"
    refused(at, [
        (MoveOut(point, at.day(5), low), says),
        (Disconnect(point, at.day(5), low), says),
        (OtherMultiplier(point, at.day(5), low, "2"), says),
        (Exchange(point, at.day(5), low, "N1", TypedRead("0")), says),
    ])  # fmt: skip
    at.do(MoveOut(point, at.day(10), TypedRead("1120")))
    refused(at, [(new(point, 5, at, "1119"), "showed 1120 kWh on")])
    # Entered late, it is compared with what was read since.
    at.read("M1", 1130, 2, source="imported")
    refused(at, [(new(point, 5, at, "1131"), "showed 1131 kWh on .* and cannot show 1130 kWh")])
    at.do(new(point, 5, at, "1125"))
    assert sum(use.wh for use in at.database.unbilled_use().items) == 5_000


def test_a_vacant_place(at: Supplied) -> None:
    point = at.meter("M1")
    at.do(MoveOut(point, at.day(10), TypedRead("1100")))
    taken = MoveIn(
        point, "", at.day(5), TypedRead("1100"), "FLAT", account_no="A-M1", name="Ravi"
    )  # fmt: skip
    gone = r"House M1 moved out of M1 on .* already, and nobody has moved in since"
    refused(at, [
        (MoveOut(point, at.day(5), TypedRead("1100")), gone),
        (Disconnect(point, at.day(5), TypedRead("1100")), gone),
        (Reconnect(point, at.day(5), TypedRead("1100")), gone),
        (OtherTariff(point, at.day(5), "DEAR"), gone),
        (new(point, 15, at, "1050"), "was supplied here until"),
        (taken, "Account A-M1 is that of House M1 already: look them up"),
    ])  # fmt: skip


def test_a_draft_waits_where_somebody_moves_out(at: Supplied) -> None:
    point = at.meter("M1")
    draft_of(at.utility, "M1", 1100)
    refused(at, [(MoveOut(point, at.day(0), TypedRead()), "waits for approval")])


def test_two_who_looked_at_the_same_time(at: Supplied) -> None:
    """The database has the last word: one of them is done, and nothing of the other."""
    point, other = at.meter("M1"), at.meter("M2")
    at.do(MoveOut(point, at.day(20), TypedRead("1040")))
    at.read("M1", 1050, 10, source="imported")
    late = row_of(at, new(point, 10, at, ""), str(uuid4()))
    at.do(new(point, 10, at, ""))
    with pytest.raises(IllegalChange, match="Somebody else has an agreement for this place"):
        at.database.change_supply(actor=ADMIN.user, change=late)
    last, first = TypedRead("1060"), TypedRead("0")
    late = row_of(at, Exchange(other, at.day(5), TypedRead("1010"), "NN", first), str(uuid4()))
    at.do(Exchange(point, at.day(5), last, "NN", first))
    with pytest.raises(IllegalChange, match="a meter with this serial already"):
        at.database.change_supply(actor=ADMIN.user, change=late)
    assert at.place(other).meter is not None
    assert [m.serial for m in at.place(other).installations] == ["M2"]
