"""Customers' accounts: payments, what goes back, credits, fees, deposits, plans, the month's books.

Every write takes the actor, and an id made by its caller where it adds something: repeated, it
changes nothing. `outbox` has the entries that follow when a bill's balance changes, by their kind
(services/outbox/outbox.py).
"""

from collections.abc import Mapping, Sequence
from datetime import date
from operator import itemgetter
from typing import Any

from services.database.queries.base import Json, Queries, search_filters
from services.database.transport import Filter
from services.languages.sentence import N_
from services.records.base import Page
from services.records.entries import (
    DepositUse,
    NewAdjustment,
    NewPayment,
    NewPlan,
    NewReturn,
    ReturnOutcome,
)
from services.records.jobs import RunRef
from services.records.ledger import (
    Account,
    AccountStatement,
    Allocation,
    Book,
    FlagReason,
    InstalmentPlan,
    LedgerEntry,
    Payment,
    PaymentFlag,
    PaymentReturn,
    PaymentStatus,
    ReturnedBill,
)
from services.records.month_end import LedgerCheck

OutboxPlans = Mapping[str, Any]


class AccountQueries(Queries):
    """What customers owe and paid."""

    def accounts(
        self,
        *,
        text: str = "",
        owing_only: bool = False,
        page: int = 1,
        page_size: int = 25,
    ) -> Page[Account]:
        """Customers with their balances, by account number; `owing_only`: who owes something."""
        filters = search_filters(text)
        if owing_only:
            filters.append(Filter("balance_minor", "gt", 0))
        order = ["balance_minor.desc", "id.asc"] if owing_only else ["account_no.asc"]
        rows, total = self._page(
            "account_list", filters=filters, order=order, page=page, page_size=page_size
        )
        return Page(items=tuple(Account.model_validate(row) for row in rows), total=total)

    def account(self, customer_id: str) -> Account:
        """One customer with what they owe; raises NotFound."""
        return Account.model_validate(
            self._one("account_list", customer_id, N_("No such customer."))
        )

    def account_statement(self, *, customer_id: str, start: date, end: date) -> AccountStatement:
        """What happened on an account in its currency in [start, end), 1,000 entries at most.

        Raises NotFound.
        """
        return AccountStatement.model_validate(
            self._call(
                "account_statement",
                customer_id=customer_id,
                start=start.isoformat(),
                end=end.isoformat(),
            )
        )

    def set_one_statement(self, *, actor: str, customer_id: str, one_statement: bool) -> None:
        """Whether bills that are made together share one message; raises NotFound."""
        self._call(
            "set_one_statement", actor=actor, customer_id=customer_id, one_statement=one_statement
        )

    def ledger(
        self,
        *,
        customer_id: str,
        book: Book | None = None,
        page: int = 1,
        page_size: int = 50,
    ) -> Page[LedgerEntry]:
        """The entries of a customer's accounts, the newest first."""
        filters = [Filter("customer_id", "eq", customer_id)]
        if book:
            filters.append(Filter("book", "eq", book))
        rows, total = self._page(
            "ledger_list",
            filters=filters,
            order=["created_at.desc", "entry_no.desc", "id.desc"],
            page=page,
            page_size=page_size,
        )
        return Page(items=tuple(LedgerEntry.model_validate(row) for row in rows), total=total)

    def allocations(
        self, *, bill_id: str | None = None, payment_id: str | None = None
    ) -> list[Allocation]:
        """What pays a bill, or what a payment pays, the oldest first."""
        if bill_id:
            of_it, kind = Filter("bill_id", "eq", bill_id), ("debit_kind", "bill")
        else:
            of_it, kind = Filter("payment_id", "eq", payment_id or ""), ("credit_kind", "payment")
        rows: list[Json] = []
        # By its own entry, and by the few others that name it: each has an index.
        for op in ("eq", "neq"):
            found = self._transport.select(
                "allocation_list",
                filters=[of_it, Filter(kind[0], op, kind[1])],
                order=["allocation_no.asc"],
                limit=1000,
            )
            rows += found.rows
        rows.sort(key=itemgetter("allocation_no"))
        return [Allocation.model_validate(row) for row in rows]

    def payment(self, payment_id: str) -> Payment:
        """One payment; raises NotFound."""
        return Payment.model_validate(self._one("payment_list", payment_id, N_("No such payment.")))

    def payments(
        self,
        *,
        text: str = "",
        status: PaymentStatus | None = None,
        customer_id: str | None = None,
        page: int = 1,
        page_size: int = 25,
    ) -> Page[Payment]:
        """Payments, the last received first."""
        filters = search_filters(text)
        wanted = {"status": status, "customer_id": customer_id}
        filters += [Filter(c, "eq", v) for c, v in wanted.items() if v is not None]
        rows, total = self._page(
            "payment_list",
            filters=filters,
            order=["received_on.desc", "id.desc"],
            page=page,
            page_size=page_size,
        )
        return Page(items=tuple(Payment.model_validate(row) for row in rows), total=total)

    def record_office_payment(
        self,
        *,
        actor: str,
        payment: NewPayment,
        confirmed: bool,
        outbox: OutboxPlans | None = None,
    ) -> tuple[int, tuple[Payment, ...]]:
        """Record a payment that a person enters; how many were new, and those it may repeat.

        It is not stored when there are such payments and it is not `confirmed`.
        Raises NotFound, IllegalChange.
        """
        answer = self._call(
            "record_desk_payment",
            actor=actor,
            payment=payment.row(),
            confirmed=confirmed,
            outbox=outbox,
        )
        return int(answer["recorded"]), tuple(self.payment(found) for found in answer["alike"])

    def collect_again(
        self, *, actor: str, bill_id: str, reason: str, outbox: OutboxPlans | None
    ) -> None:
        """A bill whose money went back is collected all the same; raises NotFound."""
        self._call("collect_again", actor=actor, bill_id=bill_id, reason=reason, outbox=outbox)

    def returned_bills(self, *, page: int = 1, page_size: int = 10) -> Page[ReturnedBill]:
        """Bills opened again by money that went back, undecided, the oldest first."""
        rows, total = self._page(
            "returned_bill_list",
            filters=[],
            order=["since.asc", "bill_id.asc"],
            page=page,
            page_size=page_size,
        )
        return Page(items=tuple(ReturnedBill.model_validate(row) for row in rows), total=total)

    def record_payments(
        self,
        *,
        actor: str,
        payments: Sequence[NewPayment],
        outbox: OutboxPlans | None = None,
    ) -> int:
        """Store payments and let each pay its bill, then the oldest that is open, all or none.

        How many were new. Raises NotFound, IllegalChange.
        """
        answer = self._call(
            "record_payments",
            actor=actor,
            payments=[payment.row() for payment in payments],
            outbox=outbox,
        )
        return int(answer["recorded"])

    def assign_payment(
        self,
        *,
        actor: str,
        payment_id: str,
        customer_id: str | None = None,
        bill_id: str | None = None,
        outbox: OutboxPlans | None = None,
    ) -> None:
        """Say whose a payment is that nobody knew; raises NotFound, IllegalChange."""
        self._call(
            "assign_payment",
            actor=actor,
            payment_id=payment_id,
            customer_id=customer_id,
            bill_id=bill_id,
            outbox=outbox,
        )

    def payment_flags(self, *, payment_id: str) -> list[PaymentFlag]:
        """What was or is to be looked at about a payment."""
        rows = self._transport.select(
            "payment_flag_list",
            filters=[Filter("payment_id", "eq", payment_id)],
            order=["raised_at.asc"],
            limit=100,
        ).rows
        return [PaymentFlag.model_validate(row) for row in rows]

    def open_payment_flags(self, *, page: int = 1, page_size: int = 25) -> Page[PaymentFlag]:
        """What nobody has looked at, the oldest first."""
        rows, total = self._page(
            "payment_flag_list",
            filters=[Filter("resolved_at", "is_null", True)],
            order=["raised_at.asc", "payment_id.asc"],
            page=page,
            page_size=page_size,
        )
        return Page(items=tuple(PaymentFlag.model_validate(row) for row in rows), total=total)

    def resolve_payment_flag(
        self, *, actor: str, payment_id: str, reason: FlagReason | None, resolution: str
    ) -> None:
        """A person has looked at it; without a reason at all of the payment's flags."""
        self._call(
            "resolve_payment_flag",
            actor=actor,
            payment_id=payment_id,
            reason=reason,
            resolution=resolution,
        )

    def record_return(
        self,
        *,
        actor: str,
        entry: NewReturn,
        outbox: OutboxPlans | None = None,
        may_over_limit: bool = False,
    ) -> PaymentReturn:
        """Money goes back, or is asked back of Stripe; raises NotFound, IllegalChange.

        IllegalChange too when it passes the settings' limit, unless the actor may do that or a
        request that says so was approved.
        """
        answer = self._call(
            "record_return",
            **entry.row(),
            actor=actor,
            outbox=outbox,
            may_over_limit=may_over_limit,
        )
        return PaymentReturn.model_validate(answer)

    def end_return(
        self,
        *,
        actor: str,
        return_id: str,
        outcome: ReturnOutcome,
        outbox: OutboxPlans | None = None,
    ) -> PaymentReturn:
        """What became of a refund asked of Stripe; one that is over stays as it is.

        Raises NotFound.
        """
        what = outcome.model_dump(mode="json", exclude_none=True)
        answer = self._call("end_return", actor=actor, id=return_id, outbox=outbox, **what)
        return PaymentReturn.model_validate(answer)

    def returns(
        self,
        *,
        payment_id: str | None = None,
        customer_id: str | None = None,
        status: str | None = None,
        limit: int = 100,
    ) -> list[PaymentReturn]:
        """What went back or is to go, the newest first, `limit` at most."""
        wanted = {"payment_id": payment_id, "customer_id": customer_id, "status": status}
        rows = self._transport.select(
            "return_list",
            filters=[Filter(c, "eq", v) for c, v in wanted.items() if v is not None],
            order=["created_at.desc", "id.desc"],
            limit=limit,
        ).rows
        return [PaymentReturn.model_validate(row) for row in rows]

    def add_adjustment(
        self, *, actor: str, entry: NewAdjustment, outbox: OutboxPlans | None = None
    ) -> None:
        """Give a credit or charge a fee; raises NotFound, IllegalChange."""
        self._call("add_adjustment", **entry.row(), actor=actor, outbox=outbox)

    def undo_adjustment(
        self,
        *,
        actor: str,
        entry_id: str,
        reason: str,
        on_date: date,
        outbox: OutboxPlans | None = None,
    ) -> None:
        """Take a credit or a fee back; repeated, it changes nothing. Raises NotFound."""
        self._call(
            "undo_adjustment",
            actor=actor,
            entry_id=entry_id,
            reason=reason,
            on_date=on_date.isoformat(),
            outbox=outbox,
        )

    def use_deposit(
        self, *, actor: str, entry: DepositUse, outbox: OutboxPlans | None = None
    ) -> None:
        """Let a deposit pay what is open; raises IllegalChange when less is held."""
        self._call("use_deposit", **entry.row(), actor=actor, outbox=outbox)

    def allocate_credit(
        self, *, actor: str, entry_id: str, bill_id: str | None, outbox: OutboxPlans | None = None
    ) -> None:
        """Let what is left of a credit pay a bill; without a bill take back what it paid.

        Raises NotFound, IllegalChange.
        """
        self._call(
            "allocate_credit", actor=actor, entry_id=entry_id, bill_id=bill_id, outbox=outbox
        )

    def settle_account(
        self, *, actor: str, customer_id: str, outbox: OutboxPlans | None = None
    ) -> None:
        """Let open credits of a customer pay what is open, the oldest first."""
        self._call("settle_account", actor=actor, customer_id=customer_id, outbox=outbox)

    def agree_plan(self, *, actor: str, plan: NewPlan) -> None:
        """Agree an instalment plan; raises IllegalChange when it does not fit its bills."""
        self._call("agree_plan", **plan.row(), actor=actor)

    def end_plan(self, *, actor: str, plan_id: str, reason: str) -> None:
        """Cancel a plan that is active."""
        self._call("end_plan", actor=actor, id=plan_id, reason=reason)

    def break_plans(self, *, actor: str, run: RunRef, today: date) -> int:
        """End the plans of which an instalment is past due before today; how many."""
        answer = self._call("break_plans", actor=actor, run=run.to_json(), today=today.isoformat())
        return int(answer["broken"])

    def plans(self, *, customer_id: str | None = None) -> list[InstalmentPlan]:
        """Instalment plans, the last agreed first, 200 at most."""
        rows = self._transport.select(
            "plan_list",
            filters=[Filter("customer_id", "eq", customer_id)] if customer_id else [],
            order=["agreed_on.desc", "id.desc"],
            limit=200,
        ).rows
        return [InstalmentPlan.model_validate(row) for row in rows]

    def check_ledger(self) -> LedgerCheck:
        """All entries added up; a sound ledger has no problems. Takes minutes of a large one."""
        return LedgerCheck.model_validate(self._call("check_ledger"))
