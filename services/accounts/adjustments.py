"""Changes of a customer's account that bring no money: credits, fees, what pays what, plans."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from services.accounts.instalments import Part, check_parts, equal_parts, typed_parts
from services.approvals.asking import pass_or_ask
from services.database.service import DatabaseService
from services.identity.auth import Principal, require
from services.identity.permissions import Permission
from services.languages.sentence import N_, sentence
from services.outbox.outbox import Outbox
from services.payments.entry_forms import (
    AdjustmentEntry,
    InvalidEntry,
    ReasonEntry,
    amount_above_zero,
    parse_entry,
)
from services.quantities.money import Money
from services.quantities.period import local_date
from services.records.bills import Bill
from services.records.drafts import ApprovalRequest
from services.records.entries import NewAdjustment, NewPlan

_INSTEAD = {
    "credit": N_("To charge more, charge a fee."),
    "fee": N_("To charge less, give a credit."),
}


@dataclass(frozen=True, slots=True)
class AccountAdjustments:
    """Changes accounts. Each change is the office's; `now` is in UTC.

    Ids are the form's: the same one again changes nothing.
    """

    database: DatabaseService
    outbox: Outbox
    zone: ZoneInfo
    currency: Callable[[], str]

    def adjust(
        self,
        *,
        entry_id: str,
        customer_id: str,
        body: Mapping[str, Any],
        principal: Principal,
        now: datetime,
    ) -> None:
        """Give a credit or charge a fee; `body` is an AdjustmentEntry's fields.

        Raises InvalidEntry, NotFound, IllegalChange.
        """
        require(principal, Permission.ADJUST_ACCOUNTS)
        account = self.database.account(customer_id)
        entry = parse_entry(AdjustmentEntry, body)
        amount = amount_above_zero(
            entry.amount,
            currency=account.currency or self.currency(),
            otherwise=_INSTEAD[entry.kind],
        )
        if entry.kind == "credit":
            pass_or_ask(
                self.database,
                "credit",
                action_id=entry_id,
                payload={"customer_id": account.id, "body": dict(body)},
                summary=sentence(
                    "Give {name}, account {account}, a credit of {amount}",
                    name=account.name,
                    account=account.account_no,
                    amount=amount,
                ),
                reason=entry.note,
                principal=principal,
            )
        self.database.add_adjustment(
            actor=principal.user,
            entry=NewAdjustment(
                id=entry_id,
                customer_id=account.id,
                kind=entry.kind,
                amount_minor=amount.minor,
                currency=amount.currency,
                note=entry.note,
                on_date=self._today(now),
            ),
            outbox=self.outbox.on_money(),
        )
        self._check_it_is_this(entry_id, amount)

    def credit_approved(
        self, request: ApprovalRequest, principal: Principal, now: datetime
    ) -> None:
        """Give an approved credit; raises as `adjust` does."""
        require(principal, Permission.ADJUST_ACCOUNTS)
        self.adjust(**request.payload, entry_id=request.action_id, principal=principal, now=now)

    def undo_adjustment(
        self, *, entry_id: str, reason: str, principal: Principal, now: datetime
    ) -> None:
        """Take a credit, a fee or an opening balance back, once.

        Raises InvalidEntry, NotFound, and AwaitsApproval for what the customer would owe less by.
        """
        require(principal, Permission.ADJUST_ACCOUNTS)
        why = _given(reason)
        entry = self.database.ledger_entry(entry_id)
        if entry.amount_minor > 0:
            account = self.database.account(entry.customer_id)
            pass_or_ask(
                self.database,
                "waiver",
                action_id=entry.id,
                payload={"customer_id": account.id, "reason": reason},
                summary=sentence(
                    "Take a charge of {amount} to {name}, account {account}, back",
                    amount=entry.money(entry.amount_minor),
                    name=account.name,
                    account=account.account_no,
                ),
                reason=why,
                principal=principal,
            )
        self.database.undo_adjustment(
            actor=principal.user,
            entry_id=entry_id,
            reason=why,
            on_date=self._today(now),
            outbox=self.outbox.on_money(),
        )

    def undo_approved(self, request: ApprovalRequest, principal: Principal, now: datetime) -> None:
        """Take an approved charge back; raises as `undo_adjustment` does."""
        require(principal, Permission.ADJUST_ACCOUNTS)
        reason = request.payload["reason"]
        self.undo_adjustment(
            entry_id=request.action_id, reason=reason, principal=principal, now=now
        )

    def apply_credit(self, *, entry_id: str, bill_id: str, principal: Principal) -> None:
        """Let what is left of a credit pay a bill; raises NotFound, IllegalChange."""
        self._allocate(entry_id, bill_id, principal)

    def leave_unapplied(self, *, entry_id: str, principal: Principal) -> None:
        """Take back what a credit paid, so that it lies open on the account; raises NotFound."""
        self._allocate(entry_id, None, principal)

    def settle(self, *, customer_id: str, principal: Principal) -> None:
        """Let what lies open on the account pay what is open, the oldest first."""
        require(principal, Permission.ARRANGE_ACCOUNTS)
        self.database.settle_account(
            actor=principal.user, customer_id=customer_id, outbox=self.outbox.on_money()
        )

    def collect_again(self, *, bill_id: str, reason: str, principal: Principal) -> None:
        """Collect a bill although money of it went back: links and dunning go on.

        Raises InvalidEntry without a reason, NotFound.
        """
        require(principal, Permission.ARRANGE_ACCOUNTS)
        self.database.collect_again(
            actor=principal.user,
            bill_id=bill_id,
            reason=_given(reason),
            outbox=self.outbox.on_money(),
        )

    def parts(
        self,
        *,
        bills: Sequence[Bill],
        now: datetime,
        equal: int | None = None,
        first_on: date | None = None,
        typed: str = "",
    ) -> tuple[Part, ...]:
        """The instalments of a plan for what is open of `bills`: `equal` ones, or as typed.

        Raises UnusablePlan, and InvalidEntry without a bill or across currencies.
        """
        if len({bill.currency for bill in bills}) != 1:
            raise InvalidEntry(sentence("Choose the bills that the plan is for."))
        total = Money(sum(bill.balance_minor for bill in bills), bills[0].currency)
        today = self._today(now)
        if equal is None:
            parts = typed_parts(typed, currency=total.currency)
        else:
            parts = equal_parts(total_minor=total.minor, parts=equal, first_on=first_on or today)
        check_parts(parts, total=total, today=today)
        return parts

    def agree_plan(
        self,
        *,
        plan_id: str,
        bills: Sequence[Bill],
        parts: Sequence[Part],
        note: str,
        principal: Principal,
        now: datetime,
    ) -> None:
        """Agree that bills of one customer are paid in these parts.

        Raises InvalidEntry, and IllegalChange where the bills have changed or are in a plan.
        """
        require(principal, Permission.ARRANGE_ACCOUNTS)
        if not bills:
            raise InvalidEntry(sentence("Choose the bills that the plan is for."))
        self.database.agree_plan(
            actor=principal.user,
            plan=NewPlan(
                id=plan_id,
                customer_id=bills[0].customer_id,
                currency=bills[0].currency,
                bills=tuple(bill.id for bill in bills),
                instalments=tuple(part.entry for part in parts),
                on=self._today(now),
                reason=" ".join(note.split())[:200],
            ),
        )

    def cancel_plan(self, *, plan_id: str, reason: str, principal: Principal) -> None:
        """End a plan that is active; its bills are reminded of and marked again."""
        require(principal, Permission.ARRANGE_ACCOUNTS)
        self.database.end_plan(actor=principal.user, plan_id=plan_id, reason=_given(reason))

    def _allocate(self, entry_id: str, bill_id: str | None, principal: Principal) -> None:
        require(principal, Permission.ARRANGE_ACCOUNTS)
        self.database.allocate_credit(
            actor=principal.user,
            entry_id=entry_id,
            bill_id=bill_id,
            outbox=self.outbox.on_money(),
        )

    def _check_it_is_this(self, entry_id: str, amount: Money) -> None:
        stored = self.database.ledger_entry(entry_id)
        if abs(stored.amount_minor) != amount.minor:
            there = stored.money(abs(stored.amount_minor))
            raise InvalidEntry(
                sentence(
                    "This form has entered {amount} already. Look at that one first.", amount=there
                )
            )

    def _today(self, now: datetime) -> date:
        return local_date(now, self.zone)


def _given(reason: str) -> str:
    return parse_entry(ReasonEntry, {"reason": reason}).reason
