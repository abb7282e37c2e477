"""What Stripe's events about autopay mean: its payments, cards that are saved, change or go."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from services.payments.stripe.client import from_stripe_amount
from services.payments.stripe.intents import ATTEMPT, MANDATE, own_id, payment_id_of, state_of

Json = dict[str, Any]
# Events of payments, of which those that autopay did not begin mean nothing to us.
INTENT_TYPES: Final = (
    "payment_intent.succeeded",
    "payment_intent.processing",
    "payment_intent.requires_action",
    "payment_intent.payment_failed",
    "payment_intent.canceled",
)
METHOD_TYPES: Final = (
    "payment_method.automatically_updated",
    "payment_method.detached",
    "mandate.updated",
)


@dataclass(frozen=True, slots=True)
class AutopayMeaning:
    """What an event means; without an effect nothing."""

    payment_intent: str | None = None
    effect: Json | None = None
    detail: str = ""


def is_autopays(kind: str, thing: Mapping[str, Any]) -> bool:
    """Whether an event may mean something: of payments only those that autopay began."""
    return kind not in INTENT_TYPES or own_id(thing.get("metadata"), ATTEMPT) is not None


def of_intent(thing: Mapping[str, Any], *, at: str, on: str) -> AutopayMeaning | None:
    """What became of a try; None for payments that autopay did not begin.

    `at` and `on` are when it happened, in UTC and as a local date. Raises UnchargeableAmount,
    UnknownCurrency.
    """
    attempt = own_id(thing.get("metadata"), ATTEMPT)
    state = state_of(thing)
    if attempt is None or state.id is None:
        return None
    effect: Json = {"kind": "autopay_result", "attempt_id": attempt, "on": on}
    effect |= {"status": state.status, "decline": state.decline, "code": state.code}
    effect["detail"] = state.detail
    if state.status == "succeeded":
        minor = from_stripe_amount(amount=state.amount, currency=state.currency)
        effect |= {"amount_minor": minor, "currency": state.currency, "received_at": at}
        effect["payment_id"] = payment_id_of(state.id)
    return AutopayMeaning(state.id, effect, state.detail)


def of_session(thing: Mapping[str, Any]) -> AutopayMeaning | None:
    """A customer has saved a card; None for sessions of others."""
    mandate = own_id(thing.get("metadata"), MANDATE)
    if mandate is None:
        return None
    return AutopayMeaning(effect={"kind": "autopay_set_up", "mandate_id": mandate})


def of_method(kind: str, thing: Mapping[str, Any]) -> AutopayMeaning | None:
    """A card that was renewed, or is gone; None where it says neither."""
    if kind == "mandate.updated":
        method = thing.get("payment_method")
        method = method.get("id") if isinstance(method, Mapping) else method
        if thing.get("status") != "inactive" or not isinstance(method, str):
            return None
        because = "The bank says that the mandate has ended."
        return _gone(method, because)
    if kind == "payment_method.detached":
        return _gone(str(thing.get("id")), "The card or account was removed at Stripe.")
    card = thing.get("card")
    if not isinstance(card, Mapping):
        return None
    effect: Json = {"kind": "autopay_method_changed", "brand": card.get("brand")}
    effect |= {name: card.get(name) for name in ("last4", "exp_month", "exp_year")}
    return AutopayMeaning(effect=effect)


def _gone(method: str, because: str) -> AutopayMeaning:
    effect = {"kind": "autopay_method_gone", "payment_method": method, "because": because}
    return AutopayMeaning(effect=effect, detail=because)
