"""A random walk through all that happens to accounts, each step done to a model beside it."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from services.billing.draw_up import measured_bill
from services.database.transport import DatabaseRefused
from services.quantities.period import first_of_month, months_before
from services.rating import BillLine, RatedBill
from services.records.bills import Issue
from services.records.entries import DepositUse, NewAdjustment, NewPayment, NewReturn
from services.records.readings import MeterConstants, Read
from services.reports import catalogue
from services.reports.definitions import Asked
from tests.integration.money.model import Book
from tests.integration.money.ties import give_back_to_nobody, receive_of_nobody, rows_of
from tests.integration.utility import ADMIN, Utility

Json = dict[str, Any]
FIRST_DAY = date(2020, 1, 1)
PAYABLE = ("bill", "fee")


@dataclass
class Customer:
    """A customer with a meter, and the model of their accounts."""

    id: str
    meter_id: str
    agreement_id: str
    last: Read
    account: Book = field(default_factory=Book)
    deposit: Book = field(default_factory=Book)
    bills: list[str] = field(default_factory=list)
    void: int = 0


@dataclass
class Received:
    """A payment of the walk, and what of it went back."""

    id: str
    customer: Customer
    book: Book
    amount: int
    returned: int = 0


class Walk:
    """Takes steps; each is done to the database and to the model."""

    def __init__(self, utility: Utility, customers: int, seed: int) -> None:
        self.utility = utility
        self.database = utility.services.database
        self.random = random.Random(seed)  # noqa: S311 - chance, not secrecy
        self.today = FIRST_DAY
        self.tariffs = self.database.tariff_versions()
        self.customers = [self._connect(f"M{n}") for n in range(customers)]
        self.payments: list[Received] = []
        # Payments of nobody known with their amount and day; the journals of closed months.
        self.of_nobody: dict[str, tuple[int, date]] = {}
        self.closed: dict[date, list[Json]] = {}
        self.refused = 0
        self.done: dict[str, int] = {}
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

    def step(self) -> None:
        """One step that could be taken."""
        choose, weights = zip(*self.steps, strict=True)
        (chosen,) = self.random.choices(choose, weights)
        while not chosen():
            (chosen,) = self.random.choices(choose, weights)
        self.done[chosen.__name__] = self.done.get(chosen.__name__, 0) + 1
        self.today += timedelta(days=self.random.choice((0, 0, 1)))

    def random_day(self) -> date:
        """A day since the first."""
        return FIRST_DAY + timedelta(days=self.random.randint(1, (self.today - FIRST_DAY).days + 1))

    def bill(self) -> bool:
        """The next bill of a customer; one in eight is a credit, one in ten is nothing."""
        customer = self.random.choice(self.customers)
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
        customer = self.random.choice(self.customers)
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
        payment.returned += amount
        name = f"return {payment.id} {payment.returned}"
        if deposit:
            book.post(name, "refund", amount, self.today)
            book.pay_from_credit(name)
        else:
            book.take_back(payment.id, max(amount + book.items[payment.id].open, 0), PAYABLE)
            book.post(name, "refund", amount, self.today)
            if there := min(-book.items[payment.id].open, amount):
                book.allocate(payment.id, name, there)
        payment.customer.account.settle()
        payment.customer.deposit.settle()
        return True

    def _refused(self, what: Callable[[], Any]) -> bool:
        """What may not be done is refused: by a rule by name, or by a check of the table."""
        try:
            what()
        except DatabaseRefused:
            self.refused += 1
            return True
        raise AssertionError("What may not be done was done.")

    def _send_back(self, payment: Received, amount: int | None) -> None:
        row: Json = {"id": self._id(), "payment_id": payment.id, "method": "cash"}
        row |= {"kind": "refund" if amount else "reversal", "reason": "asked"}
        row |= {"amount_minor": amount, "on_date": self.today}
        first = self.database.record_return(actor=ADMIN.user, entry=NewReturn.model_validate(row))
        assert (
            self.database.record_return(actor=ADMIN.user, entry=NewReturn.model_validate(row))
            == first
        )

    def _record(self, row: Json) -> None:
        self.database.record_payments(actor=ADMIN.user, payments=[NewPayment.model_validate(row)])

    def _void(self, bill_id: str) -> None:
        self.database.void_bill(actor=ADMIN.user, bill_id=bill_id, reason="no", on=self.today)

    def _any_payment(self) -> Received | None:
        return self.random.choice(self.payments[-60:]) if self.payments else None

    def _row(self, customer: Customer) -> Json:
        row: Json = {"id": self._id(), "customer_id": customer.id, "currency": "INR"}
        return row | {"amount_minor": self._amount()}

    def _amount(self) -> int:
        return self.random.choice((1, 99, 100, self.random.randint(1, 100_000)))

    def _id(self) -> str:
        return str(UUID(int=self.random.getrandbits(128), version=4))

    def _now(self) -> datetime:
        return datetime.combine(self.today, time(12), tzinfo=UTC)

    def _connect(self, serial: str) -> Customer:
        meter_id = self.utility.add_meter(serial, opened_on=FIRST_DAY, dials=6)
        account = self.database.accounts(text=f"A-{serial}").items[0]
        (meter,) = self.database.meter_reads(serials=[serial])
        return Customer(account.id, meter_id, str(meter.agreement_id), meter.reads[0])

    def _read(self, customer: Customer, opening: Read) -> Read:
        """The next read of a meter: after all reads that it ever had."""
        on = max(opening.read_on + timedelta(days=1), self.today)
        (meter,) = self.database.meter_reads(serials=[self._serial(customer)])
        last = max(read.read_on for read in meter.reads)
        on = max(on, last + timedelta(days=1))
        at = datetime.combine(on, time(12), tzinfo=UTC)
        row: Json = {"id": self._id(), "meter_id": customer.meter_id, "read_at": at}
        row |= {"read_on": on, "register_wh": opening.register_wh + 1000}
        row |= {"status": "accepted", "validation": {}}
        assert self.database.import_readings(actor="walk", rows=[row]).added == 1
        return Read(
            id=row["id"],
            meter_id=customer.meter_id,
            read_at=at,
            read_on=on,
            register_wh=row["register_wh"],
        )

    def _serial(self, customer: Customer) -> str:
        return f"M{self.customers.index(customer)}"

    def _voids(self, customer: Customer, opening_reading_id: str) -> int:
        bills = self.database.bills(text=self._serial(customer), status="void", page_size=1000)
        return sum(
            b.opening_reading_id == opening_reading_id and b.meter_id == customer.meter_id
            for b in bills.items
        )
