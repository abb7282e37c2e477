"""The month's books for whoever keeps the accounts: looked at, taken away as files, and closed."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final
from zoneinfo import ZoneInfo

from services.database.errors import StillWorkingOut
from services.database.service import DatabaseService
from services.identity.auth import Principal, require
from services.identity.permissions import Permission
from services.languages.sentence import sentence
from services.languages.writing import Month
from services.quantities.money import Money
from services.quantities.period import (
    first_of_month,
    local_date,
    months_before,
    next_month,
    start_of_day,
)
from services.records.bills import invoice_reference
from services.records.drafts import DraftChoice, DraftFilter
from services.records.ledger import LedgerEntry
from services.records.month_end import (
    AgedCustomer,
    AgedKey,
    LedgerCheck,
    MonthClosing,
    MonthEndReport,
    MonthToAge,
    Receivables,
)
from services.records.reports.journal import Posting

Row = tuple[str | date | Money | int | None, ...]
# Customers of one piece of work, and of one that a page waits for.
_PIECE: Final = 200
_PIECE_OF_A_PAGE: Final = 10
# So long a page works at a month that nobody asked for before, and a file; the rest is done in
# the background.
_PAGE_SECONDS: Final = 0.15
_FILE_SECONDS: Final = 20.0
ENTRY_COLUMNS: Final = (
    "date", "account_no", "book", "entry_no", "kind", "currency", "debit", "credit",
    "balance", "bill", "method", "reference", "note", "entered_by", "entered_at",
)  # fmt: skip
AGED_COLUMNS: Final = (
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

    def receivables(
        self, month: date, *, after: AgedKey | None = None, page_size: int = 25
    ) -> Receivables:
        """What was open at the month's end, those customers with the most past due first.

        One that is over is worked out when it is first asked for; with many customers that goes
        on in the background, and the answer says how far it is.
        """
        return self._receivables(
            month, after, page_size, seconds=_PAGE_SECONDS, piece=_PIECE_OF_A_PAGE
        )

    def work_out(self, *, now: datetime, stop: Callable[[], bool]) -> None:
        """Work out the receivables of the last month, and of those that somebody asked for."""
        last = months_before(first_of_month(local_date(now, self.zone)), 1)
        months = [MonthToAge(month=last, until=self._end_of(last)), *self.database.months_to_age()]
        for one in months:
            while not stop() and self.database.age_month(one.month, until=one.until, limit=_PIECE):
                pass

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

    def entry_rows(
        self, start: date, until: date, after: Posting | None, limit: int
    ) -> tuple[list[Row], Posting | None]:
        """Entries of customers' accounts as a file has them, by date and posting."""
        found, following = self.database.entries_of_span(
            start=start, until=until, after=after, limit=limit
        )
        return [self._entry(entry) for entry in found], following

    def aged_rows(
        self, month: date, after: AgedKey | None, limit: int
    ) -> tuple[list[Row], AgedKey | None]:
        """What each customer had open at the month's end; raises StillWorkingOut."""
        found = self._receivables(month, after, limit, seconds=_FILE_SECONDS, piece=_PIECE)
        if found.permille is not None:
            raise StillWorkingOut(
                sentence(
                    "The receivables of {month} {year} are being worked out, {percent}% so far. "
                    "Ask for the file again in some minutes.",
                    month=Month(month.month, full=True),
                    year=str(month.year),
                    percent=found.permille // 10,
                )
            )
        return [_aged(row, found.as_of) for row in found.customers], found.after

    def _receivables(
        self, month: date, after: AgedKey | None, limit: int, *, seconds: float, piece: int
    ) -> Receivables:
        until, deadline = self._end_of(month), time.monotonic() + seconds
        found = self.database.receivables(month, until=until, after=after, limit=limit)
        while found.permille is not None and time.monotonic() < deadline:
            if not self.database.age_month(month, until=until, limit=piece):
                # Another process is at it, or is through.
                break
            found = self.database.receivables(month, until=until, after=after, limit=limit)
        return found

    def _end_of(self, month: date) -> datetime:
        return start_of_day(next_month(month), self.zone)

    def _entry(self, entry: LedgerEntry) -> Row:
        number = entry.bill_number
        return (
            entry.on_date,
            entry.account_no,
            entry.book,
            entry.entry_no,
            entry.kind,
            entry.currency,
            entry.money(entry.amount_minor) if entry.amount_minor > 0 else None,
            entry.money(-entry.amount_minor) if entry.amount_minor <= 0 else None,
            entry.money(entry.balance_minor),
            invoice_reference(number) if number is not None else "",
            entry.method or "",
            entry.reference or "",
            entry.note,
            entry.actor,
            entry.created_at.astimezone(self.zone).isoformat(timespec="seconds"),
        )


def _aged(row: AgedCustomer, as_of: date) -> Row:
    minor = (
        row.not_due_minor, row.late_30_minor, row.late_60_minor, row.late_90_minor,
        row.later_minor, row.credit_minor, row.balance_minor,
    )  # fmt: skip
    amounts = (row.money(amount) for amount in minor)
    return (row.account_no, row.customer_name, row.currency, *amounts, as_of)
