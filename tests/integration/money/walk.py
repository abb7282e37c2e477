"""A random walk through all that happens to accounts, each step done to a model beside it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from services.billing.draw_up import measured_bill
from services.database.errors import IllegalChange
from services.quantities.period import first_of_month, months_before
from services.rating import BillLine, RatedBill
from services.records.bills import Issue
from services.records.entries import (
    DepositUse,
    NewAdjustment,
    NewPayment,
    NewPlan,
    NewReturn,
    PlanPart,
)
from services.records.readings import MeterConstants, Read
from services.reports import catalogue
from services.reports.definitions import Asked
from tests.integration.money.ties import (
    give_back_to_nobody,
    lose_dispute,
    receive_for_a_bill,
    receive_of_nobody,
    rows_of,
)
from tests.integration.money.walked import (
    FIRST_DAY,
    PAYABLE,
    Customer,
    Json,
    Received,
    WalkedUtility,
)
from tests.integration.test_utility_settings import change
from tests.integration.utility import ADMIN, Utility


class Walk(WalkedUtility):
    """Takes steps; each is done to the database and to the model."""

    def __init__(self, utility: Utility, customers: int, seed: int, *, more: bool = False) -> None:
        """With `more` of what an office does: rebilling, plans, online payments, credit notes."""
        super().__init__(utility, customers, seed)
        self.steps: list[tuple[Callable[[], bool], int]] = [
            (self.bill, 30),
            (self.pay, 30),
            (self.refund, 8),
            (self.reverse, 4),
            (self.adjust, 8),
            (self.undo_adjustment, 4),
            (self.use_deposit, 3),
            (self.void, 8),
            (self.unapply, 4),
            (self.settle, 4),
            (self.pay_out, 2),
            (self.refuse, 10),
            (self.receive_of_nobody, 3),
            (self.assign, 2),
            (self.give_back_to_nobody, 2),
            (self.close_month, 2),
        ]
        if more:
            change(utility, credit_notes=True)
            self.steps += [
                (self.rebill, 6),
                (self.pay_online, 6),
                (self.dispute, 5),
                (self.agree_plan, 8),
                (self.end_plan, 4),
            ]

    def step(self) -> None:
        """One step that could be taken."""
        choose, weights = zip(*self.steps, strict=True)
        (chosen,) = self.random.choices(choose, weights)
        while not chosen():
            (chosen,) = self.random.choices(choose, weights)
        self.done[chosen.__name__] = self.done.get(chosen.__name__, 0) + 1
        self.today += timedelta(days=self.random.choice((0, 0, 1)))

    def bill(self) -> bool:
        """The next bill of a customer; one in eight is a credit, one in ten is nothing."""
        return self._bill(self.random.choice(self.customers))

    def _bill(self, customer: Customer) -> bool:
        total = self.random.choice((self._amount(),) * 8 + (-self._amount(), 0))
        opening = customer.last
        closing = self._read(customer, opening)
        tax = total // 11
        lines = (
            BillLine("energy", "Energy", False, "1", "kWh", None, total - tax),
            BillLine("duty", "Duty, 10%", True, "1", "%", "10", tax),
        )
        bill = measured_bill(
            agreement_id=customer.agreement_id,
            constants=MeterConstants(customer.meter_id, 6, 1000),
            opening=opening,
            closing=closing,
            tariffs=self.tariffs,
            reissue_no=customer.void,
            issue=Issue(at=self._now(), on=self.today, due_days=15),
            zone=self.utility.services.settings.timezone,
        ).priced()
        bill = replace(bill, rated=RatedBill("INR", lines))
        assert self.database.store_job_bills(actor="walk", bills=[bill]) == (1, [])
        customer.account.post(bill.id, "bill", total, closing.read_on)
        if any(item.open < 0 for item in customer.account.items.values()):
            customer.account.settle()
        customer.bills.append(bill.id)
        customer.last, customer.void = closing, 0
        return True

    def pay(self) -> bool:
        """A payment for a bill, an account or a deposit; one in six pays nothing yet."""
        customer = self.random.choice(self.customers)
        deposit = self.random.random() < 0.1
        book = customer.deposit if deposit else customer.account
        bill = self.random.choice([*customer.bills, None]) if not deposit else None
        apply = self.random.choice(("oldest",) * 5 + ("none",))
        row = self._row(customer) | {"bill_id": bill, "book": "deposit" if deposit else "account"}
        # One in four was received before, maybe in a month that is closed by now.
        late = 0 if deposit else self.random.choice((0, 0, 0, self.random.randint(1, 40)))
        on = self.today - timedelta(days=late)
        row |= {"method": "cash", "received_at": self._now(), "received_on": on}
        row |= {"apply": apply}
        assert (
            self.database.record_payments(
                actor=ADMIN.user, payments=[NewPayment.model_validate(row)]
            )
            == 1
        )
        assert (
            self.database.record_payments(
                actor=ADMIN.user, payments=[NewPayment.model_validate(row)]
            )
            == 0
        )
        payment = Received(row["id"], customer, book, row["amount_minor"])
        self.payments.append(payment)
        item = book.post(payment.id, "payment", -payment.amount, on)
        if deposit or apply == "none":
            return True
        if bill and book.items[bill].open > 0:
            book.allocate(item.name, bill, min(book.items[bill].open, payment.amount))
        book.settle()
        return True

    def refund(self) -> bool:
        """A part of a payment goes back."""
        return self._return(whole=False)

    def reverse(self) -> bool:
        """All that is left of a payment goes back."""
        return self._return(whole=True)

    def adjust(self) -> bool:
        """A credit is given or a fee charged."""
        customer = self.random.choice(self.customers)
        kind = self.random.choice(("credit", "fee"))
        row = self._row(customer) | {"kind": kind, "note": "agreed", "on_date": self.today}
        self.database.add_adjustment(actor=ADMIN.user, entry=NewAdjustment.model_validate(row))
        amount = row["amount_minor"] * (1 if kind == "fee" else -1)
        customer.account.post(row["id"], kind, amount, self.today)
        customer.account.settle()
        return True

    def undo_adjustment(self) -> bool:
        """A credit or a fee is taken back."""
        customer = self.random.choice(self.customers)
        kinds = ("credit", "fee")
        items = customer.account.items.values()
        names = [i.name for i in items if i.kind in kinds and not i.undone]
        if not names:
            return False
        name = self.random.choice(names)
        undo: Json = {"actor": ADMIN.user, "entry_id": name, "reason": "mistake"}
        self.database.undo_adjustment(**undo, on_date=self.today)
        self.database.undo_adjustment(**undo, on_date=self.today)
        customer.account.undo(name, self.today)
        customer.account.settle()
        return True

    def use_deposit(self) -> bool:
        """A part of a deposit pays what is open."""
        customer = self.random.choice(self.customers)
        if not customer.deposit.credit:
            return False
        amount = self.random.randint(1, customer.deposit.credit)
        row = self._row(customer) | {"amount_minor": amount, "note": "used"}
        self.database.use_deposit(
            actor=ADMIN.user, entry=DepositUse.model_validate(row | {"on_date": self.today})
        )
        customer.deposit.post(row["id"], "deposit_used", amount, self.today)
        customer.deposit.pay_from_credit(row["id"])
        customer.account.post(row["id"], "deposit_used", -amount, self.today)
        customer.account.settle()
        return True

    def void(self) -> bool:
        """The last bill of a customer is void; the next opens where it did."""
        return self._void_last(self.random.choice(self.customers))

    def _void_last(self, customer: Customer) -> bool:
        if not customer.bills:
            return False
        bill_id = customer.bills.pop()
        bill = self.database.bill(bill_id)
        self.database.void_bill(actor=ADMIN.user, bill_id=bill_id, reason="misread", on=self.today)
        customer.account.undo(bill_id, self.today)
        customer.account.settle()
        reading = self.database.reading(bill.opening_reading_id)
        customer.last = Read.model_validate(reading.model_dump())
        # Its number of voids counts all that opened at this read.
        customer.void = self._voids(customer, bill.opening_reading_id)
        return True

    def rebill(self) -> bool:
        """The last bill of a customer is void, and another one comes in its place."""
        customer = self.random.choice(self.customers)
        return self._void_last(customer) and self._bill(customer)

    def pay_online(self) -> bool:
        """A customer pays a bill, or a part of it or more, by Stripe."""
        customer = self.random.choice(self.customers)
        unpaid = [b for b in customer.bills if customer.account.items[b].open > 0]
        if not unpaid:
            return False
        bill, amount = self.random.choice(unpaid), self._amount()
        payment, intent = receive_for_a_bill(self.utility.services, bill, amount, self.today)
        self.intents[payment] = intent
        self.payments.append(Received(payment, customer, customer.account, amount))
        item = customer.account.post(payment, "payment", -amount, self.today)
        customer.account.allocate(item.name, bill, min(customer.account.items[bill].open, amount))
        customer.account.settle()
        return True

    def dispute(self) -> bool:
        """The bank takes all that is left of a payment by Stripe back, as of a debit that fails."""
        disputed = [p for p in self.payments[-60:] if p.id in self.intents and not p.returned]
        if not disputed:
            return False
        payment = self.random.choice(disputed)
        lose_dispute(self.utility.services, self.intents[payment.id], payment.amount, self.today)
        self._given_back(payment, payment.amount)
        return True

    def agree_plan(self) -> bool:
        """What is open of one or two bills is to be paid in parts."""
        customer = self.random.choice(self.customers)
        unpaid = [b for b in customer.bills if customer.account.items[b].open > 0]
        if not unpaid:
            return False
        bills = self.random.sample(unpaid, min(len(unpaid), self.random.randint(1, 2)))
        open_minor = sum(customer.account.items[b].open for b in bills)
        first = self.random.randint(0, open_minor - 1)
        days = [self.today + timedelta(days=30 * n) for n in (1, 2)]
        parts = [
            PlanPart(due_on=on, amount_minor=minor)
            for on, minor in zip(days, (open_minor - first, first), strict=True)
            if minor
        ]
        plan = NewPlan(
            id=self._id(),
            customer_id=customer.id,
            currency="INR",
            bills=tuple(bills),
            instalments=tuple(parts),
            on=self.today,
        )
        try:
            self.database.agree_plan(actor=ADMIN.user, plan=plan)
        except IllegalChange as error:
            assert "in a plan already" in str(error)  # noqa: PT017 - else nothing is to be refused
            return False
        return True

    def end_plan(self) -> bool:
        """A plan is given up."""
        active = [plan for plan in self.database.plans() if plan.status == "active"]
        if not active:
            return False
        plan = self.random.choice(sorted(active, key=lambda plan: plan.id))
        self.database.end_plan(actor=ADMIN.user, plan_id=plan.id, reason="moved out")
        return True

    def unapply(self) -> bool:
        """A payment pays nothing for now."""
        if not (payment := self._any_payment()) or payment.book is payment.customer.deposit:
            return False
        entry = self.database.payment(payment.id).entry_id
        assert entry is not None
        self.database.allocate_credit(actor=ADMIN.user, entry_id=entry, bill_id=None)
        payment.book.take_back(payment.id, only=PAYABLE)
        return True

    def settle(self) -> bool:
        """Credits pay what is open."""
        customer = self.random.choice(self.customers)
        self.database.settle_account(actor=ADMIN.user, customer_id=customer.id)
        customer.account.settle()
        customer.deposit.settle()
        return True

    def pay_out(self) -> bool:
        """A credit is paid out."""
        customer = self.random.choice(self.customers)
        if not customer.account.credit:
            return False
        amount = self.random.randint(1, customer.account.credit)
        row = self._row(customer) | {"kind": "payout", "amount_minor": amount, "method": "bank"}
        row |= {"reason": "moved out", "on_date": self.today}
        self.database.record_return(actor=ADMIN.user, entry=NewReturn.model_validate(row))
        customer.account.post(row["id"], "payout", amount, self.today)
        customer.account.pay_from_credit(row["id"])
        customer.account.settle()
        return True

    def refuse(self) -> bool:
        """What may not be done is refused, and nothing changes."""
        customer = self.random.choice(self.customers)
        row = self._row(customer) | {"method": "cash", "received_on": self.today}
        row |= {"received_at": self._now()}
        attempts: list[Callable[[], Any]] = [
            lambda: self._record(row | {"currency": "USD"}),
            lambda: self._record(row | {"amount_minor": -1}),
            lambda: self._record(row | {"amount_minor": 0}),
        ]
        if len(customer.bills) > 1:
            earlier = self.random.choice(customer.bills[:-1])
            attempts.append(lambda: self._void(earlier))
        if payment := self._any_payment():
            too_much = payment.amount - payment.returned + 1
            attempts.append(lambda: self._send_back(payment, too_much))
        void = [i.name for i in customer.account.items.values() if i.kind == "bill" and i.undone]
        if void:
            attempts.append(lambda: self._record(row | {"bill_id": self.random.choice(void)}))
        return self._refused(self.random.choice(attempts))

    def receive_of_nobody(self) -> bool:
        """Money comes of which nobody knows whose it is."""
        amount = self._amount()
        payment = receive_of_nobody(self.utility.services, amount, self.today)
        self.of_nobody[payment] = (amount, self.today)
        return True

    def assign(self) -> bool:
        """Such money is said to be a customer's."""
        if not self.of_nobody:
            return False
        customer, payment = (
            self.random.choice(self.customers),
            self.random.choice([*self.of_nobody]),
        )
        amount, on = self.of_nobody.pop(payment)
        self.database.assign_payment(
            actor=ADMIN.user, payment_id=payment, customer_id=customer.id, bill_id=None
        )
        customer.account.post(payment, "payment", -amount, on)
        customer.account.settle()
        return True

    def give_back_to_nobody(self) -> bool:
        """Such money goes back, and can be nobody's any more."""
        if not self.of_nobody:
            return False
        payment = self.random.choice([*self.of_nobody])
        amount, _ = self.of_nobody.pop(payment)
        part = self.random.randint(1, amount)
        give_back_to_nobody(self.utility.services, payment, part, self.today)
        return True

    def close_month(self) -> bool:
        """The last month that is over is closed; what is in its journal is noted."""
        month = months_before(first_of_month(self.today), 1)
        if month in self.closed or month < FIRST_DAY:
            return False
        self.database.close_month(actor=ADMIN.user, month=month, today=self.today)
        self.closed[month] = rows_of(
            self.utility.services, catalogue.JOURNAL, Asked(month, first_of_month(self.today))
        )
        return True

    def _return(self, *, whole: bool) -> bool:
        payment = self._any_payment()
        if not payment or not (left := payment.amount - payment.returned):
            return False
        deposit = payment.book is payment.customer.deposit
        book = payment.book
        amount = left if whole else self.random.randint(1, left)
        if not whole and amount > (book.credit if deposit else book.left_of(payment.id)):
            return self._refused(lambda: self._send_back(payment, amount))
        self._send_back(payment, None if whole else amount)
        self._given_back(payment, amount)
        return True
