"""The month's books: balances, entries, what was open at its end, and closing it."""

from datetime import date, datetime
from typing import Final

from services.database.queries.reports.pages import SpanQueries, posting, records
from services.records.jobs import RunRef
from services.records.ledger import LedgerEntry
from services.records.month_end import (
    AgedKey,
    KeptLedgerCheck,
    LedgerState,
    MonthClosing,
    MonthEndReport,
    MonthToAge,
    Receivables,
)
from services.records.reports.journal import Posting

# As record_ledger_check itself allows.
CHECK_SECONDS: Final = 1800.0


class BookQueries(SpanQueries):
    """What an accountant reads and closes; a month is given by its 1st."""

    def month_end_report(self, month: date) -> MonthEndReport:
        """A month's ledger by currency and book, and money by method."""
        return MonthEndReport.model_validate(self._call("month_books", month=month.isoformat()))

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

    def entries_of_span(
        self, *, start: date, until: date, after: Posting | None, limit: int
    ) -> tuple[list[LedgerEntry], Posting | None]:
        """Entries of customers' accounts of [start, until), by date and posting."""
        answer = self._span("month_entries", start, until, after, limit)
        return records(answer["rows"], LedgerEntry), posting(answer["after"])

    def overdue_as_of(self) -> date | None:
        """The day that what is overdue is as of: the last one whose bills were marked."""
        day = self._call("overdue_day")["as_of"]
        return date.fromisoformat(day) if day else None

    def receivables(
        self, month: date, *, until: datetime, limit: int, after: AgedKey | None = None
    ) -> Receivables:
        """What was open when a month ended, at the instant `until`, by days past due.

        The totals of all, and so many customers after a key, those with the most past due first.
        A month that is over has to be worked out first, by `age_month`.
        """
        answer = self._call(
            "receivables",
            month=month.isoformat(),
            until=until.isoformat(),
            after=after.model_dump() if after else None,
            limit=limit,
        )
        return Receivables.model_validate(answer)

    def age_month(self, month: date, *, until: datetime, limit: int) -> bool:
        """Work out so many customers more of a month that is over; whether anything was left.

        Nothing is done while another process is at it.
        """
        return bool(
            self._call("age_month", month=month.isoformat(), until=until.isoformat(), limit=limit)[
                "worked"
            ]
        )

    def months_to_age(self) -> list[MonthToAge]:
        """The months that somebody asked for and that are not worked out, the last first."""
        return [MonthToAge.model_validate(row) for row in self._call("months_to_age")["months"]]
