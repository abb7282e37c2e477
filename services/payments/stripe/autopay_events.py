"""What Stripe's events about autopay mean: its payments, cards that are saved, change or go."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from services.languages.sentence import N_
from services.payments.stripe.client import from_stripe_amount
from services.payments.stripe.intents import (
    ATTEMPT,
    CHARGE,
    MANDATE,
    own_id,
    payment_id_of,
    state_of,
)

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
    effect |= {"detail": state.detail, "stripe_customer": _id_of(thing.get("customer"))}
    # By these a try is known that a restored backup no longer has.
    effect |= {"charge_id": own_id(thing.get("metadata"), CHARGE)}
    asked = str(thing["metadata"].get("amount_minor", ""))
    effect["asked_minor"] = int(asked) if re.fullmatch(r"[0-9]{1,14}", asked) else None
    if state.status == "succeeded":
        minor = from_stripe_amount(amount=state.amount, currency=state.currency)
        effect |= {"amount_minor": minor, "currency": state.currency, "received_at": at}
        effect["payment_id"] = payment_id_of(state.id)
    return AutopayMeaning(state.id, effect, state.detail)


def of_session(thing: Mapping[str, Any]) -> AutopayMeaning | None:
    """A customer has saved a card, or no longer can; None for sessions of others."""
    mandate = own_id(thing.get("metadata"), MANDATE)
    if mandate is None:
        return None
    return AutopayMeaning(effect={"kind": "autopay_set_up", "mandate_id": mandate})


def of_method(kind: str, thing: Mapping[str, Any]) -> AutopayMeaning | None:
    """A card that was renewed, or is gone; None where it says neither."""
    if kind == "mandate.updated":
        method = _id_of(thing.get("payment_method"))
        if thing.get("status") != "inactive" or not isinstance(method, str):
            return None
        because = N_("The bank says that the mandate has ended.")
        return _gone(method, because)
    if kind == "payment_method.detached":
        return _gone(str(thing.get("id")), N_("The card or account was removed at Stripe."))
    card = thing.get("card")
    if not isinstance(card, Mapping):
        return None
    effect: Json = {"kind": "autopay_method_changed", "brand": card.get("brand")}
    effect |= {name: card.get(name) for name in ("last4", "exp_month", "exp_year")}
    return AutopayMeaning(effect=effect)


def _id_of(value: object) -> object:
    return value.get("id") if isinstance(value, Mapping) else value


def _gone(method: str, because: str) -> AutopayMeaning:
    effect = {"kind": "autopay_method_gone", "payment_method": method, "because": because}
    return AutopayMeaning(effect=effect, detail=because)
