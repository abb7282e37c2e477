"""What a payment at Stripe that autopay began says of itself: a pure translation.

The answer to a request and the event of the webhook say it alike, and are read by this alone.
Stripe's lists: https://docs.stripe.com/declines/codes and https://docs.stripe.com/error-codes
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal
from uuid import NAMESPACE_URL, UUID, uuid5

from services.languages.sentence import N_, Sentence, sentence
from services.records.customers.autopay import Decline

# By these our own ids stand in Stripe's metadata.
ATTEMPT: Final = "autopay_attempt"
CHARGE: Final = "autopay_charge"
MANDATE: Final = "autopay_mandate"
IntentStatus = Literal["succeeded", "failed", "confirming", "processing"]
# The bank wants its customer to confirm the payment.
_AUTHENTICATION: Final = frozenset({"authentication_required", "requires_action"})
# Cards and accounts by which no later try can succeed.
_HARD: Final = frozenset(
    (
        *(
            "account_closed",
            "bank_account_closed",
            "bank_account_frozen",
            "bank_account_invalid_details",
            "bank_account_restricted",
            "bank_account_unusable",
        ),
        *("bank_ownership_changed", "card_not_supported", "currency_not_supported"),
        *("incorrect_account_holder_details", "payment_method_bank_account_blocked"),
        *("debit_disputed", "payment_intent_mandate_invalid"),
        *("debit_not_authorized", "do_not_try_again", "expired_card", "fraudulent"),
        *("incorrect_number", "invalid_account", "invalid_account_number", "invalid_number"),
        *("invalid_expiry_month", "invalid_expiry_year", "lost_card", "mandate_invalid"),
        *("no_account", "payment_method_not_available", "payment_method_unexpected_state"),
        *("pickup_card", "recipient_deceased", "resource_missing", "restricted_card"),
        *("revocation_of_all_authorizations", "revocation_of_authorization"),
        *("security_violation", "service_not_allowed", "stolen_card", "stop_payment_order"),
        *("testmode_decline", "transaction_not_allowed"),
    )
)
_AMOUNT: Final = frozenset({"amount_too_small", "amount_too_large"})
# What the card's own network advises goes before the code of the decline.
_ADVICE: Final[Mapping[str, Decline]] = {
    "do_not_try_again": "hard",
    "confirm_card_data": "hard",
    "try_again_later": "soft",
}
_WORDS: Final[Mapping[str, str]] = {
    "insufficient_funds": N_("There was not enough money."),
    "expired_card": N_("The card has expired."),
    "authentication_required": N_("The bank wants the customer to confirm it."),
    "lost_card": N_("The bank declined the card."),
    "stolen_card": N_("The bank declined the card."),
    "amount_too_small": N_("Stripe does not charge so small an amount."),
    "amount_too_large": N_("Stripe does not charge so large an amount."),
    "debit_not_authorized": N_("The account's owner has withdrawn the mandate."),
    "account_closed": N_("The bank account is closed."),
    "no_account": N_("There is no such bank account."),
    "bank_account_closed": N_("The bank account is closed."),
    "bank_account_invalid_details": N_("There is no such bank account."),
    "resource_missing": N_("Stripe no longer has the card or account."),
    "bank_account_frozen": N_("The bank has blocked the account."),
    "bank_account_restricted": N_("The bank has blocked the account."),
    "card_velocity_exceeded": N_("The card's limit is reached."),
    "withdrawal_count_limit_exceeded": N_("The card's limit is reached."),
    "issuer_not_available": N_("The bank could not be reached."),
    "processing_error": N_("The bank could not be reached."),
    "try_again_later": N_("The bank could not be reached."),
    "canceled": N_("It was called off at Stripe."),
    "not_confirmed": N_("It was not confirmed in time."),
}
# By these a bank says no more than that.
_WITHOUT_REASON: Final = frozenset({"card_declined", "declined", "generic_decline"})


@dataclass(frozen=True, slots=True)
class IntentState:
    """Where a payment stands; `amount` is in Stripe's units of `currency` (ISO 4217)."""

    id: str | None
    status: IntentStatus
    amount: int = 0
    currency: str = ""
    decline: Decline = ""
    code: str = ""

    @property
    def detail(self) -> str:
        """Why it failed, in a sentence; empty where it did not."""
        return words_of(self.code) if self.status in {"failed", "confirming"} else ""


def payment_id_of(payment_intent: str) -> str:
    """The id that our payment has for Stripe's."""
    return str(uuid5(NAMESPACE_URL, f"electricity-billing/stripe-payment/{payment_intent}"))


def decline_of(code: str, advice: str = "") -> Decline:
    """What kind of decline a code is; one that nobody knows is soft: it is tried again."""
    if code in _AUTHENTICATION:
        return "authentication"
    if code in _AMOUNT:
        return "amount"
    return _ADVICE.get(advice) or ("hard" if code in _HARD else "soft")


def words_of(code: str) -> Sentence:
    """A sentence for a code of Stripe's, which is found again where it is stored."""
    if code in _WORDS:
        return sentence(_WORDS[code])
    if not code or code in _WITHOUT_REASON:
        return sentence("The bank declined it without a reason.")
    return sentence("The bank declined it ({reason}).", reason=code.replace("_", " "))


def state_of(intent: Mapping[str, Any]) -> IntentState:
    """Where a payment stands, by Stripe's PaymentIntent."""
    intent_id, status = _text(intent.get("id")) or None, _text(intent.get("status"))
    if status == "succeeded":
        amount = intent.get("amount_received", intent.get("amount"))
        currency = _text(intent.get("currency")).upper()
        return IntentState(intent_id, "succeeded", amount if type(amount) is int else 0, currency)
    if status == "processing":
        return IntentState(intent_id, "processing")
    if status in {"requires_action", "requires_confirmation", "requires_capture"}:
        return IntentState(
            intent_id, "confirming", decline="authentication", code="requires_action"
        )
    if status == "canceled":
        return IntentState(intent_id, "failed", decline="soft", code=status)
    error = intent.get("last_payment_error")
    return failure_of(error if isinstance(error, Mapping) else {}, intent_id, status)


def failure_of(error: Mapping[str, Any], intent_id: str | None, status: str = "") -> IntentState:
    """Where a payment stands after an error of Stripe's, as JSON."""
    code = _text(error.get("decline_code")) or _text(error.get("code")) or status or "declined"
    if _text(error.get("code")) in _AUTHENTICATION | _AMOUNT:
        code = _text(error.get("code"))
    decline = decline_of(code, _text(error.get("advice_code")))
    if decline == "authentication":
        return IntentState(intent_id, "confirming", decline=decline, code=code)
    return IntentState(intent_id, "failed", decline=decline, code=code)


def own_id(metadata: object, name: str) -> str | None:
    """Our own id in Stripe's metadata, if it is there and is one."""
    value = metadata.get(name) if isinstance(metadata, Mapping) else None
    try:
        return str(UUID(value)) if isinstance(value, str) else None
    except ValueError:
        return None


def _text(value: object) -> str:
    """A word of Stripe's, if it is one."""
    fits = isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9_\-]{1,255}", value)
    return value if isinstance(value, str) and fits else ""
