"""The journal by pages and in sums, and what the books came to at a date."""

from datetime import date

from services.database.queries.reports.pages import SpanQueries, posting, records
from services.records.overview import StoredSettings
from services.records.reports.journal import BookBalanceAt, JournalLine, JournalSum, Posting


class JournalQueries(SpanQueries):
    """Pages go by key, so that a file of any length is made of many small answers.

    Spans are [start, until) of local dates.
    """

    def journal_page(
        self, *, start: date, until: date, after: Posting | None, limit: int
    ) -> tuple[list[JournalLine], Posting | None]:
        """The lines of up to `limit` postings, and after which the next page begins."""
        answer = self._span("journal_lines", start, until, after, limit)
        return records(answer["lines"], JournalLine), posting(answer["after"])

    def journal_sums(self, *, start: date, until: date) -> list[JournalSum]:
        """The lines of the span added up by day, part and side; raises StillWorkingOut."""
        return records(self._added_up("journal_sums", start, until)["sums"], JournalSum)

    def ledger_balances_at(self, until: date) -> list[BookBalanceAt]:
        """What each book came to before a date, by currency."""
        answer = self._call("ledger_balances_at", until=until.isoformat())
        return records(answer["balances"], BookBalanceAt)

    def utility_settings_of_month(self, month: date) -> StoredSettings:
        """The settings that held when a month (its 1st) was closed; those of now while open."""
        found = self._call("utility_settings_of_month", month=month.isoformat())
        return StoredSettings.model_validate(found) if found else StoredSettings()
