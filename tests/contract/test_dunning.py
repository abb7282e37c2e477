"""Dunning over both transports: accounts on hold, the policy, the ladder, who owes."""

from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import pytest

from services.database.errors import IllegalChange, NotFound
from services.dunning.holds import DunningHolds, InvalidHold
from services.dunning.rules import step_of
from services.identity.auth import NotAllowed
from services.records.dunning.holds import DunningHold
from services.records.dunning.policy import DunningPolicy, LateFee
from services.records.jobs import RunRef
from tests.contract.over import Over
from tests.contract.test_accounts import bill_of
from tests.integration.utility import ADMIN, ENGINEER


class Desk:
    """One customer with a bill, whose dunning an administrator holds and releases."""

    def __init__(self, over: Over) -> None:
        zone = over.utility.services.settings.timezone
        self.over, self.holds = over, DunningHolds(over.here, zone)
        self.customer = bill_of(over).customer_id

    def hold(
        self, *, hold_id: str = "", note: str = "Says it was read wrong", until: date | None = None
    ) -> DunningHold:
        return self.holds.hold(
            hold_id=hold_id or str(uuid4()),
            customer_id=self.customer,
            reason="hand",
            note=note,
            until=until,
            principal=ADMIN,
            now=self.over.utility.now,
        )

    def of(self) -> list[DunningHold]:
        return self.holds.of(customer_id=self.customer, principal=ADMIN)


@pytest.fixture
def desk(over: Over) -> Desk:
    return Desk(over)


def test_a_hold_is_kept_once_and_released_once(desk: Desk) -> None:
    today = desk.over.utility.today
    held = desk.hold(until=today + timedelta(days=7))
    assert desk.hold(hold_id=held.id, until=held.until) == held
    assert [held.holds_on(today + timedelta(days=days)) for days in (0, 6, 7)] == [
        True,
        True,
        False,
    ]
    for _ in range(2):
        desk.holds.release(hold_id=held.id, because="It was read right", principal=ADMIN)
    (over,) = desk.of()
    assert (over.released_by, over.released_because) == (ADMIN.user, "It was read right")
    assert not over.holds_on(today)
    timeline = desk.over.utility.services.timeline.of(
        subject="customer", subject_id=desk.customer, principal=ADMIN
    )
    said = [entry.said.what for entry in timeline.entries if entry.kind == "dunning"]
    assert said[0] == "Dunning goes on"
    assert said[1].startswith("Dunning on hold: held back by hand, until ")


def test_a_customer_s_dispute_holds_until_somebody_decides(desk: Desk) -> None:
    held = desk.over.utility.services.database.dunning.hold(
        actor="customer:A-1",
        hold_id=str(uuid4()),
        customer_id=desk.customer,
        reason="dispute",
        note="The bill is twice what it was",
        since=desk.over.utility.today,
        until=None,
    )
    assert (held.reason, held.until, held.held_by) == ("dispute", None, "customer:A-1")
    assert held.holds_on(desk.over.utility.today + timedelta(days=400))


def test_what_is_no_hold_is_refused(desk: Desk) -> None:
    held = desk.hold()
    with pytest.raises(IllegalChange, match="Another hold"):
        desk.hold(hold_id=held.id, note="Something else")
    wrongs: tuple[tuple[dict[str, Any], str], ...] = (
        ({"note": "  "}, "what the hold is about"),
        ({"note": "x" * 401}, "at most 400"),
        ({"until": desk.over.utility.today}, "is not after today"),
    )
    for wrong, said in wrongs:
        with pytest.raises(InvalidHold, match=said):
            desk.hold(**wrong)
    with pytest.raises(NotFound):
        desk.holds.release(hold_id=str(uuid4()), because="why not", principal=ADMIN)
    with pytest.raises(InvalidHold, match="why it is released"):
        desk.holds.release(hold_id=held.id, because="", principal=ADMIN)
    with pytest.raises(NotAllowed):
        desk.holds.of(customer_id=desk.customer, principal=ENGINEER)
    assert [hold.id for hold in desk.of()] == [held.id]


def claimed(desk: Desk, job: str, on: date) -> RunRef:
    """A run of a job whose writes count."""
    _, run = desk.over.here.claim_job_run(
        job=job, scheduled_on=on, owner="a", lease_seconds=60, started_by="test"
    )
    return run.ref(lease_seconds=60)


def with_policy(desk: Desk) -> DunningPolicy:
    """Demands from the third day on, and then a notice."""
    policy = DunningPolicy(
        id=str(uuid4()),
        currency="INR",
        version=1,
        valid_from=date(2020, 1, 1),
        minimum_minor=100,
        notice_days=7,
        steps=(step_of("overdue", 1), step_of("demand", 3, fee=True), step_of("notice", 5)),
        late_fee=LateFee(fixed_minor=100, percent_bp=0, cap_minor=100, grace_days=1, tax_bp=0),
    )
    book = desk.over.here.dunning
    stored = book.publish_policy(actor="test", policy=policy, seen_version=0)
    assert book.publish_policy(actor="test", policy=policy, seen_version=0) == stored
    with pytest.raises(IllegalChange, match="meanwhile"):
        book.publish_policy(
            actor="test", policy=policy.model_copy(update={"id": str(uuid4())}), seen_version=0
        )
    return stored


def test_the_ladder_is_taken_and_told_alike_over_both(desk: Desk) -> None:
    over, book = desk.over, desk.over.here.dunning
    policy, direct = with_policy(desk), desk.over.direct.dunning
    (bill,) = over.here.open_bills(customer_id=desk.customer)
    assert bill.due_date is not None
    last = bill.due_date + timedelta(days=5)
    held = book.policy(currency="INR", today=last)
    assert held == direct.policy(currency="INR", today=last)
    assert (held.in_force, held.versions) == (policy, (policy,))
    assert book.days_of_reminders() == direct.days_of_reminders() == 3
    outbox = over.utility.services.outbox.plan_for_any("overdue_notice")
    ref = claimed(desk, "overdue_marking", bill.due_date)
    for days in range(1, 9):
        on = bill.due_date + timedelta(days=days)
        how: dict[str, Any] = {"actor": "job", "run": ref, "today": on, "outbox": outbox}
        over.here.mark_overdue(**how, limit=10)
        assert book.take_steps(**how, limit=10)[1] is None
    assert book.note_notices_given(actor="job", run=ref, zone="Asia/Kolkata") == 0
    taken = book.history(customer_id=desk.customer, limit=10)
    assert taken == direct.history(customer_id=desk.customer, limit=10)
    assert [row.step for row in taken[0]] == ["notice+5", "demand+3", "overdue"]
    first, after = book.history(limit=2)
    assert after is not None
    assert [row.step for row in (*first, *book.history(limit=2, after=after)[0])] == [
        row.step for row in taken[0]
    ]
    ((notice,), _) = book.history(not_given=True, limit=5)
    given = book.give_notice(actor="test", action_id=notice.id, on=last)
    assert (given.given_on, given.given_by) == (last, "test")
    with pytest.raises(NotFound):
        book.give_notice(actor="test", action_id=str(uuid4()), on=last)


def test_who_owes_and_what_comes_next_are_the_same_over_both(desk: Desk) -> None:
    over, book = desk.over, desk.over.here.dunning
    with_policy(desk)
    (bill,) = over.here.open_bills(customer_id=desk.customer)
    assert bill.due_date is not None
    on = bill.due_date + timedelta(days=1)
    outbox = over.utility.services.outbox.plan_for_any("overdue_notice")
    how: dict[str, Any] = {"after": None, "limit": 10, "today": on}
    assert book.preview(part="overdue", **how) == over.direct.dunning.preview(part="overdue", **how)
    ref = claimed(desk, "overdue_marking", on)
    over.here.mark_overdue(actor="job", run=ref, today=on, limit=10, outbox=outbox)
    how["today"] = on + timedelta(days=2)
    ((due,), after) = book.preview(part="ladder", **how)
    assert (due.customer_id, due.step, due.fee_minor, after) == (
        *(desk.customer, "demand+3", 100, None),
    )
    added = book.totals(today=how["today"], part="ladder")
    assert added == over.direct.dunning.totals(today=how["today"], part="ladder")
    (total,) = added.rows
    assert (total.step, total.accounts, total.steps, total.waiting) == ("demand+3", 1, 1, 0)
    assert (total.amount_minor, total.fee_minor) == (due.amount_minor, 100)
    assert added.complete
    assert book.totals(today=on - timedelta(days=30), part="overdue").rows == ()
    assert book.debtors(**how) == over.direct.dunning.debtors(**how)
    ((debtor,), _) = book.debtors(**how)
    assert (debtor.overdue_minor, debtor.bills) == (bill.balance_minor, 1)
    stands = book.of_account(customer_id=desk.customer, today=how["today"])
    assert stands.due == (due,)
    assert book.arrears(bill_id=bill.id, today=on).overdue_minor == bill.balance_minor
    assert book.follow_work_orders(actor="job", today=on) == (0, 0)
    assert book.work_orders(customer_id=desk.customer, open_only=True) == []
