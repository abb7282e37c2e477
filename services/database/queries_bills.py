"""Bills and payments: reading them, issuing, voiding, paying."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from services.database.queries import Json, Queries, search_filters
from services.database.transport import Filter
from services.domain.period import next_month
from services.domain.records import Bill, Page


class BillQueries(Queries):
    """Bills and payments."""

    def bill(self, bill_id: str) -> Bill:
        """One bill with its lines; raises NotFound."""
        return Bill.model_validate(self._one("bill_list", bill_id, "bill"))

    def bills(
        self,
        *,
        text: str = "",
        status: str | None = None,
        month: date | None = None,
        page: int = 1,
        page_size: int = 25,
    ) -> Page[Bill]:
        """Bills, newest period first; `month` takes periods that end in it or on the next 1st."""
        filters = search_filters(text)
        if status:
            filters.append(Filter("status", "eq", status))
        if month:
            filters.append(Filter("period_end", "gt", month.isoformat()))
            filters.append(Filter("period_end", "lte", next_month(month).isoformat()))
        rows, total = self._page(
            "bill_list",
            filters=filters,
            order=["period_end.desc", "id.desc"],
            page=page,
            page_size=page_size,
        )
        return Page(items=tuple(Bill.model_validate(row) for row in rows), total=total)

    def customer_bills(
        self, *, customer: str, limit: int, after: str | None = None
    ) -> tuple[list[Bill], str | None]:
        """Bills of a customer (id or account number), newest period first, those after the bill id
        `after`; and the id to go on after, or None at the end.

        Drafts are left out. Raises NotFound for an unknown customer or `after`.
        """
        answer = self._call("customer_bills", customer=customer, limit=limit, after=after)
        bills = [Bill.model_validate(row) for row in answer["bills"]]
        return bills[:limit], bills[limit - 1].id if len(bills) > limit else None

    def issue_bill(
        self,
        *,
        actor: str,
        bill_id: str,
        issued_at: datetime,
        issued_on: date,
        due_date: date,
        owed: Mapping[str, Any],
    ) -> Bill:
        """Approve a draft: it gets its number; raises IllegalChange for a void bill."""
        return Bill.model_validate(
            self._call(
                "issue_bill",
                actor=actor,
                bill_id=bill_id,
                issued_at=issued_at.isoformat(),
                issued_on=issued_on.isoformat(),
                due_date=due_date.isoformat(),
                owed=dict(owed),
            )
        )

    def void_bill(self, *, actor: str, bill_id: str, reason: str) -> Bill:
        """Void the last bill of a meter's chain; raises IllegalChange when a later one follows."""
        return Bill.model_validate(
            self._call("void_bill", actor=actor, bill_id=bill_id, reason=reason)
        )

    def record_payments(self, *, actor: str, payments: Sequence[Mapping[str, Any]]) -> int:
        """Store payments and raise the bills' amounts paid, all or none; how many were new."""
        answer = self._call("record_payments", actor=actor, payments=[dict(p) for p in payments])
        return int(answer["recorded"])

    def overview(self, *, today: date, currency: str, months: int = 12) -> Json:
        """Billed and collected by month, outstanding, overdue; minor units per currency.

        `currency` is the one to show while there is no tariff yet.
        """
        answer: Json = self._call(
            "overview", today=today.isoformat(), currency=currency, months=months
        )
        return answer
