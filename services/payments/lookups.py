"""Payments as administrators look them up: those that need a look, one of them, who pays."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.database.service import DatabaseService
from services.identity.auth import Principal, require
from services.identity.permissions import Permission
from services.records.base import Page
from services.records.bills import Bill
from services.records.details import Payer, PaymentDetail
from services.records.ledger import Payment, PaymentFlag, ReturnedBill


@dataclass(frozen=True, slots=True)
class PaymentLookups:
    """Payments. Each method raises NotAllowed for who is no administrator."""

    database: DatabaseService

    def detail(self, *, payment_id: str, principal: Principal) -> PaymentDetail:
        """A payment with all that came of it; raises NotFound."""
        require(principal, Permission.VIEW_PAYMENTS)
        payment = self.database.payment(payment_id)
        return PaymentDetail(
            payment=payment,
            paid=tuple(self.database.allocations(payment_id=payment.id)),
            returns=tuple(self.database.returns(payment_id=payment.id)),
            flags=tuple(self.database.payment_flags(payment_id=payment.id)),
            open_bills=self._payable_by(payment),
        )

    def of_ids(self, payment_ids: Sequence[str], *, principal: Principal) -> list[Payment]:
        """Some payments, in the order of their ids; raises NotFound."""
        require(principal, Permission.VIEW_PAYMENTS)
        return [self.database.payment(payment_id) for payment_id in payment_ids]

    def payer(self, *, bill_id: str | None, customer_id: str, principal: Principal) -> Payer:
        """Who pays a bill, or without one whose account it is; raises NotFound."""
        require(principal, Permission.VIEW_PAYMENTS)
        bill = self.database.bill(bill_id) if bill_id else None
        return Payer(
            account=self.database.account(bill.customer_id if bill else customer_id), bill=bill
        )

    def open_flags(self, *, principal: Principal, page: int, page_size: int) -> Page[PaymentFlag]:
        """What nobody has looked at, the oldest first."""
        require(principal, Permission.VIEW_PAYMENTS)
        return self.database.open_payment_flags(page=page, page_size=page_size)

    def returned_bills(
        self, *, principal: Principal, page: int, page_size: int
    ) -> Page[ReturnedBill]:
        """Bills opened again by money that went back, undecided, the oldest first."""
        require(principal, Permission.VIEW_PAYMENTS)
        return self.database.returned_bills(page=page, page_size=page_size)

    def _payable_by(self, payment: Payment) -> tuple[Bill, ...]:
        if not payment.open_minor or payment.book != "account" or payment.customer_id is None:
            return ()
        return tuple(self.database.open_bills(customer_id=payment.customer_id))
