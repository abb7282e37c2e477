"""Stripe: a Payment Link for exactly what is left to pay of a bill, and refunds.

Everything here is safe to repeat: making a link or a refund carries an idempotency key, closing a
link twice is the same as once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NoReturn

import requests
import stripe

from services.integrations.http import TIMEOUT_SECONDS, RequestRejected, ServiceUnavailable
from services.languages.sentence import sentence
from services.payments.stripe.turns import StripeTurns, TooManyRequests, retry_after
from services.quantities.money import exponent
from services.records.bills import Bill
from services.telemetry.outside_calls import STRIPE, outside_calls

if TYPE_CHECKING:
    from stripe.params import PaymentLinkCreateParams

# https://docs.stripe.com/currencies
_ZERO_DECIMALS: Final = frozenset(
    (
        *("BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA"),
        *("PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF"),
    )
)
# Without minor units, but Stripe still counts in hundredths: 5 ISK are 500.
_WHOLE_IN_HUNDREDTHS: Final = frozenset(("ISK", "UGX"))
# The last digit must be 0, because some card networks know two decimals only.
_THREE_DECIMALS: Final = frozenset(("BHD", "JOD", "KWD", "OMR", "TND"))
_TOO_MANY: Final = 429
# By this our own id of a refund stands in Stripe's metadata.
RETURN_ID: Final = "return_id"
_WORDS_FOR_INACTIVE: Final = (
    "This link is no longer valid: the bill was paid or its amount has changed. "
    "Please ask us for the new one."
)


class UnchargeableAmount(RequestRejected):
    """Stripe cannot charge exactly this amount, or not in this currency."""


@dataclass(frozen=True, slots=True)
class PaymentLink:
    """A link at Stripe for `amount_minor` minor units (ours) of `currency`."""

    id: str
    url: str
    amount_minor: int
    currency: str


@dataclass(frozen=True, slots=True)
class StripeRefund:
    """A refund at Stripe; `failure` says why it will not arrive, empty when it is on its way."""

    id: str
    failure: str


def stripe_decimals(currency: str) -> int:
    """With how many decimals Stripe counts a currency; raises UnchargeableAmount."""
    if currency in _ZERO_DECIMALS:
        return 0
    if currency in _THREE_DECIMALS:
        return 3
    if currency in _WHOLE_IN_HUNDREDTHS or exponent(currency) == 2:
        return 2
    raise UnchargeableAmount(sentence("Stripe does not take {currency}.", currency=currency))


def to_stripe_amount(*, minor: int, currency: str) -> int:
    """Our minor units (ISO 4217) as Stripe counts them, exactly; raises UnchargeableAmount."""
    ours, theirs = exponent(currency), stripe_decimals(currency)
    amount, rest = divmod(minor * _units(theirs), _units(ours))
    if rest or (currency in _THREE_DECIMALS and amount % 10):
        raise UnchargeableAmount(
            sentence(
                "Stripe cannot charge so fine an amount of {currency}: round the tariff's total, "
                "or take this payment at the office.",
                currency=currency,
            )
        )
    return amount


def from_stripe_amount(*, amount: int, currency: str) -> int:
    """What Stripe counted as our minor units (ISO 4217); raises UnchargeableAmount."""
    ours, theirs = exponent(currency), stripe_decimals(currency)
    minor, rest = divmod(amount * _units(ours), _units(theirs))
    if rest:
        raise UnchargeableAmount(f"{amount} is no whole amount of {currency}.")
    return minor


class _WatchedClient(stripe.RequestsClient):
    """Counts what becomes of each request, for lists and refunds as for links.

    With `turns` each has its turn; one that Stripe answered with 429, and so did not do, is asked
    once more in the turn after the pause.
    """

    def __init__(self, *, timeout: float, turns: StripeTurns | None) -> None:
        super().__init__(timeout=timeout)
        self._turns = turns

    # The types of the class above are those of its own base, not of how it is called.
    def request(  # type: ignore[override]
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        post_data: Any = None,
    ) -> tuple[bytes, int, Mapping[str, str]]:
        """One request, as the client makes it; raises TooManyRequests, ServiceUnavailable."""
        if self._turns is None:
            return self._request(method, url, headers, post_data)
        self._turns.take()
        answer = self._request(method, url, headers, post_data)
        if answer[1] != _TOO_MANY:
            return answer
        self._keep_to_pause(answer)
        self._turns.take()
        answer = self._request(method, url, headers, post_data)
        if answer[1] == _TOO_MANY:
            self._keep_to_pause(answer)
        return answer

    def _request(
        self, method: str, url: str, headers: Mapping[str, str] | None, post_data: Any
    ) -> tuple[bytes, int, Mapping[str, str]]:
        with outside_calls.watched(STRIPE) as call:
            answer = super().request(method, url, headers, post_data)
            # 4xx other than these are about what was asked, such as a link that is gone.
            if answer[1] in {401, 403, _TOO_MANY} or answer[1] >= 500:
                call.failed(f"http_{answer[1]}")
            return answer

    def _keep_to_pause(self, answer: tuple[bytes, int, Mapping[str, str]]) -> None:
        # That another request holds the same object is no reason for all to wait.
        if self._turns is not None and b"lock_timeout" not in answer[0]:
            self._turns.pause(retry_after(answer[2]))


class StripePayments:
    """Links and refunds over the official client; its methods may be called by many threads.

    It never tries again by itself: the outbox does, with growing pauses. `base_url` is where
    tests have their own Stripe. `client` is for those who only read there. Without `turns` it asks
    as fast as it is asked to.
    """

    def __init__(
        self,
        *,
        secret_key: str,
        base_url: str | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
        turns: StripeTurns | None = None,
    ) -> None:
        self.client = stripe.StripeClient(
            secret_key,
            base_addresses={"api": base_url} if base_url else None,
            http_client=_WatchedClient(timeout=timeout_seconds, turns=turns),
            max_network_retries=0,
        )

    def create_link(self, *, bill: Bill, after: str | None = None) -> PaymentLink:
        """A link for the bill's balance; repeated, it answers the same link.

        `after` is the id of the link it follows: a balance that returns to an earlier amount must
        not be answered with that amount's old, closed link. Raises ServiceUnavailable,
        RequestRejected.
        """
        amount = to_stripe_amount(minor=bill.balance_minor, currency=bill.currency)
        key = f"payment-link/{bill.id}/{amount}-{bill.currency}" + (f"/{after}" if after else "")
        try:
            link = self.client.v1.payment_links.create(
                _params(bill, amount), {"idempotency_key": key}
            )
        except stripe.StripeError as error:
            as_ours(error, "the link")
        return _checked(link, bill)

    def deactivate_link(self, link_id: str) -> None:
        """Close a link, so that nobody can pay by it.

        Raises ServiceUnavailable, RequestRejected.
        """
        try:
            self.client.v1.payment_links.update(link_id, {"active": False})
        except stripe.InvalidRequestError as error:
            # Of another Stripe account, or of its test mode: nobody can pay us by it.
            if error.code != "resource_missing":
                as_ours(error, "the link")
        except stripe.StripeError as error:
            as_ours(error, "the link")

    def refund(
        self, *, payment_intent: str, amount_minor: int, currency: str, return_id: str
    ) -> StripeRefund:
        """Send a part of a payment back; asked again for the same return it is the same refund.

        Stripe forgets idempotency keys after a day: look at `refund_of` before a later attempt.
        Raises ServiceUnavailable, RequestRejected.
        """
        amount = to_stripe_amount(minor=amount_minor, currency=currency)
        try:
            made = self.client.v1.refunds.create(
                {
                    "payment_intent": payment_intent,
                    "amount": amount,
                    "metadata": {RETURN_ID: return_id},
                },
                {"idempotency_key": f"refund/{return_id}"},
            )
        except stripe.StripeError as error:
            as_ours(error, "the refund")
        return _refund(made)

    def refund_of(self, *, payment_intent: str, return_id: str) -> StripeRefund | None:
        """The refund that was made for a return of ours, if it was; raises as `refund` does."""
        try:
            found = self.client.v1.refunds.list({"payment_intent": payment_intent, "limit": 100})
            refunds = [refund.to_dict() for refund in found.data]
        except (stripe.StripeError, AttributeError) as error:
            as_ours(error, "to show refunds")
        for refund in refunds:
            if (refund.get("metadata") or {}).get(RETURN_ID) == return_id:
                return _refund(refund)
        return None

    def check(self) -> str:
        """Ask for one link, changing nothing; a sentence.

        Raises ServiceUnavailable, RequestRejected.
        """
        try:
            self.client.v1.payment_links.list({"limit": 1})
        except stripe.StripeError as error:
            as_ours(error, "to show a link")
        return sentence("It answers and takes our key.")


def _params(bill: Bill, amount: int) -> "PaymentLinkCreateParams":
    """No name and no address: Stripe asks the payer for what it needs."""
    known = {
        "bill_id": bill.id,
        "bill_number": bill.reference,
        "amount_minor": str(bill.balance_minor),
        "currency": bill.currency,
    }
    return {
        "line_items": [
            {
                "quantity": 1,
                "price_data": {
                    "currency": bill.currency.lower(),
                    "unit_amount": amount,
                    "product_data": {"name": f"Electricity bill {bill.reference}"},
                },
            }
        ],
        "restrictions": {"completed_sessions": {"limit": 1}},
        "inactive_message": _WORDS_FOR_INACTIVE,
        "submit_type": "pay",
        "metadata": known,
        "payment_intent_data": {
            "metadata": known,
            "description": f"Electricity bill {bill.reference}",
        },
    }


def _units(decimals: int) -> int:
    return int("1" + "0" * decimals)


def _checked(link: object, bill: Bill) -> PaymentLink:
    # The client passes on whatever JSON comes.
    found = link.to_dict() if isinstance(link, stripe.StripeObject) else {}
    if not all(isinstance(found.get(name), str) and found[name] for name in ("id", "url")):
        raise ServiceUnavailable("Stripe's answer has no link in it.")
    return PaymentLink(found["id"], found["url"], bill.balance_minor, bill.currency)


def _refund(made: object) -> StripeRefund:
    found = made.to_dict() if isinstance(made, stripe.StripeObject) else made
    if not isinstance(found, dict) or not isinstance(found.get("id"), str):
        raise ServiceUnavailable("Stripe's answer has no refund in it.")
    if found.get("status") not in {"failed", "canceled"}:
        return StripeRefund(found["id"], "")
    why = str(found.get("failure_reason") or found["status"]).replace("_", " ")
    return StripeRefund(found["id"], f"It failed at Stripe: {why}.")


def as_ours(error: Exception, what: str) -> NoReturn:
    """The error as ours. Repeating is safe, so everything that may pass is temporary.

    `what` was refused, if it was. Raises ServiceUnavailable, RequestRejected.
    """
    if not isinstance(error, stripe.StripeError):
        raise ServiceUnavailable("Stripe's answer cannot be read.") from None
    status = error.http_status
    if isinstance(error, stripe.APIConnectionError):
        late = isinstance(error.__cause__, requests.ReadTimeout)
        how = "did not answer in time" if late else "cannot be reached"
        raise ServiceUnavailable(f"Stripe {how}.") from None
    if isinstance(error, stripe.AuthenticationError | stripe.PermissionError):
        # Stripe's own words may show a part of the key.
        raise RequestRejected(
            f"Stripe does not let us in ({status}): check STRIPE_SECRET_KEY."
        ) from None
    if isinstance(error, stripe.RateLimitError) or status == _TOO_MANY:
        seconds = retry_after(error.headers)
        raise TooManyRequests("Stripe answered 429.", retry_after_seconds=seconds) from None
    if status == 409 or (status and status >= 500):
        raise ServiceUnavailable(f"Stripe answered {status}.") from None
    if status is None or status < 400:
        raise ServiceUnavailable("Stripe's answer cannot be read.") from None
    said = (error.user_message or "").strip()[:300]
    raise RequestRejected(
        f"Stripe refused {what} ({status}){f': {said}' if said else ''}"
    ) from None
