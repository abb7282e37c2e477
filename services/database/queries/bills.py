"""Bills: reading them, issuing, voiding."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from services.database.queries.base import Queries, search_filters
from services.database.transport import Filter
from services.languages.sentence import N_
from services.quantities.period import next_month
from services.records.base import Page
from services.records.bills import Bill, KwhBankEntry, LastBill
from services.records.overview import Overview


class BillQueries(Queries):
    """Bills."""

    def bill(self, bill_id: str) -> Bill:
        """One bill with its lines; raises NotFound."""
        return Bill.model_validate(self._one("bill_list", bill_id, N_("No such bill.")))

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
        self, *, customer: str, limit: int, after: str | None = None, reader: str | None = None
    ) -> tuple[list[Bill], str | None]:
        """Bills of a customer (id or account number), newest period first, those after the bill id
        `after`; and the id to go on after, or None at the end.

        Drafts are left out; with `reader` also the bills of meters that they never read. Raises
        NotFound for an unknown customer or `after`.
        """
        answer = self._call(
            "customer_bills", customer=customer, limit=limit, after=after, reader=reader
        )
        bills = [Bill.model_validate(row) for row in answer["bills"]]
        return bills[:limit], bills[limit - 1].id if len(bills) > limit else None

    def last_bills(self, *, agreements: Sequence[str]) -> dict[str, LastBill]:
        """The last bill of each agreement, a draft too; none of one that was never billed."""
        answer = self._call("last_bills", agreements=list(agreements))
        return {
            of: LastBill(bill, date.fromisoformat(start), date.fromisoformat(end), *figures)
            for of, bill, start, end, *figures in answer["bills"]
        }

    def kwh_bank(self, *, agreement_id: str, limit: int = 200) -> tuple[KwhBankEntry, ...]:
        """The latest entries of an agreement's banks of kWh, the last first."""
        found = self._transport.select(
            "kwh_bank_list",
            filters=[Filter("agreement_id", "eq", agreement_id)],
            order=["id.desc"],
            limit=limit,
        )
        return tuple(KwhBankEntry.model_validate(row) for row in found.rows)

    def issue_bills(
        self,
        *,
        actor: str,
        bills: Sequence[Mapping[str, Any]],
        issued_at: datetime,
        issued_on: date,
        due_date: date,
        no_address: str = "",
    ) -> tuple[int, list[Bill]]:
        """Approve drafts together, all or none: each gets its number; how many, and the bills.

        `bills` are {bill_id, owed: the plan of its outbox entry}. Raises NotFound, and
        IllegalChange for a void bill and, with the words of `no_address` if there are any, for one
        that would not say where the supply is.
        """
        answer = self._call(
            "issue_bills",
            actor=actor,
            bills=[dict(b) for b in bills],
            issued_at=issued_at.isoformat(),
            issued_on=issued_on.isoformat(),
            due_date=due_date.isoformat(),
            no_address=no_address or None,
        )
        return int(answer["issued"]), [Bill.model_validate(row) for row in answer["bills"]]

    def void_bill(
        self,
        *,
        actor: str,
        bill_id: str,
        reason: str,
        on: date | None = None,
        outbox: Mapping[str, Any] | None = None,
    ) -> Bill:
        """Void the last bill of a meter's chain; what was paid on it stays with the account.

        `on` is the local date. Raises NotFound, and IllegalChange when a later bill follows.
        """
        return Bill.model_validate(
            self._call(
                "void_bill",
                actor=actor,
                bill_id=bill_id,
                reason=reason,
                on=on.isoformat() if on else None,
                outbox=outbox,
            )
        )

    def overview(self, *, today: date, currency: str, months: int = 12) -> Overview:
        """Billed and collected by month, outstanding, overdue; minor units per currency.

        `currency` is the one to show while there is no tariff yet.
        """
        return Overview.model_validate(
            self._call("overview", today=today.isoformat(), currency=currency, months=months)
        )
