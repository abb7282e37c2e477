"""Charging at Stripe: each try is a row before Stripe is asked, and ends in one place.

Whoever crashes between Stripe's answer and our store leaves a row that says "asking". Nobody asks
Stripe for another charge before it was looked up there by the row's id, and a try has one
idempotency key, so that a due amount is charged once however often it is asked for.
"""

import logging
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import uuid4
from zoneinfo import ZoneInfo

from services.autopay.signing_up import ACTOR, AutopaySignUp, plans
from services.database.errors import NotFound
from services.database.service import DatabaseService
from services.integrations.failures import FinalFailure, TemporaryFailure
from services.integrations.http import pause_after
from services.languages.sentence import sentence
from services.outbox.outbox import Outbox
from services.payments.stripe.autopay import StripeAutopay
from services.payments.stripe.client import UnchargeableAmount, from_stripe_amount
from services.payments.stripe.intents import IntentState, payment_id_of, words_of
from services.payments.stripe.turns import A_SECOND, LONGEST_WAIT_OF_JOBS, turn_taken
from services.quantities.money import UnknownCurrency
from services.quantities.period import local_date
from services.records.customers.autopay import Attempt, AttemptResult

log = logging.getLogger(__name__)

# Longer than a page of tries takes, each with its time limit.
LEASE_SECONDS: Final = 600
PAGE: Final = 240
_AT_ONCE: Final = 48
# So many are looked at together, just before they are asked for.
_TURNS: Final = 8
# So many answers are kept in one transaction, if they come quickly.
_KEPT_AT_ONCE: Final = 16
_RETRY_SECONDS: Final = 60
_LONGEST_RETRY_SECONDS: Final = 6 * 3600
_UNEXPECTED: Final = "An unexpected error; the log has the details."
# So long a refusal that is about our own access, not the card, is tried again.
_REFUSED_FOR: Final = timedelta(days=1)
_Asked = Future[tuple[str, AttemptResult]]


@dataclass(frozen=True, slots=True)
class AutopayCharging:
    """Asks Stripe for tries that were begun, and about those whose end nobody knows.

    All processes together ask no more than `a_second` times a second.
    """

    database: DatabaseService
    outbox: Outbox
    zone: ZoneInfo
    sign_up: AutopaySignUp
    stripe: StripeAutopay | None = None
    a_second: int = A_SECOND
    owner: str = field(default_factory=lambda: f"autopay-{uuid4()}")

    def charge_all(self, attempts: Sequence[Attempt], *, now: datetime) -> int:
        """Charge tries that were begun just now, some at a time; how many Stripe answered.

        Each is looked at once more as its turn comes: what is no longer wanted, or was taken up by
        another process, is not asked for. Raises DatabaseError.
        """
        return self._all(attempts, lambda attempt: self._asked_if_wanted(attempt, now))

    def take_up(self, *, now: datetime, limit: int = PAGE) -> int:
        """Settle what was left: tries whose end nobody knows, cards just saved or to be forgotten.

        How much there was; 0 too where Stripe answers nothing. Raises DatabaseError.
        """
        if self.stripe is None:
            return 0
        found = self.database.autopay.claim(
            actor=ACTOR, owner=self.owner, lease_seconds=LEASE_SECONDS, limit=limit
        )
        for mandate in found.mandates:
            self.sign_up.look(mandate, now=now)
        answered = self._all(found.attempts, lambda attempt: self._looked_up(attempt, now))
        if found.attempts and not answered:
            return 0
        return len(found.mandates) + len(found.attempts)

    def _all(self, attempts: Sequence[Attempt], ask: Callable[[Attempt], AttemptResult]) -> int:
        """Ask for each in its turn, and keep the answers; how many Stripe gave."""
        answered, under_way = 0, set[_Asked]()
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="autopay") as workers:
            for start in range(0, len(attempts), _TURNS):
                # Nobody is looked at long before it is asked for.
                while len(under_way) > _AT_ONCE - _TURNS:
                    done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
                    answered += self._kept(done)
                for attempt in self._in_turn(attempts[start : start + _TURNS]):
                    # In a context of its own, which knows whether somebody waits.
                    under_way.add(workers.submit(copy_context().run, _named, attempt, ask))
                done = {asked for asked in under_way if asked.done()}
                if len(done) >= _KEPT_AT_ONCE:
                    under_way -= done
                    answered += self._kept(done)
            done, _ = wait(under_way)
            return answered + self._kept(done)

    def _in_turn(self, attempts: Sequence[Attempt]) -> Iterator[Attempt]:
        """Those of some tries that are still this process's to ask for, each at its time."""
        begun = {attempt.id: (attempt.owner, attempt.status) for attempt in attempts}
        began = time.monotonic()
        wait_seconds, found = self.database.autopay.turns(
            attempt_ids=list(begun), a_second=self.a_second
        )
        if wait_seconds > LONGEST_WAIT_OF_JOBS:
            # Stripe asked for a long pause: they are taken up after it.
            return
        for number, attempt in enumerate(found):
            if (attempt.owner, attempt.status) != begun[attempt.id]:
                # Somebody else has settled it, or is at it.
                continue
            due = began + wait_seconds + number / self.a_second
            time.sleep(max(0.0, due - time.monotonic()))
            yield attempt

    def _kept(self, done: Collection[_Asked]) -> int:
        """Keep answers, each for itself; how many of them are Stripe's."""
        results = [asked.result() for asked in done]
        if results:
            problems = self.database.autopay.end_attempts(
                actor=ACTOR, results=results, outbox=plans(self.outbox)
            )
            for attempt_id, why in problems:
                log.error("autopay: the answer to charge %s is not kept: %s", attempt_id, why)
        return sum(not result.away for _, result in results)

    def confirm(self, *, attempt_id: str, customer_id: str, return_url: str, now: datetime) -> str:
        """Where a customer confirms a charge at their bank; empty where nothing is to be done.

        Raises NotFound, ServiceUnavailable, RequestRejected.
        """
        attempt = self.database.autopay.attempt(attempt_id)
        if attempt is None or attempt.customer_id != customer_id:
            raise NotFound("EB404", sentence("No such charge."))
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

    def _asked_if_wanted(self, attempt: Attempt, now: datetime) -> AttemptResult:
        """What Stripe says to a try, if it is still to be charged as it was begun."""
        if attempt.wanted:
            return self._asked(attempt, now)
        on = local_date(now, self.zone)
        return AttemptResult(status="failed", code="superseded", on=on)

    def _asked(self, attempt: Attempt, now: datetime) -> AttemptResult:
        on = local_date(now, self.zone)
        try:
            if self.stripe is None or self.sign_up.address is None:
                raise FinalFailure("Stripe, or the public address, is not configured.")
            back = f"{self.sign_up.address}/my/autopay?from=confirmed"
            state = self.stripe.charge(attempt, return_url=back)
        except UnchargeableAmount as error:
            return AttemptResult(
                status="failed", decline="amount", code="unchargeable", detail=str(error), on=on
            )
        except TemporaryFailure as error:
            return self._away(error, attempt, now)
        except FinalFailure as error:
            if now - attempt.started_at < _REFUSED_FOR:
                return self._unknown(str(error), now)
            return AttemptResult(
                status="failed", decline="soft", code="refused", detail=str(error), on=on
            )
        except Exception:
            # A mistake of ours must not keep back the others.
            log.exception("autopay: charge %s failed unexpectedly", attempt.id)
            return self._unknown(_UNEXPECTED, now)
        return self._result(state, now)

    def _looked_up(self, attempt: Attempt, now: datetime) -> AttemptResult:
        """What became of a try; only one that Stripe does not have is asked for."""
        try:
            if self.stripe is None:
                return self._unknown("Stripe is not configured.", now)
            found = self.stripe.find(attempt)
            # It was waited for, or nobody wants it any more.
            over = attempt.status == "confirming" or not attempt.wanted
            if found is not None and found.status == "confirming" and over:
                here = attempt.model_copy(update={"payment_intent": found.id})
                return self._called_off(here, now)
            return self._result(found, now) if found else self._asked_if_wanted(attempt, now)
        except TemporaryFailure as error:
            return self._away(error, attempt, now)
        except FinalFailure as error:
            return self._unknown(str(error), now)
        except Exception:
            log.exception("autopay: charge %s could not be looked up", attempt.id)
            return self._unknown(_UNEXPECTED, now)

    def _called_off(self, attempt: Attempt, now: datetime) -> AttemptResult:
        """A payment that nobody confirmed is called off, so that it is never paid late."""
        on = local_date(now, self.zone)
        if self.stripe is None or attempt.payment_intent is None:
            return self._unknown("Stripe is not configured.", now)
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
        """The same, as it is kept; money that cannot be counted is left to a person."""
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
        try:
            minor = from_stripe_amount(amount=state.amount, currency=state.currency)
        except (UnchargeableAmount, UnknownCurrency) as error:
            return self._unknown(f"Stripe has charged it, which cannot be read: {error}", now)
        return found.model_copy(
            update={
                "amount_minor": minor,
                "currency": state.currency,
                "payment_id": payment_id_of(state.id),
                "received_at": now,
            }
        )

    def _unknown(self, why: str, now: datetime) -> AttemptResult:
        """Nobody knows yet, and looking soon would not help."""
        on = local_date(now, self.zone)
        return AttemptResult(status="unknown", detail=why, on=on, retry_in_seconds=3600)

    def _away(self, why: Exception, attempt: Attempt, now: datetime) -> AttemptResult:
        """Stripe did not answer: it is looked for soon, then with growing pauses."""
        waited = (now - attempt.started_at).total_seconds()
        pause = round(min(max(waited / 4, _RETRY_SECONDS), _LONGEST_RETRY_SECONDS))
        on = local_date(now, self.zone)
        return AttemptResult(
            status="unknown",
            detail=str(why),
            on=on,
            retry_in_seconds=pause_after(why, at_least=pause),
            away=True,
        )

    def _keep(self, attempt: Attempt, result: AttemptResult) -> Attempt:
        return self.database.autopay.end_attempt(
            actor=ACTOR, attempt_id=attempt.id, result=result, outbox=plans(self.outbox)
        )


def _named(attempt: Attempt, ask: Callable[[Attempt], AttemptResult]) -> tuple[str, AttemptResult]:
    """What became of a try, beside its id; its turn was taken with those of others."""
    with turn_taken():
        return attempt.id, ask(attempt)
