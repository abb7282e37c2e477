"""Moving in and out: each bill worked out by hand, to the cent."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from threading import Barrier
from typing import Any
from uuid import uuid4

import pytest

from services.corrections.rebilling import FiguresChanged
from services.identity.auth import NotAllowed
from services.supply.changes import (
    CannotChangeSupply,
    MoveIn,
    MoveOut,
    Stay,
    TypedRead,
)
from tests.integration.supply.supplied import Supplied
from tests.integration.test_bill_states import draft_of
from tests.integration.utility import ADMIN, ENGINEER


class TestMoveOut:
    def test_the_final_bill_is_made_at_once_and_the_deposit_pays_it(self, at: Supplied) -> None:
        point = at.meter("M1")
        at.read("M1", 1100, 30)  # 100 kWh, 200.00
        (first,) = at.bills("M1")
        at.utility.services.office_payments.take_deposit(
            payment_id=str(uuid4()),
            customer_id=first.customer_id,
            body={"amount": "500", "method": "cash", "received_on": at.utility.today},
            principal=ADMIN,
            now=at.utility.now,
        )
        done = at.do(MoveOut(point, at.day(10), TypedRead("1150")))
        bills = at.bills("M1")
        assert [b.total_minor for b in bills] == [20_000, 10_000]
        assert (bills[1].period_start, bills[1].period_end) == (at.day(30), at.day(10))
        assert [b.status for b in bills] == ["paid", "paid"]
        account = at.database.account(first.customer_id)
        # 500.00 were held, 300.00 were open: 200.00 of the deposit can be paid out.
        assert (account.balance_minor, account.deposit_minor) == (0, 20_000)
        place = at.place(point)
        assert place.agreement is None
        assert place.agreements[0].ends_on == at.day(10)
        assert (place.changes[0].id, place.changes[0].kind) == (done.id, "move_out")
        at.ledger_is_whole()

    def test_entered_late_it_voids_what_ran_beyond_and_bills_the_days_before(
        self, at: Supplied
    ) -> None:
        point = at.meter("M1")
        at.read("M1", 1100, 30)
        at.read("M1", 1160, 5)  # billed to whoever had moved out ten days before
        change = MoveOut(point, at.day(15), TypedRead("1130"))
        plan = at.plan(change)
        assert [c.difference_minor for c in plan.changes] == [6_000 - 12_000]
        at.do(change)
        bills = at.bills("M1")
        assert [b.total_minor for b in bills] == [20_000, 6_000]
        assert bills[1].period_end == at.day(15)
        at.ledger_is_whole()

    def test_the_next_is_billed_from_the_same_read_on(self, at: Supplied) -> None:
        point = at.meter("M1")
        at.read("M1", 1100, 30)
        at.read("M1", 1160, 5)
        at.do(MoveOut(point, at.day(15), TypedRead("1130")))
        new = at.customer("A-NEW")
        at.do(MoveIn(point, new, at.day(15), TypedRead(), "DEAR"))
        at.read("M1", 1170, 0, principal=ADMIN)
        bills = at.bills("M1")
        assert [(b.total_minor, b.account_no) for b in bills] == [
            (20_000, "A-M1"),
            (6_000, "A-M1"),
            (20_000, "A-NEW"),  # 40 kWh at 5.00
        ]
        assert bills[2].period_start == at.day(15)
        at.ledger_is_whole()

    def test_use_of_a_vacant_place_is_reported_and_never_billed_to_the_next(
        self, at: Supplied
    ) -> None:
        point = at.meter("M1")
        at.do(MoveOut(point, at.day(40), TypedRead("1100")))
        stored = at.read("M1", 1120, 20)
        assert (stored.outcome, stored.bill) == ("stored", None)
        assert "billed to nobody" in stored.explanation
        at.do(MoveIn(point, at.customer("A-NEW"), at.day(10), TypedRead("1125"), "FLAT"))
        at.read("M1", 1135, 0)
        assert [(b.consumption_wh, b.account_no) for b in at.bills("M1")] == [
            (100_000, "A-M1"),
            (10_000, "A-NEW"),
        ]
        (gap,) = at.database.unbilled_use().items
        assert (gap.since, gap.until, gap.wh) == (at.day(40), at.day(10), 25_000)
        assert at.supply.unbilled_use(principal=ADMIN, service_point_id=point).items == (gap,)

    def test_somebody_new_moves_in_with_an_account_of_their_own(self, at: Supplied) -> None:
        point = at.meter("M1")
        at.do(MoveOut(point, at.day(10), TypedRead("1100")))
        change = MoveIn(
            point, "", at.day(10), TypedRead(), "FLAT", account_no="A-77", name="Ravi"
        )  # fmt: skip
        at.do(change)
        place = at.place(point)
        assert place.agreement is not None
        assert (place.agreement.account_no, place.agreement.customer_name) == ("A-77", "Ravi")
        at.do(MoveOut(point, at.day(5), TypedRead("1110")))
        with pytest.raises(CannotChangeSupply, match="Account A-77 is that of Ravi already"):
            at.plan(replace(change, on=at.day(5)))
        with pytest.raises(CannotChangeSupply, match="The name is empty"):
            at.plan(replace(change, on=at.day(5), name=" "))

    def test_what_cannot_be_is_said_in_words(self, at: Supplied) -> None:
        point = at.meter("M1")
        with pytest.raises(CannotChangeSupply, match="was not read on"):
            at.plan(MoveOut(point, at.day(10), TypedRead()))
        with pytest.raises(CannotChangeSupply, match="has not come yet"):
            at.plan(MoveOut(point, at.day(-1), TypedRead("1100")))
        with pytest.raises(CannotChangeSupply, match="give a later day"):
            at.plan(MoveOut(point, at.day(60), TypedRead("1000")))
        at.do(MoveOut(point, at.day(10), TypedRead("1100")))
        with pytest.raises(CannotChangeSupply, match=r"moved out of M1 on .* already"):
            at.plan(MoveOut(point, at.day(5), TypedRead("1110")))
        with pytest.raises(CannotChangeSupply, match="was supplied here until"):
            at.plan(MoveIn(point, at.customer("A-2"), at.day(11), TypedRead("1100"), "FLAT"))

    def test_a_draft_waits_for_approval_first(self, at: Supplied) -> None:
        point = at.meter("M1")
        draft = draft_of(at.utility, "M1", 1100)
        with pytest.raises(CannotChangeSupply, match=r"draft bill .* waits for approval"):
            at.plan(MoveOut(point, at.day(0), TypedRead()))
        at.utility.services.bill_approval.issue(bill_id=draft, principal=ADMIN, now=at.utility.now)
        at.do(MoveOut(point, at.day(0), TypedRead()))
        assert [bill.id for bill in at.bills("M1")] == [draft]

    def test_who_looked_before_somebody_read_the_meter_looks_again(self, at: Supplied) -> None:
        point = at.meter("M1")
        change = MoveOut(point, at.day(10), TypedRead("1100"))
        change_id = str(uuid4())
        plan = at.plan(change, change_id)
        at.read("M1", 1050, 30)
        with pytest.raises(FiguresChanged):
            at.supply.execute(
                change,
                previewed=plan.fingerprint,
                change_id=change_id,
                reason="r",
                acknowledged=True,
                principal=ADMIN,
                now=at.utility.now,
            )

    def test_who_did_not_move_out_after_all_is_billed_on(self, at: Supplied) -> None:
        point = at.meter("M1")
        with pytest.raises(CannotChangeSupply, match="Nobody has moved out"):
            at.plan(Stay(point))
        at.do(MoveOut(point, at.day(20), TypedRead("1040")))
        at.do(Stay(point))
        at.read("M1", 1060, 0)
        assert [b.total_minor for b in at.bills("M1")] == [8_000, 4_000]
        at.do(MoveOut(point, at.day(0), TypedRead()))
        at.do(MoveIn(point, "", at.day(0), TypedRead(), "FLAT", account_no="A-9", name="Ravi"))
        with pytest.raises(CannotChangeSupply, match="Nobody has moved out"):
            at.plan(Stay(point))
        at.ledger_is_whole()

    def test_a_reading_at_the_very_moment_comes_before_or_after(self, at: Supplied) -> None:
        """Whichever is first, no day and no kWh is billed twice, and none to who had left."""
        for number in range(4):
            point, ready = at.meter(f"M{number}"), Barrier(2)
            change, change_id = MoveOut(point, at.day(10), TypedRead("1100")), str(uuid4())
            previewed = at.plan(change, change_id).fingerprint

            def read(number: int = number, ready: Barrier = ready) -> None:
                ready.wait()
                at.read(f"M{number}", 1150, 0)

            with ThreadPoolExecutor(1) as pool:
                reading = pool.submit(read)
                ready.wait()
                with suppress(FiguresChanged):
                    at.supply.execute(
                        change, previewed=previewed, change_id=change_id, reason="r",
                        acknowledged=True, principal=ADMIN, now=at.utility.now,
                    )  # fmt: skip
                reading.result()
            if at.place(point).agreement is not None:
                at.do(change)
            assert [b.period_end for b in at.bills(f"M{number}")] == [at.day(10)]
        at.ledger_is_whole()

    def test_twice_the_same_is_done_once(self, at: Supplied) -> None:
        point = at.meter("M1")
        change, change_id = MoveOut(point, at.day(10), TypedRead("1100")), str(uuid4())
        previewed = at.plan(change, change_id).fingerprint
        how: dict[str, Any] = {"previewed": previewed, "change_id": change_id, "reason": "r"}
        how |= {"acknowledged": True, "principal": ADMIN, "now": at.utility.now}
        first = at.supply.execute(change, **how)
        assert at.supply.execute(change, **how) == first
        assert len(at.bills("M1")) == 1
        with pytest.raises(NotAllowed):
            at.supply.execute(change, **how | {"principal": ENGINEER})
