"""The ladder: accounts climb it in order and once, it leaves small balances alone, and ends when
they pay; at its end an engineer's round, a disconnection, and a reconnection."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path
from threading import Barrier
from typing import Any, Final
from uuid import uuid4

import psycopg
import pytest

from services.database.transports.postgres import DirectTransport
from services.dunning.dunning import TypedFee, TypedPolicy
from services.dunning.rules import InvalidPolicy, step_of
from services.jobs import overdue_marking, payment_reminders
from services.jobs.runs import Work, claim, perform
from services.records.bills import Bill
from services.records.dunning.policy import DunningPart, DunningPolicy, LateFee
from services.records.entries import NewPayment
from services.supply.changes import Disconnect, Reconnect, TypedRead
from tests.integration.supply.supplied import Supplied
from tests.integration.utility import ADMIN, ENGINEER, Utility, make_utility

OWED: Final = {"status": "open", "steps": {"11": {"status": "pending", "detail": ""}}}
FEE: Final = LateFee(fixed_minor=5_000, percent_bp=200, cap_minor=6_000, grace_days=3, tax_bp=1_800)
LADDER: Final = (
    *(step_of("reminder", -3), step_of("overdue", 1), step_of("demand", 7, fee=True)),
    *(step_of("notice", 14), step_of("disconnection", 24)),
)


@pytest.fixture
def utility(database: str, tmp_path: Path) -> Iterator[Utility]:
    made = make_utility(database, tmp_path)
    yield made
    made.services.close()


class Nights:
    """A utility with the ladder, whose jobs run on days after a bill is due."""

    def __init__(self, utility: Utility, *, ladder: bool = True) -> None:
        self.utility, self.database = utility, utility.services.database
        self.at = Supplied(utility)
        if ladder:
            policy = DunningPolicy(
                id=str(uuid4()),
                currency="INR",
                version=1,
                valid_from=date(2020, 1, 1),
                minimum_minor=10_000,
                notice_days=10,
                steps=LADDER,
                late_fee=FEE,
            )
            self.database.dunning.publish_policy(actor="test", policy=policy, seen_version=0)

    def bill(self, serial: str, kwh: int = 1117) -> Bill:
        self.utility.add_meter(serial)
        bill = self.utility.submit(serial, kwh).bill
        assert isinstance(bill, Bill)
        return bill

    def run(self, on: date, *jobs: tuple[str, Work]) -> None:
        """The jobs of a local date."""
        self.utility.now += timedelta(days=(on - self.utility.today).days)
        now = self.utility.now
        usual = (
            ("payment_reminders", payment_reminders.run),
            ("overdue_marking", overdue_marking.run),
        )
        for job, work in jobs or usual:
            context, _ = claim(
                self.utility.services,
                job=job,
                scheduled_on=on,
                started_by="test",
                clock=lambda: now,
                rerun=True,
            )
            assert context is not None
            ended = perform(context, work)
            assert ended is not None
            assert ended.status == "done", ended.detail

    def nights(self, bill: Bill, first: int, last: int) -> None:
        """The jobs of each day from so many days after the due date to so many."""
        assert bill.due_date is not None
        for days in range(first, last + 1):
            self.run(bill.due_date + timedelta(days=days))

    def steps(self, bill: Bill) -> list[tuple[str, int]]:
        """What was done about the account, with the days after the due date."""
        assert bill.due_date is not None
        rows, _ = self.database.dunning.history(customer_id=bill.customer_id, limit=100)
        return sorted(
            ((row.step, (row.taken_on - bill.due_date).days) for row in rows), key=lambda s: s[1]
        )

    def pay(self, bill: Bill, minor: int) -> None:
        row: dict[str, Any] = {"id": str(uuid4()), "bill_id": bill.id, "amount_minor": minor}
        row |= {"currency": "INR", "method": "cash", "received_at": self.utility.now}
        row |= {"received_on": self.utility.today}
        self.database.record_payments(actor="test", payments=[NewPayment.model_validate(row)])

    def given(self, bill: Bill) -> None:
        """The disconnection notice was handed over on the day on which it was written."""
        rows, _ = self.database.dunning.history(customer_id=bill.customer_id, limit=100)
        (notice,) = [row for row in rows if row.action == "notice"]
        self.utility.services.dunning.give_notice(
            action_id=notice.id, on=notice.taken_on, principal=ADMIN
        )

    def why_unsaid(self, bill: Bill, kind: Any, occasion: str = "") -> str:
        return self.database.why_unsaid(
            bill_id=bill.id, kind=kind, occasion=occasion, today=self.utility.today
        )


@pytest.fixture
def nights(utility: Utility) -> Nights:
    return Nights(utility)


def test_an_account_climbs_in_order_and_nothing_comes_twice(nights: Nights) -> None:
    bill = nights.bill("M1")
    nights.nights(bill, -4, 15)
    nights.given(bill)
    nights.nights(bill, 23, 27)
    assert nights.steps(bill) == [
        *(("reminder-3", -3), ("overdue", 1), ("demand+7", 7), ("notice+14", 14)),
        ("disconnection+24", 24),
    ]
    kinds = [(w.kind, w.occasion) for w in nights.database.outbox_of(bill.id)]
    assert kinds[1:] == [
        ("payment_reminder", "reminder-3"),
        ("overdue_notice", ""),
        ("overdue_notice", "demand+7"),
        ("disconnection_notice", "notice+14"),
    ]
    # 50.00 and 2 % of 540.35, at most 60.00, and 18 % tax on it.
    owes = nights.database.account(bill.customer_id).balance_minor
    assert owes == bill.total_minor + 6_000 + 1_080


def test_nobody_is_cut_off_whom_no_notice_has_reached(nights: Nights) -> None:
    bill = nights.bill("M1")
    nights.nights(bill, 1, 14)
    nights.nights(bill, 30, 30)
    assert [step for step, _ in nights.steps(bill)][-1] == "notice+14"
    (waits,) = nights.database.dunning.of_account(
        customer_id=bill.customer_id, today=nights.utility.today
    ).due
    assert (waits.action, waits.wait) == ("disconnection", "notice")
    (notice,), _ = nights.database.dunning.history(not_given=True, limit=10)
    nights.utility.services.dunning.give_notice(
        action_id=notice.id, on=nights.utility.today, principal=ADMIN
    )
    nights.nights(bill, 39, 39)
    assert [step for step, _ in nights.steps(bill)][-1] == "notice+14", "ten days from then"
    nights.nights(bill, 40, 40)
    assert nights.steps(bill)[-1] == ("disconnection+24", 40)


def test_who_was_left_alone_for_long_begins_at_the_first_step(nights: Nights) -> None:
    bill = nights.bill("M1")
    nights.nights(bill, 100, 113)
    assert nights.steps(bill) == [("overdue", 100), ("demand+7", 106), ("notice+14", 113)]


def test_a_payment_ends_it_between_the_queue_and_the_message(nights: Nights) -> None:
    bill = nights.bill("M1")
    nights.nights(bill, 1, 14)
    assert nights.why_unsaid(bill, "disconnection_notice", "notice+14") == ""
    nights.pay(bill, bill.total_minor)
    assert nights.why_unsaid(bill, "disconnection_notice", "notice+14") == "the bill is paid by now"
    nights.nights(bill, 24, 26)
    assert nights.steps(bill)[-1] == ("notice+14", 14)


def test_a_small_balance_is_marked_and_left_alone(nights: Nights) -> None:
    bill = nights.bill("M1")
    nights.pay(bill, bill.total_minor - 9_999)
    nights.nights(bill, -3, 2)
    nights.nights(bill, 30, 31)
    assert nights.steps(bill) == []
    assert nights.database.bill(bill.id).status == "overdue"
    account = nights.database.account(bill.customer_id)
    assert account.balance_minor == 9_999, "no fee either"


def test_what_became_small_after_it_was_queued_is_not_said(nights: Nights) -> None:
    bill = nights.bill("M1")
    nights.nights(bill, 1, 1)
    nights.pay(bill, bill.total_minor - 1)
    said = nights.why_unsaid(bill, "overdue_notice")
    assert said == "what is left is a small balance, which is left alone"


def test_without_a_policy_all_is_as_before_but_for_cents(utility: Utility) -> None:
    nights = Nights(utility, ladder=False)
    bill, cent = nights.bill("M1"), nights.bill("M2")
    nights.pay(cent, cent.total_minor - 1)
    nights.nights(bill, -3, 3)
    nights.nights(bill, 30, 31)
    assert nights.steps(bill) == [("reminder", -3), ("overdue", 1)]
    assert nights.steps(cent) == []
    # Whoever is reminded is named as they were before there was a ladder.
    assert [(w.kind, w.occasion) for w in nights.database.outbox_of(bill.id)[1:]] == [
        ("payment_reminder", ""),
        ("overdue_notice", ""),
    ]


@pytest.mark.parametrize("reason", ["dispute", "vulnerable", "plan", "hand"])
def test_a_hold_stops_it_and_it_goes_on_where_it_was(nights: Nights, reason: Any) -> None:
    bill = nights.bill("M1")
    nights.nights(bill, 1, 2)
    hold = nights.utility.services.dunning_holds.hold(
        hold_id=str(uuid4()),
        customer_id=bill.customer_id,
        reason=reason,
        note="as they say",
        principal=ADMIN,
        now=nights.utility.now,
    )
    assert nights.why_unsaid(bill, "overdue_notice") == "dunning of the account is on hold"
    nights.nights(bill, 7, 8)
    assert nights.steps(bill) == [("overdue", 1)]
    nights.utility.services.dunning_holds.release(
        hold_id=hold.id, because="it is settled", principal=ADMIN
    )
    nights.nights(bill, 13, 20)
    assert nights.steps(bill) == [("overdue", 1), ("demand+7", 13), ("notice+14", 20)]


def test_an_account_with_several_bills_gets_one_message_of_a_step(nights: Nights) -> None:
    bill = nights.bill("M1")
    nights.nights(bill, 1, 7)
    nights.utility.now += timedelta(days=10)
    second = nights.utility.submit("M1", 1234).bill
    assert second is not None
    assert second.due_date is not None
    nights.run(second.due_date + timedelta(days=1))
    nights.run(second.due_date + timedelta(days=2))
    steps = [step for step, _ in nights.steps(bill)]
    assert steps == ["overdue", "demand+7", "notice+14"], "no first notice below the account's step"
    arrears = nights.database.dunning.arrears(bill_id=bill.id, today=nights.utility.today)
    assert (arrears.bills, arrears.overdue_minor) == (2, bill.total_minor + second.total_minor)
    nights.pay(bill, bill.total_minor)
    nights.run(second.due_date + timedelta(days=3))
    assert nights.steps(second)[-1] == ("overdue", 3), "the younger debt begins at its first step"


def test_jobs_that_run_at_once_take_each_step_once(nights: Nights, database: str) -> None:
    bills = [nights.bill(f"M{n}") for n in range(6)]
    due = bills[0].due_date
    assert due is not None
    nights.nights(bills[0], 1, 6)
    together, day = Barrier(4), (due + timedelta(days=7)).isoformat()

    def one(_: int) -> int:
        transport, taken, after = DirectTransport(database), 0, None
        together.wait()
        while True:
            answer = transport.call(
                "take_dunning_steps",
                {"actor": "test", "today": day, "limit": 2, "owed": OWED, "after": after},
            )
            taken, after = taken + answer["count"], answer["after"]
            if after is None:
                transport.close()
                return int(taken)

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(one, range(4))) == len(bills)
    for bill in bills:
        assert [step for step, _ in nights.steps(bill)] == ["overdue", "demand+7"]
        owes = nights.database.account(bill.customer_id).balance_minor
        assert owes == bill.total_minor + 7_080, "one fee"
    assert nights.database.check_ledger().problems == ()


def asked_on_round(nights: Nights) -> list[str]:
    """Why the meters of the round are to be read, where somebody asked for that."""
    meters = nights.utility.services.reading_round.all_meters(
        route="", principal=ENGINEER, now=nights.utility.now
    )
    return [one.meter.request.reason for one in meters if one.meter.request]


def test_the_order_stands_on_the_round_and_leads_to_disconnection_and_back(
    nights: Nights, database: str
) -> None:
    bill, dunning = nights.bill("M1"), nights.utility.services.dunning
    nights.nights(bill, 1, 14)
    nights.given(bill)
    nights.nights(bill, 24, 24)
    (order,) = dunning.work_orders(principal=ADMIN, open_only=True)
    assert (order.kind, order.meter_serial) == ("disconnect", "M1")
    (asked,) = asked_on_round(nights)
    assert asked.startswith("Disconnect for non-payment: cut the supply")
    # The engineer cuts the supply and reads the meter; the office enters it as ever.
    nights.utility.now += timedelta(hours=1)
    nights.utility.submit("M1", 1200)
    (order,) = dunning.work_orders(principal=ADMIN, open_only=True)
    assert order.read_wh == 1_200_000
    nights.at.do(Disconnect(order.service_point_id, nights.utility.today, TypedRead("1200")))
    (done,) = dunning.work_orders(principal=ADMIN)
    assert (done.status, done.closed_because) == ("done", "Disconnected.")
    dunning.follow_work_orders(now=nights.utility.now)
    assert len(dunning.work_orders(principal=ADMIN)) == 1, "nothing is paid"
    back_again(nights, bill, order.service_point_id)
    with psycopg.connect(database) as connection:
        cursor = connection.execute("select count(*) from public.ledger_entries where kind = 'fee'")
        assert cursor.fetchone() == (2,), "the late fee, and that of the reconnection"


def back_again(nights: Nights, bill: Bill, point: str) -> None:
    """Who paid is reconnected by an order, once."""
    dunning = nights.utility.services.dunning
    nights.utility.now += timedelta(days=1)
    nights.pay(bill, bill.total_minor)
    dunning.follow_work_orders(now=nights.utility.now)
    dunning.follow_work_orders(now=nights.utility.now)
    (back,) = dunning.work_orders(principal=ADMIN, open_only=True)
    assert back.kind == "reconnect"
    nights.at.do(Reconnect(point, nights.utility.today, TypedRead("1200"), "250.00"))
    assert dunning.work_orders(principal=ADMIN, open_only=True) == []
    assert asked_on_round(nights) == []
    dunning.follow_work_orders(now=nights.utility.now)
    assert len(dunning.work_orders(principal=ADMIN)) == 2


def test_who_pays_is_taken_off_the_round_and_who_is_held_comes_back_to_it(nights: Nights) -> None:
    paid, held = nights.bill("M1"), nights.bill("M2")
    dunning, holds = nights.utility.services.dunning, nights.utility.services.dunning_holds
    nights.nights(paid, 1, 14)
    nights.given(paid)
    nights.given(held)
    nights.nights(paid, 24, 24)
    assert len(dunning.work_orders(principal=ADMIN, open_only=True)) == 2
    nights.pay(paid, paid.total_minor)
    hold = holds.hold(
        hold_id=str(uuid4()),
        customer_id=held.customer_id,
        reason="vulnerable",
        note="needs a machine to breathe",
        principal=ADMIN,
        now=nights.utility.now,
    )
    dunning.follow_work_orders(now=nights.utility.now)
    assert {(o.meter_serial, o.closed_because) for o in dunning.work_orders(principal=ADMIN)} == {
        ("M1", "The debt was paid."),
        ("M2", "The account is on hold, in a plan, or owes a small balance."),
    }
    assert asked_on_round(nights) == []
    holds.release(hold_id=hold.id, because="it was somebody else", principal=ADMIN)
    dunning.follow_work_orders(now=nights.utility.now)
    (again,) = dunning.work_orders(principal=ADMIN, open_only=True)
    assert again.meter_serial == "M2"


def test_the_preview_says_what_the_night_does_and_does_nothing(nights: Nights) -> None:
    bills = [nights.bill(f"M{n}") for n in range(3)]
    due = bills[0].due_date
    assert due is not None
    dunning = nights.utility.services.dunning
    nights_of: tuple[tuple[int, DunningPart, str], ...] = (
        (-3, "reminders", "reminder"),
        (1, "overdue", "overdue"),
        (7, "ladder", "demand"),
    )
    for days, part, action in nights_of:
        on = due + timedelta(days=days)
        before = [nights.steps(bill) for bill in bills]
        rows, after = dunning.preview(part=part, on=on, principal=ADMIN)
        assert after is None
        first, more = dunning.preview(part=part, on=on, principal=ADMIN, limit=2)
        assert more is not None
        rest, _ = dunning.preview(part=part, on=on, principal=ADMIN, limit=2, after=more)
        assert [*first, *rest] == rows
        assert [nights.steps(bill) for bill in bills] == before
        assert {(r.customer_id, r.action) for r in rows} == {(b.customer_id, action) for b in bills}
        nights.run(on)
        now = {(b.customer_id, nights.steps(b)[-1][1]) for b in bills}
        assert now == {(b.customer_id, days) for b in bills}
        assert dunning.preview(part=part, on=on, principal=ADMIN) == ([], None)
    debtors, _ = dunning.debtors(principal=ADMIN, now=nights.utility.now)
    assert {(d.customer_id, d.since, d.bills) for d in debtors} == {
        (b.customer_id, due, 1) for b in bills
    }
    assert {d.last.action for d in debtors if d.last} == {"demand"}


def test_a_policy_is_typed_checked_and_kept_in_versions(utility: Utility) -> None:
    dunning, now = utility.services.dunning, utility.now
    usual = dunning.policy(currency="INR", principal=ADMIN, now=now)
    assert (usual.in_force.version, usual.versions) == (0, ())
    typed = TypedPolicy(
        currency="INR",
        valid_from=utility.today,
        minimum="₹50.00",
        notice_days=15,
        steps=[("reminder", -3, False), ("overdue", 1, False), ("demand", 7, True)],
        late_fee=TypedFee("25.00", "1.5", "100.00", 3, "18"),
    )
    how: dict[str, Any] = {"policy_id": str(uuid4()), "principal": ADMIN, "now": now}
    first = dunning.publish(typed, seen_version=0, **how)
    assert dunning.publish(typed, seen_version=0, **how) == first
    assert first.late_fee == LateFee(
        fixed_minor=2_500, percent_bp=150, cap_minor=10_000, grace_days=3, tax_bp=1_800
    )
    held = dunning.policy(currency="INR", principal=ADMIN, now=now)
    assert (held.in_force, held.in_force.version) == (first, 1)
    assert dunning.policy(currency="KWD", principal=ADMIN, now=now).in_force.minimum_minor == 1000
    wrong = TypedPolicy("INR", utility.today, "x", 15, [("demand", 7, False)] * 2, TypedFee("9999"))
    with pytest.raises(InvalidPolicy) as refused:
        dunning.publish(wrong, seen_version=1, **how)
    assert "smallest balance" in str(refused.value)
