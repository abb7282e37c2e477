"""What the office looks up: whose a reference is, what is open, what looks alike."""

from typing import Literal

from services.database.errors import NotFound
from services.database.queries.base import Queries
from services.database.transport import Filter
from services.languages.sentence import N_, sentence
from services.records.base import Page
from services.records.bills import Bill
from services.records.ledger import Account, LedgerEntry, PastPayment


class AccountLookups(Queries):
    """Look-ups around one customer's money."""

    def ledger_entry(self, entry_id: str) -> LedgerEntry:
        """One entry; raises NotFound."""
        return LedgerEntry.model_validate(self._one("ledger_list", entry_id, N_("No such entry.")))

    def open_bills(self, *, customer_id: str) -> list[Bill]:
        """A customer's issued bills of which something is to pay, 100 at most, oldest first."""
        rows = self._transport.select(
            "bill_list",
            filters=[
                Filter("customer_id", "eq", customer_id),
                Filter("status", "neq", "draft"),
                Filter("balance_minor", "gt", 0),
            ],
            order=["period_end.asc", "id.asc"],
            limit=100,
        ).rows
        return [Bill.model_validate(row) for row in rows]

    def adjustments(self, *, customer_id: str) -> list[LedgerEntry]:
        """Credits, fees and opening balances that stand, 50 at most, the newest first."""
        rows = self._transport.select(
            "ledger_list",
            filters=[
                Filter("customer_id", "eq", customer_id),
                Filter("kind", "in_", ["credit", "fee", "opening_balance"]),
                Filter("book", "eq", "account"),
                Filter("undone", "eq", False),
            ],
            order=["entry_no.desc"],
            limit=50,
        ).rows
        return [LedgerEntry.model_validate(row) for row in rows]

    def past_payments(
        self, *, customer_id: str, page: int = 1, page_size: int = 10
    ) -> Page[PastPayment]:
        """Payments that another system took, the last received first."""
        rows, total = self._page(
            "past_payments",
            filters=[Filter("customer_id", "eq", customer_id)],
            order=["received_on.desc", "id.asc"],
            page=page,
            page_size=page_size,
        )
        return Page(items=tuple(PastPayment.model_validate(row) for row in rows), total=total)

    def open_credits(self, *, customer_id: str) -> list[LedgerEntry]:
        """Credits of a customer's account of which something is left, 100 at most, oldest first."""
        return self._open_entries(customer_id, "lt")

    def open_debits(self, *, customer_id: str) -> list[LedgerEntry]:
        """Bills and fees of a customer of which something is to pay, 100 at most, oldest first."""
        return self._open_entries(customer_id, "gt")

    def _open_entries(self, customer_id: str, sign: Literal["lt", "gt"]) -> list[LedgerEntry]:
        rows = self._transport.select(
            "ledger_list",
            filters=[
                Filter("customer_id", "eq", customer_id),
                Filter("book", "eq", "account"),
                Filter("open_minor", sign, 0),
            ],
            order=["entry_no.asc"],
            limit=100,
        ).rows
        return [LedgerEntry.model_validate(row) for row in rows]

    def bill_numbered(self, number: int) -> Bill:
        """The bill of a number; raises NotFound."""
        rows = self._transport.select(
            "bill_list", filters=[Filter("number", "eq", number)], limit=1
        ).rows
        if not rows:
            raise NotFound("EB404", sentence("No such bill."))
        return Bill.model_validate(rows[0])

    def account_numbered(self, account_no: str) -> Account:
        """The account of a number, exactly as it is written; raises NotFound."""
        rows = self._transport.select(
            "account_list", filters=[Filter("account_no", "eq", account_no)], limit=1
        ).rows
        if not rows:
            raise NotFound("EB404", sentence("No such customer."))
        return Account.model_validate(rows[0])
