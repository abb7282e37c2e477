"""Instalment plans: kept, broken, and what becomes of them when their bills are corrected."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from services.accounts.instalments import UnusablePlan
from services.corrections.plan import WrongReading
from services.database.errors import IllegalChange
from services.jobs import overdue_marking
from services.jobs.runs import claim, perform
from services.payments.entry_forms import InvalidEntry
from services.records.bills import Bill
from services.records.ledger import InstalmentPlan
from tests.integration.correcting import Correcting
from tests.integration.test_bill_states import draft_of
from tests.integration.test_office_payments import TOTAL, Office, office
from tests.integration.utility import ADMIN, Utility, make_utility

FIRST = 18_013  # of three instalments of TOTAL: it takes the paise that are left

__all__ = ["office"]


def agree(utility: Utility, bills: list[Bill], **how: Any) -> None:
    desk, now = utility.services.account_adjustments, utility.now
    parts = desk.parts(bills=bills, now=now, **how)
    desk.agree_plan(
        plan_id=str(uuid4()), bills=bills, parts=parts, note="asked", principal=ADMIN, now=now
    )


def mark_overdue(utility: Utility) -> str:
    """Run the job of today; its summary."""
    now = utility.now
    context, _ = claim(
        utility.services,
        job="overdue_marking",
        scheduled_on=utility.today,
        started_by="test",
        clock=lambda: now,
    )
    assert context is not None
    ended = perform(context, overdue_marking.run)
    assert ended is not None
    return ended.detail


def test_a_plan_that_is_kept_is_not_marked_and_one_that_is_not_is_broken_first(
    office: Office,
) -> None:
    database = office.utility.services.database
    agree(
        office.utility, [office.bill], equal=2, first_on=office.utility.today + timedelta(days=40)
    )
    office.utility.now += timedelta(days=35)
    mark_overdue(office.utility)
    assert office.now_of(office.bill).status == "issued", "past its due date, and in a plan"
    office.pay("270.18", bill=office.bill)
    office.utility.now += timedelta(days=10)
    assert "broken" not in mark_overdue(office.utility)
    assert office.now_of(office.bill).status == "partially_paid"
    office.utility.now += timedelta(days=30)
    assert mark_overdue(office.utility).endswith("Instalment plans broken: 1.")
    assert office.now_of(office.bill).status == "overdue"
    (plan,) = database.plans(customer_id=office.bill.customer_id)
    assert (plan.status, plan.paid_minor, plan.total_minor) == ("broken", 27_018, TOTAL)


def test_a_plan_must_fit_its_bills(office: Office) -> None:
    with pytest.raises(InvalidEntry, match="Choose the bills"):
        agree(office.utility, [], equal=2)
    with pytest.raises(UnusablePlan, match="to pay is"):
        agree(office.utility, [office.bill], typed=f"{office.utility.today} 500")
    agree(office.utility, [office.bill], typed=f"{office.utility.today} 540.35")
    with pytest.raises(IllegalChange, match="in a plan already"):
        agree(office.utility, [office.bill], equal=3)
    (plan,) = office.utility.services.database.plans()
    desk = office.utility.services.account_adjustments
    desk.cancel_plan(plan_id=plan.id, reason="paid at once", principal=ADMIN)
    agree(office.utility, [office.bill], equal=3)
    stale = office.now_of(office.bill)
    office.pay("540.35", bill=office.bill)
    with pytest.raises(IllegalChange, match="unpaid bills"):
        agree(office.utility, [stale], equal=2)


class TestOfACorrectedBill:
    """Plans whose bills are corrected: still about the same debt, or ended with a reason."""

    @pytest.fixture
    def at(self, database: str, tmp_path: Path) -> Iterator[Correcting]:
        utility = make_utility(database, tmp_path)
        utility.now -= timedelta(days=200)
        yield Correcting(utility)
        utility.services.close()

    def bill_in_a_plan(self, at: Correcting) -> Bill:
        at.utility.add_meter("M1")
        at.utility.submit("M1", 1117)
        bill: Bill = at.utility.bills_of("M1")[0]
        first_on = at.utility.today + timedelta(days=10)
        agree(at.utility, [bill], equal=3, first_on=first_on)
        at.pay(bill, FIRST)
        return bill

    def corrected(self, at: Correcting, bill: Bill, kwh: str) -> Bill:
        at.execute(at.closed_at(bill, kwh))
        reissued: Bill = at.utility.bills_of("M1")[0]
        return reissued

    def plan(self, at: Correcting) -> InstalmentPlan:
        (plan,) = at.database.plans()
        return plan

    def test_the_bill_in_its_place_is_in_the_plan(self, at: Correcting) -> None:
        bill = self.bill_in_a_plan(at)
        reissued = self.corrected(at, bill, "1110")
        plan = self.plan(at)
        assert [(one.bill_id, one.number) for one in plan.bills] == [(reissued.id, reissued.number)]
        assert plan.paid_minor == TOTAL - (reissued.total_minor - FIRST)
        assert [one.paid for one in plan.instalments] == [True, False, False]
        with pytest.raises(IllegalChange, match="in a plan already"):
            agree(at.utility, [reissued], equal=2)
        # Its own due date passes, but not yet the second instalment's.
        at.utility.now += timedelta(days=35)
        assert "broken" not in mark_overdue(at.utility)
        assert at.database.bill(reissued.id).status == "partially_paid"
        at.utility.now += timedelta(days=15)
        assert "broken: 1" in mark_overdue(at.utility)
        assert at.database.bill(reissued.id).status == "overdue"

    def test_what_was_paid_of_a_bill_made_anew_higher_counts(self, at: Correcting) -> None:
        bill = self.bill_in_a_plan(at)
        reissued = self.corrected(at, bill, "1200")
        assert reissued.total_minor > bill.total_minor
        assert self.plan(at).paid_minor == FIRST
        at.pay(reissued, TOTAL - FIRST)
        assert self.plan(at).status == "kept"
        # What came on top was never agreed on: it is due as any bill.
        at.utility.now += timedelta(days=60)
        mark_overdue(at.utility)
        assert at.database.bill(reissued.id).status == "overdue"
        assert self.plan(at).status == "kept"

    def test_a_bill_made_anew_so_low_that_it_is_paid_keeps_the_plan(self, at: Correcting) -> None:
        bill = self.bill_in_a_plan(at)
        reissued = self.corrected(at, bill, "1010")
        assert reissued.total_minor < FIRST
        plan = self.plan(at)
        assert (plan.status, plan.paid_minor) == ("kept", TOTAL)

    def test_twice_corrected_it_is_still_in_the_plan(self, at: Correcting) -> None:
        bill = self.bill_in_a_plan(at)
        reissued = self.corrected(at, self.corrected(at, bill, "1200"), "1117")
        assert reissued.total_minor == TOTAL
        plan = self.plan(at)
        assert [one.bill_id for one in plan.bills] == [reissued.id]
        assert plan.paid_minor == FIRST

    def test_what_one_bill_has_more_takes_nothing_from_the_plan_of_two(
        self, at: Correcting
    ) -> None:
        first, second = at.chain("M1", 2)
        agreed = first.total_minor + second.total_minor
        agree(at.utility, [first, second], equal=2, first_on=at.utility.today)
        at.execute(WrongReading(first.id, first.opening_reading_id, "900"))
        assert self.plan(at).paid_minor == 0
        # It takes all the instalments, being the older one.
        at.pay(at.utility.bills_of("M1")[0], agreed)
        plan = self.plan(at)
        assert (plan.status, plan.paid_minor) == ("kept", agreed)

    @pytest.mark.parametrize("in_plan", [slice(0, 2), slice(1, 2)])
    def test_bills_made_anew_as_one_end_the_plan(self, at: Correcting, in_plan: slice) -> None:
        first, second = bills = at.chain("M1", 2)
        agree(at.utility, bills[in_plan], equal=3)
        at.execute(at.closed_at(first, None))
        (reissued,) = at.utility.bills_of("M1")
        assert reissued.period_end == second.period_end
        plan = self.plan(at)
        assert plan.status == "cancelled"
        assert "agree on another plan" in plan.reason
        agree(at.utility, [reissued], equal=3)

    def test_a_bill_made_anew_as_a_draft_ends_the_plan(self, at: Correcting) -> None:
        (first,) = at.chain("M1", 1)
        at.utility.now += timedelta(days=30)
        draft_of(at.utility, "M1", 1200)
        agree(at.utility, [first], equal=3)
        at.execute(at.closed_at(first, None))
        (reissued,) = at.utility.bills_of("M1")
        assert (reissued.status, reissued.replaces_id) == ("draft", first.id)
        plan = self.plan(at)
        assert (plan.status, [bill.number for bill in plan.bills]) == ("cancelled", [first.number])


def test_a_bill_that_a_broken_plan_let_go_has_one_notice_more_and_its_next_mark_none(
    office: Office,
) -> None:
    def notices() -> int:
        work = office.utility.services.database.outbox_of(office.bill.id)
        return len([w for w in work if w.kind == "overdue_notice"])

    def marked_after(days: int) -> tuple[str, int]:
        office.utility.now += timedelta(days=days)
        mark_overdue(office.utility)
        return office.now_of(office.bill).status, notices()

    assert marked_after(35) == ("overdue", 1)
    soon = office.utility.today + timedelta(days=5)
    agree(office.utility, [office.now_of(office.bill)], equal=2, first_on=soon)
    assert office.now_of(office.bill).status == "issued"
    assert marked_after(30) == ("overdue", 2)
    assert marked_after(1) == ("overdue", 2)
    receipt = office.pay("540.35", bill=office.bill)
    assert marked_after(1) == ("paid", 2)
    office.utility.services.refunds.reverse(
        payment_id=receipt.payment.id,
        reason="The cheque was not honoured.",
        principal=ADMIN,
        now=office.utility.now,
    )
    assert marked_after(1) == ("overdue", 2)
