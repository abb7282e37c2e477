"""The month's books: balances, entries, what was open at its end, and closing it."""

from datetime import date, datetime
from typing import Final

from services.database.queries.base import Queries
from services.database.transport import Filter
from services.quantities.period import next_month
from services.records.jobs import RunRef
from services.records.ledger import LedgerEntry
from services.records.month_end import (
    KeptLedgerCheck,
    LedgerState,
    MonthClosing,
    MonthEndReport,
    Receivables,
)

# As record_ledger_check itself allows.
CHECK_SECONDS: Final = 1800.0


class BookQueries(Queries):
    """What an accountant reads and closes; a month is given by its 1st."""

    def month_end_report(self, month: date) -> MonthEndReport:
        """A month's ledger by currency and book, and money by method."""
        return MonthEndReport.model_validate(self._call("month_books", month=month.isoformat()))

    def open_bill_count(self) -> int:
        """How many bills are issued and not paid in full now."""
        return int(self._call("open_bills")["bills"])

    def close_month(self, *, actor: str, month: date, today: date) -> None:
        """Close the books of a month that is over, and of all before it; raises IllegalChange."""
        self._call("close_month", actor=actor, month=month.isoformat(), today=today.isoformat())

    def last_ledger_check(self) -> LedgerState:
        """The last check of the ledger that was kept."""
        return LedgerState.model_validate(self._call("last_ledger_check"))

    def record_ledger_check(self, *, actor: str, run: RunRef | None = None) -> KeptLedgerCheck:
        """Add all entries up and keep what came of it; raises RunTakenOver for an older attempt."""
        asked = {"actor": actor, "run": run.to_json() if run else None}
        answer = self._ask("record_ledger_check", asked, seconds=CHECK_SECONDS)
        return KeptLedgerCheck.model_validate(answer)

    def month_closings(self) -> list[MonthClosing]:
        """The months that were closed, the last first, 120 at most."""
        rows = self._transport.select("month_closings", order=["month.desc"], limit=120).rows
        return [MonthClosing.model_validate(row) for row in rows]

    def entries_of_month(self, month: date) -> list[LedgerEntry]:
        """All entries of a month, by date and account."""
        rows = self._transport.select(
            "ledger_list",
            filters=[
                Filter("on_date", "gte", month.isoformat()),
                Filter("on_date", "lt", next_month(month).isoformat()),
            ],
            order=["on_date.asc", "account_no.asc", "book.asc", "entry_no.asc", "id.asc"],
        ).rows
        return [LedgerEntry.model_validate(row) for row in rows]

    def overdue_as_of(self) -> date | None:
        """The day that what is overdue is as of: the last one whose bills were marked."""
        day = self._call("overdue_day")["as_of"]
        return date.fromisoformat(day) if day else None

    def aged_receivables(
        self, month: date, *, until: datetime, limit: int, offset: int = 0
    ) -> Receivables:
        """What was open when a month ended, at the instant `until`, by days past due.

        Some customers, those with the most past due first, and the totals of all.
        """
        answer = self._call(
            "aged_receivables",
            month=month.isoformat(),
            until=until.isoformat(),
            limit=limit,
            offset=offset,
        )
        return Receivables.model_validate(answer)
