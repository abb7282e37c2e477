"""Registers by posting, sums of a span, and deposits held at a date."""

import time
from datetime import date, datetime

from services.database.errors import StillWorkingOut
from services.database.queries.base import Json
from services.database.queries.reports.pages import (
    AGED_AT_ONCE,
    SECONDS,
    SpanQueries,
    posting,
    records,
)
from services.languages.sentence import sentence
from services.records.reports.journal import Posting
from services.records.reports.rows import (
    CollectionRow,
    CreditRow,
    DebtRow,
    DebtToAge,
    DepositRow,
    ReadRow,
    RegisterRow,
    RevenueRow,
    UnbilledRow,
    YearCounts,
)


class ReportRowQueries(SpanQueries):
    """Rows of reports; spans are [start, until) of local dates."""

    def report_register(
        self, *, start: date, until: date, after: Posting | None, limit: int
    ) -> tuple[list[RegisterRow], Posting | None]:
        """Bills issued and voided, by date and posting."""
        answer = self._span("report_register", start, until, after, limit)
        return records(answer["rows"], RegisterRow), posting(answer["after"])

    def report_credits(
        self, *, start: date, until: date, after: Posting | None, limit: int
    ) -> tuple[list[CreditRow], Posting | None]:
        """Credits given and taken back, by date and posting."""
        answer = self._span("report_credits", start, until, after, limit)
        return records(answer["rows"], CreditRow), posting(answer["after"])

    def report_revenue(self, *, start: date, until: date) -> list[RevenueRow]:
        """What was billed, by month and tariff; raises StillWorkingOut."""
        return records(self._added_up("report_revenue", start, until)["rows"], RevenueRow)

    def report_collections(self, *, start: date, until: date) -> list[CollectionRow]:
        """Money received and given back, by method and by who entered it.

        Raises StillWorkingOut.
        """
        return records(self._added_up("report_collections", start, until)["rows"], CollectionRow)

    def report_deposits(
        self, *, until: date, after: tuple[str, str] | None, limit: int
    ) -> tuple[list[DepositRow], tuple[str, str] | None]:
        """Deposits held before a date; `limit` customers are looked at, fewer may hold one."""
        key = {"id": after[0], "currency": after[1]} if after else None
        answer = self._call("report_deposits", until=until.isoformat(), after=key, limit=limit)
        return records(answer["rows"], DepositRow), _account(answer["after"])

    def report_aged_debt(
        self, *, until: date, until_at: datetime, after: tuple[str, str] | None, limit: int
    ) -> tuple[list[DebtRow], tuple[str, str] | None]:
        """What was open before a date, whose first instant is `until_at`, by customer.

        `limit` customers are looked at, of whom fewer may have anything open. Where there are many
        customers, a day that is over is worked out first: raises StillWorkingOut while it is.
        """
        day: Json = {"until": until.isoformat(), "until_at": until_at.isoformat()}
        asked: Json = day | {
            "after": {"id": after[0], "currency": after[1]} if after else None,
            "limit": limit,
        }
        deadline = time.monotonic() + SECONDS
        while "permille" in (answer := self._call("report_aged_debt", **asked)):
            if time.monotonic() > deadline or not self.age_debt(
                until=until, until_at=until_at, limit=AGED_AT_ONCE
            ):
                raise StillWorkingOut(
                    sentence(
                        "What was open on that day is being worked out, {percent}% so far. Ask "
                        "again in some minutes.",
                        percent=answer["permille"] // 10,
                    )
                )
        return records(answer["rows"], DebtRow), _account(answer["after"])

    def age_debt(self, *, until: date, until_at: datetime, limit: int) -> bool:
        """Work out a part of what was open before a date, `limit` customers; whether any was left.

        Nothing is done while another process is at it.
        """
        day: Json = {"until": until.isoformat(), "until_at": until_at.isoformat()}
        return bool(self._call("age_debt", **day, limit=limit)["worked"])

    def debts_to_age(self) -> list[DebtToAge]:
        """The days whose debt was begun, or changed since it was worked out, the last first."""
        return records(self._call("debts_to_age")["days"], DebtToAge)

    def report_reads(
        self, *, start: date, until: date, after: tuple[str, str] | None, limit: int
    ) -> tuple[list[ReadRow], tuple[str, str] | None]:
        """Reads that were estimated and visits in vain, by date."""
        answer = self._call(
            "report_reads",
            **{"from": start.isoformat(), "to": until.isoformat()},
            after={"on": after[0], "id": after[1]} if after else None,
            limit=limit,
        )
        following = answer["after"]
        return records(answer["rows"], ReadRow), (
            (following["on"], following["id"]) if following else None
        )

    def report_unbilled(
        self, *, start: date, until: date, after: tuple[str, ...] | None, limit: int
    ) -> tuple[list[UnbilledRow], tuple[str, ...] | None]:
        """What was measured where nobody had an agreement; `limit` places are looked at."""
        answer = self._call(
            "report_unbilled",
            **{"from": start.isoformat(), "to": until.isoformat()},
            after={"id": after[0]} if after else None,
            limit=limit,
        )
        following = answer["after"]
        return records(answer["rows"], UnbilledRow), (following["id"],) if following else None

    def report_year(self, *, start: date, until: date) -> YearCounts:
        """Counts of a year beside its money."""
        return YearCounts.model_validate(self._span("report_year", start, until))


def _account(after: Json | None) -> tuple[str, str] | None:
    return (after["id"], after["currency"]) if after else None
