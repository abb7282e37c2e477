"""What else is to be seen on accounts: credit, a refund, a bounced cheque, deposits, a plan."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5
from zoneinfo import ZoneInfo

from services.accounts.instalments import equal_parts
from services.database.service import DatabaseService
from services.demo.bills import MeterBills
from services.demo.premises import Premises
from services.records.entries import NewAdjustment, NewPayment, NewPlan, NewReturn

# In minor units.
PAID_TOO_MUCH: Final = 100_00
REFUNDED: Final = 60_00
BANK_FEE: Final = 75_00
RECONNECTION: Final = 150_00
DEPOSIT: Final = 2_000_00
LEAVE_DEPOSITS: Final = frozenset({"M-151", "M-152", "M-157"})
RECONNECTED: Final = "M-118"
IN_A_PLAN: Final = "M-154"
INSTALMENTS: Final = 3


@dataclass(frozen=True, slots=True)
class AccountStories:
    """Stories of a few accounts, the same ones of a date; each step may be repeated.

    `payments` are those of the bills of `meters`, as record_payments takes them.
    """

    database: DatabaseService
    actor: str
    zone: ZoneInfo
    as_of: date
    meters: Sequence[MeterBills]
    payments: Sequence[NewPayment]

    def payments_of_bills(self) -> list[NewPayment]:
        """The payments as they came: two of too much, and one by a cheque."""
        too_much, bounced = self._special()
        changed: dict[str, dict[str, object]] = {
            paid.id: {"amount_minor": paid.amount_minor + PAID_TOO_MUCH} for paid in too_much
        }
        changed |= {paid.id: {"method": "cheque", "reference": "CHQ 004217"} for paid in bounced}
        return [paid.model_copy(update=changed.get(paid.id)) for paid in self.payments]

    def deposits(self) -> list[NewPayment]:
        """What a few shops left when their meters were connected."""
        return [self._deposit(m) for m in self.meters if m.premises.serial in LEAVE_DEPOSITS]

    def tell(self) -> None:
        """What happened after the payments."""
        too_much, bounced = self._special()
        for row in too_much[1:]:
            self._return(
                row,
                kind="refund",
                method="bank",
                amount_minor=REFUNDED,
                reference="TRF 300118",
                reason="Asked for what was too much",
            )
        for row in bounced:
            self._return(row, kind="reversal", method="cheque", reason="The cheque bounced")
            account = self.database.bill(str(row.bill_id)).account_no
            self._fee(account, BANK_FEE, "Bank's fee for the bounced cheque")
        by_serial = {meter.premises.serial: meter.premises for meter in self.meters}
        self._fee(by_serial[RECONNECTED].account_no, RECONNECTION, "Reconnection")
        self._plan(by_serial[IN_A_PLAN])

    def _special(self) -> tuple[list[NewPayment], list[NewPayment]]:
        """Of the payments that paid a meter's last bill whole, oldest first: two, and one more."""
        last = {meter.bills[-1].id: meter.bills[-1] for meter in self.meters if meter.bills}
        whole = [
            row
            for row in self.payments
            if row.bill_id in last and row.amount_minor == last[row.bill_id].rated.total_minor
        ]
        whole.sort(key=lambda row: (row.received_at, row.reference))
        return whole[:2], whole[2:3]

    def _deposit(self, meter: MeterBills) -> NewPayment:
        on = meter.bills[0].opening.read_on
        at = datetime.combine(on, time(11), tzinfo=self.zone).astimezone(UTC)
        return NewPayment(
            id=_id("deposit", meter.premises.serial),
            customer_id=self._customer(meter.premises.account_no),
            book="deposit",
            amount_minor=DEPOSIT,
            currency=meter.bills[0].rated.currency,
            method="bank",
            reference=f"TRF {meter.premises.number}",
            received_at=at,
            received_on=on,
        )

    def _return(self, paid: NewPayment, **what: Any) -> None:
        on = min(paid.received_on + timedelta(days=3), self._yesterday)
        back = NewReturn(id=_id("return", paid.id), payment_id=paid.id, on_date=on, **what)
        self.database.record_return(actor=self.actor, entry=back)

    def _fee(self, account_no: str, minor: int, note: str) -> None:
        account = self.database.account_numbered(account_no)
        if account.currency is None:
            return
        fee = NewAdjustment(
            id=_id("fee", account_no),
            customer_id=account.id,
            kind="fee",
            amount_minor=minor,
            currency=account.currency,
            note=note,
            on_date=self._yesterday,
        )
        self.database.add_adjustment(actor=self.actor, entry=fee)

    def _plan(self, premises: Premises) -> None:
        customer = self._customer(premises.account_no)
        bills = self.database.open_bills(customer_id=customer)
        if not bills or self.database.plans(customer_id=customer):
            return
        parts = equal_parts(
            total_minor=sum(bill.balance_minor for bill in bills),
            parts=INSTALMENTS,
            first_on=self.as_of + timedelta(days=10),
        )
        self.database.agree_plan(
            actor=self.actor,
            plan=NewPlan(
                id=_id("plan", premises.serial),
                customer_id=customer,
                currency=bills[0].currency,
                bills=tuple(bill.id for bill in bills),
                instalments=tuple(part.entry for part in parts),
                on=self._yesterday,
                reason="Agreed at the office",
            ),
        )

    def _customer(self, account_no: str) -> str:
        return self.database.account_numbered(account_no).id

    @property
    def _yesterday(self) -> date:
        return self.as_of - timedelta(days=1)


def _id(what: str, of: str) -> str:
    return str(uuid5(NAMESPACE_URL, f"electricity-billing/demo/{what}/{of}"))
