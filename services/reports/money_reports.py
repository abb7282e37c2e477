"""Reports of bills and money: the register, revenue, collections, deposits, credits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from services.database.service import DatabaseService
from services.history.terms import METHOD
from services.quantities.energy import format_kwh
from services.quantities.money import Money
from services.quantities.period import next_month, start_of_day
from services.records.bills import invoice_reference
from services.records.reports.journal import Posting
from services.records.reports.rows import CreditRow, DebtRow, RegisterRow, RevenueRow
from services.reports.definitions import Asked, Row

_METHODS: Final[Mapping[str, str]] = dict(METHOD.items())
_TYPES: Final[Mapping[str, str]] = {
    "bill": "bill",
    "bill_void": "void",
    "credit": "credit",
    "credit_undone": "taken back",
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
        """What was billed by month and tariff; a month is asked for at a time."""
        rows: list[Row] = []
        for start, until in months_of(asked):
            found = self.database.report_revenue(start=start, until=until)
            rows += map(_revenue, found)
        return rows

    def collections(self, asked: Asked) -> list[Row]:
        """Money by method and by who entered it; a month is asked for at a time."""
        sums: dict[tuple[str, str, str], list[int]] = {}
        for start, until in months_of(asked):
            for row in self.database.report_collections(start=start, until=until):
                key = (row.currency, row.method, row.cashier)
                figures = (row.payments, row.received_minor, row.returned_minor, row.deposits_minor)
                sums[key] = [a + b for a, b in zip(sums.get(key, [0] * 4), figures, strict=True)]
        return [_collected(key, figures) for key, figures in sorted(sums.items())]


def months_of(asked: Asked) -> list[tuple[date, date]]:
    """The span cut at the ends of months."""
    parts, start = [], asked.start
    while start < asked.until:
        until = min(next_month(start), asked.until)
        parts.append((start, until))
        start = until
    return parts


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


def _collected(key: tuple[str, str, str], figures: Sequence[int]) -> Row:
    (currency, method, cashier), (payments, received, returned, held) = key, figures
    amounts = (Money(minor, currency) for minor in (received, returned, received - returned, held))
    return (_METHODS[method], cashier, payments, *amounts, currency)
