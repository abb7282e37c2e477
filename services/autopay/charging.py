"""Charging at Stripe: each try is a row before Stripe is asked, and ends in one place.

Whoever crashes between Stripe's answer and our store leaves a row that says "asking". Nobody asks
Stripe for another charge before it was looked up there by the row's id, and a try has one
idempotency key, so that a due amount is charged once however often it is asked for.
"""

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import uuid4
from zoneinfo import ZoneInfo

from services.autopay.signing_up import ACTOR, AutopaySignUp, plans
from services.database.errors import NotFound
from services.database.service import DatabaseService
from services.database.transport import DatabaseError
from services.integrations.failures import FinalFailure, TemporaryFailure
from services.outbox.outbox import Outbox
from services.payments.stripe.autopay import StripeAutopay
from services.payments.stripe.client import UnchargeableAmount, from_stripe_amount
from services.payments.stripe.intents import IntentState, payment_id_of, words_of
from services.quantities.period import local_date
from services.records.customers.autopay import Attempt, AttemptResult

log = logging.getLogger(__name__)

# Longer than a page of tries takes, each with its time limit.
LEASE_SECONDS: Final = 600
PAGE: Final = 40
_AT_ONCE: Final = 4
_RETRY_SECONDS: Final = 60
# So long a refusal that is about our own access, not the card, is tried again.
_REFUSED_FOR: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class AutopayCharging:
    """Asks Stripe for tries that were begun, and about those whose end nobody knows."""

    database: DatabaseService
    outbox: Outbox
    zone: ZoneInfo
    sign_up: AutopaySignUp
    stripe: StripeAutopay | None = None
    owner: str = field(default_factory=lambda: f"autopay-{uuid4()}")

    def charge_all(self, attempts: Sequence[Attempt], *, now: datetime) -> None:
        """Charge tries that were begun just now, some at a time; raises DatabaseError."""
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="autopay") as workers:
            for _ in workers.map(lambda attempt: self.charge(attempt, now=now), attempts):
                pass

    def charge(self, attempt: Attempt, *, now: datetime) -> Attempt:
        """Charge a try, and keep what Stripe answered; raises DatabaseError."""
        return self._keep(attempt, self._asked(attempt, now))

    def take_up(self, *, now: datetime, limit: int = 20) -> int:
        """Settle what was left: tries whose end nobody knows, cards just saved or to be forgotten.

        How much there was. Raises DatabaseError.
        """
        if self.stripe is None:
            return 0
        found = self.database.autopay.claim(
            actor=ACTOR, owner=self.owner, lease_seconds=LEASE_SECONDS, limit=limit
        )
        for mandate in found.mandates:
            self.sign_up.look(mandate, now=now)
        for attempt in found.attempts:
            self._keep(attempt, self._looked_up(attempt, now))
        return len(found.mandates) + len(found.attempts)

    def confirm(self, *, attempt_id: str, customer_id: str, return_url: str, now: datetime) -> str:
        """Where a customer confirms a charge at their bank; empty where nothing is to be done.

        Raises NotFound, ServiceUnavailable, RequestRejected.
        """
        attempt = self.database.autopay.attempt(attempt_id)
        if attempt is None or attempt.customer_id != customer_id:
            raise NotFound("EB404", "No such charge.")
        if self.stripe is None or attempt.status != "confirming":
            return ""
        if attempt.open_minor < attempt.amount_minor or attempt.mandate_status != "active":
            # Paid another way since: it is called off.
            self._keep(attempt, self._called_off(attempt, now))
            return ""
        there = self.stripe.confirm(attempt, return_url=return_url)
        if there.state.status != "confirming":
            self._keep(attempt, self._result(there.state, now))
        return there.url

    def _asked(self, attempt: Attempt, now: datetime) -> AttemptResult:
        on = local_date(now, self.zone)
        try:
            if self.stripe is None or self.sign_up.address is None:
                raise FinalFailure("Stripe, or the public address, is not configured.")
            back = f"{self.sign_up.address}/my/autopay?from=confirmed"
            return self._result(self.stripe.charge(attempt, return_url=back), now)
        except UnchargeableAmount as error:
            return AttemptResult(
                status="failed", decline="amount", code="unchargeable", detail=str(error), on=on
            )
        except TemporaryFailure as error:
            return self._unknown(str(error), now)
        except FinalFailure as error:
            if now - attempt.started_at < _REFUSED_FOR:
                return self._unknown(str(error), now, seconds=3600)
            return AttemptResult(
                status="failed", decline="soft", code="refused", detail=str(error), on=on
            )
        except Exception:
            # A mistake of ours must not keep back the others.
            log.exception("autopay: charge %s failed unexpectedly", attempt.id)
            return self._unknown("An unexpected error; the log has the details.", now)

    def _looked_up(self, attempt: Attempt, now: datetime) -> AttemptResult:
        """What became of a try; only one that Stripe does not have is asked for."""
        try:
            if self.stripe is None:
                return self._unknown("Stripe is not configured.", now, seconds=3600)
            found = self.stripe.find(attempt)
            if found is None:
                return self._asked_again(attempt, now)
            if found.status == "confirming":
                return self._called_off(
                    attempt.model_copy(update={"payment_intent": found.id}), now
                )
            return self._result(found, now)
        except (TemporaryFailure, FinalFailure) as error:
            return self._unknown(str(error), now)
        except DatabaseError:
            raise
        except Exception:
            log.exception("autopay: charge %s could not be looked up", attempt.id)
            return self._unknown("An unexpected error; the log has the details.", now, seconds=3600)

    def _asked_again(self, attempt: Attempt, now: datetime) -> AttemptResult:
        if attempt.open_minor < attempt.amount_minor or attempt.mandate_status != "active":
            on = local_date(now, self.zone)
            return AttemptResult(status="failed", code="superseded", on=on)
        return self._asked(attempt, now)

    def _called_off(self, attempt: Attempt, now: datetime) -> AttemptResult:
        """A payment that nobody confirmed is called off, so that it is never paid late."""
        on = local_date(now, self.zone)
        if self.stripe is None or attempt.payment_intent is None:
            return self._unknown("Stripe is not configured.", now, seconds=3600)
        state = self.stripe.call_off(attempt.payment_intent)
        if state.status != "failed":
            return self._result(state, now)
        code = "not_confirmed"
        return AttemptResult(
            status="failed",
            payment_intent=attempt.payment_intent,
            decline="soft",
            code=code,
            detail=words_of(code),
            on=on,
        )

    def _result(self, state: IntentState, now: datetime) -> AttemptResult:
        on = local_date(now, self.zone)
        found = AttemptResult(
            status=state.status,
            payment_intent=state.id,
            decline=state.decline,
            code=state.code,
            detail=state.detail,
            on=on,
        )
        if state.status != "succeeded" or state.id is None:
            return found
        minor = from_stripe_amount(amount=state.amount, currency=state.currency)
        return found.model_copy(
            update={
                "amount_minor": minor,
                "currency": state.currency,
                "payment_id": payment_id_of(state.id),
                "received_at": now,
            }
        )

    def _unknown(self, why: str, now: datetime, seconds: int = _RETRY_SECONDS) -> AttemptResult:
        on = local_date(now, self.zone)
        return AttemptResult(status="unknown", detail=why, on=on, retry_in_seconds=seconds)

    def _keep(self, attempt: Attempt, result: AttemptResult) -> Attempt:
        return self.database.autopay.end_attempt(
            actor=ACTOR, attempt_id=attempt.id, result=result, outbox=plans(self.outbox)
        )
