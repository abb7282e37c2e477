"""Customers' pages of their own: who visits, what they ask of the office: records."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from services.records.base import Record
from services.records.bills import invoice_reference

OpenedBy = Literal["link", "code"]
RequestKind = Literal["dispute", "move_out"]
RequestState = Literal["open", "accepted", "declined", "withdrawn"]


class CustomerPage(Record):
    """Whose page it is; links of another generation than this are no longer good.

    Nor are those made before a backup was restored (`restored_at`, UTC).
    """

    customer_id: str
    account_no: str
    generation: int
    restored_at: datetime | None = None


class Visit(Record):
    """A browser that was let in; `confirmed` once it showed a code that went to the customer.

    One that is not may belong to somebody to whom a link was passed on.
    """

    id: str
    customer_id: str
    account_no: str
    name: str
    language: str
    currency: str | None
    confirmed: bool
    expires_at: datetime
    generation: int

    @property
    def actor(self) -> str:
        """As the audit trail names who does something here."""
        return actor_of(self.account_no)


def actor_of(account_no: str) -> str:
    """As the audit trail names a customer."""
    return f"customer:{account_no}"


class CustomerRequest(Record):
    """Something that a customer asks of the office; `wanted_on` is the last day of supply."""

    id: str
    customer_id: str
    account_no: str
    customer_name: str
    kind: RequestKind
    bill_id: str | None
    bill_number: int | None
    agreement_id: str | None
    service_point_id: str | None
    service_address: str | None
    wanted_on: date | None
    note: str
    asked_at: datetime
    state: RequestState
    closed_at: datetime | None
    closed_by: str | None
    answer: str

    @property
    def reference(self) -> str:
        """The disputed bill's number as people write it; nothing for other requests."""
        return invoice_reference(self.bill_number) if self.bill_number is not None else ""


@dataclass(frozen=True, slots=True)
class NewRequest:
    """A request as a customer makes it, under an id that the form made."""

    id: str
    kind: RequestKind
    bill_id: str | None = None
    agreement_id: str | None = None
    wanted_on: date | None = None
    note: str = ""


class HomeBand(Record):
    """Homes that are compared: of one tariff, on one route where there is one."""

    route: str
    tariff_id: str


class SimilarMonth(Record):
    """What the homes of a band used in the middle, in Wh, in a month (its first day)."""

    month: date
    homes: int
    median_wh: int
