"""Reports for the office: page by page to be looked at, whole as files."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, BinaryIO, Final, Literal

from services.accounts.month_end import MonthEnd
from services.database.queries.reports.pages import AGED_AT_ONCE, SUMMED_AT_ONCE
from services.database.service import DatabaseService
from services.history.people import name_of
from services.identity.auth import Principal, require
from services.identity.permissions import Permission
from services.languages.language import ENGLISH_LANGUAGE, Language
from services.languages.sentence import Sentence, sentence
from services.people.users import Users
from services.quantities.period import first_of_month
from services.quantities.spreadsheet import csv_pieces, write_xlsx
from services.records.month_end import AgedKey
from services.records.reports.journal import Posting
from services.reports import catalogue
from services.reports.cash_days import CashDays
from services.reports.definitions import Asked, Report, Row
from services.reports.journal import Journal
from services.reports.money_reports import MoneyReports
from services.reports.supply_reports import Balances, SupplyReports
from services.settings import Settings

FileKind = Literal["csv", "xlsx"]
FILE_KINDS: Final[tuple[FileKind, ...]] = ("csv", "xlsx")
# Rows, or documents, of one question while a file is made.
_AT_ONCE: Final = 1_000
# For a page of rows some more are looked at, but not all there are.
_MOST_LOOKS: Final = 5
_Walk = Callable[[Asked, Any, int], tuple[list[Row], Any]]
_Sum = Callable[[Asked], list[Row]]


class UnknownReport(LookupError):
    """There is no such report."""


@dataclass(frozen=True, slots=True)
class ReportPage:
    """Some rows of a report, and where the next page begins; None where this is the last."""

    rows: tuple[Row, ...]
    following: str | None


@dataclass(frozen=True, slots=True)
class Reports:
    """The reports; each method raises NotAllowed for who may not see the books.

    `called` is what people call whoever entered something.
    """

    money: MoneyReports
    journal: Journal
    supply: SupplyReports
    cash_days: CashDays
    books: MonthEnd
    called: Callable[[str], str]

    def with_balances(self, balances: Balances | None) -> "Reports":
        """The same with the energy balances of a graph, if there is one."""
        return replace(self, supply=replace(self.supply, balances=balances))

    def report(self, report_id: str) -> Report:
        """A report by its id. Raises UnknownReport."""
        if report_id not in catalogue.BY_ID:
            raise UnknownReport(
                sentence("There is no report {report}.", report=repr(report_id[:40]))
            )
        return catalogue.BY_ID[report_id]

    def file(self, report_id: str) -> Report:
        """What can be had as a file by its id: a report, or the month's books. Raises
        UnknownReport."""
        if report_id not in catalogue.FILES_BY_ID:
            raise UnknownReport(
                sentence("There is no report {report}.", report=repr(report_id[:40]))
            )
        return catalogue.FILES_BY_ID[report_id]

    def page(
        self, report: Report, asked: Asked, *, after: str | None, limit: int, principal: Principal
    ) -> ReportPage:
        """A page of a report, which begins at `after`, as the page before it said.

        Of a report that is not walked it is all of it.
        """
        require(principal, Permission.VIEW_BOOKS)
        if not report.walked:
            return ReportPage(tuple(self._named(report, self._sums[report.id](asked))), None)
        rows, following = self._walks[report.id](asked, _key_of(after), limit)
        for _ in range(_MOST_LOOKS):
            # Where nobody of those looked at has anything to show.
            if rows or following is None:
                break
            more, following = self._walks[report.id](asked, following, _AT_ONCE)
            rows = [*rows, *more]
        token = None if following is None else _token_of(following)
        return ReportPage(tuple(self._named(report, rows)), token)

    def rows(self, report: Report, asked: Asked, *, principal: Principal) -> Iterator[Row]:
        """All rows, asked for as they are used."""
        require(principal, Permission.VIEW_BOOKS)
        return self._named(report, self._all(report, asked))

    def csv(
        self,
        report: Report,
        asked: Asked,
        *,
        principal: Principal,
        language: Language = ENGLISH_LANGUAGE,
    ) -> Iterator[bytes]:
        """A report as CSV in pieces, each made when it is asked for.

        Any number of rows takes the memory of one piece. Its words are in `language`; the names of
        columns are not words and stay.
        """
        rows = self.rows(report, asked, principal=principal)
        return csv_pieces(report.header, _said(rows, language))

    def write_xlsx(
        self,
        out: BinaryIO,
        report: Report,
        asked: Asked,
        *,
        principal: Principal,
        language: Language = ENGLISH_LANGUAGE,
    ) -> int:
        """Write a report as a workbook to an open file; how many rows it has.

        The rows go to the file as they come, so that any number of them takes the same memory. Its
        words are in `language`, as those of a CSV.
        """
        rows = _said(self.rows(report, asked, principal=principal), language)
        return write_xlsx(out, report.header, rows, name=report.id)

    def _all(self, report: Report, asked: Asked) -> Iterator[Row]:
        if not report.walked:
            yield from self._sums[report.id](asked)
            return
        after: Any = None
        while True:
            rows, after = self._walks[report.id](asked, after, _AT_ONCE)
            yield from rows
            if after is None:
                return

    def _named(self, report: Report, rows: Any) -> Iterator[Row]:
        people = [n for n, column in enumerate(report.columns) if column.kind == "person"]
        for row in rows:
            cells = list(row)
            for place in people:
                cells[place] = self.called(cells[place]) if cells[place] else ""
            yield tuple(cells)

    def _entries(
        self, asked: Asked, after: Posting | None, limit: int
    ) -> tuple[list[Row], Posting | None]:
        rows, following = self.books.entry_rows(asked.start, asked.until, after, limit)
        return list(rows), following

    def _receivables(
        self, asked: Asked, after: AgedKey | None, limit: int
    ) -> tuple[list[Row], AgedKey | None]:
        rows, following = self.books.aged_rows(first_of_month(asked.start), after, limit)
        return list(rows), following

    def add_up(self, *, stop: Callable[[], bool]) -> None:
        """Add up what was posted, and work out the days that were asked for, until none is left."""
        database = self.books.database
        while not stop() and database.sum_postings(limit=SUMMED_AT_ONCE):
            pass
        for day in database.debts_to_age():
            while not stop() and database.age_debt(
                until=day.until, until_at=day.until_at, limit=AGED_AT_ONCE
            ):
                pass

    @property
    def _walks(self) -> Mapping[str, _Walk]:
        return {
            catalogue.REGISTER.id: self.money.register,
            catalogue.WRITE_OFFS.id: self.money.credits,
            catalogue.DEPOSITS.id: self.money.deposits,
            catalogue.JOURNAL.id: self.journal.page,
            catalogue.AGED_DEBT.id: self.money.aged_debt,
            catalogue.UNBILLED.id: self.supply.unbilled,
            catalogue.READS.id: self.supply.reads,
            catalogue.LEDGER.id: self._entries,
            catalogue.RECEIVABLES.id: self._receivables,
        }

    @property
    def _sums(self) -> Mapping[str, _Sum]:
        return {
            catalogue.REVENUE.id: self.money.revenue,
            catalogue.COLLECTIONS.id: self.money.collections,
            catalogue.TAX.id: self.journal.tax,
            catalogue.JOURNAL_BY_DAY.id: self.journal.by_day,
            catalogue.LOSSES.id: self.supply.losses,
            catalogue.YEAR.id: self.supply.year,
        }


def reports_over(database: DatabaseService, settings: Settings, users: Users) -> Reports:
    """The reports over a database."""

    def called(actor: str) -> str:
        return users.names().get(actor) or name_of(actor)

    journal = Journal(database, settings, settings.timezone)
    zone = settings.timezone
    money, supply = MoneyReports(database, zone), SupplyReports(database)
    cash_days, books = CashDays(database, zone), MonthEnd(database, zone)
    return Reports(money, journal, supply, cash_days, books, called)


def _said(rows: Iterator[Row], language: Language) -> Iterator[Row]:
    """The rows with our own words in a language; names and what people typed stay as they are."""
    for row in rows:
        yield tuple(language.say(cell) if isinstance(cell, Sentence) else cell for cell in row)


def _token_of(key: Posting | tuple[str, ...]) -> str:
    return "~".join(str(part) for part in key)


def _key_of(token: str | None) -> Posting | tuple[str, ...] | None:
    """The key of a token; a posting where it begins with a date. Anything else is no key."""
    if not token:
        return None
    first, _, second = token.partition("~")
    if not second:
        return (first,)
    try:
        return Posting(date.fromisoformat(first), int(second))
    except ValueError:
        return (first, second)
