"""Reports of bills and money: the register, revenue, collections, deposits, credits."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from services.database.service import DatabaseService
from services.history.terms import METHOD
from services.languages.sentence import sentence
from services.quantities.energy import format_kwh
from services.quantities.period import start_of_day
from services.records.bills import invoice_reference
from services.records.reports.journal import Posting
from services.records.reports.rows import (
    CollectionRow,
    CreditRow,
    DebtRow,
    RegisterRow,
    RevenueRow,
)
from services.reports.definitions import Asked, Row

_METHODS: Final[Mapping[str, str]] = {key: sentence(said) for key, said in METHOD.items()}
_TYPES: Final[Mapping[str, str]] = {
    "bill": sentence("bill"),
    "bill_void": sentence("void"),
    "credit": sentence("credit"),
    "credit_undone": sentence("taken back"),
}


@dataclass(frozen=True, slots=True)
class MoneyReports:
    """The rows of these reports, from the ledger's entries by their dates."""

    database: DatabaseService
    zone: ZoneInfo

    def register(
        self, asked: Asked, after: Posting | None, limit: int
    ) -> tuple[list[Row], Posting | None]:
        """Bills issued and voided."""
        found, following = self.database.report_register(
            start=asked.start, until=asked.until, after=after, limit=limit
        )
        return [_registered(row) for row in found], following

    def credits(
        self, asked: Asked, after: Posting | None, limit: int
    ) -> tuple[list[Row], Posting | None]:
        """Credits given and taken back."""
        found, following = self.database.report_credits(
            start=asked.start, until=asked.until, after=after, limit=limit
        )
        return [_credited(row) for row in found], following

    def deposits(
        self, asked: Asked, after: tuple[str, str] | None, limit: int
    ) -> tuple[list[Row], tuple[str, str] | None]:
        """Deposits held at the end of a day."""
        found, following = self.database.report_deposits(
            until=asked.until, after=after, limit=limit
        )
        rows: list[Row] = [
            (r.account_no, r.customer_name, r.money(r.held_minor), r.currency, r.taken_on)
            for r in found
        ]
        return rows, following

    def aged_debt(
        self, asked: Asked, after: tuple[str, str] | None, limit: int
    ) -> tuple[list[Row], tuple[str, str] | None]:
        """What customers had open at the end of a day, by how long it was past due."""
        found, following = self.database.report_aged_debt(
            until=asked.until,
            until_at=start_of_day(asked.until, self.zone),
            after=after,
            limit=limit,
        )
        return [_owed(row) for row in found], following

    def revenue(self, asked: Asked) -> list[Row]:
        """What was billed by month and tariff."""
        found = self.database.report_revenue(start=asked.start, until=asked.until)
        return [_revenue(row) for row in found]

    def collections(self, asked: Asked) -> list[Row]:
        """Money by method and by who entered it."""
        found = self.database.report_collections(start=asked.start, until=asked.until)
        return [_collected(row) for row in found]


def kwh(wh: int) -> Decimal:
    """Energy as the number of kWh that files have."""
    return Decimal(format_kwh(wh))


def _registered(row: RegisterRow) -> Row:
    return (
        row.on_date,
        invoice_reference(row.bill_number),
        _TYPES[row.kind],
        row.account_no,
        row.customer_name,
        row.tariff_code,
        row.period_start,
        row.period_end,
        kwh(row.consumption_wh),
        row.money(row.subtotal_minor),
        row.money(row.tax_minor),
        row.money(row.total_minor),
        row.currency,
        row.due_date,
        row.note,
        row.credit_note,
        row.posting_no,
    )


def _owed(row: DebtRow) -> Row:
    minor = (
        row.not_due_minor, row.late_30_minor, row.late_60_minor, row.late_90_minor,
        row.later_minor, row.credit_minor, row.balance_minor,
    )  # fmt: skip
    amounts = (row.money(amount) for amount in minor)
    who = (row.account_no, row.customer_name, row.phone)
    return (*who, *amounts, row.currency, row.since, row.days_late)


def _credited(row: CreditRow) -> Row:
    return (
        row.on_date,
        row.account_no,
        row.customer_name,
        _TYPES[row.kind],
        row.money(-row.amount_minor),
        row.currency,
        row.note,
        row.actor,
        row.posting_no,
    )


def _revenue(row: RevenueRow) -> Row:
    return (
        f"{row.month:%Y-%m}",
        row.tariff_code,
        row.tariff_name,
        row.issued,
        row.voided,
        kwh(row.consumption_wh),
        row.money(row.subtotal_minor),
        row.money(row.tax_minor),
        row.money(row.total_minor),
        row.currency,
    )


def _collected(row: CollectionRow) -> Row:
    net = row.received_minor - row.returned_minor
    minor = (row.received_minor, row.returned_minor, net, row.deposits_minor)
    amounts = (row.money(amount) for amount in minor)
    return (_METHODS[row.method], row.cashier, row.payments, *amounts, row.currency)
