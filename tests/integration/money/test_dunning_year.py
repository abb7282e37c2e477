"""A year of random payments against the ladder: in order, once each, fees as the policy says."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import psycopg
import pytest
from psycopg.rows import dict_row

from services.database.transports.postgres import DirectTransport
from services.dunning.rules import check_policy, step_of
from services.quantities.money import round_half_up
from services.records.dunning.policy import DunningPolicy, LateFee, PolicyStep
from services.records.entries import NewPayment
from tests.integration.money.walk import Walk
from tests.integration.money.walked import FIRST_DAY
from tests.integration.utility import Utility, make_utility

Json = dict[str, Any]
OWED: Final = {
    "status": "open",
    "steps": {str(step): {"status": "pending", "detail": ""} for step in (11, 12, 13)},
}
FEE: Final = LateFee(fixed_minor=2_550, percent_bp=175, cap_minor=6_000, grace_days=4, tax_bp=1_825)
STEPS: Final = (
    *(step_of("reminder", -5), step_of("reminder", 0), step_of("overdue", 2)),
    *(step_of("demand", 7, fee=True), step_of("demand", 14, fee=True)),
    *(step_of("notice", 21), step_of("disconnection", 31)),
)
MINIMUM: Final = 1_000
NOTICE_DAYS: Final = 10
DUE_AFTER: Final = timedelta(days=15)
DUE: Final = {"reminder": "payment_reminder", "notice": "disconnection_notice"}


def about(action: Json) -> str:
    """What a step is about: a bill, or the account of who was never billed."""
    return str(action["bill_id"] or f"account {action['customer_id']}")


@pytest.fixture
def utility(database: str, tmp_path: Path) -> Iterator[Utility]:
    made = make_utility(database, tmp_path)
    yield made
    made.services.close()


@dataclass
class Year:
    """A walk whose nights run the jobs, each beside what the rules of this file expect."""

    walk: Walk
    connection: psycopg.Connection[Any]
    transport: DirectTransport
    random: random.Random
    today: date = FIRST_DAY
    taken: int = 0
    said: int = 0
    unsaid: int = 0
    fees: int = 0
    holds: dict[str, str] = field(default_factory=dict)

    def rows(self, query: str, *values: Any) -> list[Json]:
        cursor = self.connection.cursor(row_factory=dict_row)
        return cursor.execute(query.encode(), values).fetchall()

    def call(self, function: str, **params: Any) -> Json:
        answer: Json = self.transport.call(function, {"actor": "test", **params})
        return answer

    def night(self) -> None:
        """The jobs of a night; a customer may pay between what is queued and what is sent."""
        self.settle()
        today = self.today.isoformat()
        expected = self.expected_reminders()
        until = (self.today + timedelta(days=5)).isoformat()
        self.pages("queue_reminders", today=today, until=until)
        expected |= self.expected_marks()
        self.pages("mark_overdue", today=today)
        # The notices of marked bills go with the mark where their day has come: of those that
        # were in a plan or spared when they became due. Of all others it is later.
        expected |= self.expected_steps()
        self.pages("take_dunning_steps", today=today)
        if self.random.random() < 0.2:
            # A night that comes twice takes nothing twice.
            again = self.rows("select count(*) as n from public.dunning_actions")
            for function in ("queue_reminders", "mark_overdue", "take_dunning_steps"):
                self.pages(function, today=today, until=until)
            assert self.rows("select count(*) as n from public.dunning_actions") == again
        actions = self.rows("select * from public.dunning_actions where taken_on = %s", self.today)
        found = {(about(a), a["step"]): (a["fee_minor"], a["tax_minor"]) for a in actions}
        assert found == expected, self.today
        self.taken += len(actions)
        self.fees += sum(a["fee_minor"] > 0 for a in actions)
        of_bills = [a for a in actions if not a["occasion"].startswith("charges-")]
        if of_bills and self.random.random() < 0.2:
            self.pay(self.random.choice(of_bills))
        self.send()

    def pay(self, action: Json) -> None:
        """Somebody pays all of a bill about which a message is queued."""
        (bill,) = self.rows(
            "select total_minor - amount_paid_minor as open from public.bills where id = %s",
            action["bill_id"],
        )
        payment: Json = {"id": str(uuid4()), "customer_id": str(action["customer_id"])}
        payment |= {"currency": "INR", "amount_minor": bill["open"], "apply": "oldest"}
        payment |= {"bill_id": str(action["bill_id"]), "book": "account", "method": "cash"}
        payment |= {"received_on": self.today, "received_at": datetime.now(UTC)}
        self.walk.database.record_payments(
            actor="test", payments=[NewPayment.model_validate(payment)]
        )

    def pages(self, function: str, **params: Any) -> None:
        after = None
        while True:
            # Small pages: what is due never depends on where one ends.
            limit = 2 if function == "take_dunning_steps" else 50
            answer = self.call(function, limit=limit, owed=OWED, after=after, **params)
            after = answer["after"]
            if after is None:
                return

    def send(self) -> None:
        """Say what is queued and still true; nothing that is paid, held or small."""
        queued = self.rows(
            "select o.*, b.customer_id, b.status as bill,"
            " b.total_minor - b.amount_paid_minor as open"
            " from public.outbox o join public.bills b on b.id = o.bill_id"
            " where o.status = 'open' and o.kind = any(%s) order by o.created_at, o.id",
            ["payment_reminder", "overdue_notice", "disconnection_notice"],
        )
        for entry in queued:
            why = self.call(
                "why_unsaid",
                bill_id=str(entry["bill_id"]),
                kind=entry["kind"],
                occasion=entry["occasion"],
                today=self.today.isoformat(),
            )["reason"]
            settled = entry["bill"] == "void" or entry["open"] <= 0
            held = str(entry["customer_id"]) in self.holds
            assert not (settled or held) or why, "a message after the payment"
            self.said, self.unsaid = self.said + (not why), self.unsaid + bool(why)
            if entry["kind"] == "disconnection_notice" and not why:
                self.rows_of_notice(entry)
        with self.connection.transaction():
            self.connection.execute(
                "update public.outbox set status = 'finished', finished_at = now()"
                " where status = 'open'"
            )

    def rows_of_notice(self, entry: Json) -> None:
        """The notice reached the customer, most times."""
        if self.random.random() < 0.8:
            (action,) = self.rows(
                "select * from public.dunning_actions where bill_id = %s and action = 'notice'"
                " order by created_at desc limit 1",
                entry["bill_id"],
            )
            self.call("give_notice", id=str(action["id"]), on=self.today.isoformat())

    def settle(self) -> None:
        """Credit pays first, as it does in the jobs; not while money of it is to go back."""
        with self.connection.transaction():
            self.connection.execute("select set_config('billing.actor', 'test', true)")
            self.connection.execute(
                "select private.settle(array(select c.id from public.customers c"
                " where not exists (select 1 from public.payment_returns r"
                "                   where r.customer_id = c.id and r.status = 'pending')))"
            )

    def hold_or_release(self) -> None:
        """Now and then an account is held for some days, or released."""
        for held in [one for one in self.holds if self.random.random() < 0.1]:
            self.call("release_dunning", id=self.holds.pop(held), because="test")
        customer = self.random.choice(self.walk.customers).id
        if customer not in self.holds and self.random.random() < 0.05:
            self.holds[customer] = str(uuid4())
            self.call(
                "hold_dunning",
                id=self.holds[customer],
                customer_id=customer,
                reason="dispute",
                note="test",
                since=self.today.isoformat(),
            )

    # What the rules say, written a second time: one account after another, without sets.

    def bills(self, condition: str) -> list[Json]:
        return self.rows(
            "select b.id::text, b.customer_id::text, b.due_date,"  # noqa: S608 - no value of others
            " b.total_minor - b.amount_paid_minor as open, o.occasion from public.bills b"
            " cross join lateral private.dunning_occasions(array[b.id]) o"
            " where b.status = 'issued' and b.amount_paid_minor < b.total_minor"
            f" and b.id = any(private.dunned_of(array[b.id])) and {condition}"
            " order by b.due_date, b.id"
        )

    def expected_reminders(self) -> dict[tuple[str, str], tuple[int, int]]:
        found = {}
        for bill in self.bills("b.overdue_since is null"):
            (owed,) = self.rows(
                "select coalesce(sum(open_minor), 0) as owed from public.open_items"
                " where customer_id = %s and book = 'account'",
                bill["customer_id"],
            )
            before = self.rows(
                "select day from public.dunning_actions where bill_id = %s and action = 'reminder'",
                bill["id"],
            )
            days = (self.today - bill["due_date"]).days
            steps = [s for s in STEPS if s.action == "reminder" and s.day <= days <= 0]
            if not steps or bill["customer_id"] in self.holds or owed["owed"] < MINIMUM:
                continue
            if all(row["day"] < steps[-1].day for row in before):
                found[bill["id"], steps[-1].key] = (0, 0)
        return found

    def expected_marks(self) -> dict[tuple[str, str], tuple[int, int]]:
        found: dict[tuple[str, str], tuple[int, int]] = {}
        fresh = self.bills(f"b.overdue_since is null and b.due_date < '{self.today}'")
        marked = self.bills("b.overdue_since is not null")
        for bill in fresh:
            others = [b for b in (*fresh, *marked) if b["customer_id"] == bill["customer_id"]]
            days = (self.today - bill["due_date"]).days
            if days < 2 or bill["customer_id"] in self.holds:
                continue
            taken = [
                action
                for other in others
                for action in self.rows(
                    "select * from public.dunning_actions where bill_id = %s and occasion = %s"
                    " and action <> 'reminder'",
                    other["id"],
                    other["occasion"],
                )
            ]
            noticed = any(
                a["action"] == "overdue" and str(a["bill_id"]) == bill["id"] for a in taken
            )
            level = max((action["day"] for action in taken), default=0)
            if sum(b["open"] for b in others) >= MINIMUM and level <= 2 and not noticed:
                found[bill["id"], "overdue"] = (0, 0)
        return found

    def expected_steps(self) -> dict[tuple[str, str], tuple[int, int]]:
        found: dict[tuple[str, str], tuple[int, int]] = {}
        overdue = self.bills("b.overdue_since is not null")
        for customer in sorted({one.id for one in self.walk.customers} - self.holds.keys()):
            debts = [bill for bill in overdue if bill["customer_id"] == customer]
            charges = self.charges(customer)
            due = sum(charge["open"] for charge in charges)
            if debts and sum(bill["open"] for bill in debts) + due >= MINIMUM:
                found |= self.of_account(debts)
            elif charges and due >= MINIMUM and not self.owes_overdue(customer):
                found |= self.of_charges(customer, charges)
        return found

    def owes_overdue(self, customer: str) -> bool:
        """Also a bill that is spared or in a plan."""
        return bool(
            self.rows(
                "select 1 from public.bills where customer_id = %s and status = 'issued'"
                " and amount_paid_minor < total_minor and overdue_since is not null",
                customer,
            )
        )

    def charges(self, customer: str) -> list[Json]:
        """The open fees of an account that are due, the oldest first, and what they hang on."""
        found = self.rows(
            "select e.id::text, e.on_date, o.open_minor as open from public.ledger_entries e"
            " join public.open_items o on o.entry_id = e.id where e.customer_id = %s"
            " and e.book = 'account' and e.kind in ('fee', 'opening_balance')"
            " and o.open_minor > 0 order by e.on_date, e.entry_no",
            customer,
        )
        bills = self.rows(
            "select id::text, issued_on, due_date from public.bills where customer_id = %s"
            " and status = 'issued' order by id",
            customer,
        )
        if not found:
            return []
        # Who was never billed has as long as bills have by default.
        bill_id, term = None, DUE_AFTER
        if bills:
            first = found[0]["on_date"]
            bill = min(
                bills, key=lambda b: (b["issued_on"] > first, abs((b["issued_on"] - first).days))
            )
            bill_id = bill["id"]
            term = max(timedelta(0), bill["due_date"] - bill["issued_on"])
        return [
            charge | {"bill_id": bill_id, "due_date": charge["on_date"] + term, "debt": found[0]}
            for charge in found
            if charge["on_date"] + term < self.today
        ]

    def of_charges(
        self, customer: str, charges: list[Json]
    ) -> dict[tuple[str, str], tuple[int, int]]:
        taken = self.rows(
            "select * from public.dunning_actions where customer_id = %s and occasion = %s",
            customer,
            f"charges-{charges[0]['debt']['id']}",
        )
        if any(action["taken_on"] == self.today for action in taken):
            return {}
        level = max((action["day"] for action in taken), default=0)
        days = (self.today - charges[0]["due_date"]).days
        bill = about({"bill_id": charges[0]["bill_id"], "customer_id": customer})
        if not taken and days >= 2:
            return {(bill, "overdue"): (0, 0)}
        step = next((s for s in STEPS if s.action == "demand" and s.day > level), None)
        last = max((a["taken_on"] for a in taken if a["day"] == level), default=None)
        if step is None or days < step.day:
            return {}
        if last is not None and self.today - last < timedelta(days=step.day - level):
            return {}
        # No fee is charged on a fee.
        return {(bill, step.key): (0, 0)}

    def of_account(self, debts: list[Json]) -> dict[tuple[str, str], tuple[int, int]]:
        taken = [
            action
            for bill in debts
            for action in self.rows(
                "select * from public.dunning_actions where bill_id = %s and occasion = %s"
                " and action <> 'reminder'",
                bill["id"],
                bill["occasion"],
            )
        ]
        if any(action["taken_on"] == self.today for action in taken):
            return {}
        level = max((action["day"] for action in taken), default=0)
        unnoticed = [
            bill
            for bill in debts
            if (self.today - bill["due_date"]).days >= 2
            and level <= 2
            and not any(a["action"] == "overdue" and str(a["bill_id"]) == bill["id"] for a in taken)
        ]
        if unnoticed:
            return {(bill["id"], "overdue"): (0, 0) for bill in unnoticed}
        step = next(
            (s for s in STEPS if s.action not in {"reminder", "overdue"} and s.day > level), None
        )
        if step is None or (self.today - debts[0]["due_date"]).days < step.day:
            return {}
        return self.next_step(step, debts, taken, level)

    def next_step(
        self, step: PolicyStep, debts: list[Json], taken: list[Json], level: int
    ) -> dict[tuple[str, str], tuple[int, int]]:
        last = max((a["taken_on"] for a in taken if a["day"] == level), default=None)
        if last is not None and self.today - last < timedelta(days=step.day - level):
            return {}
        if step.action == "disconnection":
            given = [a["given_on"] for a in taken if a["action"] == "notice" and a["given_on"]]
            if not given or self.today - max(given) < timedelta(days=NOTICE_DAYS):
                return {}
        return {(debts[0]["id"], step.key): self.fee(step, debts)}

    def fee(self, step: PolicyStep, debts: list[Json]) -> tuple[int, int]:
        if not step.fee:
            return (0, 0)
        late = sum(b["open"] for b in debts if (self.today - b["due_date"]).days > FEE.grace_days)
        charged = self.rows(
            "select coalesce(sum(fee_minor), 0)::bigint as fee from public.dunning_actions"
            " where bill_id = %s",
            debts[0]["id"],
        )[0]["fee"]
        part = round_half_up(Fraction(late * FEE.percent_bp, 10_000))
        net = max(0, min(FEE.fixed_minor + part, FEE.cap_minor - charged))
        return net, round_half_up(Fraction(net * FEE.tax_bp, 10_000))


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_a_year_of_random_payments_against_the_ladder(
    utility: Utility, database: str, seed: int
) -> None:
    policy = DunningPolicy(
        id=str(uuid4()),
        currency="INR",
        version=1,
        valid_from=FIRST_DAY,
        minimum_minor=MINIMUM,
        notice_days=NOTICE_DAYS,
        steps=STEPS,
        late_fee=FEE,
    )
    check_policy(policy, today=FIRST_DAY)
    utility.services.database.dunning.publish_policy(actor="test", policy=policy, seen_version=0)
    walk = Walk(utility, customers=8, seed=seed)
    # People who pay late.
    walk.steps = [
        (step, weight // 6 if step == walk.pay else weight) for step, weight in walk.steps
    ]
    connection = psycopg.connect(database, autocommit=True)
    transport = DirectTransport(database)
    chance = random.Random(seed)  # noqa: S311 - chance, not secrecy
    year = Year(walk, connection, transport, chance)
    for day in range(365):
        walk.today = year.today = FIRST_DAY + timedelta(days=day)
        for _ in range(year.random.choice((0, 1, 1, 2))):
            walk.step()
            walk.today = year.today
        year.hold_or_release()
        year.night()
    the_books_are_right(year)
    transport.close()
    connection.close()


def the_books_are_right(year: Year) -> None:
    """Nothing twice, the fees in the ledger, and enough of everything to prove something."""
    twice = year.rows(
        "select bill_id, kind, occasion from public.outbox group by 1, 2, 3 having count(*) > 1"
    )
    assert twice == []
    wrong = year.rows(
        "select a.id from public.dunning_actions a left join public.ledger_entries e"
        " on e.id = a.id and e.kind = 'fee' and e.customer_id = a.customer_id"
        " where coalesce(e.amount_minor, 0) <> a.fee_minor + a.tax_minor"
    )
    assert wrong == []
    over = year.rows(
        "select bill_id from public.dunning_actions group by 1 having sum(fee_minor) > %s",
        FEE.cap_minor,
    )
    assert over == []
    assert year.walk.database.check_ledger().problems == ()
    counted = year.rows("select action, count(*) as n from public.dunning_actions group by 1")
    assert {row["action"] for row in counted} == {step.action for step in STEPS}, counted
    assert year.taken > 60
    assert year.fees > 8
    assert min(year.said, year.unsaid) > 8
