"""Work orders to cut supplies and bring them back: records."""

from datetime import date, datetime
from typing import Literal

from services.records.base import Record
from services.records.submissions import MissedReason

OrderKind = Literal["disconnect", "reconnect"]
OrderStatus = Literal["open", "done", "cancelled"]


class WorkOrder(Record):
    """A work order, where it is to be done, and what the engineer found there.

    A smart meter is on no round: it is switched from afar, or by a visit.

    `read_wh` is the register after the work (Wh); `missed_reason` why it could not be done.
    """

    id: str
    kind: OrderKind
    status: OrderStatus
    customer_id: str
    account_no: str
    customer_name: str
    service_point_id: str
    service_point_code: str
    route: str
    address: str
    meter_serial: str
    meter_kind: Literal["manual", "smart"]
    ordered_on: date
    closed_at: datetime | None = None
    closed_because: str = ""
    read_wh: int | None = None
    read_on: date | None = None
    read_by: str | None = None
    missed_reason: MissedReason | None = None
    missed_note: str | None = None
    missed_on: date | None = None
