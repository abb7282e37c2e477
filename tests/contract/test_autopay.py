"""Autopay over both transports: consents, plans, charges, tries, the policy."""

from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import pytest

from services.autopay.signing_up import plans
from services.database.autopay_book import AutopayBook
from services.database.errors import IllegalChange, NotFound
from services.payments.stripe.intents import payment_id_of
from services.records.customers.autopay import AttemptResult, AutopayPolicy, Mandate, SavedMethod
from services.records.jobs import RunRef
from tests.contract.over import Over
from tests.contract.test_accounts import bill_of

CARD = SavedMethod(
    stripe_customer="cus_1",
    payment_method="pm_1",
    kind="card",
    brand="visa",
    last4="4242",
    exp_month=12,
    exp_year=2040,
)


class Desk:
    """A customer with a bill, and the run of a day."""

    def __init__(self, over: Over) -> None:
        self.over, self.book = over, over.here.autopay
        self.bill = bill_of(over)
        assert self.bill.due_date is not None
        self.due: date = self.bill.due_date
        self.outbox: dict[str, Any] = plans(over.utility.services.outbox)

    def consent(self, mandate_id: str, limit: int | None = None) -> dict[str, Any]:
        return {
            "actor": "customer:A-1",
            "mandate_id": mandate_id,
            "customer_id": self.bill.customer_id,
            "currency": "INR",
            "consent": "I agree.",
            "limit_minor": limit,
            "at": self.over.utility.now,
        }

    def active(self) -> Mandate:
        agreed = self.consent(str(uuid4()))
        self.book.open(**agreed)
        opened = self.book.open(**agreed, session_id=f"cs_{uuid4()}", stripe_customer="cus_1")
        return self.book.complete(
            actor="system:autopay",
            mandate_id=opened.id,
            saved=CARD,
            today=self.over.utility.today,
            outbox=self.outbox,
        )

    def step(self, on: date) -> dict[str, Any]:
        _, run = self.over.here.claim_job_run(
            job="autopay", scheduled_on=on, owner="a", lease_seconds=60, started_by="test"
        )
        ref: RunRef = run.ref(lease_seconds=60)
        return {"actor": "job:autopay", "run": ref, "today": on, "limit": 10, "outbox": self.outbox}


@pytest.fixture
def desk(over: Over) -> Desk:
    return Desk(over)


def test_a_consent_becomes_a_mandate_once(desk: Desk) -> None:
    mandate = desk.active()
    again = desk.book.complete(
        actor="system:autopay",
        mandate_id=mandate.id,
        saved=CARD.model_copy(update={"last4": "9999"}),
        today=desk.due,
        outbox=desk.outbox,
    )
    assert again == mandate
    assert (mandate.status, mandate.method, mandate.limit) == ("active", "Visa …4242", None)
    with pytest.raises(IllegalChange, match="sent before"):
        desk.book.open(**desk.consent(mandate.id))
    with pytest.raises(NotFound):
        desk.book.complete(
            actor="x", mandate_id=str(uuid4()), saved=CARD, today=desk.due, outbox=desk.outbox
        )
    (charge,) = desk.book.of_customer(desk.bill.customer_id).charges
    assert (charge.status, charge.due_on, charge.amount_minor) == (
        "planned",
        desk.due,
        desk.bill.balance_minor,
    )


def test_another_text_under_the_same_form_is_refused(desk: Desk) -> None:
    mandate_id = str(uuid4())
    desk.book.open(**desk.consent(mandate_id))
    desk.book.open(**desk.consent(mandate_id))
    with pytest.raises(IllegalChange, match="open it again"):
        desk.book.open(**desk.consent(mandate_id, limit=500))


def test_a_charge_is_announced_tried_and_counted_once(desk: Desk) -> None:
    desk.active()
    notice = desk.due - timedelta(days=7)
    assert desk.book.plan(**desk.step(notice)) == (0, None)
    assert desk.book.announce(**desk.step(notice)) == (1, None)
    assert desk.book.tell_of_expiring_cards(**desk.step(notice)) == (0, None)
    early, _ = desk.book.begin(**desk.step(notice), owner="a", lease_seconds=60)
    assert early == []
    (attempt,), _ = desk.book.begin(**desk.step(desk.due), owner="a", lease_seconds=60)
    assert (attempt.amount_minor, attempt.stripe_customer) == (desk.bill.balance_minor, "cus_1")
    assert desk.book.begin(**desk.step(desk.due), owner="b", lease_seconds=60)[0] == []
    came = AttemptResult(
        status="succeeded",
        payment_intent=f"pi_{attempt.id[:8]}",
        amount_minor=attempt.amount_minor,
        currency="INR",
        payment_id=payment_id_of(f"pi_{attempt.id[:8]}"),
        received_at=desk.over.utility.now,
        on=desk.due,
    )
    for _ in range(2):
        done = desk.book.end_attempt(
            actor="system:autopay", attempt_id=attempt.id, result=came, outbox=desk.outbox
        )
        assert (done.status, done.payment_id) == ("succeeded", came.payment_id)
    assert desk.over.here.bill(desk.bill.id).status == "paid"
    over, after = desk.book.over(after=None, limit=10)
    assert [(c.status, c.paid_minor) for c in over if c.customer_id == desk.bill.customer_id] == [
        ("paid", attempt.amount_minor)
    ]
    assert after is None
    with pytest.raises(NotFound):
        desk.book.end_attempt(actor="x", attempt_id=str(uuid4()), result=came, outbox=desk.outbox)


def test_a_try_whose_end_nobody_knows_is_leased(desk: Desk) -> None:
    desk.active()
    desk.book.announce(**desk.step(desk.due - timedelta(days=7)))
    (attempt,), _ = desk.book.begin(**desk.step(desk.due), owner="a", lease_seconds=0)
    lease: dict[str, Any] = {"actor": "x", "owner": "b", "lease_seconds": 60, "limit": 10}
    assert [a.id for a in desk.book.claim(**lease).attempts] == [attempt.id]
    assert desk.book.claim(**lease).attempts == ()
    found = desk.book.attempt(attempt.id)
    assert found is not None
    assert (found.status, found.open_minor) == ("asking", desk.bill.balance_minor)
    failed = AttemptResult(status="failed", decline="hard", code="expired_card", on=desk.due)
    desk.book.end_attempt(actor="x", attempt_id=attempt.id, result=failed, outbox=desk.outbox)
    paused = desk.book.of_customer(desk.bill.customer_id).mandate
    assert paused is not None
    assert paused.status == "paused"
    one: dict[str, Any] = {"mandate_id": paused.id, "outbox": desk.outbox}
    one["customer_id"] = desk.bill.customer_id
    resumed = desk.book.resume(actor="x", today=desk.due + timedelta(days=1), **one)
    assert (resumed.status, resumed.charges_from) == ("active", desk.due + timedelta(days=1))
    ended = desk.book.end(actor="customer:A-1", because="Enough", **one)
    assert (ended.status, ended.ended_by) == ("ended", "customer:A-1")
    assert desk.book.end(actor="somebody", because="Again", **one) == ended
    with pytest.raises(IllegalChange, match="has ended"):
        desk.book.resume(actor="x", today=desk.due, **one)
    (to_forget,) = desk.book.claim(**lease).mandates
    desk.book.note_look(actor="x", mandate_id=to_forget.id, result="detached")
    assert desk.book.claim(**lease).mandates == ()


def test_answers_are_kept_each_for_itself(desk: Desk) -> None:
    desk.active()
    desk.book.announce(**desk.step(desk.due - timedelta(days=7)))
    (attempt,), _ = desk.book.begin(**desk.step(desk.due), owner="a", lease_seconds=60)
    assert (attempt.owner, attempt.held, attempt.wanted) == ("a", False, True)
    intent = f"pi_{attempt.id[:8]}"
    came = AttemptResult(
        status="succeeded",
        payment_intent=intent,
        amount_minor=0,
        currency="INR",
        payment_id=payment_id_of(intent),
        received_at=desk.over.utility.now,
        on=desk.due,
    )
    keep: dict[str, Any] = {"actor": "system:autopay", "outbox": desk.outbox}
    ((refused, _),) = desk.book.end_attempts(results=[(attempt.id, came)], **keep)
    assert refused == attempt.id
    found = desk.book.attempt(attempt.id)
    assert found is not None
    assert (found.status, "cannot be kept" in found.detail) == ("asking", True)
    right = came.model_copy(update={"amount_minor": attempt.amount_minor})
    assert desk.book.end_attempts(results=[(attempt.id, right)] * 2, **keep) == []
    assert desk.over.here.bill(desk.bill.id).status == "paid"
    assert desk.book.end_attempts(results=[], **keep) == []


def test_all_processes_together_keep_the_rate(desk: Desk) -> None:
    desk.active()
    desk.book.announce(**desk.step(desk.due - timedelta(days=7)))
    (attempt,), _ = desk.book.begin(**desk.step(desk.due), owner="a", lease_seconds=60)
    turn: dict[str, Any] = {"attempt_ids": [attempt.id], "a_second": 1}
    desk.over.here.pause_stripe(seconds=0)
    first, (now,) = desk.book.turns(**turn)
    assert now == attempt
    second, _ = desk.book.turns(**turn)
    third, _ = desk.book.turns(**turn)
    assert first < second <= first + 1 < third <= first + 2
    desk.over.here.pause_stripe(seconds=30)
    assert 25 < desk.book.turns(**turn)[0] <= 30
    # A pause does not end sooner because another one was shorter.
    desk.over.here.pause_stripe(seconds=1)
    assert desk.book.turns(**turn)[0] > 25


def test_who_waits_for_a_page_goes_before_the_jobs(over: Over) -> None:
    database = over.here
    job: dict[str, Any] = {"a_second": 1, "for_somebody": False, "most_seconds": 30}
    somebody = job | {"for_somebody": True}
    waits = [database.stripe_turn(**job) for _ in range(4)]
    assert all(taken for _, taken in waits)
    assert 2 < waits[-1][0] <= 3
    first, second = (database.stripe_turn(**somebody)[0] for _ in range(2))
    assert first < second <= 1
    # Their turns are those that the next of the jobs do not get.
    assert 5 < database.stripe_turn(**job)[0] <= 6
    # Who would wait too long takes none.
    assert database.stripe_turn(**job | {"most_seconds": 1})[1] is False
    assert 6 < database.stripe_turn(**job)[0] <= 7
    database.pause_stripe(seconds=20)
    assert 15 < database.stripe_turn(**somebody)[0] <= 20
    assert 15 < database.stripe_turn(**job)[0] <= 21


def test_of_a_charge_that_failed_it_is_said_what_was_tried(desk: Desk) -> None:
    desk.active()
    desk.book.announce(**desk.step(desk.due - timedelta(days=7)))
    (attempt,), _ = desk.book.begin(**desk.step(desk.due), owner="a", lease_seconds=60)
    bill = desk.over.here.bill(desk.bill.id)
    assert bill.autopay is not None
    assert (bill.autopay.status, bill.autopay.since, bill.autopay.kind) == (
        "charging",
        desk.due,
        "card",
    )
    (charge,) = desk.book.of_customer(desk.bill.customer_id).charges
    assert (charge.since, charge.kind) == (desk.due, "card")
    failed = AttemptResult(
        status="failed",
        decline="hard",
        code="expired_card",
        detail="The card has expired.",
        on=desk.due,
    )
    desk.book.end_attempt(actor="x", attempt_id=attempt.id, result=failed, outbox=desk.outbox)
    (over,), _ = desk.book.over(after=None, limit=1)
    assert (over.status, over.amount_minor, over.paid_minor) == ("failed", attempt.amount_minor, 0)
    assert over.detail == "The card has expired."
    assert desk.over.here.bill(desk.bill.id).autopay is None


def test_who_is_supplied_keeps_it(desk: Desk) -> None:
    mandate = desk.active()
    assert desk.book.end_without_supply(**desk.step(desk.due)) == (0, None)
    found = desk.book.of_customer(desk.bill.customer_id).mandate
    assert found == mandate


def test_upcoming_charges_come_by_their_day_a_page_at_a_time(desk: Desk) -> None:
    desk.active()
    rows, after = desk.book.upcoming(after=None, limit=1)
    assert [row.bill_id for row in rows] == [desk.bill.id]
    assert after is not None
    assert desk.book.upcoming(after=after, limit=1) == ([], None)
    charge = desk.book.charge(rows[0].id)
    assert charge == rows[0]
    assert desk.book.charge(str(uuid4())) is None
    assert desk.book.attempt(str(uuid4())) is None


def test_the_policy_has_versions(over: Over) -> None:
    book: AutopayBook = over.here.autopay
    default = book.policy()
    assert (default.version, default.notice_days, default.retry_days) == (0, 7, (3, 7))
    policy = AutopayPolicy(
        id=str(uuid4()), version=1, notice_days=3, retry_days=(1,), confirm_days=2, expiry_days=10
    )
    made = book.publish_policy(actor="admin-1", policy=policy, seen_version=0)
    assert (made.version, made.retry_days, made.created_by) == (1, (1,), "admin-1")
    assert book.publish_policy(actor="admin-1", policy=policy, seen_version=0) == made
    other = policy.model_copy(update={"id": str(uuid4())})
    with pytest.raises(IllegalChange, match="meanwhile"):
        book.publish_policy(actor="admin-1", policy=other, seen_version=0)
    assert book.policy() == made


def test_switched_off_it_pauses_and_the_bills_are_dunned_as_any(desk: Desk) -> None:
    desk.active()
    assert desk.over.here.bill(desk.bill.id).spared_because == "autopay"
    step = desk.step(desk.due - timedelta(days=9))
    assert desk.book.switch(on=False, **step) == 1
    assert desk.book.switch(on=False, **step) == 0
    assert desk.over.here.bill(desk.bill.id).spared_because is None
    paused = desk.book.of_customer(desk.bill.customer_id).mandate
    assert paused is not None
    assert (paused.status, paused.paused_because) == ("paused", "Autopay is switched off.")
    assert desk.book.switch(on=True, **step) == 1
    assert desk.book.plan(**step) == (1, None)
    assert desk.over.here.bill(desk.bill.id).spared_because == "autopay"
