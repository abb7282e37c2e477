"""What a search finds: records."""

from datetime import date

from services.records.base import Record
from services.records.bills import BillStatus, invoice_reference
from services.records.ledger import PaymentMethod


class FoundCustomer(Record):
    """A customer of whom a part of the text is known."""

    id: str
    account_no: str
    name: str
    address: str
    phone: str


class FoundMeter(Record):
    """A meter with who has it now."""

    id: str
    serial: str
    # None while nobody is supplied by it.
    customer_id: str | None
    account_no: str | None
    customer_name: str | None
    address: str | None
    # Where it is, or was until it was taken out.
    service_point_code: str | None
    removed_on: date | None


class FoundPoint(Record):
    """A place of supply, with the meter that is there and who is supplied, where there are any."""

    id: str
    code: str
    address: str
    meter_serial: str | None
    account_no: str | None
    customer_name: str | None


class FoundBill(Record):
    """A bill by its number or its total; a draft has no number. Amounts in minor units."""

    id: str
    number: int | None
    status: BillStatus
    customer_name: str
    period_start: date
    period_end: date
    total_minor: int
    currency: str

    @property
    def reference(self) -> str:
        """The number as people write it."""
        return invoice_reference(self.number) if self.number is not None else "Draft"


class FoundCreditNote(Record):
    """A credit note by its number; the bill that it takes back. Amounts in minor units."""

    id: str
    reference: str
    customer_name: str
    on_date: date
    bill_id: str
    bill_number: int
    total_minor: int
    currency: str


class FoundPayment(Record):
    """A payment by its reference or its amount, in minor units; nobody's has no name."""

    id: str
    customer_name: str | None
    reference: str
    method: PaymentMethod
    received_on: date
    amount_minor: int
    currency: str


class SearchResults(Record):
    """What fits a text, some of each kind, the best first."""

    customers: tuple[FoundCustomer, ...] = ()
    meters: tuple[FoundMeter, ...] = ()
    service_points: tuple[FoundPoint, ...] = ()
    bills: tuple[FoundBill, ...] = ()
    credit_notes: tuple[FoundCreditNote, ...] = ()
    payments: tuple[FoundPayment, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing fits."""
        places = self.meters or self.service_points
        money = self.bills or self.credit_notes or self.payments
        return not (self.customers or places or money)
