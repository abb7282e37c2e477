"""Rows of reports: bills, revenue, collections, debt, reads, and the days of cashiers."""

from datetime import date, datetime

from services.records.base import Record
from services.records.ledger import Amounts, PaymentMethod
from services.records.reports.journal import Text


class RegisterRow(Amounts):
    """A bill that was issued, or its void, which is below 0; Wh and minor units."""

    on_date: date
    posting_no: int
    kind: str
    bill_number: int
    account_no: str
    customer_name: str
    tariff_code: str
    period_start: date
    period_end: date
    consumption_wh: int
    subtotal_minor: int
    tax_minor: int
    total_minor: int
    due_date: date | None
    note: str
    credit_note: str | None = None


class RevenueRow(Amounts):
    """What was billed of a tariff in a month (its 1st), less what was voided."""

    month: date
    tariff_code: str
    tariff_name: str
    issued: int
    voided: int
    consumption_wh: int
    subtotal_minor: int
    tax_minor: int
    total_minor: int


class CollectionRow(Amounts):
    """Money of a span by method and by who entered it; all but `deposits_minor` above 0."""

    method: str
    cashier: Text
    payments: int
    received_minor: int
    returned_minor: int
    deposits_minor: int


class CreditRow(Amounts):
    """A credit given (below 0), or one that was taken back."""

    on_date: date
    posting_no: int
    kind: str
    amount_minor: int
    account_no: str
    customer_name: str
    note: str
    actor: str


class DepositRow(Amounts):
    """What is held of a customer's deposits, and when the first was taken."""

    account_no: str
    customer_name: str
    held_minor: int
    taken_on: date | None


class DebtToAge(Record):
    """A day whose debt is being worked out: the date after it, and that date's first instant."""

    until: date
    until_at: datetime


class DebtRow(Amounts):
    """What a customer had open at the end of a day; `since` is the oldest date past due."""

    account_no: str
    customer_name: str
    phone: str
    not_due_minor: int
    late_30_minor: int
    late_60_minor: int
    late_90_minor: int
    later_minor: int
    credit_minor: int
    balance_minor: int
    since: date | None
    days_late: int | None


class ReadRow(Record):
    """A read that was estimated, or a visit at which a meter could not be read."""

    on_date: date
    kind: str
    meter_serial: str
    place: Text
    address: Text
    register_wh: int | None
    entered_by: str
    reason: str


class UnbilledRow(Record):
    """What was measured at a place while nobody had an agreement for it, in Wh."""

    place: str
    address: str
    meter_serial: str
    since: date | None
    until: date | None
    consumption_wh: int


class TariffAgreements(Record):
    """How many agreements had a tariff."""

    tariff_code: str
    agreements: int


class YearCounts(Record):
    """Counts of a year beside its money; `supplied` at its end, energy in Wh."""

    supplied: tuple[TariffAgreements, ...]
    into_network_wh: int
    estimated_reads: int
    disconnections: int
    reconnections: int


class CashCount(Amounts):
    """What was expected of a method, and what was counted."""

    method: PaymentMethod
    expected_minor: int
    counted_minor: int


class CashClosing(Record):
    """A day that a cashier closed."""

    id: str
    cashier: str
    on_date: date
    since: datetime
    closed_at: datetime
    closed_by: str
    note: str
    counts: tuple[CashCount, ...]


class CashRow(Amounts):
    """What a cashier took and gave back by a method since their last closing."""

    method: PaymentMethod
    payments: int
    received_minor: int
    returned_minor: int

    @property
    def expected_minor(self) -> int:
        """What there should be of it."""
        return self.received_minor - self.returned_minor


class CashDay(Record):
    """A cashier's day so far; `closing` once it is closed, and `rows` are then of the next."""

    closing: CashClosing | None
    since: datetime
    rows: tuple[CashRow, ...]
