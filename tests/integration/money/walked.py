"""What a random walk stands on: its customers and their models, and the ways to the database."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from services.database.transport import DatabaseRefused
from services.records.entries import NewPayment, NewReturn
from services.records.readings import Read
from tests.integration.money.model import Book
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


class WalkedUtility:
    """A utility, the model of its customers' accounts beside it, and chance."""

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
        # Payments by Stripe with their intents.
        self.intents: dict[str, str] = {}
        self.refused = 0
        self.done: dict[str, int] = {}

    def random_day(self) -> date:
        """A day since the first."""
        return FIRST_DAY + timedelta(days=self.random.randint(1, (self.today - FIRST_DAY).days + 1))

    def _given_back(self, payment: Received, amount: int) -> None:
        book = payment.book
        deposit = book is payment.customer.deposit
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
