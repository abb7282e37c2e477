"""The month's books for whoever keeps the accounts: looked at, taken away as CSV, and closed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from services.database.service import DatabaseService
from services.identity.auth import Principal, require
from services.identity.permissions import Permission
from services.quantities.period import local_date, next_month, start_of_day
from services.quantities.spreadsheet import csv_file
from services.records.bills import invoice_reference
from services.records.drafts import DraftChoice, DraftFilter
from services.records.ledger import LedgerEntry
from services.records.month_end import (
    AgedCustomer,
    LedgerCheck,
    MonthClosing,
    MonthEndReport,
    Receivables,
)

# Customers of one request for the whole list.
_AT_ONCE = 5000
_ENTRY_COLUMNS = (
    "date", "account_no", "book", "entry_no", "kind", "currency", "debit", "credit",
    "balance", "bill", "method", "reference", "note", "entered_by", "entered_at",
)  # fmt: skip
_AGED_COLUMNS = (
    "account_no", "customer", "currency", "not_due", "days_1_30", "days_31_60", "days_61_90",
    "days_over_90", "unapplied_credit", "balance", "as_of",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class MonthEnd:
    """The books by month (its 1st) in the utility's zone."""

    database: DatabaseService
    zone: ZoneInfo

    def of_month(self, month: date) -> MonthEndReport:
        """What the month opened and closed with and what lies between, by currency and book."""
        return self.database.month_end_report(month)

    def open_bill_count(self) -> int:
        """How many bills the receivables of today are added up from."""
        return self.database.open_bill_count()

    def receivables(self, month: date, *, page: int = 1, page_size: int = 25) -> Receivables:
        """What was open at the month's end, those customers with the most past due first."""
        return self.database.aged_receivables(
            month,
            until=start_of_day(next_month(month), self.zone),
            limit=page_size,
            offset=(page - 1) * page_size,
        )

    def closings(self, *, principal: Principal) -> list[MonthClosing]:
        """The months that were closed, the last first, 120 at most; raises NotAllowed."""
        require(principal, Permission.VIEW_BOOKS)
        return self.database.month_closings()

    def check_ledger(self, *, principal: Principal) -> LedgerCheck | None:
        """All entries added up again, whatever their month; of a large ledger the last check.

        None for a large one that was not checked yet. Raises NotAllowed.
        """
        require(principal, Permission.VIEW_BOOKS, Permission.VIEW_PAYMENTS)
        state = self.database.last_ledger_check()
        if state.is_large:
            return state.check
        return self.database.check_ledger()

    def open_drafts(self, month: date) -> int:
        """How many bills for the month still wait to be issued."""
        choice = DraftChoice(DraftFilter(month=month))
        return self.database.draft_totals(choice).number

    def close(self, *, month: date, principal: Principal, now: datetime) -> None:
        """Close a month that is over, and all before it; raises NotAllowed, IllegalChange."""
        require(principal, Permission.CLOSE_BOOKS)
        self.database.close_month(
            actor=principal.user, month=month, today=local_date(now, self.zone)
        )

    def entries_csv(self, month: date) -> bytes:
        """Every entry of the month's ledger; amounts are decimal texts of their currency."""
        entries = self.database.entries_of_month(month)
        return csv_file(_ENTRY_COLUMNS, (self._entry(entry) for entry in entries))

    def receivables_csv(self, month: date) -> bytes:
        """What each customer had open at the month's end."""
        rows: list[Sequence[object]] = []
        for page in range(1, 1000):
            found = self.receivables(month, page=page, page_size=_AT_ONCE)
            rows += (_aged(row, found.as_of) for row in found.customers)
            if len(found.customers) < _AT_ONCE:
                break
        return csv_file(_AGED_COLUMNS, rows)

    def _entry(self, entry: LedgerEntry) -> Sequence[object]:
        number = entry.bill_number
        return (
            entry.on_date,
            entry.account_no,
            entry.book,
            entry.entry_no,
            entry.kind,
            entry.currency,
            entry.money(entry.amount_minor) if entry.amount_minor > 0 else "",
            entry.money(-entry.amount_minor) if entry.amount_minor <= 0 else "",
            entry.money(entry.balance_minor),
            invoice_reference(number) if number is not None else "",
            entry.method or "",
            entry.reference or "",
            entry.note,
            entry.actor,
            entry.created_at.astimezone(self.zone).isoformat(timespec="seconds"),
        )


def _aged(row: AgedCustomer, as_of: date) -> Sequence[object]:
    minor = (
        row.not_due_minor, row.late_30_minor, row.late_60_minor, row.late_90_minor,
        row.later_minor, row.credit_minor, row.balance_minor,
    )  # fmt: skip
    amounts = (row.money(amount) for amount in minor)
    return (row.account_no, row.customer_name, row.currency, *amounts, as_of)
