"""What the office sets right about payments: money that goes back by hand, whose it is."""

from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4
from zoneinfo import ZoneInfo

from services.approvals.asking import pass_or_ask
from services.database.errors import IllegalChange, NotFound
from services.database.service import DatabaseService
from services.identity.audit_reason import ReasonMissing
from services.identity.auth import Principal, require
from services.identity.permissions import Permission
from services.languages.sentence import sentence
from services.outbox.outbox import Outbox
from services.payments.entry_forms import check_reference
from services.quantities.money import InvalidMoney, Money
from services.quantities.period import local_date
from services.quantities.typed import typed_money
from services.records.bills import number_of_reference
from services.records.drafts import ApprovalRequest
from services.records.entries import NewReturn
from services.records.ledger import Book, FlagReason, PaymentMethod, PaymentReturn


@dataclass(frozen=True, slots=True)
class PaymentCorrections:
    """Corrections of payments. Each takes who may make it and is audited; nothing is deleted."""

    database: DatabaseService
    outbox: Outbox
    zone: ZoneInfo

    def reverse(
        self, *, payment_id: str, reason: str, principal: Principal, now: datetime
    ) -> PaymentReturn:
        """Take a payment out of its account: it bounced, or was entered wrongly.

        Raises NotAllowed, ReasonMissing, NotFound, and IllegalChange when it came by Stripe or
        all of it went back already.
        """
        require(principal, Permission.REVERSE_PAYMENTS)
        why = given(reason)
        payment = self.database.payment(payment_id)
        if payment.method == "stripe":
            raise IllegalChange(
                "EB005", sentence("A payment that came by Stripe is not reversed here: refund it.")
            )
        return self._record(
            NewReturn(
                id=str(uuid4()),
                payment_id=payment.id,
                kind="reversal",
                method=payment.method,
                reference=payment.reference,
                reason=why,
                on_date=local_date(now, self.zone),
            ),
            principal,
        )

    def pay_out(
        self,
        *,
        customer_id: str,
        amount: str,
        method: PaymentMethod,
        reference: str,
        reason: str,
        principal: Principal,
        now: datetime,
        book: Book = "account",
        return_id: str | None = None,
    ) -> PaymentReturn:
        """Give a customer credit of their account back, or of the deposit that is held.

        `return_id` makes it the same one when it is repeated. Raises NotAllowed, ReasonMissing,
        InvalidMoney, InvalidEntry (no reference), NotFound, and IllegalChange when there is not so
        much.
        """
        require(principal, Permission.REFUND_PAYMENTS)
        why = given(reason)
        account = self.database.account(customer_id)
        if account.currency is None:
            raise IllegalChange("EB005", sentence("This customer has no account with money yet."))
        paid = above_zero(amount, account.currency)
        check_reference(method, reference.strip())
        action_id = return_id or str(uuid4())
        pass_or_ask(
            self.database,
            "payout",
            action_id=action_id,
            payload={
                "customer_id": customer_id,
                "amount": paid.text,
                "method": method,
                "reference": reference,
                "reason": reason,
                "book": book,
            },
            summary=sentence(
                "Pay {amount} out to {name}, account {account}",
                amount=paid,
                name=account.name,
                account=account.account_no,
            ),
            reason=why,
            principal=principal,
            amount=paid,
        )
        return self._record(
            NewReturn(
                id=action_id,
                customer_id=customer_id,
                kind="payout",
                book=book,
                amount_minor=paid.minor,
                currency=paid.currency,
                method=method,
                reference=reference.strip(),
                reason=why,
                on_date=local_date(now, self.zone),
            ),
            principal,
        )

    def pay_out_approved(
        self, request: ApprovalRequest, principal: Principal, now: datetime
    ) -> PaymentReturn:
        """Do an approved payout; raises as `pay_out` does."""
        require(principal, Permission.REFUND_PAYMENTS)
        return self.pay_out(
            **request.payload, return_id=request.action_id, principal=principal, now=now
        )

    def assign(self, *, payment_id: str, to: str, principal: Principal, now: datetime) -> None:
        """Say whose a payment of nobody known is: `to` is an account number or a bill's reference.

        Raises NotAllowed, NotFound, and IllegalChange when it is another account's already.
        """
        del now
        require(principal, Permission.RECORD_PAYMENTS)
        self.database.assign_payment(
            actor=principal.user,
            payment_id=payment_id,
            outbox=self.outbox.on_money(),
            **self._whose(to.strip()),
        )

    def resolve_flag(
        self,
        *,
        payment_id: str,
        flag: FlagReason | None,
        reason: str,
        principal: Principal,
        now: datetime,
    ) -> None:
        """Say that somebody has looked at a flag of a payment, or without one at all of them.

        Raises NotAllowed, ReasonMissing.
        """
        del now
        require(principal, Permission.RECORD_PAYMENTS)
        self.database.resolve_payment_flag(
            actor=principal.user, payment_id=payment_id, reason=flag, resolution=given(reason)
        )

    def _record(self, entry: NewReturn, principal: Principal) -> PaymentReturn:
        return self.database.record_return(
            actor=principal.user,
            entry=entry,
            outbox=self.outbox.on_money(),
            may_over_limit=principal.may(Permission.REFUND_OVER_LIMIT),
        )

    def _whose(self, to: str) -> dict[str, str]:
        number = number_of_reference(to)
        if number is not None:
            try:
                return {"bill_id": self.database.bill_numbered(number).id}
            except NotFound:
                raise NotFound(
                    "EB404", sentence("There is no bill {number}.", number=to[:40])
                ) from None
        try:
            return {"customer_id": self.database.account_numbered(to).id}
        except NotFound:
            raise NotFound(
                "EB404", sentence("There is no account {number}.", number=repr(to[:40]))
            ) from None


def given(reason: str) -> str:
    """The reason without spaces around it; raises ReasonMissing."""
    if not reason.strip():
        raise ReasonMissing(sentence("Say why: the reason is kept with the payment."))
    return reason.strip()


def above_zero(amount: str, currency: str) -> Money:
    """An amount as somebody typed it; raises InvalidMoney, also for one that is not above 0."""
    money = typed_money(amount, currency=currency)
    if money.minor <= 0:
        raise InvalidMoney(sentence("The amount must be above 0."))
    return money
