"""Refunds that wait for Stripe, what looks at Stripe found, and the lines of the bank."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Literal

from services.database.queries.base import Queries
from services.database.transport import Filter
from services.languages.sentence import N_
from services.records.base import Page
from services.records.ledger import PaymentReturn
from services.records.reconciliation import (
    BankLine,
    BankLineStatus,
    NewReconciliationRun,
    PaymentHere,
    ReconciliationRun,
)


class ReconciliationQueries(Queries):
    """What we have of Stripe, and what was found when it was compared."""

    def payment_return(self, return_id: str) -> PaymentReturn:
        """One refund, reversal, dispute or payout; raises NotFound."""
        return PaymentReturn.model_validate(
            self._one("return_list", return_id, N_("No such refund."))
        )

    def returns_due(self, *, before: datetime, limit: int) -> list[PaymentReturn]:
        """Refunds that Stripe is to be asked for again, the longest due first."""
        rows = self._transport.select(
            "return_list",
            filters=[Filter("status", "eq", "pending"), Filter("next_attempt_at", "lte", before)],
            order=["next_attempt_at.asc", "id.asc"],
            limit=limit,
        ).rows
        return [PaymentReturn.model_validate(row) for row in rows]

    def stripe_payments(self, *, since: datetime, until: datetime) -> list[PaymentHere]:
        """Our payments that came by Stripe in [since, until)."""
        return self._stripe_payments(
            Filter("received_at", "gte", since), Filter("received_at", "lt", until)
        )

    def stripe_payments_of(self, payment_intents: Iterable[str]) -> list[PaymentHere]:
        """Those of our payments that have one of Stripe's ids, whenever they came."""
        wanted = sorted(set(payment_intents))
        return self._stripe_payments(Filter("payment_intent", "in_", wanted)) if wanted else []

    def _stripe_payments(self, *filters: Filter) -> list[PaymentHere]:
        rows = self._transport.select("stripe_payment_list", filters=filters, order=["id.asc"]).rows
        return [PaymentHere.model_validate(row) for row in rows]

    def record_reconciliation(self, *, actor: str, run: NewReconciliationRun) -> None:
        """Keep what a look at Stripe found, once for its id."""
        self._call("record_reconciliation", **run.model_dump(mode="json"), actor=actor)

    def reconciliations(
        self, *, kind: Literal["events", "payments"] | None = None, limit: int = 20
    ) -> list[ReconciliationRun]:
        """The last looks at Stripe, the newest first."""
        filters = [Filter("kind", "eq", kind)] if kind else []
        return self._runs(filters, "at.desc", limit)

    def reconciled_until(self) -> datetime | None:
        """Everything that Stripe sent before this moment is stored; None before the first look."""
        filters = [Filter("kind", "eq", "events"), Filter("error", "eq", "")]
        runs = self._runs(filters, "until.desc", 1)
        return runs[0].until if runs else None

    def _runs(self, filters: list[Filter], order: str, limit: int) -> list[ReconciliationRun]:
        rows = self._transport.select(
            "reconciliations", filters=filters, order=[order, "id.desc"], limit=limit
        ).rows
        return [ReconciliationRun.model_validate(row) for row in rows]


class BankQueries(Queries):
    """Bank statements."""

    def bank_accounts(self) -> list[str]:
        """The bank accounts of which statements were imported."""
        return [str(account) for account in self._call("bank_accounts")["accounts"]]

    def bank_lines(
        self, *, status: BankLineStatus, page: int = 1, page_size: int = 10
    ) -> Page[BankLine]:
        """Lines with a status: those that wait for a person oldest first, others newest first."""
        order = "asc" if status == "open" else "desc"
        rows, total = self._page(
            "bank_line_list",
            filters=[Filter("status", "eq", status)],
            order=[f"booked_on.{order}", f"id.{order}"],
            page=page,
            page_size=page_size,
        )
        return Page(items=tuple(BankLine.model_validate(row) for row in rows), total=total)

    def bank_line(self, line_id: str) -> BankLine:
        """One line; raises NotFound."""
        return BankLine.model_validate(self._one("bank_line_list", line_id, N_("No such line.")))

    def choose_bank_payer(
        self,
        *,
        actor: str,
        line_id: str,
        customer_id: str | None = None,
        bill_id: str | None = None,
        outbox: Mapping[str, Any] | None = None,
    ) -> None:
        """Count a line as a customer's payment, or for a bill; repeated, it changes nothing.

        Raises NotFound, and IllegalChange where somebody else decided it meanwhile.
        """
        self._call(
            "decide_bank_line",
            actor=actor,
            id=line_id,
            customer_id=customer_id,
            bill_id=bill_id,
            outbox=outbox,
        )

    def set_bank_line_aside(self, *, actor: str, line_id: str, reason: str) -> None:
        """A line is nobody's payment, for a reason; repeated, it changes nothing.

        Raises NotFound, and IllegalChange where somebody else decided it meanwhile.
        """
        self._call("decide_bank_line", actor=actor, id=line_id, reason=reason)
