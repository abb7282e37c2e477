"""A meter with a chain of bills, and what must hold after any of them was corrected."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

from services.corrections.plan import Plan, Wrong, WrongReading
from services.corrections.rebilling import Rebilling
from services.records.bills import Bill
from services.records.corrections import Correction
from services.records.entries import NewPayment
from tests.integration.utility import ADMIN, Utility, assert_one_chain

STEP = timedelta(days=30)


class Correcting:
    """A utility and the way to correct its bills; each leaves chain and ledger whole."""

    def __init__(self, utility: Utility) -> None:
        self.utility = utility
        self.database = utility.services.database

    @property
    def rebilling(self) -> Rebilling:
        """The service."""
        return self.utility.services.rebilling

    def chain(self, serial: str, bills: int, *, kwh: int = 100) -> list[Bill]:
        """A meter of 1000 kWh and its bills of so many kWh in 30 days each, up to now."""
        start = self.utility.now - STEP * bills
        self.utility.add_meter(serial, opened_on=self.utility.today - STEP * bills)
        for number in range(1, bills + 1):
            at = start + STEP * number
            assert self.utility.submit(serial, 1000 + kwh * number, at=at).bill is not None
        return self.utility.bills_of(serial)

    def pay(self, bill: Bill, minor: int) -> None:
        """A payment at the office for a bill."""
        row: dict[str, Any] = {"id": str(uuid4()), "bill_id": bill.id, "amount_minor": minor}
        row |= {"currency": bill.currency, "method": "cash", "reference": "R"}
        row |= {"received_at": self.utility.now, "received_on": self.utility.today}
        assert (
            self.database.record_payments(
                actor=ADMIN.user, payments=[NewPayment.model_validate(row)]
            )
            == 1
        )

    def closed_at(self, bill: Bill, kwh: str | None, **registers: str) -> WrongReading:
        """That the read at which a bill closes was another, or none (None)."""
        given = registers or None
        return WrongReading(bill.id, bill.closing_reading_id, kwh, given)

    def plan(self, wrong: Wrong) -> Plan:
        """What it would do."""
        return self.rebilling.plan(wrong, now=self.utility.now)

    def execute(self, wrong: Wrong, *, check: bool = True, **how: Any) -> Correction:
        """Plan and do it, and see that every kWh, day and cent is still counted once."""
        plan = self.plan(wrong)
        given: dict[str, Any] = {"correction_id": str(uuid4()), "reason": "misread"}
        given |= {"acknowledged": True, "principal": ADMIN, "now": self.utility.now}
        done = self.rebilling.execute(wrong, previewed=plan.fingerprint, **given | how)
        if check:
            assert done.difference_minor == plan.difference_minor
            self.check(plan.chain.meter.serial)
        return done

    def check(self, serial: str) -> None:
        """The chain of a meter, and the whole ledger."""
        assert_one_chain(self.utility, serial)
        assert self.database.check_ledger().problems == ()

    def balance(self, bill: Bill) -> int:
        """What the bill's customer owes."""
        return self.database.account(bill.customer_id).balance_minor


def ids(bills: list[Bill]) -> list[str]:
    """Of bills."""
    return [bill.id for bill in bills]
