"""Moving, exchanging, connecting: each bill worked out by hand, to the cent."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from pathlib import Path
from threading import Barrier
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from services.corrections.rebilling import FiguresChanged, NotAcknowledged
from services.database.errors import IllegalChange, NotFound
from services.identity.audit_reason import ReasonMissing
from services.identity.auth import NotAllowed
from services.metering.registers import WrongRegisters
from services.payments.entry_forms import InvalidEntry
from services.quantities.period import next_month
from services.readings.submission import InvalidReading
from services.records.base import PageRequest
from services.records.bills import Bill
from services.records.lists import PointFilter
from services.records.supply import Place, ServicePoint, SupplyChange
from services.supply.changes import (
    CannotChangeSupply,
    Change,
    Connect,
    Deposit,
    Exchange,
    MoveIn,
    MoveOut,
    OtherMultiplier,
    OtherTariff,
    Stay,
    TypedRead,
)
from services.supply.plan import SupplyPlan
from tests.integration.metered import Metered
from tests.integration.test_bill_states import draft_of
from tests.integration.utility import ACTOR, ADMIN, ENGINEER, Utility, make_utility

# 2.00 or 5.00 a kWh: what a bill comes to can be worked out in the head.
FLAT: dict[str, Any] = {
    "code": "FLAT",
    "name": "Flat",
    "currency": "INR",
    "effective_from": "2020-01-01",
    "charges": [{"code": "energy", "description": "Energy", "kind": "energy", "rate": "2"}],
}
DEAR = FLAT | {
    "code": "DEAR",
    "name": "Dear",
    "charges": [{"code": "energy", "description": "Energy", "kind": "energy", "rate": "5"}],
}


class Supplied:
    """A utility with the flat tariffs, and changes of supply as an administrator makes them."""

    def __init__(self, utility: Utility) -> None:
        self.utility = utility
        self.supply = utility.services.supply
        self.database = utility.services.database
        for definition in (FLAT, DEAR):
            row = {"row": 1, "id": str(uuid4()), "tariff_id": str(uuid4())}
            row |= {"definition": definition}
            row |= {k: definition[k] for k in ("code", "name", "currency", "effective_from")}
            answer = self.database.import_rows(
                what="tariffs", actor=ACTOR, rows=[row], dry_run=False
            )
            assert not answer.errors, answer

    def day(self, ago: int) -> date:
        return self.utility.today - timedelta(days=ago)

    def meter(self, serial: str, *, opened: int = 60, kwh: int = 1000) -> str:
        """A meter on the flat tariff, opened so many days ago; the id of its place."""
        self.utility.add_meter(serial, opened_on=self.day(opened), opening_kwh=kwh)
        point = self.point(serial)
        self.do(OtherTariff(point, self.day(opened), "FLAT"))
        return point

    def point(self, serial: str) -> str:
        return self.points(serial)[0].id

    def points(self, text: str) -> tuple[ServicePoint, ...]:
        wanted, page = PointFilter(text=text), PageRequest(sort="code")
        return self.database.list_service_points(wanted=wanted, page=page).items

    def place(self, point: str) -> Place:
        return self.supply.place(service_point_id=point, principal=ADMIN)

    def plan(self, change: Change, change_id: str | None = None) -> SupplyPlan:
        return self.supply.plan(
            change, change_id=change_id or str(uuid4()), principal=ADMIN, now=self.utility.now
        )

    def do(
        self, change: Change, *, change_id: str | None = None, sure: bool = True
    ) -> SupplyChange:
        change_id = change_id or str(uuid4())
        return self.supply.execute(
            change,
            previewed=self.plan(change, change_id).fingerprint,
            change_id=change_id,
            reason="as reported",
            acknowledged=sure,
            principal=ADMIN,
            now=self.utility.now,
        )

    def read(self, serial: str, kwh: int, ago: int, **how: Any) -> Any:
        return self.utility.submit(serial, kwh, at=self.noon(ago), **how)

    def noon(self, ago: int) -> datetime:
        """Local noon of a day before today, and now of today: at noon it may be still to come."""
        if ago == 0:
            return self.utility.now
        zone = self.utility.services.settings.timezone
        return datetime.combine(self.day(ago), time(12), tzinfo=zone)

    def customer(self, account_no: str) -> str:
        row = {"row": 1, "id": str(uuid4()), "account_no": account_no, "name": f"New {account_no}"}
        row |= {"email": "", "phone": "", "address": ""}
        answer = self.database.import_rows(what="customers", actor=ACTOR, rows=[row], dry_run=False)
        assert not answer.errors
        return str(row["id"])

    def bills(self, serial: str) -> list[Bill]:
        found = self.database.bills(text=serial, page_size=100).items
        return sorted((b for b in found if b.status != "void"), key=lambda b: b.period_start)

    def ledger_is_whole(self) -> None:
        assert self.database.check_ledger().problems == ()


@pytest.fixture
def utility(database: str, tmp_path: Path) -> Iterator[Utility]:
    made = make_utility(database, tmp_path)
    yield made
    made.services.close()


@pytest.fixture
def at(utility: Utility) -> Supplied:
    return Supplied(utility)


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


class TestExchange:
    def test_one_bill_runs_over_both_meters(self, at: Supplied) -> None:
        point = at.meter("M1", kwh=99_000)
        at.do(Exchange(point, at.day(20), TypedRead("99040"), "N1", TypedRead("5"), multiplier="2"))
        answer = at.read("N1", 15, 0)
        assert answer.bill is not None
        # 40 kWh of the old one, 10 × 2 of the new one, at 2.00.
        assert (answer.bill.consumption_wh, answer.bill.total_minor) == (60_000, 12_000)
        (bill,) = at.bills("N1")
        assert [
            (s.meter_serial, s.opening_wh, s.closing_wh, s.multiplier_milli, s.consumption_wh)
            for s in bill.segments
        ] == [
            ("M1", 99_000_000, 99_040_000, 1000, 40_000),
            ("N1", 5_000, 15_000, 2000, 20_000),
        ]
        assert (bill.period_start, bill.period_end) == (at.day(60), at.day(0))
        place = at.place(point)
        assert [m.serial for m in place.installations] == ["N1", "M1"]

    def test_the_last_reading_shown_is_that_of_the_meter_that_is_there(self, at: Supplied) -> None:
        point = at.meter("M1")
        at.do(Exchange(point, at.day(10), TypedRead("1020"), "N1", TypedRead("3")))
        last = at.place(point).last_read
        assert last is not None
        assert (last.meter_serial, last.register_wh) == ("N1", 3_000)

    def test_the_old_one_may_roll_over_on_the_day(self, at: Supplied) -> None:
        point = at.meter("M1", kwh=99_980)
        last = TypedRead("15", rolled_over=True)
        at.do(Exchange(point, at.day(20), last, "N1", TypedRead("0")))
        answer = at.read("N1", 10, 0)
        assert answer.bill is not None
        # 99,980 to 100,015 are 35 kWh, and 10 of the new one: 45 at 2.00.
        assert answer.bill.total_minor == 9_000

    def test_the_monthly_job_bills_over_both(self, at: Supplied) -> None:
        point = at.meter("M1")
        at.do(Exchange(point, at.day(20), TypedRead("1040"), "N1", TypedRead("0")))
        at.read("N1", 10, 1, source="imported")
        (candidate,) = at.database.monthly_bill_candidates(
            on=next_month(at.day(0)), after=None, limit=10
        ).agreements
        assert (candidate.serial, len(candidate.installations)) == ("N1", 2)

    def test_after_a_bill_that_ended_at_the_exchange_the_next_is_of_the_new_one(
        self, at: Supplied
    ) -> None:
        point = at.meter("M1")
        at.read("M1", 1040, 20)
        at.do(Exchange(point, at.day(20), TypedRead(), "N1", TypedRead("7")))
        at.read("N1", 17, 0)
        bills = at.bills("A-M1")
        assert [b.consumption_wh for b in bills] == [40_000, 10_000]
        assert (bills[1].opening_wh, bills[1].period_start) == (7_000, at.day(20))

    def test_what_cannot_be_is_said_in_words(self, at: Supplied) -> None:
        point = at.meter("M1")
        at.meter("M2")
        at.read("M1", 1100, 10)
        with pytest.raises(CannotChangeSupply, match="is billed up to"):
            at.plan(Exchange(point, at.day(20), TypedRead("1050"), "N1", TypedRead("0")))
        with pytest.raises(CannotChangeSupply, match="installed at another place"):
            at.plan(Exchange(point, at.day(5), TypedRead("1110"), "M2", TypedRead("0")))
        with pytest.raises(CannotChangeSupply, match="is the one that is there"):
            at.plan(Exchange(point, at.day(5), TypedRead("1110"), "M1", TypedRead("0")))
        change = Exchange(point, at.day(5), TypedRead("9000"), "N1", TypedRead("0"))
        assert at.plan(change).doubts
        with pytest.raises(NotAcknowledged):
            at.do(change, sure=False)

    def test_a_meter_that_was_read_later_is_not_taken_away_before(self, at: Supplied) -> None:
        point = at.meter("M1")
        at.read("M1", 1050, 3, source="imported")
        with pytest.raises(IllegalChange, match="was read after that time"):
            at.do(Exchange(point, at.day(5), TypedRead("1040"), "N1", TypedRead("0")))
        assert at.place(point).meter is not None
        assert at.place(point).changes[0].kind == "tariff", "nothing of it is there"

    def test_a_meter_that_was_removed_can_be_installed_elsewhere(self, at: Supplied) -> None:
        first, second = at.meter("M1"), at.meter("M2")
        at.do(Exchange(first, at.day(20), TypedRead("1040"), "N1", TypedRead("0")))
        at.do(Exchange(second, at.day(10), TypedRead("1010"), "M1", TypedRead("1040")))
        at.read("M1", 1050, 0)
        (bill,) = at.bills("A-M2")
        assert bill.consumption_wh == 20_000
        assert at.bills("A-M1") == []


class TestMultiplier:
    def test_bills_beyond_the_day_are_priced_again_in_segments(self, at: Supplied) -> None:
        point = at.meter("M1")
        at.read("M1", 1100, 10)
        change = OtherMultiplier(point, at.day(30), TypedRead("1060"), "40")
        (changed,) = at.plan(change).changes
        # 60 × 1 and 40 × 40 are 1,660 kWh for the 100 that were billed, at 2.00.
        assert changed.difference_minor == (1_660 - 100) * 200
        at.do(change)
        (bill,) = at.bills("M1")
        assert bill.total_minor == 332_000
        assert [s.multiplier_milli for s in bill.segments] == [1000, 40_000]
        at.read("M1", 1101, 0)
        assert at.bills("M1")[1].consumption_wh == 40_000
        at.ledger_is_whole()


class TestTariff:
    def test_from_a_day_within_a_bill_each_prices_its_days(self, at: Supplied) -> None:
        point = at.meter("M1")
        at.read("M1", 1060, 0)  # 60 kWh in 60 days at 2.00
        change = OtherTariff(point, at.day(30), "DEAR")
        (changed,) = at.plan(change).changes
        assert changed.difference_minor == 30 * 300
        at.do(change)
        (bill,) = at.bills("M1")
        assert bill.total_minor == 30 * 200 + 30 * 500
        with pytest.raises(CannotChangeSupply, match="since then already"):
            at.plan(change)

    def test_one_that_follows_itself_is_one(self, at: Supplied) -> None:
        """Days before a later change are put on its tariff, and what was to begin then is that."""
        point = at.meter("M1")
        at.do(OtherTariff(point, at.day(20), "DEAR"))
        at.do(OtherTariff(point, at.day(30), "DEAR"))
        at.read("M1", 1060, 0)
        assert at.bills("M1")[0].total_minor == 30 * 200 + 30 * 500
        with pytest.raises(CannotChangeSupply, match="since then already"):
            at.plan(OtherTariff(point, at.day(20), "DEAR"))
        at.do(OtherTariff(point, at.day(40), "DEAR"))
        at.do(OtherTariff(point, at.day(50), "FLAT"))
        assert at.bills("M1")[0].total_minor == 60 * 200
        at.ledger_is_whole()

    def test_what_is_to_come_is_priced_by_it(self, at: Supplied) -> None:
        point = at.meter("M1")
        at.do(OtherTariff(point, at.day(0), "DEAR"))
        at.read("M1", 1060, 0)
        assert at.bills("M1")[0].total_minor == 12_000


class TestConnect:
    def test_customer_place_agreement_meter_and_read_at_once(self, at: Supplied) -> None:
        change = Connect(
            on=at.day(31),
            account_no="C-1",
            name="Asha",
            address="3 Canal Road",
            serial="C1",
            tariff_code="FLAT",
            read=TypedRead("12"),
            access_note="The key is at the shop.",
        )
        at.do(change)
        place = at.place(at.point("C1"))
        assert (place.point.address, place.point.access_note) == (
            "3 Canal Road",
            "The key is at the shop.",
        )
        at.read("C1", 22, 0)
        (bill,) = at.bills("C1")
        assert (bill.total_minor, bill.service_address) == (2_000, "3 Canal Road")

    def test_a_deposit_is_taken_with_it_once(self, at: Supplied) -> None:
        change = Connect(
            on=at.day(10), account_no="C-1", name="Asha", address="3 Canal Road", serial="C1",
            tariff_code="FLAT", read=TypedRead("12"), deposit=Deposit("1,500.00"),
        )  # fmt: skip
        change_id = str(uuid4())
        previewed = at.plan(change, change_id).fingerprint
        given: dict[str, Any] = {"change_id": change_id, "reason": "r", "principal": ADMIN}
        given |= {"previewed": previewed, "acknowledged": True, "now": at.utility.now}
        assert at.supply.execute(change, **given) == at.supply.execute(change, **given)
        account = at.database.account_numbered("C-1")
        assert (account.deposit_minor, account.balance_minor) == (150_000, 0)
        at.ledger_is_whole()

    def test_one_who_moves_in_may_leave_one_too(self, at: Supplied) -> None:
        point = at.meter("M1")
        at.do(MoveOut(point, at.day(20), TypedRead("1040")))
        who = at.customer("B")
        deposit = Deposit("200", "bank", "TX-7")
        at.do(MoveIn(point, who, at.day(10), TypedRead("1040"), "FLAT", deposit=deposit))
        assert at.database.account(who).deposit_minor == 20_000
        # What is open at the end is paid by it.
        at.do(MoveOut(point, at.day(0), TypedRead("1090")))
        assert at.database.account(who).deposit_minor == 10_000
        at.ledger_is_whole()

    def test_without_the_change_there_is_no_deposit(self, at: Supplied) -> None:
        at.meter("M1")
        change = Connect(
            on=at.day(10), account_no="C-1", name="Asha", address="", serial="C1",
            tariff_code="FLAT", read=TypedRead("12"), deposit=Deposit("100"),
        )  # fmt: skip
        plan, change_id = at.plan(change), str(uuid4())
        row = {**plan.rows, "id": change_id, "reason": "r", "kind": "connect"}
        row["meter"] = {**plan.rows["meter"], "tariff_code": "GONE"}
        with pytest.raises(IllegalChange, match="No tariff has the code GONE"):
            at.database.supply_with_deposit(
                actor=ADMIN.user, what="connect", change=row, deposit=plan.deposit or {}
            )
        assert at.database.accounts(text="C-1").total == 0

    @pytest.mark.parametrize(
        ("field", "value", "says"),
        [
            ("account_no", "", "The account number is empty"),
            ("serial", "M1", "There is a meter with the serial M1 already"),
            ("account_no", "A-M1", "Account A-M1 is that of House M1 already"),
            ("tariff_code", "NONE", "There is no tariff NONE"),
            ("multiplier", "0", "The multiplier must be more than 0"),
            ("deposit", Deposit("much"), "much"),
            ("deposit", Deposit("0"), "more than 0|above 0"),
            ("deposit", Deposit("500", "cheque"), "reference|number"),
            ("known", True, "No customer has the account number C-1"),
        ],
    )
    def test_what_cannot_be_is_said_and_nothing_is_half_done(
        self, at: Supplied, field: str, value: object, says: str
    ) -> None:
        at.meter("M1")
        given: dict[str, Any] = {
            "on": at.day(31), "account_no": "C-1", "name": "Asha", "address": "", "serial": "C1",
            "tariff_code": "FLAT", "read": TypedRead("12"),
        }  # fmt: skip
        # Said before anything is done.
        with pytest.raises((CannotChangeSupply, InvalidEntry), match=says):
            at.plan(Connect(**given | {field: value}))
        assert at.points("C1") == ()
        assert at.database.accounts(text="C-1").total == 0


class TestFurtherRegisters:
    """A meter that counts by time of day: each change asks for each of its registers."""

    @pytest.fixture
    def point(self, at: Supplied) -> str:
        Metered(at.utility).add_meter("T1", "peak=400 off_peak=600", days=30)
        return at.point("T1")

    def test_an_exchange_reads_each_of_both_meters(self, at: Supplied, point: str) -> None:
        last = TypedRead("1100", {"peak": "440", "off_peak": "660"})
        first = TypedRead("5", {"peak": "2", "off_peak": "3"})
        at.do(Exchange(point, at.day(10), last, "T2", first))
        meter = at.place(point).meter
        assert meter is not None
        assert meter.registers == ("peak", "off_peak")
        answer = Metered(at.utility).submit("T2", 55, peak=12, off_peak=43)
        assert answer.bill is not None
        # 40 + 10 kWh at 9 and 60 + 40 kWh at 4.
        assert answer.bill.total_minor == 45_000 + 40_000

    @pytest.mark.parametrize(
        ("last", "first", "says"),
        [
            ({"peak": "440"}, {"peak": "2", "off_peak": "3"}, "off_peak"),
            ({}, {"peak": "2", "off_peak": "3"}, "peak"),
        ],
    )
    def test_a_register_that_is_missing_or_unknown_is_named(
        self, at: Supplied, point: str, last: dict[str, str], first: dict[str, str], says: str
    ) -> None:
        with pytest.raises((WrongRegisters, InvalidReading), match=says):
            at.plan(
                Exchange(point, at.day(10), TypedRead("1100", last), "T2", TypedRead("5", first))
            )


def test_a_manual_meter_becomes_smart_and_is_collected_from_then_on(at: Supplied) -> None:
    point = at.meter("M1")
    (meter,) = at.database.find_meters(text="M1")
    assert (meter.kind, at.place(point).meter) != ("smart", None)
    places = at.utility.services.places
    for _ in range(2):
        places.read_by(meter.id, "smart", principal=ADMIN)
    assert [m.serial for m in at.database.smart_meters()] == ["M1"]
    with pytest.raises(NotAllowed):
        places.read_by(meter.id, "manual", principal=ENGINEER)
    with pytest.raises(NotFound):
        places.read_by(str(uuid4()), "manual", principal=ADMIN)
    at.do(Exchange(point, at.day(0), TypedRead("1040"), "N1", TypedRead("0")))
    with pytest.raises(IllegalChange, match="installed nowhere"):
        places.read_by(meter.id, "manual", principal=ADMIN)


def test_a_change_that_reissues_bills_of_long_ago_warns_of_back_billing(at: Supplied) -> None:
    point = at.meter("M1", opened=800)
    for ago, kwh in ((740, 1050), (700, 1090)):
        assert at.read("M1", kwh, ago).bill is not None
    late = OtherTariff(point, at.day(780), "DEAR")
    plan = at.plan(late)
    assert "Back-billing: INV-000001" in plan.warning
    with pytest.raises(NotAcknowledged, match="Say that you have seen this"):
        at.do(late, sure=False)
    at.do(late)
    assert at.plan(OtherTariff(point, at.day(10), "FLAT")).warning == ""


def test_a_meter_goes_and_comes_elsewhere_on_one_past_day(at: Supplied) -> None:
    point, other = at.meter("M1"), at.meter("M2")
    at.do(Exchange(point, at.day(5), TypedRead("1040"), "N1", TypedRead("0")))
    at.do(Exchange(other, at.day(5), TypedRead("1020"), "M1", TypedRead("1040")))
    meter = at.place(other).meter
    assert meter is not None
    assert (meter.serial, meter.installed_on) == ("M1", at.day(5))
    bill = at.read("M1", 1060, 0).bill
    assert bill.consumption_wh == 40_000
    assert at.read("N1", 7, 0).bill.consumption_wh == 47_000


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
