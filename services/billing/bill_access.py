"""Whose bills somebody may read: an engineer those of meters that they read, the office all."""

from services.database.service import DatabaseService
from services.identity.auth import NotAllowed, Principal, Role, require
from services.records.bills import Bill

_NOT_THEIRS = "You may read the bills of meters whose readings are yours."


def readable_bill(database: DatabaseService, *, principal: Principal, bill_id: str) -> Bill:
    """One bill with its lines, if `principal` may read it; raises NotFound, NotAllowed."""
    reader = _only_reader(principal)
    bill = database.bill(bill_id)
    if reader is not None and not database.has_read_meter(user=reader, meter_id=bill.meter_id):
        raise NotAllowed(_NOT_THEIRS)
    return bill


def readable_bills(
    database: DatabaseService,
    *,
    principal: Principal,
    customer: str,
    limit: int,
    after: str | None,
) -> tuple[list[Bill], str | None]:
    """A page of a customer's bills that `principal` may read, as `customer_bills`."""
    return database.customer_bills(
        customer=customer, limit=limit, after=after, reader=_only_reader(principal)
    )


def _only_reader(principal: Principal) -> str | None:
    """The user whose meters alone count; None for somebody who may read every bill."""
    require(principal, scope="read_bills")
    may_read_all = principal.role is Role.ADMIN or principal.scope == "read_bills"
    return None if may_read_all else principal.user
