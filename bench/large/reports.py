"""What the reports ask of a large utility, each by its id: a first page, one further on, a sum."""

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from functools import partial
from typing import Any, Final
from zoneinfo import ZoneInfo

from bench.large.pages import id_of, read_id
from bench.large_utility import BILLED_ON
from services.database.service import DatabaseService
from services.quantities.period import start_of_day
from services.records.reports.journal import Posting

_ON: Final = date.fromisoformat(BILLED_ON)
_MONTH: Final = {"start": date(2026, 10, 1), "until": date(2026, 11, 1)}
_YEAR: Final = {"start": date(2025, 11, 1), "until": date(2026, 11, 1)}
# In the midst of the month.
_AFTER: Final = Posting(date(2026, 10, 15), 0)
_ZONE: Final = ZoneInfo("Asia/Kolkata")
ROWS: Final = 50
Question = tuple[str, Callable[[], Any]]


def report_questions(database: DatabaseService, *, customers: int) -> Iterator[Question]:
    """Each with its report; those of sums are added up before, as the background does."""
    half_way = (id_of("c", customers // 2), "INR")
    walks: tuple[tuple[str, Callable[..., Any], dict[str, Any], Any], ...] = (
        ("register", database.report_register, _MONTH, _AFTER),
        ("write-offs", database.report_credits, _MONTH, _AFTER),
        ("journal", database.journal_page, _MONTH, _AFTER),
        ("ledger", database.entries_of_span, _MONTH, _AFTER),
        ("reads", database.report_reads, _MONTH, ("2026-10-15", read_id(1, customers // 2))),
        ("unbilled", database.report_unbilled, _YEAR, (id_of("p", customers // 2),)),
        ("deposits", database.report_deposits, {"until": _ON}, half_way),
    )
    for name, ask, asked, after in walks:
        yield f"report: {name}", partial(ask, **asked, after=None, limit=ROWS)
        yield f"report: {name}, further on", partial(ask, **asked, after=after, limit=ROWS)
    tomorrow = _ON + timedelta(days=1)
    for label, until in (("now", tomorrow), ("earlier", _MONTH["until"])):
        yield (
            f"report: aged-debt, {label}",
            partial(
                database.report_aged_debt,
                until=until,
                until_at=start_of_day(until, _ZONE),
                after=half_way,
                limit=ROWS,
            ),
        )
    for name, of in (
        ("revenue", database.report_revenue),
        ("collections", database.report_collections),
        ("journal by day, tax", database.journal_sums),
    ):
        yield f"report: {name}, a month", partial(of, **_MONTH)
        yield f"report: {name}, a year", partial(of, **_YEAR)
    yield "report: year", partial(database.report_year, **_YEAR)


def work_out(database: DatabaseService) -> None:
    """Work out the receivables of the month that the page asks for, and the debt as of days.

    As the background does.
    """
    while database.age_month(
        _MONTH["start"], until=start_of_day(_MONTH["until"], _ZONE), limit=500
    ):
        pass
    for until in (_MONTH["until"], _ON + timedelta(days=1)):
        # Of a day that is not over nothing is kept.
        while database.age_debt(until=until, until_at=start_of_day(until, _ZONE), limit=500):
            pass


def add_up(database: DatabaseService) -> None:
    """Add all postings up, as the background does before anybody asks."""
    while database.sum_postings(limit=2_000):
        pass
