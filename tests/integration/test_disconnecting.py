"""Cutting a supply and bringing it back: each amount worked out by hand, to the cent."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from threading import Barrier
from typing import Any
from uuid import uuid4

import pytest

from services.corrections.affected_bills import CannotRebill
from services.corrections.plan import WrongReading
from services.corrections.rebilling import NotAcknowledged
from services.database.errors import IllegalChange
from services.jobs.bill_run_preview import next_bill_run, preview_bill_run
from services.payments.entry_forms import InvalidEntry
from services.records.base import PageRequest
from services.records.lists import PointFilter
from services.supply.changes import (
    CannotChangeSupply,
    Change,
    Disconnect,
    Exchange,
    MoveIn,
    MoveOut,
    NotDisconnected,
    NotReconnected,
    Reconnect,
    Stay,
    TypedRead,
)
from tests.integration.supply.supplied import Supplied
from tests.integration.test_monthly_bills import bill_month, local, reasons
from tests.integration.utility import ADMIN, Utility, make_utility


@pytest.fixture
def utility(database: str, tmp_path: Path) -> Iterator[Utility]:
    made = make_utility(database, tmp_path)
    yield made
    made.services.close()


@pytest.fixture
def at(utility: Utility) -> Supplied:
    return Supplied(utility)


def owes(at: Supplied, point: str) -> int:
    agreement = at.place(point).agreements[0]
    return at.database.account(agreement.customer_id).balance_minor


def is_cut(at: Supplied, point: str) -> bool:
    return at.place(point).point.disconnected_on is not None


class TestReconnecting:
    def test_the_fee_is_charged_once_and_each_kwh_is_billed_once(self, at: Supplied) -> None:
        point = at.meter("M1")
        at.read("M1", 1100, 40)  # 100 kWh, 200.00
        at.do(Disconnect(point, at.day(30), TypedRead("1110")))
        assert at.place(point).point.disconnected_on == at.day(30)
        (listed,) = at.points("M1")
        assert listed.disconnected_on == at.day(30)
        (meter,) = at.utility.services.readings.meters_of_customer(
            customer_id=str(listed.customer_id), principal=ADMIN
        )
        assert meter.disconnected_on == at.day(30)
        at.meter("M2")
        wanted, page = PointFilter(disconnected_only=True), PageRequest(sort="code")
        assert at.database.list_service_points(wanted=wanted, page=page).items == (listed,)
        change, change_id = Reconnect(point, at.day(10), TypedRead("1110"), "250.50"), str(uuid4())
        plan = at.plan(change, change_id)
        # Nothing was used, as is to be expected: nobody has to say that it is right.
        assert plan.doubts == ()
        how: dict[str, Any] = {"previewed": plan.fingerprint, "change_id": change_id}
        how |= {"reason": "paid", "acknowledged": False, "principal": ADMIN}
        how |= {"now": at.utility.now}
        first = at.supply.execute(change, **how)
        assert at.supply.execute(change, **how) == first
        assert owes(at, point) == 20_000 + 25_050
        at.read("M1", 1120, 0)  # 20 kWh of 40 days, 40.00
        first_bill, *later = at.bills("M1")
        assert (first_bill.total_minor, sum(b.total_minor for b in later)) == (20_000, 4_000)
        assert owes(at, point) == 20_000 + 25_050 + 4_000
        (cut,) = at.place(point).disconnections
        assert (cut.disconnected_on, cut.reconnected_on) == (at.day(30), at.day(10))
        assert [c.kind for c in at.place(point).changes[:2]] == ["reconnect", "disconnect"]
        told = at.utility.services.timeline.of(
            subject="customer", subject_id=str(listed.customer_id), kind="supply",
            principal=ADMIN, limit=100,
        ).entries  # fmt: skip
        assert {
            "Disconnected at M1", "Supply cut", "Reconnected at M1", "Supply restored",
        } <= {one.said.what for one in told}  # fmt: skip
        at.ledger_is_whole()

    def test_who_moved_out_meanwhile_is_not_charged(self, at: Supplied) -> None:
        point = at.meter("M1")
        at.do(Disconnect(point, at.day(30), TypedRead("1050")))
        at.read("M1", 1052, 0)
        before = owes(at, point)
        # Two people at once: what one of them saw is no more once the other is done.
        plan = at.plan(Reconnect(point, at.day(0), TypedRead(), "250"), str(uuid4()))
        at.do(MoveOut(point, at.day(0), TypedRead()))
        with pytest.raises(IllegalChange, match="moved out meanwhile"):
            at.supply._store(plan, str(uuid4()), "paid", ADMIN, at.utility.now)
        assert owes(at, point) == before
        at.ledger_is_whole()

    def test_credit_on_the_account_pays_the_fee(self, at: Supplied) -> None:
        point = at.meter("M1")
        agreement = at.place(point).agreement
        assert agreement is not None
        at.utility.services.office_payments.record_payment(
            payment_id=str(uuid4()),
            customer_id=agreement.customer_id,
            body={"amount": "100", "method": "cash", "received_on": at.utility.today},
            principal=ADMIN,
            now=at.utility.now,
        )
        at.do(Disconnect(point, at.day(5), TypedRead("1050")))
        at.do(Reconnect(point, at.day(5), TypedRead(), "70"))
        found = at.utility.services.customers.changeable(
            customer_id=agreement.customer_id, principal=ADMIN
        )
        assert (owes(at, point), found.open_credit_minor) == (-3_000, 3_000)
        at.ledger_is_whole()

    def test_use_meanwhile_is_suspected_and_billed_to_them_once(self, at: Supplied) -> None:
        point = at.meter("M1")
        at.do(Disconnect(point, at.day(30), TypedRead("1050")))
        change = Reconnect(point, at.day(10), TypedRead("1062"))
        plan = at.plan(change)
        assert "counted 12 kWh" in plan.doubts[0]
        assert "suspected tampering" in plan.doubts[0]
        with pytest.raises(NotAcknowledged):
            at.do(change, sure=False)
        done = at.do(change)
        assert done.details["used_wh"] == 12_000
        assert owes(at, point) == 0  # no fee was given
        at.read("M1", 1070, 0)
        assert sum(b.total_minor for b in at.bills("M1")) == 14_000
        at.ledger_is_whole()

    def test_use_of_two_meters_meanwhile_is_that_of_both(self, at: Supplied) -> None:
        point = at.meter("M1")
        at.do(Disconnect(point, at.day(40), TypedRead("1050")))
        at.do(Exchange(point, at.day(30), TypedRead("1053"), "N1", TypedRead("7"), multiplier="2"))
        assert is_cut(at, point)
        with pytest.raises(CannotChangeSupply, match="showed 7 kWh"):
            at.plan(Reconnect(point, at.day(10), TypedRead("6")))
        change = Reconnect(point, at.day(10), TypedRead("9"))
        assert "counted 7 kWh" in at.plan(change).doubts[0]
        at.do(change)
        at.read("N1", 10, 0)
        # 50 + 3 of the old meter, 3 × 2 of the new one, at 2.00.
        assert sum(b.total_minor for b in at.bills("A-M1")) == 11_800
        at.ledger_is_whole()

    def test_a_register_that_rolled_over_is_no_fall(self, at: Supplied) -> None:
        point = at.meter("M1", kwh=99_900)
        at.do(Disconnect(point, at.day(30), TypedRead("99998")))
        fallen = Reconnect(point, at.day(10), TypedRead("3"))
        with pytest.raises(CannotChangeSupply, match="unless the register rolled over"):
            at.plan(fallen)
        rolled = Reconnect(point, at.day(10), TypedRead("3", rolled_over=True))
        assert "counted 5 kWh" in at.plan(rolled).doubts[0]
        at.do(rolled)
        assert not is_cut(at, point)

    def test_what_cannot_be_is_said_in_words(self, at: Supplied) -> None:
        point = at.meter("M1")
        at.read("M1", 1100, 30)
        refused: list[tuple[Change, str]] = [
            (Reconnect(point, at.day(10), TypedRead("1100")), "M1 is not disconnected"),
            (NotDisconnected(point), "M1 is not disconnected"),
            (NotReconnected(point), "Nobody was reconnected at M1"),
            (Disconnect(point, at.day(31), TypedRead("1099")), "is billed up to"),
            (Disconnect(point, at.day(60), TypedRead()), "give a later day"),
            (Disconnect(point, at.day(-1), TypedRead("1100")), "has not come yet"),
            (Disconnect(point, at.day(20), TypedRead()), "was not read on"),
        ]
        for change, says in refused:
            with pytest.raises(CannotChangeSupply, match=says):
                at.plan(change)
        # The read of the day is the one that is billed.
        at.do(Disconnect(point, at.day(30), TypedRead()))
        later: list[tuple[Change, str]] = [
            (Disconnect(point, at.day(10), TypedRead("1100")), "has been disconnected since"),
            (Reconnect(point, at.day(35), TypedRead("1100")), "They were disconnected on"),
            (Reconnect(point, at.day(10), TypedRead("1099")), "showed 1100 kWh"),
        ]
        for change, says in later:
            with pytest.raises(CannotChangeSupply, match=says):
                at.plan(change)
        for fee in ("-5", "0", "many"):
            with pytest.raises(InvalidEntry):
                at.plan(Reconnect(point, at.day(10), TypedRead("1100"), fee))
        at.do(Reconnect(point, at.day(10), TypedRead("1100")))
        with pytest.raises(CannotChangeSupply, match="They were reconnected on"):
            at.plan(Disconnect(point, at.day(20), TypedRead("1100")))
        vacant = at.meter("M2")
        at.do(MoveOut(vacant, at.day(5), TypedRead("1010")))
        with pytest.raises(CannotChangeSupply, match="moved out of M2"):
            at.plan(Disconnect(vacant, at.day(3), TypedRead("1010")))

    def test_entered_late_among_reads_it_changes_no_bill(self, at: Supplied) -> None:
        point = at.meter("M1")
        at.read("M1", 1060, 5, source="imported")
        at.do(Disconnect(point, at.day(30), TypedRead("1055")))
        at.do(Reconnect(point, at.day(10), TypedRead("1055"), "100"))
        assert at.bills("M1") == []
        at.read("M1", 1070, 0)
        assert sum(b.total_minor for b in at.bills("M1")) == 14_000
        at.ledger_is_whole()

    def test_a_reading_meanwhile_is_billed_and_none_of_it_twice(self, at: Supplied) -> None:
        point = at.meter("M1")
        at.do(Disconnect(point, at.day(40), TypedRead("1050")))
        at.read("M1", 1054, 30)
        assert at.bills("M1")[-1].period_end == at.day(30)
        change = Reconnect(point, at.day(10), TypedRead("1057"))
        assert "counted 7 kWh" in at.plan(change).doubts[0]
        at.do(change)
        at.read("M1", 1060, 0)
        assert sum(b.total_minor for b in at.bills("M1")) == 12_000
        at.ledger_is_whole()

    def test_two_desks_at_the_very_moment_charge_one_fee(self, at: Supplied) -> None:
        point = at.meter("M1")
        at.do(Disconnect(point, at.day(20), TypedRead("1050")))
        change, ready = Reconnect(point, at.day(10), TypedRead("1050"), "250"), Barrier(2)
        forms = [(form, at.plan(change, form).fingerprint) for form in (str(uuid4()), str(uuid4()))]

        def desk(form: tuple[str, str]) -> str:
            ready.wait()
            try:
                return at.supply.execute(
                    change, previewed=form[1], change_id=form[0], reason="paid",
                    acknowledged=True, principal=ADMIN, now=at.utility.now,
                ).kind  # fmt: skip
            except (CannotChangeSupply, IllegalChange) as refused:
                return str(refused)

        with ThreadPoolExecutor(2) as pool:
            answers = sorted(pool.map(desk, forms))
        assert answers[1] == "reconnect", answers
        assert owes(at, point) == 25_000
        at.ledger_is_whole()

    def test_two_at_a_time_are_done_once(self, at: Supplied) -> None:
        """Who looked at it before somebody else did it is refused, and nothing is half done."""
        point = at.meter("M1")
        first, second = (Disconnect(point, at.day(n), TypedRead("1050")) for n in (20, 15))
        row = dict(at.plan(second).rows) | {"id": str(uuid4()), "kind": "disconnect", "reason": "r"}
        chain = at.plan(second).chain
        assert chain is not None
        row |= {"agreement_id": chain.agreement_id, "meter_id": chain.meter.id, "bills": []}
        row |= {"chain_from": at.day(60).isoformat(), "chain": [], "touched": []}
        row |= {"on": at.utility.today.isoformat()}
        at.do(first)
        with pytest.raises(IllegalChange, match="disconnected already"):
            at.database.change_supply(actor=ADMIN.user, change=row)
        assert [r.register_wh for r in at.place(point).last_reads] == [1_050_000, 1_000_000]


class TestTakingBack:
    def test_they_were_not_disconnected(self, at: Supplied) -> None:
        point = at.meter("M1")
        at.do(Disconnect(point, at.day(20), TypedRead("1050")))
        at.do(NotDisconnected(point))
        assert not is_cut(at, point)
        assert at.place(point).disconnections == ()
        at.do(Disconnect(point, at.day(20), TypedRead()))
        at.read("M1", 1060, 0)
        with pytest.raises(CannotChangeSupply, match="reconnect them without a fee instead"):
            at.plan(NotDisconnected(point))
        assert at.bills("M1")[-1].total_minor == 12_000

    def test_what_was_taken_back_is_in_the_way_of_no_other_undoing(self, at: Supplied) -> None:
        point = at.meter("M1")
        at.do(MoveOut(point, at.day(30), TypedRead("1020")))
        moved_in = at.do(
            MoveIn(point, "", at.day(20), TypedRead("1020"), "FLAT", account_no="A-9", name="Ravi")
        )
        at.do(Disconnect(point, at.day(10), TypedRead("1020")))
        at.do(Reconnect(point, at.day(5), TypedRead("1020"), "250"))
        undo: dict[str, Any] = {"reason": "another place", "principal": ADMIN}
        with pytest.raises(IllegalChange, match="undo that first"):
            at.supply.undo(moved_in.id, undo_id=str(uuid4()), **undo)
        at.do(NotReconnected(point))
        at.do(NotDisconnected(point))
        last = at.place(point).last_change
        assert last is not None
        assert last.id == moved_in.id
        at.supply.undo(moved_in.id, undo_id=str(uuid4()), **undo)
        place = at.place(point)
        assert (place.agreement, place.disconnections) == (None, ())
        at.ledger_is_whole()

    def test_they_were_not_reconnected_and_the_fee_goes_back(self, at: Supplied) -> None:
        point = at.meter("M1")
        at.do(Disconnect(point, at.day(20), TypedRead("1050")))
        at.do(Reconnect(point, at.day(10), TypedRead("1050"), "250"))
        assert owes(at, point) == 25_000
        at.do(NotReconnected(point))
        assert (owes(at, point), is_cut(at, point)) == (0, True)
        at.ledger_is_whole()
        at.do(Reconnect(point, at.day(5), TypedRead("1050"), "250"))
        assert owes(at, point) == 25_000
        at.read("M1", 1060, 0)
        with pytest.raises(CannotChangeSupply, match="disconnect them again instead"):
            at.plan(NotReconnected(point))
        at.ledger_is_whole()

    def test_a_fee_that_was_taken_back_before_is_not_taken_back_twice(self, at: Supplied) -> None:
        point = at.meter("M1")
        at.do(Disconnect(point, at.day(20), TypedRead("1050")))
        at.do(Reconnect(point, at.day(10), TypedRead("1050"), "250"))
        entry = at.place(point).disconnections[0].fee_entry_id
        assert entry is not None
        at.utility.services.account_adjustments.undo_adjustment(
            entry_id=entry, reason="goodwill", principal=ADMIN, now=at.utility.now
        )
        at.do(NotReconnected(point))
        assert owes(at, point) == 0
        at.ledger_is_whole()


class TestMovingOut:
    def test_it_ends_with_the_agreement_and_comes_back_with_it(self, at: Supplied) -> None:
        point = at.meter("M1")
        at.do(Disconnect(point, at.day(30), TypedRead("1050")))
        at.do(MoveOut(point, at.day(10), TypedRead("1050")))
        assert at.bills("M1")[-1].period_end == at.day(10)
        place = at.place(point)
        assert (place.point.disconnected_on, place.agreement) == (None, None)
        at.do(Stay(point))
        assert is_cut(at, point)
        at.do(MoveOut(point, at.day(5), TypedRead("1050")))
        at.do(MoveIn(point, "", at.day(5), TypedRead(), "FLAT", account_no="A-9", name="Ravi"))
        assert not is_cut(at, point)
        with pytest.raises(CannotChangeSupply, match="is not disconnected"):
            at.plan(Reconnect(point, at.day(2), TypedRead("1050")))
        at.ledger_is_whole()

    def test_who_had_moved_out_before_was_not_disconnected(self, at: Supplied) -> None:
        point = at.meter("M1")
        at.do(Disconnect(point, at.day(10), TypedRead("1060")))
        at.do(MoveOut(point, at.day(20), TypedRead("1050")))
        assert at.place(point).disconnections == ()
        assert [b.total_minor for b in at.bills("M1")] == [10_000]
        (gap,) = at.database.unbilled_use().items
        assert (gap.since, gap.wh) == (at.day(20), 10_000)
        at.ledger_is_whole()


class TestItsReads:
    def test_a_read_of_it_is_corrected_and_not_withdrawn(self, at: Supplied) -> None:
        point = at.meter("M1")
        at.do(Disconnect(point, at.day(20), TypedRead("1500")))
        correction = at.utility.services.reading_correction
        read = at.place(point).disconnections[0].disconnected
        how: dict[str, Any] = {"reason": "typed wrong", "acknowledged": True, "principal": ADMIN}
        how |= {"now": at.utility.now}
        with pytest.raises(CannotRebill, match="not withdrawn"):
            correction.execute(WrongReading("", read.id, None), **how)
        correction.execute(WrongReading("", read.id, "1050"), **how)
        assert at.place(point).disconnections[0].disconnected.register_wh == 1_050_000
        assert at.plan(Reconnect(point, at.day(10), TypedRead("1050"))).doubts == ()


class TestMonthlyBills:
    def test_a_month_without_a_reading_is_expected(self, at: Supplied) -> None:
        """The job asks for no reading where the supply is cut, and bills the days with the next."""
        at.utility.now = local(at.utility, "2026-10-20T12:00")
        cut, other = (at.meter(serial, opened=20) for serial in ("M1", "M2"))
        on = date(2026, 10, 12)
        for point in (cut, other):
            at.do(Disconnect(point, on, TypedRead("1050")))
        at.do(NotDisconnected(other))
        bill_month(at.utility, "2026-11-01T02:00")
        at.utility.now = local(at.utility, "2026-11-20T12:00")
        planned = next_bill_run(at.utility.services, principal=ADMIN, now=at.utility.now)
        *_, seen = preview_bill_run(
            at.utility.services, planned, principal=ADMIN, now=at.utility.now
        )
        assert (seen.disconnected, seen.too_early, len(seen.aside)) == (1, 0, 1)
        run = bill_month(at.utility, "2026-12-01T02:00")
        assert list(reasons(at.utility, run)) == ["M2"]
        at.utility.now = local(at.utility, "2026-12-20T12:00")
        at.do(Reconnect(cut, at.utility.today, TypedRead("1050"), "10"))
        bill_month(at.utility, "2027-01-01T02:00")
        days = [(b.period_start, b.period_end, b.total_minor) for b in at.bills("M1")]
        assert days == [
            (date(2026, 9, 30), on, 10_000),
            (on, date(2026, 12, 20), 0),
        ]
        at.ledger_is_whole()
