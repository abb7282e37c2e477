"""Refunds: the row is stored first, then Stripe is asked; who is away is asked again later.

The idempotency key is made of the row's id, so that whoever asks and however often, Stripe makes
one refund of it. It forgets a key after a day: every later attempt first looks what Stripe has.
"""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import NAMESPACE_URL, uuid4, uuid5

from services.approvals.asking import pass_or_ask
from services.database.errors import IllegalChange
from services.database.transport import DatabaseError
from services.identity.auth import Principal, require
from services.identity.permissions import Permission
from services.integrations.failures import FinalFailure, TemporaryFailure
from services.integrations.http import pause_after
from services.languages.sentence import sentence
from services.outbox.outbox import MAX_ATTEMPTS, pause_seconds
from services.payments.entry_forms import check_reference
from services.payments.reversals import PaymentCorrections, above_zero, given
from services.payments.stripe.client import StripePayments, StripeRefund, to_stripe_amount
from services.quantities.money import Money
from services.quantities.period import local_date
from services.records.drafts import ApprovalRequest
from services.records.entries import NewReturn, ReturnOutcome
from services.records.ledger import Payment, PaymentMethod, PaymentReturn

log = logging.getLogger(__name__)

ACTOR: Final = "system:refunds"
# Whoever stored a refund asks Stripe at once; only later somebody else does.
GRACE: Final = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Refunds(PaymentCorrections):
    """Sends payments back, through Stripe where it is configured, and other ways by hand."""

    stripe: StripePayments | None = None

    def refund(
        self,
        *,
        payment_id: str,
        amount: str | None,
        by_stripe: bool,
        method: PaymentMethod,
        reference: str,
        reason: str,
        principal: Principal,
        now: datetime,
        return_id: str | None = None,
    ) -> PaymentReturn:
        """Send a payment back, or `amount` of it: by Stripe, or as it was handed over by hand.

        By Stripe `method` does not matter, and the answer's status is "done", "failed" with the
        reason, or "pending" while Stripe is away. `return_id` makes it the same refund when it is
        repeated. Raises NotAllowed, ReasonMissing, InvalidMoney, NotFound, UnchargeableAmount,
        InvalidEntry (by hand without a reference), and IllegalChange when that is more than what
        is left or Stripe is not configured.
        """
        require(principal, Permission.REFUND_PAYMENTS)
        why = given(reason)
        payment = self.database.payment(payment_id)
        minor = (
            payment.returnable_minor
            if amount is None
            else above_zero(amount, payment.currency).minor
        )
        entry = NewReturn(
            id=return_id or str(uuid4()),
            payment_id=payment.id,
            kind="refund",
            amount_minor=minor,
            method=method,
            reference=reference.strip(),
            reason=why,
            on_date=local_date(now, self.zone),
        )
        if minor == 0:
            raise IllegalChange("EB005", sentence("All of this payment went back already."))
        if by_stripe:
            self._check_stripe(payment, minor)
        else:
            check_reference(method, reference.strip())
        back = Money(minor, payment.currency)
        pass_or_ask(
            self.database,
            "refund",
            action_id=entry.id,
            payload={
                "payment_id": payment.id,
                "amount": back.text,
                "by_stripe": by_stripe,
                "method": method,
                "reference": reference,
                "reason": reason,
            },
            summary=_in_words(payment, back),
            reason=why,
            principal=principal,
            amount=back,
        )
        if not by_stripe:
            return self._record(entry, principal)
        asked = entry.model_copy(update={"method": "stripe", "status": "pending"})
        stored = self._record(asked, principal)
        return self._ask(stored, actor=principal.user, now=now, again=return_id is not None)

    def retry(self, *, return_id: str, principal: Principal, now: datetime) -> PaymentReturn:
        """Ask Stripe at once for a refund that waits, or again for one that failed.

        Raises NotAllowed, NotFound, and IllegalChange when there is nothing to try again.
        """
        require(principal, Permission.REFUND_PAYMENTS)
        row = self.database.payment_return(return_id)
        if row.kind != "refund" or row.method != "stripe" or row.status in ("done", "undone"):
            raise IllegalChange("EB005", sentence("There is nothing to try again."))
        if row.status == "pending":
            return self._ask(row, actor=principal.user, now=now, again=True)
        return self._anew(row, principal, now)

    def refund_approved(
        self, request: ApprovalRequest, principal: Principal, now: datetime
    ) -> PaymentReturn:
        """Do an approved refund; raises as `refund` does."""
        require(principal, Permission.REFUND_PAYMENTS)
        return self.refund(
            **request.payload, return_id=request.action_id, principal=principal, now=now
        )

    def retry_approved(
        self, request: ApprovalRequest, principal: Principal, now: datetime
    ) -> PaymentReturn:
        """Do an approved repeat of a refund that failed; raises as `retry` does."""
        require(principal, Permission.REFUND_PAYMENTS)
        return self.retry(return_id=request.payload["return_id"], principal=principal, now=now)

    def take_up(self, *, now: datetime, limit: int = 20) -> int:
        """Ask Stripe for refunds whose pause is over, `limit` at most; how many were asked for."""
        if self.stripe is None:
            return 0
        due = self.database.returns_due(before=now - GRACE, limit=limit)
        for row in due:
            self._ask(row, actor=ACTOR, now=now, again=True)
        return len(due)

    def _check_stripe(self, payment: Payment, minor: int) -> None:
        if self.stripe is None:
            raise IllegalChange(
                "EB005", sentence("Stripe is not configured: refund it another way.")
            )
        # What Stripe cannot send exactly is refused before anything is stored.
        to_stripe_amount(minor=minor, currency=payment.currency)

    def _anew(self, row: PaymentReturn, principal: Principal, now: datetime) -> PaymentReturn:
        found = self._found(row)
        if found is not None and not found.failure:
            raise IllegalChange(
                "EB005", sentence("Stripe has made this refund after all: see Reconciliation.")
            )
        again = NewReturn(
            # The same one when two people do so at once.
            id=str(uuid5(NAMESPACE_URL, f"electricity-billing/refund-again/{row.id}")),
            payment_id=row.payment_id,
            kind=row.kind,
            amount_minor=row.amount_minor,
            method=row.method,
            reason=row.reason,
            on_date=local_date(now, self.zone),
            status="pending",
        )
        back = Money(row.amount_minor, row.currency)
        pass_or_ask(
            self.database,
            "refund_again",
            action_id=again.id,
            payload={"return_id": row.id},
            summary=sentence("Refund {amount} by Stripe, which failed before", amount=back),
            reason=row.reason,
            principal=principal,
            amount=back,
        )
        stored = self._record(again, principal)
        return self._ask(stored, actor=principal.user, now=now, again=True)

    def _ask(self, row: PaymentReturn, *, actor: str, now: datetime, again: bool) -> PaymentReturn:
        """Ask Stripe and record what came of it; one that is over is answered as it is."""
        if row.status != "pending":
            return row
        try:
            made = (self._found(row) if again else None) or self._make(row)
        except FinalFailure as refused:
            outcome = ReturnOutcome(status="failed", error=str(refused))
        except TemporaryFailure as away:
            outcome = _later(row, str(away), away)
        except DatabaseError:
            raise
        except Exception:
            # A mistake of ours must not stop the other refunds.
            log.exception("refund %s failed unexpectedly", row.id)
            outcome = _later(row, sentence("An unexpected error; the log has the details."))
        else:
            outcome = ReturnOutcome(
                status="failed" if made.failure else "done",
                provider_id=made.id,
                error=made.failure,
            )
        return self.database.end_return(
            actor=actor,
            return_id=row.id,
            outcome=outcome.model_copy(update={"on_date": local_date(now, self.zone)}),
            outbox=self.outbox.on_money(),
        )

    def _make(self, row: PaymentReturn) -> StripeRefund:
        stripe, intent = self._at_stripe(row)
        return stripe.refund(
            payment_intent=intent,
            amount_minor=row.amount_minor,
            currency=row.currency,
            return_id=row.id,
        )

    def _found(self, row: PaymentReturn) -> StripeRefund | None:
        stripe, intent = self._at_stripe(row)
        return stripe.refund_of(payment_intent=intent, return_id=row.id)

    def _at_stripe(self, row: PaymentReturn) -> tuple[StripePayments, str]:
        if self.stripe is None or row.payment_id is None:
            raise FinalFailure(sentence("Stripe is not configured."))
        intent = self.database.payment(row.payment_id).provider_id
        if intent is None:
            raise FinalFailure(sentence("This payment did not come by Stripe."))
        return self.stripe, intent


def _in_words(payment: Payment, back: Money) -> str:
    whole = Money(payment.amount_minor, payment.currency)
    if not payment.customer_name:
        return sentence("Refund {amount} of a payment of {whole}", amount=back, whole=whole)
    return sentence(
        "Refund {amount} of a payment of {whole} by {name}",
        amount=back,
        whole=whole,
        name=payment.customer_name,
    )


def _later(row: PaymentReturn, reason: str, why: Exception | None = None) -> ReturnOutcome:
    if row.attempts + 1 >= MAX_ATTEMPTS:
        error = sentence(
            "given up after {attempts} attempts: {reason}", attempts=MAX_ATTEMPTS, reason=reason
        )
        return ReturnOutcome(status="failed", error=error)
    pause = pause_seconds(row.attempts)
    if why is not None:
        pause = pause_after(why, at_least=pause)
    return ReturnOutcome(status="pending", error=reason, retry_in_seconds=pause)
