"""What the lists of the office can be asked: which rows, and in which order."""

from dataclasses import dataclass
from datetime import date
from typing import Literal

from services.records.bills import BillStatus
from services.records.ledger import PaymentStatus
from services.records.sessions import UserFilter
from services.records.submissions import CollectionOutcome, MissedReason

BillSort = Literal["period", "number", "customer", "total", "due"]
AccountSort = Literal["account", "name", "balance", "overdue"]
PointSort = Literal["code"]
MissedSort = Literal["visit", "times", "place"]
CollectedSort = Literal["tried", "meter"]
PaymentSort = Literal["received", "amount", "customer"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BillFilter:
    """Bills whose period ended in (`ended_after`, `ended_by`], issued in the days given.

    Each word of `text` is part of the account number, the name or the meter's serial, or the whole
    number of the bill. With `ids` no others.
    """

    text: str = ""
    status: BillStatus | None = None
    ended_after: date | None = None
    ended_by: date | None = None
    issued_from: date | None = None
    issued_to: date | None = None
    customer_id: str | None = None
    ids: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountFilter:
    """Customers; each word of `text` is part of the account number, name, address or phone."""

    text: str = ""
    owing_only: bool = False
    ids: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentFilter:
    """Payments received in the days given.

    Each word of `text` is part of the account number, the name or a reference, or the whole number
    of the bill.
    """

    text: str = ""
    status: PaymentStatus | None = None
    received_from: date | None = None
    received_to: date | None = None
    customer_id: str | None = None
    ids: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PointFilter:
    """Service points, or only vacant ones, those of them where something is used meanwhile, those
    whose supply is cut, those not read since a meter was put in, those with a meter last read on
    `last_read_by` or before.

    Each word of `text` is part of the code, the address, the route, the meter's serial, or the
    account number or name of who is supplied now.
    """

    text: str = ""
    vacant_only: bool = False
    disconnected_only: bool = False
    vacant_with_use: bool = False
    never_read: bool = False
    last_read_by: date | None = None
    ids: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MissedFilter:
    """Meters that could not be read at their last visit, `at_least` so many days in a row, and are
    not read since; the last visit was on the local days given, for `reason`.

    Each word of `text` is part of the meter's serial, the code, the address, the route, or the
    account number or name of who is supplied now. `ids` are of meters.
    """

    text: str = ""
    reason: MissedReason | None = None
    missed_from: date | None = None
    missed_to: date | None = None
    at_least: int = 1
    ids: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectedFilter:
    """Smart meters that were asked for, with this outcome, or all that `failed`.

    Each word of `text` is part of the meter's serial. `ids` are of meters.
    """

    text: str = ""
    outcome: CollectionOutcome | None = None
    failed: bool = False
    ids: tuple[str, ...] | None = None


ListFilter = (
    BillFilter
    | AccountFilter
    | PaymentFilter
    | PointFilter
    | UserFilter
    | MissedFilter
    | CollectedFilter
)
