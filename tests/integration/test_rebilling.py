"""Void and rebill: which bills a correction touches, that nothing is lost, and who is told."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from threading import Barrier
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from services.corrections.affected_bills import CannotRebill
from services.corrections.plan import WrongBill, WrongReading, WrongTariff
from services.corrections.rebilling import FiguresChanged, NotAcknowledged
from services.database.errors import IllegalChange
from services.database.transport import DatabaseRefused
from services.identity.audit_reason import ReasonMissing
from services.identity.auth import NotAllowed
from services.importing import Importer
from services.integrations.failures import TemporaryFailure
from services.records.bills import Bill
from services.records.outbox import OutboxEntry
from tests.integration.correcting import STEP, Correcting, ids
from tests.integration.metered import Metered
from tests.integration.test_bill_states import draft_of
from tests.integration.utility import ADMIN, ENGINEER, make_utility


@pytest.fixture
def at(database: str, tmp_path: Path) -> Iterator[Correcting]:
    """A utility all of whose outside services are away, so that what is owed can be seen."""

    def never(**_: Any) -> Any:
        raise TemporaryFailure("away")

    made = make_utility(database, tmp_path, step_handlers=dict.fromkeys(range(8, 14), never))
    yield Correcting(made)
    made.services.close()


def outbox(at: Correcting, bill_id: str) -> dict[str, OutboxEntry]:
    return {work.kind: work for work in at.database.outbox_of(bill_id)}


class TestReading:
    def test_a_read_amid_five_bills_touches_the_two_that_meet_at_it(self, at: Correcting) -> None:
        bills = at.chain("M1", 5)
        plan = at.plan(at.closed_at(bills[2], "1350"))
        assert ids(list(plan.voided)) == ids(bills[2:4])
        assert ids(at.utility.bills_of("M1")) == ids(bills)  # nothing is stored by looking
        at.execute(at.closed_at(bills[2], "1350"))
        now = at.utility.bills_of("M1")
        assert [bill.consumption_wh // 1000 for bill in now] == [100, 100, 150, 50, 100]
        assert [now[n].id for n in (0, 1, 4)] == [bills[n].id for n in (0, 1, 4)]
        assert [bill.replaces_id for bill in now[2:4]] == ids(bills[2:4])
        assert [bill.number for bill in now] == [1, 2, 6, 7, 5]
        for old, new in zip(bills[2:4], now[2:4], strict=True):
            void = at.database.bill(old.id)
            assert (void.status, void.number, void.lines) == ("void", old.number, old.lines)
            assert (void.void_reason, void.replaced_by_id) == ("misread", new.id)
            assert new.due_date == at.utility.today + timedelta(days=15)
        wrong = at.database.reading(bills[2].closing_reading_id)
        right = at.database.reading(now[2].closing_reading_id)
        assert (wrong.status, right.status) == ("superseded", "accepted")
        assert (right.supersedes_id, right.decided_by) == (wrong.id, ADMIN.user)
        assert right.validation["rules"]

    def test_the_last_read_touches_the_last_bill_alone(self, at: Correcting) -> None:
        bills = at.chain("M1", 3)
        done = at.execute(at.closed_at(bills[2], "1310"))
        assert [one.void_bill_id for one in done.bills] == [bills[2].id]
        assert at.utility.bills_of("M1")[2].consumption_wh == 110_000

    def test_the_opening_read_of_a_meter_may_be_wrong_too(self, at: Correcting) -> None:
        bills = at.chain("M1", 2)
        wrong = WrongReading(bills[0].id, bills[0].opening_reading_id, "1010")
        assert at.plan(wrong).validation is not None
        at.execute(wrong)
        first, second = at.utility.bills_of("M1")
        assert (first.consumption_wh, second.id) == (90_000, bills[1].id)
        assert at.database.reading(first.opening_reading_id).is_opening
        assert not at.database.reading(bills[0].opening_reading_id).is_opening
        with pytest.raises(CannotRebill, match="billing begins"):
            at.plan(WrongReading(first.id, first.opening_reading_id, None))

    def test_a_withdrawn_read_makes_one_bill_of_two(self, at: Correcting) -> None:
        bills = at.chain("M1", 4)
        at.pay(bills[1], bills[1].total_minor)
        done = at.execute(at.closed_at(bills[1], None))
        now = at.utility.bills_of("M1")
        assert [bill.consumption_wh // 1000 for bill in now] == [100, 200, 100]
        assert {one.new_bill_id for one in done.bills} == {now[1].id}
        assert at.database.reading(bills[1].closing_reading_id).status == "rejected"
        assert now[1].amount_paid_minor == bills[1].total_minor

    def test_a_withdrawn_last_read_ends_the_chain_earlier(self, at: Correcting) -> None:
        bills = at.chain("M1", 2)
        done = at.execute(at.closed_at(bills[1], None))
        assert [one.new_bill_id for one in done.bills] == [None]
        assert ids(at.utility.bills_of("M1")) == [bills[0].id]
        again = at.utility.submit("M1", 1230).bill
        assert again is not None
        assert again.consumption_wh == 130_000
        at.check("M1")

    def test_the_rules_say_what_they_think_and_the_administrator_decides(
        self, at: Correcting
    ) -> None:
        bills = at.chain("M1", 4)
        wrong = at.closed_at(bills[-1], "2900")
        plan = at.plan(wrong)
        assert plan.validation is not None
        assert plan.validation.verdict == "needs_review"
        at.execute(wrong)

    @pytest.mark.parametrize("kwh", ["1300", "123456789", "-4", "x"])
    def test_a_value_that_cannot_be_is_refused_and_changes_nothing(
        self, at: Correcting, kwh: str
    ) -> None:
        bills = at.chain("M1", 3)
        with pytest.raises(ValueError, match=r"."):
            at.plan(at.closed_at(bills[2], kwh))
        assert ids(at.utility.bills_of("M1")) == ids(bills)

    def test_drafts_become_drafts_and_nobody_is_told(self, at: Correcting) -> None:
        at.utility.add_meter("M1")
        draft = at.database.bill(draft_of(at.utility, "M1", 1117))
        done = at.execute(at.closed_at(draft, "1110"))
        (now,) = at.utility.bills_of("M1")
        assert (now.status, now.number, done.difference_minor) == ("draft", None, 0)
        assert "bill_corrected" not in outbox(at, now.id)


class TestMoney:
    def test_what_was_paid_pays_the_new_bills_and_the_rest_is_credit(self, at: Correcting) -> None:
        bills = at.chain("M1", 2)
        for bill in bills:
            at.pay(bill, bill.total_minor)
        done = at.execute(at.closed_at(bills[1], "1150"))
        assert done.difference_minor < 0
        now = at.utility.bills_of("M1")
        assert [bill.status for bill in now] == ["paid", "paid"]
        assert at.balance(bills[0]) == done.difference_minor
        following = at.utility
        later = replace(following, now=following.now + STEP).submit("M1", 1260).bill
        assert later is not None
        assert at.database.bill(later.id).amount_paid_minor == -done.difference_minor

    def test_a_payment_stays_with_the_bill_that_it_was_for(self, at: Correcting) -> None:
        bills = at.chain("M1", 3)  # the first two are not paid
        at.pay(bills[2], bills[2].total_minor)
        at.execute(at.closed_at(bills[2], "1310"))
        now = at.utility.bills_of("M1")
        assert [bill.amount_paid_minor for bill in now] == [0, 0, bills[2].total_minor]
        assert now[2].status == "partially_paid"


class TestWhoIsTold:
    def test_the_customer_is_told_once(self, at: Correcting) -> None:
        bills = at.chain("M1", 3)
        done = at.execute(at.closed_at(bills[1], "1250"))
        now = at.utility.bills_of("M1")
        told = outbox(at, now[2].id)
        assert set(told) == {"bill_issued", "bill_corrected"}
        issued = told["bill_issued"].steps
        assert {issued[n].status for n in (8, 9, 10)} == {"pending"}
        assert {issued[n].detail for n in (11, 12, 13)} == {"in the message about the correction"}
        assert told["bill_corrected"].occasion == done.id
        assert set(outbox(at, now[1].id)) == {"bill_issued"}
        assert set(outbox(at, bills[1].id)) == {"bill_issued", "balance_changed"}
        due = at.database.claim_outbox(owner="t", lease_seconds=60, limit=50)
        (corrected,) = [work for work in due if work.kind == "bill_corrected"]
        assert corrected.facts == {
            "voided": "INV-000002, INV-000003",
            "issued": "INV-000004, INV-000005",
            "difference_minor": str(done.difference_minor),
            "currency": "INR",
        }

    def test_where_nothing_takes_its_place_the_void_bill_tells(self, at: Correcting) -> None:
        bills = at.chain("M1", 2)
        done = at.rebilling.void(
            bill_id=bills[1].id, reason="moved out", principal=ADMIN, now=at.utility.now
        )
        assert (done.kind, done.difference_minor) == ("void", -bills[1].total_minor)
        assert outbox(at, bills[1].id)["bill_corrected"].occasion == done.id
        at.check("M1")
        with pytest.raises(CannotRebill, match="void already"):
            at.plan(WrongBill(bills[1].id))

    def test_only_the_last_bill_is_voided_alone(self, at: Correcting) -> None:
        bills = at.chain("M1", 2)
        with pytest.raises(CannotRebill, match="later bill"):
            at.plan(WrongBill(bills[0].id))


class TestTogether:
    def test_a_repeat_answers_the_first_result(self, at: Correcting) -> None:
        bills = at.chain("M1", 3)
        how: dict[str, Any] = {"correction_id": str(uuid4())}
        wrong = at.closed_at(bills[1], "1250")
        plan = at.plan(wrong)
        first = at.execute(wrong, **how)
        given: dict[str, Any] = {"reason": "misread", "acknowledged": True, "principal": ADMIN}
        given |= {"previewed": plan.fingerprint, "now": at.utility.now}
        assert at.rebilling.execute(wrong, **given, **how) == first
        assert at.database.corrections_of_bill(bills[1].id) == [first]

    def test_of_two_at_once_the_second_is_told_and_nothing_is_lost(self, at: Correcting) -> None:
        bills = at.chain("M1", 3)
        one, other = at.closed_at(bills[1], "1250"), at.closed_at(bills[2], "1310")
        seen = at.plan(other)
        at.execute(one)
        given: dict[str, Any] = {"reason": "r", "acknowledged": True, "principal": ADMIN}
        given |= {"now": at.utility.now, "correction_id": str(uuid4())}
        with pytest.raises(FiguresChanged, match="Nothing was changed"):
            at.rebilling.execute(other, previewed=seen.fingerprint, **given)
        at.check("M1")

    def test_of_two_at_the_same_moment_one_does_it_and_the_other_is_told(
        self, at: Correcting
    ) -> None:
        bills = at.chain("M1", 3)
        wrongs = [at.closed_at(bills[1], "1250"), at.closed_at(bills[1], "1260")]
        seen = [at.plan(wrong).fingerprint for wrong in wrongs]
        meet = Barrier(2)

        def go(number: int) -> str:
            meet.wait()
            try:
                at.rebilling.execute(
                    wrongs[number],
                    previewed=seen[number],
                    correction_id=str(uuid4()),
                    reason="r",
                    acknowledged=True,
                    principal=ADMIN,
                    now=at.utility.now,
                )
            except FiguresChanged:
                return "told"
            return "done"

        with ThreadPoolExecutor(2) as pool:
            assert sorted(pool.map(go, range(2))) == ["done", "told"]
        at.check("M1")
        assert len(at.utility.bills_of("M1")) == 3

    def test_a_later_reading_in_between_changes_nothing_of_the_plan(self, at: Correcting) -> None:
        bills = at.chain("M1", 3)
        wrong = at.closed_at(bills[1], "1250")
        plan = at.plan(wrong)
        later = replace(at.utility, now=at.utility.now + STEP)
        assert later.submit("M1", 1400).bill is not None
        at.rebilling.execute(
            wrong,
            previewed=plan.fingerprint,
            correction_id=str(uuid4()),
            reason="r",
            acknowledged=True,
            principal=ADMIN,
            now=at.utility.now,
        )
        at.check("M1")

    def test_when_anything_fails_nothing_happened(self, at: Correcting, database: str) -> None:
        bills = at.chain("M1", 3)
        at.pay(bills[1], bills[1].total_minor)
        with psycopg.connect(database, autocommit=True) as owner:
            owner.execute("alter table public.corrected_bills add constraint broken check (false)")
            with pytest.raises(DatabaseRefused, match="broken"):
                at.execute(at.closed_at(bills[1], "1250"))
        assert ids(at.utility.bills_of("M1")) == ids(bills)
        assert at.database.bill(bills[1].id).status == "paid"
        assert at.database.reading(bills[1].closing_reading_id).status == "accepted"
        at.check("M1")

    def test_an_administrator_a_reason_and_the_warning_seen_are_needed(
        self, at: Correcting
    ) -> None:
        bills = at.chain("M1", 13)
        wrong = at.closed_at(bills[0], "1150")
        assert "INV-000001 reaches back before" in at.plan(wrong).warning
        for error, how in (
            (NotAllowed, {"principal": ENGINEER}),
            (ReasonMissing, {"reason": "  "}),
            (NotAcknowledged, {"acknowledged": False}),
        ):
            with pytest.raises(error):
                at.execute(wrong, **how)
        assert ids(at.utility.bills_of("M1")) == ids(bills)
        assert at.execute(wrong).warned.startswith("Back-billing: INV-000001")
        assert at.plan(at.closed_at(bills[11], "2210")).warning == ""


class TestTariff:
    def test_a_meter_on_the_wrong_tariff_is_billed_anew_from_a_bill_on_and_stays_on_the_other(
        self, at: Correcting
    ) -> None:
        Metered(at.utility)  # brings more tariffs
        flat = {"code": "FLAT", "name": "Flat", "currency": "INR", "effective_from": "2020-01-01"}
        flat["charges"] = [  # type: ignore[assignment]
            {"code": "energy", "description": "Energy", "kind": "energy", "rate": "2"}
        ]
        add_tariff(at, flat)
        add_tariff(at, flat | {"code": "DOLLARS", "currency": "USD"})
        bills = at.chain("M1", 4)
        at.execute(WrongTariff(bills[2].id, "FLAT"))
        now = at.utility.bills_of("M1")
        assert [bill.tariff_code for bill in now[1:]] == ["KSEB-LT1A", "FLAT", "FLAT"]
        assert now[3].total_minor == 20_000
        later = replace(at.utility, now=at.utility.now + STEP).submit("M1", 1500).bill
        assert later is not None
        assert later.tariff_code == "FLAT"
        # A bill of the time before keeps its own.
        at.execute(at.closed_at(now[0], "1110"))
        assert at.utility.bills_of("M1")[0].tariff_code == "KSEB-LT1A"
        for code, why in (("FLAT", "already"), ("DOLLARS", "USD"), ("NONE", "no tariff")):
            with pytest.raises(CannotRebill, match=why):
                at.plan(WrongTariff(now[2].id, code))


def add_tariff(at: Correcting, data: dict[str, Any]) -> None:
    importer = Importer(at.database, at.utility.services.settings.timezone)
    assert importer.run("tariffs", json.dumps(data), actor="test", now=at.utility.now).ok


class TestLookingBack:
    def test_every_later_bill_of_a_tariff_that_looks_back_is_made_anew(
        self, at: Correcting
    ) -> None:
        metered = Metered(at.utility)
        metered.add_meter("R1", "max_kw", tariff="LINKED", days=150)
        for number in range(1, 6):
            when = at.utility.now - STEP * (5 - number)
            kw = "20" if number == 2 else "10"
            assert metered.submit("R1", 1000 + 100 * number, at=when, max_kw=kw).bill is not None
        bills = at.utility.bills_of("R1")
        wrong = at.closed_at(bills[1], "1200", max_kw="12")
        plan = at.plan(wrong)
        assert ids(list(plan.voided)) == ids(bills[1:])
        assert plan.changes[3].affected.why == "Its tariff looks back at the bills before it."
        at.execute(wrong)
        now = at.utility.bills_of("R1")
        # 80 % of 20 kW were billed for each month after; now it is the 10 kW that were read.
        before, after = (sum(b.total_minor for b in x[2:4]) for x in (bills, now))
        assert after < before
        assert all(bill.replaces_id for bill in now[1:])


def test_raw_sql_refuses_a_correction_of_the_wrong_chain(at: Correcting) -> None:
    bills: list[Bill] = at.chain("M1", 2)
    plan = at.plan(at.closed_at(bills[1], None))
    assert plan.voided
    with pytest.raises(IllegalChange, match="withdrawn"):
        at.database.rebill(
            actor="x", correction_id=str(uuid4()), kind="reading",
            agreement_id=bills[0].agreement_id, meter_id=bills[0].meter_id, reason="r",
            warned="", on=at.utility.today, chain_from=bills[0].period_start,
            chain=[f"{b.id} issued" for b in bills],
            affected=[{"void": b.id, "new": None} for b in bills], bills=[],
            reading={"id": bills[0].opening_reading_id, "right": None},
        )  # fmt: skip
    at.check("M1")


class TestTheDateOfARead:
    def test_both_bills_get_their_true_days_and_no_kwh_is_lost(self, at: Correcting) -> None:
        bills = at.chain("M1", 3)
        wrong = replace(at.closed_at(bills[1], "1200"), read_on=bills[1].period_end - timedelta(4))
        done = at.execute(wrong)
        first, second, third = at.utility.bills_of("M1")
        assert (first.id, first.period_end) == (bills[0].id, bills[0].period_end)
        assert (second.period_end, third.period_start) == (wrong.read_on, wrong.read_on)
        assert (second.consumption_wh, third.consumption_wh) == (100_000, 100_000)
        assert {one.void_bill_id for one in done.bills} == {bills[1].id, bills[2].id}
        right = at.database.reading(second.closing_reading_id)
        stored = at.database.reading(bills[1].closing_reading_id)
        # At the same time of the day; the wrong one is kept as evidence.
        assert stored.read_at - right.read_at == timedelta(days=4)
        assert (stored.status, right.status) == ("superseded", "accepted")

    def test_value_and_date_may_be_wrong_together(self, at: Correcting) -> None:
        bills = at.chain("M1", 2)
        day = bills[0].period_end + timedelta(days=3)
        at.execute(replace(at.closed_at(bills[0], "1150"), read_on=day))
        first, second = at.utility.bills_of("M1")
        assert (first.consumption_wh, first.period_end) == (150_000, day)
        assert (second.consumption_wh, second.period_start) == (50_000, day)

    def test_the_rules_judge_it_by_its_right_date(self, at: Correcting) -> None:
        bills = at.chain("M1", 3)
        later = replace(at.closed_at(bills[2], "1300"), read_on=bills[2].period_end)
        with pytest.raises(CannotRebill, match="nothing to correct"):
            at.plan(later)
        moved = replace(at.closed_at(bills[1], "1200"), read_on=bills[1].period_end + timedelta(2))
        plan = at.plan(moved)
        assert plan.validation is not None
        assert {outcome.outcome for outcome in plan.validation.outcomes} <= {
            "pass",
            "not_applicable",
        }

    def test_a_date_that_cannot_be_is_refused_in_words(self, at: Correcting) -> None:
        bills = at.chain("M1", 3)
        wrong = at.closed_at(bills[1], "1200")
        for day, said in (
            (bills[0].period_end, "The reading before it is of"),
            (bills[2].period_end, "The next reading is of"),
        ):
            with pytest.raises(CannotRebill, match=said):
                at.plan(replace(wrong, read_on=day))
        last = at.closed_at(bills[2], "1300")
        with pytest.raises(CannotRebill, match="is still to come"):
            at.plan(replace(last, read_on=at.utility.today + timedelta(days=1)))
        opening = WrongReading(bills[0].id, bills[0].opening_reading_id, "1000")
        with pytest.raises(CannotRebill, match="a meter came or went, or somebody moved"):
            at.plan(replace(opening, read_on=bills[0].period_start + timedelta(days=2)))
