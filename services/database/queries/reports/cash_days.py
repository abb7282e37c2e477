"""The days of cashiers: what each took since the last closing, and closing them."""

from collections.abc import Sequence
from datetime import date, datetime

from services.database.queries.base import Queries
from services.database.queries.reports.pages import records
from services.database.transport import Filter
from services.records.reports.rows import CashClosing, CashCount, CashDay


class CashDayQueries(Queries):
    """`since` is from when on payments are of the first closing of a cashier."""

    def cash_day(self, *, cashier: str, on: date, since: datetime) -> CashDay:
        """What a cashier took since their last closing, and the closing of the day, if any."""
        return CashDay.model_validate(
            self._call(
                "cash_day",
                **{"cashier": cashier, "on_date": on.isoformat(), "from": since.isoformat()},
            )
        )

    def close_cash_day(
        self,
        *,
        actor: str,
        closing_id: str,
        cashier: str,
        on: date,
        since: datetime,
        counts: Sequence[CashCount],
        note: str,
    ) -> None:
        """Close a cashier's day, once; a repeat changes nothing.

        Raises IllegalChange where it is closed, where something came meanwhile, and where a
        difference has no note.
        """
        self._call(
            "close_cash_day",
            actor=actor,
            id=closing_id,
            cashier=cashier,
            note=note,
            **{"on_date": on.isoformat(), "from": since.isoformat()},
            counts=[count.model_dump() for count in counts],
        )

    def cash_closings(self, *, cashier: str | None, limit: int) -> list[CashClosing]:
        """The last closings, the newest first, of one cashier or of all."""
        rows = self._transport.select(
            "cash_closings",
            filters=[Filter("cashier", "eq", cashier)] if cashier else [],
            order=["on_date.desc", "cashier.asc"],
            limit=limit,
        ).rows
        return records(rows, CashClosing)
