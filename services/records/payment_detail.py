"""All that is looked at together about one payment: records."""

from services.records.base import Record
from services.records.bills import Bill
from services.records.ledger import Account, Allocation, Payment, PaymentFlag, PaymentReturn


class PaymentDetail(Record):
    """A payment: what it paid (the oldest first), what went back of it, what is odd about it.

    `open_bills` are those that what is left of it could pay.
    """

    payment: Payment
    paid: tuple[Allocation, ...]
    returns: tuple[PaymentReturn, ...]
    flags: tuple[PaymentFlag, ...]
    open_bills: tuple[Bill, ...]


class Payer(Record):
    """Who is about to pay, and the bill that it is for, if it is for one."""

    account: Account
    bill: Bill | None
