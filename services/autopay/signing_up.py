"""How a customer begins and ends autopay: a consent, a page of Stripe, and what was saved there.

What Stripe saved is asked of Stripe itself, when the customer comes back or when its webhook says
so, whichever is first: an address that a browser shows proves nothing.
"""

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from services.database.errors import IllegalChange
from services.database.service import DatabaseService
from services.integrations.failures import FinalFailure, TemporaryFailure
from services.integrations.http import pause_after
from services.outbox.outbox import Outbox
from services.payments.stripe.autopay import StripeAutopay
from services.quantities.period import local_date
from services.records.customers.autopay import AutopayOfCustomer, Mandate
from services.records.outbox import OutboxKind

log = logging.getLogger(__name__)

ACTOR: Final = "system:autopay"
_PAUSE_SECONDS: Final = 60
_LONGEST_PAUSE_SECONDS: Final = 6 * 3600
# A bank may take days to agree to a debit; after so many looks nobody asks any more.
_MOST_LOOKS: Final = 60


def plans(outbox: Outbox) -> dict[str, Any]:
    """What may follow of autopay, for the writes that change it."""
    kinds: tuple[OutboxKind, ...] = (
        *("payment_received", "balance_changed", "autopay_notice", "autopay_failed"),
        *("autopay_expiring", "autopay_ended"),
    )
    return {kind: outbox.plan_for_any(kind) for kind in kinds}


@dataclass(frozen=True, slots=True)
class AutopaySignUp:
    """Begins and ends autopay. `stripe` and `address` are None where it cannot be offered.

    `address` is the site's own, to which Stripe sends customers back; it never comes from a
    request. `now` is in UTC.
    """

    database: DatabaseService
    outbox: Outbox
    zone: ZoneInfo
    stripe: StripeAutopay | None = None
    address: str | None = None

    @property
    def offered(self) -> bool:
        """Whether customers can set it up here."""
        return self.stripe is not None and self.address is not None

    def of_customer(self, customer_id: str) -> AutopayOfCustomer:
        """How a customer's autopay stands."""
        return self.database.autopay.of_customer(customer_id)

    def begin(
        self,
        *,
        mandate_id: str,
        customer_id: str,
        currency: str,
        consent: str,
        limit_minor: int | None,
        actor: str,
        now: datetime,
    ) -> str:
        """Keep the consent; the address at Stripe where the card or account is saved.

        Raises IllegalChange, ServiceUnavailable, RequestRejected.
        """
        if self.stripe is None or self.address is None:
            raise IllegalChange("EB005", "Autopay is not offered here.")
        agreed: dict[str, Any] = {
            "actor": actor,
            "mandate_id": mandate_id,
            "customer_id": customer_id,
            "currency": currency,
            "consent": consent,
            "limit_minor": limit_minor,
            "at": now,
        }
        known = self.of_customer(customer_id).mandate
        self.database.autopay.open(**agreed)
        back = f"{self.address}/my/autopay"
        opened = self.stripe.open_session(
            mandate_id=mandate_id,
            customer_id=customer_id,
            stripe_customer=known.stripe_customer if known else None,
            currency=currency,
            success_url=f"{back}?from=saved",
            cancel_url=f"{back}?from=cancelled",
        )
        self.database.autopay.open(
            **agreed, session_id=opened.id, stripe_customer=opened.stripe_customer
        )
        return opened.url

    def came_back(self, *, customer_id: str, now: datetime) -> AutopayOfCustomer:
        """How it stands after a customer came back from Stripe, which is asked if need be."""
        found = self.of_customer(customer_id)
        if found.opened is None:
            return found
        self.look(found.opened, now=now)
        return self.of_customer(customer_id)

    def look(self, mandate: Mandate, *, now: datetime) -> None:
        """Ask Stripe what became of a mandate: saved, given up, or to be forgotten.

        A Stripe that is away is asked again later.
        """
        try:
            self._look(mandate, now)
        except (TemporaryFailure, FinalFailure) as error:
            log.warning("autopay: Stripe could not be asked about a mandate: %s", error)
            self._later(mandate, error)

    def end(self, *, mandate_id: str, customer_id: str, actor: str, because: str) -> Mandate:
        """End it now: nothing more is charged, and Stripe forgets the card. Raises NotFound."""
        mandate = self.database.autopay.end(
            actor=actor,
            mandate_id=mandate_id,
            customer_id=customer_id,
            because=because,
            outbox=plans(self.outbox),
        )
        self._forget(mandate)
        return mandate

    def resume(self, *, mandate_id: str, customer_id: str, actor: str, now: datetime) -> Mandate:
        """Let it go on after a pause, with bills due from today; raises IllegalChange."""
        return self.database.autopay.resume(
            actor=actor,
            mandate_id=mandate_id,
            customer_id=customer_id,
            today=local_date(now, self.zone),
            outbox=plans(self.outbox),
        )

    def _look(self, mandate: Mandate, now: datetime) -> None:
        if mandate.status == "ended":
            self._forget(mandate)
            return
        if self.stripe is None or mandate.session_id is None:
            self._note(mandate, "expired")
            return
        state = self.stripe.session(mandate.session_id)
        if state.saved is not None:
            self.database.autopay.complete(
                actor=ACTOR,
                mandate_id=mandate.id,
                saved=state.saved,
                today=local_date(now, self.zone),
                outbox=plans(self.outbox),
            )
        elif state.status == "over" or mandate.looks >= _MOST_LOOKS:
            self._note(mandate, "expired")
        else:
            self._later(mandate)

    def _forget(self, mandate: Mandate) -> None:
        # Without Stripe's key nobody here could charge it either.
        if self.stripe is None or mandate.detached_at is not None:
            return
        try:
            method = mandate.payment_method or self._saved_late(mandate, self.stripe)
            if method is not None:
                self.stripe.forget(method)
        except (TemporaryFailure, FinalFailure) as error:
            log.warning("autopay: Stripe still keeps a card that was ended: %s", error)
            self._later(mandate, error)
        else:
            self._note(mandate, "given_up" if method is None else "detached")

    def _saved_late(self, mandate: Mandate, at_stripe: StripeAutopay) -> str | None:
        """What was saved on a page that was open as autopay ended; the page is closed."""
        if mandate.session_id is None:
            return None
        at_stripe.close_session(mandate.session_id)
        saved = at_stripe.session(mandate.session_id).saved
        return saved.payment_method if saved else None

    def _note(self, mandate: Mandate, result: Any) -> None:
        self.database.autopay.note_look(actor=ACTOR, mandate_id=mandate.id, result=result)

    def _later(self, mandate: Mandate, why: Exception | None = None) -> None:
        pause = min(_PAUSE_SECONDS * 2 ** min(mandate.looks, 10), _LONGEST_PAUSE_SECONDS)
        if why is not None:
            pause = pause_after(why, at_least=pause)
        self.database.autopay.note_look(
            actor=ACTOR, mandate_id=mandate.id, result="later", retry_in_seconds=pause
        )
