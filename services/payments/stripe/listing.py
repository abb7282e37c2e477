"""What Stripe has of us, read and never changed: its events, payments, checkout sessions."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import stripe

from services.integrations.http import ServiceUnavailable
from services.payments.stripe.autopay_events import is_autopays
from services.payments.stripe.client import UnchargeableAmount, as_ours, from_stripe_amount
from services.payments.stripe.events import KNOWN_TYPES
from services.quantities.money import UnknownCurrency
from services.records.reconciliation import PaymentThere

Json = dict[str, Any]

# Stripe lists events of the last 30 days; a little less, so that none ends while we read.
EVENTS_KEPT: Final = timedelta(days=29, hours=23)
# Lists come with the newest first: a piece at a time is turned around.
PIECE: Final = timedelta(days=1)
AT_ONCE: Final = 100


def _untold() -> None:
    """For those who need not know that it goes on."""


@dataclass(frozen=True, slots=True)
class StripeReading:
    """Reads at Stripe; every method raises ServiceUnavailable or RequestRejected.

    `pulse` of a method is called before each request, for those who hold a lease meanwhile.
    """

    client: stripe.StripeClient

    def events(
        self, *, since: datetime, until: datetime, pulse: Callable[[], None] = _untold
    ) -> Iterator[Json]:
        """The events in [since, until) that mean something to us, the oldest first."""
        start = since
        while start < until:
            end = min(start + PIECE, until)
            yield from reversed(self._piece_of_events(start, end, pulse))
            start = end

    def payments(
        self, *, since: datetime, until: datetime, pulse: Callable[[], None] = _untold
    ) -> tuple[list[PaymentThere], list[str]]:
        """The payments begun in [since, until) that succeeded.

        And the ids of those whose amount cannot be one of ours.
        """
        params = {"created": _span(since, until), "expand": ["data.latest_charge"]}
        found, unreadable = [], []
        for intent in self._all(self.client.v1.payment_intents.list, params, pulse):
            if intent.get("status") == "succeeded":
                payment = _payment(intent)
                if payment is None:
                    unreadable.append(str(intent["id"]))
                else:
                    found.append(payment)
        return found, unreadable

    def payment(self, payment_intent: str) -> PaymentThere | None:
        """A payment that succeeded, or None."""
        found = self._intent(payment_intent)
        return _payment(found) if found.get("status") == "succeeded" else None

    def charge_of(self, payment_intent: str) -> Json | None:
        """What was charged for a payment, with what of it went back; None if nothing was."""
        charge = self._intent(payment_intent).get("latest_charge")
        return charge if isinstance(charge, dict) else None

    def session_of(self, payment_intent: str) -> Json | None:
        """The checkout session that a payment came by, or None."""
        params = {"payment_intent": payment_intent}
        found = self._page(self.client.v1.checkout.sessions.list, params)[0]
        return found[0] if found else None

    def _intent(self, payment_intent: str) -> Json:
        """A payment with its charge; nothing when Stripe does not know it."""
        try:
            return self.client.v1.payment_intents.retrieve(
                payment_intent, {"expand": ["latest_charge"]}
            ).to_dict()
        except (stripe.StripeError, AttributeError) as error:
            if isinstance(error, stripe.InvalidRequestError) and error.code == "resource_missing":
                return {}
            as_ours(error, "to show a payment")

    def _piece_of_events(
        self, since: datetime, until: datetime, pulse: Callable[[], None]
    ) -> list[Json]:
        params = {"created": _span(since, until), "types": list(KNOWN_TYPES)}
        found = self._all(self.client.v1.events.list, params, pulse)
        return [event for event in found if is_autopays(str(event.get("type")), _thing_of(event))]

    def _all(
        self, ask: Callable[..., Any], params: Json, pulse: Callable[[], None]
    ) -> Iterator[Json]:
        after: Json = {}
        while True:
            pulse()
            rows, more = self._page(ask, params | after)
            yield from rows
            if not more or not rows:
                return
            after = {"starting_after": rows[-1]["id"]}

    def _page(self, ask: Callable[..., Any], params: Json) -> tuple[list[Json], bool]:
        try:
            found = ask(params | {"limit": AT_ONCE})
            rows = [row.to_dict() for row in found.data]
            more = bool(found.has_more)
        except (stripe.StripeError, AttributeError) as error:
            as_ours(error, "to show a list")
        if not all(isinstance(row.get("id"), str) for row in rows):
            raise ServiceUnavailable("Stripe's answer cannot be read.")
        return rows, more


def _thing_of(event: Mapping[str, Any]) -> Mapping[str, Any]:
    data = event.get("data")
    thing = data.get("object") if isinstance(data, Mapping) else None
    return thing if isinstance(thing, Mapping) else {}


def _span(since: datetime, until: datetime) -> Json:
    return {"gte": int(since.timestamp()), "lt": int(until.timestamp())}


def _payment(intent: Mapping[str, Any]) -> PaymentThere | None:
    """A payment in our minor units; None when it is of no amount that we could have."""
    charge = intent.get("latest_charge")
    charge = charge if isinstance(charge, Mapping) else {}
    metadata = intent.get("metadata") or {}
    try:
        currency = str(intent["currency"]).upper()
        return PaymentThere(
            payment_intent=intent["id"],
            amount_minor=from_stripe_amount(amount=intent["amount_received"], currency=currency),
            currency=currency,
            refunded_minor=from_stripe_amount(
                amount=charge.get("amount_refunded") or 0, currency=currency
            ),
            at=datetime.fromtimestamp(intent["created"], UTC),
            bill_reference=metadata.get("bill_number"),
        )
    except (KeyError, TypeError, ValueError, UnknownCurrency, UnchargeableAmount):
        return None
