"""What autopay asks of Stripe: to save a card or account, to charge it, to forget it.

Everything is safe to repeat: what makes something carries an idempotency key of our own row's id,
and a charge whose end nobody knows is looked up by that id in its metadata before it is asked for
once more, since Stripe forgets keys after a day.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Literal

import stripe

from services.integrations.http import RequestRejected, ServiceUnavailable
from services.payments.stripe.client import as_ours, to_stripe_amount
from services.payments.stripe.intents import (
    ATTEMPT,
    CHARGE,
    MANDATE,
    IntentState,
    failure_of,
    own_id,
    state_of,
)
from services.records.bills import invoice_reference
from services.records.customers.autopay import Attempt, SavedMethod

Json = dict[str, Any]
# Clocks differ; what was begun a little before our row's time is looked through too.
_SLACK: Final = timedelta(minutes=10)
_AT_ONCE: Final = 100
# Refusals that are about the card or the amount: all others are about our own access.
_OF_THE_CARD: Final = frozenset(
    {"resource_missing", "payment_method_unexpected_state", "payment_method_not_available"}
)
_OF_THE_AMOUNT: Final = frozenset({"amount_too_small", "amount_too_large"})


@dataclass(frozen=True, slots=True)
class OpenedSession:
    """Where a customer saves a card: Stripe's id and address of the page, and of the customer."""

    id: str
    url: str
    stripe_customer: str


@dataclass(frozen=True, slots=True)
class SessionState:
    """What came of it: still open, over, or done with what was saved (None: the bank is at it)."""

    status: Literal["open", "done", "over"]
    saved: SavedMethod | None = None


@dataclass(frozen=True, slots=True)
class Confirmation:
    """Where a customer confirms a payment, if that is needed, and where it stands."""

    state: IntentState
    url: str = ""


@dataclass(frozen=True, slots=True)
class StripeAutopay:
    """Asks Stripe; each method raises ServiceUnavailable or RequestRejected."""

    client: stripe.StripeClient

    def open_session(
        self,
        *,
        mandate_id: str,
        customer_id: str,
        stripe_customer: str | None,
        currency: str,
        success_url: str,
        cancel_url: str,
    ) -> OpenedSession:
        """A page of Stripe on which a customer saves what the currency's ways of paying allow."""
        known = {MANDATE: mandate_id}

        def open_for(theirs: str) -> Json:
            session = self.client.v1.checkout.sessions.create(
                {
                    "mode": "setup",
                    "currency": currency.lower(),
                    "customer": theirs,
                    "client_reference_id": mandate_id,
                    "metadata": known,
                    "setup_intent_data": {"metadata": known},
                    "success_url": success_url,
                    "cancel_url": cancel_url,
                },
                {"idempotency_key": f"autopay-session/{mandate_id}/{theirs}"},
            )
            return dict(session.to_dict())

        try:
            theirs = stripe_customer or self._new_customer(customer_id)
            try:
                found = open_for(theirs)
            except stripe.InvalidRequestError as error:
                if not _is_missing(error) or stripe_customer is None:
                    raise
                # Somebody deleted the customer at Stripe.
                theirs = self._new_customer(customer_id, instead_of=stripe_customer)
                found = open_for(theirs)
        except (stripe.StripeError, AttributeError) as error:
            as_ours(error, "to save a card")
        if not all(isinstance(found.get(name), str) and found[name] for name in ("id", "url")):
            raise ServiceUnavailable("Stripe's answer has no page in it.")
        return OpenedSession(found["id"], found["url"], theirs)

    def session(self, session_id: str) -> SessionState:
        """What came of such a page."""
        expand = ["setup_intent.payment_method"]
        try:
            found = self.client.v1.checkout.sessions.retrieve(
                session_id, {"expand": expand}
            ).to_dict()
        except (stripe.StripeError, AttributeError) as error:
            if _is_missing(error):
                return SessionState("over")
            as_ours(error, "to show what was saved")
        intent = found.get("setup_intent")
        if found.get("status") == "complete":
            return SessionState("done", _saved(intent, found.get("customer")))
        return SessionState("open" if found.get("status") == "open" else "over")

    def close_session(self, session_id: str) -> None:
        """Let nobody save anything there any more; one that is over stays as it is."""
        try:
            self.client.v1.checkout.sessions.expire(session_id)
        except stripe.InvalidRequestError as error:
            if error.http_status not in {400, 404}:
                as_ours(error, "to close a page")
        except stripe.StripeError as error:
            as_ours(error, "to close a page")

    def forget(self, payment_method: str) -> None:
        """Take a card or account off our account there; one that is gone already is."""
        try:
            self.client.v1.payment_methods.detach(payment_method)
        except stripe.InvalidRequestError as error:
            # Stripe says 400 of one that is attached to nobody.
            if error.http_status not in {400, 404}:
                as_ours(error, "to forget the card")
        except stripe.StripeError as error:
            as_ours(error, "to forget the card")

    def charge(self, attempt: Attempt, *, return_url: str) -> IntentState:
        """Charge without the customer; asked again for the same try it is the same payment.

        Raises UnchargeableAmount too.
        """
        try:
            made = self.client.v1.payment_intents.create(
                {
                    "amount": to_stripe_amount(
                        minor=attempt.amount_minor, currency=attempt.currency
                    ),
                    "currency": attempt.currency.lower(),
                    "customer": attempt.stripe_customer,
                    "payment_method": attempt.payment_method,
                    # Where the customer comes back to, should the bank want a confirmation.
                    "return_url": return_url,
                    "off_session": True,
                    "confirm": True,
                    "metadata": {
                        ATTEMPT: attempt.id,
                        CHARGE: attempt.charge_id,
                        "bill_number": invoice_reference(attempt.bill_number),
                        "amount_minor": str(attempt.amount_minor),
                        "currency": attempt.currency,
                    },
                },
                {"idempotency_key": f"autopay/{attempt.id}"},
            )
            return state_of(made.to_dict())
        except stripe.CardError as error:
            return _declined(error)
        except stripe.InvalidRequestError as error:
            if error.code in _OF_THE_CARD | _OF_THE_AMOUNT:
                return failure_of({"code": error.code}, None)
            as_ours(error, "the charge")
        except (stripe.StripeError, AttributeError) as error:
            as_ours(error, "the charge")

    def find(self, attempt: Attempt) -> IntentState | None:
        """What Stripe has of a try, if it was ever asked for it."""
        if attempt.payment_intent is not None:
            return self.state(attempt.payment_intent)
        params: Json = {"customer": attempt.stripe_customer, "limit": _AT_ONCE}
        since = attempt.started_at - _SLACK
        while True:
            rows, more = self._intents(params)
            for row in rows:
                if own_id(row.get("metadata"), ATTEMPT) == attempt.id:
                    return state_of(row)
            # The newest come first.
            if not more or not rows or _created(rows[-1]) < since.timestamp():
                return None
            params = params | {"starting_after": rows[-1]["id"]}

    def state(self, payment_intent: str) -> IntentState:
        """Where a payment stands."""
        try:
            return state_of(self.client.v1.payment_intents.retrieve(payment_intent).to_dict())
        except (stripe.StripeError, AttributeError) as error:
            as_ours(error, "to show a payment")

    def call_off(self, payment_intent: str) -> IntentState:
        """Call a payment off that waits for its customer; where it stands, if that is too late."""
        try:
            return state_of(self.client.v1.payment_intents.cancel(payment_intent).to_dict())
        except stripe.InvalidRequestError:
            return self.state(payment_intent)
        except (stripe.StripeError, AttributeError) as error:
            as_ours(error, "to call a payment off")

    def confirm(self, attempt: Attempt, *, return_url: str) -> Confirmation:
        """Let the customer, who is here now, confirm a payment; where they are to go for it."""
        if attempt.payment_intent is None:
            raise RequestRejected("There is nothing to confirm.")
        try:
            found = self.client.v1.payment_intents.confirm(
                attempt.payment_intent,
                {"payment_method": attempt.payment_method, "return_url": return_url},
            ).to_dict()
        except stripe.CardError as error:
            return Confirmation(_declined(error))
        except (stripe.StripeError, AttributeError) as error:
            as_ours(error, "to confirm the payment")
        action = found.get("next_action")
        there = action.get("redirect_to_url") if isinstance(action, Mapping) else None
        url = there.get("url") if isinstance(there, Mapping) else None
        return Confirmation(state_of(found), url if isinstance(url, str) else "")

    def _new_customer(self, customer_id: str, *, instead_of: str = "") -> str:
        # Without name and address: Stripe asks the payer for what it needs.
        made = self.client.v1.customers.create(
            {"metadata": {"customer_id": customer_id}},
            {"idempotency_key": f"autopay-customer/{customer_id}/{instead_of}"},
        )
        return str(made.to_dict()["id"])

    def _intents(self, params: Json) -> tuple[list[Json], bool]:
        try:
            found = self.client.v1.payment_intents.list(params)  # type: ignore[arg-type]
            return [row.to_dict() for row in found.data], bool(found.has_more)
        except (stripe.StripeError, AttributeError) as error:
            as_ours(error, "to show payments")


def _saved(intent: object, customer: object) -> SavedMethod | None:
    """What was saved, once the bank has agreed."""
    if not isinstance(intent, Mapping) or intent.get("status") != "succeeded":
        return None
    method = intent.get("payment_method")
    if not isinstance(method, Mapping) or not isinstance(method.get("id"), str):
        return None
    kind = str(method.get("type") or "")
    shown = method.get(kind)
    shown = shown if isinstance(shown, Mapping) else {}
    brand = shown.get("display_brand") or shown.get("brand") or shown.get("bank_name") or kind
    return SavedMethod(
        stripe_customer=str(customer.get("id") if isinstance(customer, Mapping) else customer),
        payment_method=str(method["id"]),
        kind=kind,
        brand=str(brand)[:40],
        last4=str(shown.get("last4") or "")[-4:],
        exp_month=shown.get("exp_month"),
        exp_year=shown.get("exp_year"),
    )


def _declined(error: stripe.CardError) -> IntentState:
    body = error.json_body if isinstance(error.json_body, Mapping) else {}
    said = body.get("error")
    said = said if isinstance(said, Mapping) else {}
    intent = said.get("payment_intent")
    if isinstance(intent, Mapping):
        state = state_of(intent)
        if state.status != "failed" or intent.get("last_payment_error"):
            return state
    intent_id = intent.get("id") if isinstance(intent, Mapping) else None
    return failure_of(said, intent_id if isinstance(intent_id, str) else None)


def _is_missing(error: Exception) -> bool:
    return isinstance(error, stripe.InvalidRequestError) and error.code == "resource_missing"


def _created(row: Mapping[str, Any]) -> float:
    """Unix time; what does not say is taken for new, so that the search goes on."""
    at = row.get("created")
    return float(at) if isinstance(at, int) else math.inf
