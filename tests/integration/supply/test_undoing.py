"""Taking back a change of supply."""

from typing import Any
from uuid import uuid4

import psycopg
import pytest

from services.database.errors import IllegalChange, NotFound
from services.identity.audit_reason import ReasonMissing
from services.identity.auth import NotAllowed
from services.records.supply import SupplyChange
from services.supply.changes import (
    Connect,
    Exchange,
    MoveIn,
    MoveOut,
    OtherMultiplier,
    OtherTariff,
    TypedRead,
)
from tests.integration.supply.supplied import Supplied
from tests.integration.utility import ADMIN, ENGINEER


class TestUndo:
    """What did not happen is taken back while nothing was billed by it."""

    def undo(self, at: Supplied, change: SupplyChange, **how: Any) -> SupplyChange:
        given: dict[str, Any] = {"undo_id": str(uuid4()), "reason": "wrong place"}
        return at.supply.undo(change.id, **given | {"principal": ADMIN} | how)

    def test_who_did_not_move_in_was_never_there(self, at: Supplied) -> None:
        point = at.meter("M1")
        at.do(MoveOut(point, at.day(20), TypedRead("1040")))
        who = at.customer("B")
        done = at.do(MoveIn(point, who, at.day(10), TypedRead("1050"), "FLAT"))
        undo_id = str(uuid4())
        first = self.undo(at, done, undo_id=undo_id)
        assert self.undo(at, done, undo_id=undo_id) == first
        place = at.place(point)
        assert (place.agreement, len(place.agreements)) == (None, 1)
        assert [c.kind for c in place.changes[:2]] == ["undo", "move_in"]
        # What was used since is billed to nobody, and the right one moves in on the same day.
        (use,) = at.supply.unbilled_use(principal=ADMIN, service_point_id=point).items
        assert use.wh == 10_000
        at.do(MoveIn(point, at.customer("C"), at.day(10), TypedRead(""), "FLAT"))
        at.read("M1", 1090, 0)
        assert [b.consumption_wh for b in at.bills("M1")][-1] == 40_000
        with pytest.raises(IllegalChange, match="undone already"):
            self.undo(at, done)

    def test_an_exchange_that_was_not_puts_the_old_meter_back(self, at: Supplied) -> None:
        point = at.meter("M1")
        done = at.do(Exchange(point, at.day(20), TypedRead("1040"), "N1", TypedRead("3")))
        self.undo(at, done)
        place = at.place(point)
        assert place.meter is not None
        assert (place.meter.serial, len(place.installations)) == ("M1", 1)
        answer = at.read("M1", 1100, 0)
        assert answer.bill is not None
        assert (answer.bill.consumption_wh, len(answer.bill.segments)) == (100_000, 0)
        # The new one can be installed truly, later and elsewhere.
        other = at.meter("M2")
        at.do(Exchange(other, at.day(5), TypedRead("1020"), "N1", TypedRead("4")))
        answer = at.read("N1", 14, 0)
        assert answer.bill.consumption_wh == 30_000

    def test_a_multiplier_and_a_tariff_that_were_not(self, at: Supplied) -> None:
        point = at.meter("M1")
        tariff = at.do(OtherTariff(point, at.day(30), "DEAR"))
        factor = at.do(OtherMultiplier(point, at.day(20), TypedRead("1040"), "10"))
        with pytest.raises(IllegalChange, match="undo that first"):
            self.undo(at, tariff)
        self.undo(at, factor)
        self.undo(at, tariff)
        answer = at.read("M1", 1100, 0)
        # 100 kWh at 2.00, once.
        assert (answer.bill.total_minor, answer.bill.consumption_wh) == (20_000, 100_000)

    def test_tariffs_that_gave_way_are_back(self, at: Supplied) -> None:
        point = at.meter("M1")
        at.do(OtherTariff(point, at.day(20), "DEAR"))
        at.do(OtherTariff(point, at.day(10), "FLAT"))
        before = [(one.starts_on, one.code) for one in at.place(point).agreements[0].tariffs]
        for ago, code in ((40, "DEAR"), (20, "FLAT"), (60, "DEAR")):
            self.undo(at, at.do(OtherTariff(point, at.day(ago), code)))
            after = [(one.starts_on, one.code) for one in at.place(point).agreements[0].tariffs]
            assert after == before
        at.read("M1", 1060, 0)
        assert at.bills("M1")[0].total_minor == 50 * 200 + 10 * 500

    def test_a_connection_that_was_not(self, at: Supplied) -> None:
        change = Connect(
            on=at.day(10), account_no="C-1", name="Asha", address="3 Canal Road", serial="C1",
            tariff_code="FLAT", read=TypedRead("12"),
        )  # fmt: skip
        done = at.do(change)
        self.undo(at, done)
        place = at.place(done.service_point_id)
        assert (place.agreements, place.installations) == ((), ())

    def test_once_it_is_billed_or_read_it_stays(self, at: Supplied) -> None:
        point = at.meter("M1")
        done = at.do(Exchange(point, at.day(20), TypedRead("1040"), "N1", TypedRead("0")))
        read = at.read("N1", 10, 5, source="imported").reading
        with pytest.raises(IllegalChange, match="was read since"):
            self.undo(at, done)
        bill = at.read("N1", 20, 0).bill
        assert bill is not None
        with pytest.raises(IllegalChange, match="A bill runs beyond that day"):
            self.undo(at, done)
        assert at.database.reading(read.id).status == "accepted"
        assert at.place(point).meter is not None
        out = at.do(MoveOut(point, at.day(0), TypedRead("")))
        into = at.do(MoveIn(point, at.customer("B"), at.day(0), TypedRead(""), "FLAT"))
        assert self.undo(at, into).undoes_id == into.id
        with pytest.raises(IllegalChange, match="cannot be undone so"):
            self.undo(at, out)

    def test_a_meter_that_went_elsewhere_meanwhile_cannot_come_back(self, at: Supplied) -> None:
        point, other = at.meter("M1"), at.meter("M2")
        done = at.do(Exchange(point, at.day(20), TypedRead("1040"), "N1", TypedRead("3")))
        there = at.do(Exchange(other, at.day(10), TypedRead("1040"), "M1", TypedRead("1040")))
        with pytest.raises(IllegalChange, match="installed at another place"):
            self.undo(at, done)
        assert [one.serial for one in at.place(point).installations] == ["N1", "M1"]
        self.undo(at, there)
        self.undo(at, done)
        meter = at.place(point).meter
        assert meter is not None
        assert meter.serial == "M1"

    def test_who_may_and_why(self, at: Supplied) -> None:
        point = at.meter("M1")
        done = at.do(Exchange(point, at.day(20), TypedRead("1040"), "N1", TypedRead("3")))
        with pytest.raises(NotAllowed):
            self.undo(at, done, principal=ENGINEER)
        with pytest.raises(ReasonMissing):
            self.undo(at, done, reason=" ")
        with pytest.raises(NotFound):
            at.supply.undo(str(uuid4()), undo_id=str(uuid4()), reason="r", principal=ADMIN)

    def test_the_timeline_says_what_was_taken_back(self, at: Supplied) -> None:
        point = at.meter("M1")
        at.do(MoveOut(point, at.day(20), TypedRead("1040")))
        who = at.customer("B")
        done = at.do(MoveIn(point, who, at.day(10), TypedRead("1050"), "FLAT"))
        self.undo(at, done)
        page = at.utility.services.timeline.of(subject="customer", subject_id=who, principal=ADMIN)
        said = [entry.said.what for entry in page.entries]
        assert any(what.startswith("Undone: Supply agreed") for what in said), said

    def test_rows_are_not_deleted_otherwise(self, at: Supplied, database: str) -> None:
        at.meter("M1")
        for attempt in (
            "delete from public.meter_installations",
            "delete from public.service_agreements",
            "delete from public.agreement_tariffs",
        ):
            with psycopg.connect(database) as connection:
                connection.execute("set role service_role")
                with pytest.raises(psycopg.Error, match="never deleted"):
                    connection.execute(attempt)
