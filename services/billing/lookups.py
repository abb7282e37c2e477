"""Bills looked up by people and programs: engineers see those of meters that they read."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Final

from services.database.service import DatabaseService
from services.identity.auth import NotAllowed, Principal, require
from services.identity.permissions import Permission
from services.languages.sentence import sentence
from services.records.base import Page, PageRequest
from services.records.bills import Bill, BillSummary
from services.records.details import BillDetail, PaidPart
from services.records.lists import BillFilter
from services.records.messages import UnprintedBill
from services.records.overview import Overview

# Who reads meters sees the bills of those that they read.
_READERS: Final = (Permission.VIEW_BILLS, Permission.SUBMIT_READINGS)
_NOT_THEIRS: Final = sentence("You may read the bills of meters whose readings are yours.")


@dataclass(frozen=True, slots=True)
class BillLookups:
    """Bills. Each method raises NotAllowed for a principal who may not ask it."""

    database: DatabaseService

    def readable(self, *, bill_id: str, principal: Principal) -> Bill:
        """One bill with its lines, if `principal` may read it; raises NotFound."""
        require(principal, *_READERS, scope="read_bills")
        bill = self.database.bill(bill_id)
        if not may_read_bills_of(self.database, meter_id=bill.meter_id, principal=principal):
            raise NotAllowed(_NOT_THEIRS)
        return bill

    def detail(self, *, bill_id: str, principal: Principal) -> BillDetail:
        """A bill with its readings, payments, corrections and what follows it; raises NotFound."""
        require(principal, Permission.VIEW_BILLS)
        database, bill = self.database, self.database.bill(bill_id)
        plans = database.plans(customer_id=bill.customer_id)
        return BillDetail(
            bill=bill,
            opening=database.reading(bill.opening_reading_id),
            closing=database.reading(bill.closing_reading_id),
            paid=tuple(self._paid(bill)),
            in_plan=any(p.status == "active" and p.has_bill(bill.id) for p in plans),
            corrections=tuple(database.corrections_of_bill(bill.id)),
            read_since=tuple(
                database.accepted_after(meter_id=bill.meter_id, after=bill.period_end)
            ),
            outbox=tuple(database.outbox_of(bill.id)),
            second_opinion=database.ai_call_log.second_opinion(bill_id=bill.id),
            unprinted_because=database.unprinted_because(bill.id),
            kwh_bank=database.kwh_bank(agreement_id=bill.agreement_id) if bill.net else (),
        )

    def _paid(self, bill: Bill) -> Iterator[PaidPart]:
        for one in self.database.allocations(bill_id=bill.id):
            if one.debit_kind == "bill":
                payment = self.database.payment(one.payment_id) if one.payment_id else None
                yield PaidPart(allocation=one, payment=payment)

    def of_customer(
        self, *, customer: str, limit: int, after: str | None, principal: Principal
    ) -> tuple[list[Bill], str | None]:
        """A page of a customer's bills that `principal` may read, and the id to go on after.

        `customer` is an id or an account number. Raises NotFound, also for an unknown `after`.
        """
        return self.database.customer_bills(
            customer=customer, limit=limit, after=after, reader=_only_reader(principal)
        )

    def search(self, *, text: str, limit: int, principal: Principal) -> tuple[BillSummary, ...]:
        """The last bills whose number, customer or meter is found by each word of `text`."""
        require(principal, Permission.VIEW_BILLS)
        page = PageRequest("period", descending=True, limit=limit, counted_to=0)
        return self.database.list_bills(wanted=BillFilter(text=text), page=page).items

    def overview(self, *, today: date, currency: str, principal: Principal) -> Overview:
        """Billed and collected in the last 12 months, what is open, what needs a person.

        `today` is local; `currency` is the one to show while there is no tariff.
        """
        require(principal, Permission.VIEW_BILLS)
        return self.database.overview(today=today, currency=currency)

    def unprinted(self, *, principal: Principal, page: int, page_size: int) -> Page[UnprintedBill]:
        """The bills whose PDF could not be made, the oldest trouble first."""
        require(principal, Permission.VIEW_BILLS)
        return self.database.unprinted_bills(page=page, page_size=page_size)


def may_read_bills_of(database: DatabaseService, *, meter_id: str, principal: Principal) -> bool:
    """Whether `principal` may read a meter's bills: anybody's of the office, else of own reads."""
    return _reads_all(principal) or database.has_read_meter(user=principal.user, meter_id=meter_id)


def _only_reader(principal: Principal) -> str | None:
    """The user whose meters alone count; None for somebody who may read every bill."""
    require(principal, *_READERS, scope="read_bills")
    return None if _reads_all(principal) else principal.user


def _reads_all(principal: Principal) -> bool:
    # An administrator's key that only submits reads what it submitted, as an engineer does.
    return principal.scope == "read_bills" or (
        principal.may(Permission.VIEW_BILLS) and principal.scope != "submit_readings"
    )
