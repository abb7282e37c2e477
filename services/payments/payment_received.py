"""The second story: a payment arrives. Read `PaymentReceived.receive` from top to bottom.

It ends with one transaction: the event, its payment, what it paid, and its outbox entry. The
thanks, their channels, and the notification's log are left to the outbox, so that
nothing outside keeps Stripe waiting, and nothing outside can lose a payment.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Never
from zoneinfo import ZoneInfo

import stripe
from pydantic import SecretStr

from services.database.service import DatabaseService
from services.outbox.outbox import Outbox
from services.payments.stripe.events import NotAnEvent, TranslatedEvent, translate
from services.records.outbox import OutboxKind
from services.records.reconciliation import AppliedEvent, ArrivedBy
from services.settings import Settings

TOLERANCE_SECONDS: Final = 300
ACTOR: Final = "system:stripe"
_LONGEST_HEADER: Final = 2000
_OF_AUTOPAY: Final[tuple[OutboxKind, ...]] = ("autopay_failed", "autopay_ended")


class SignatureRefused(ValueError):
    """This was not signed by Stripe with our webhook's secret, or not just now."""


@dataclass(frozen=True, slots=True)
class PaymentReceived:
    """Takes what Stripe tells; `live` is the mode of our key, None if it does not show."""

    database: DatabaseService
    outbox: Outbox
    zone: ZoneInfo
    webhook_secret: SecretStr = field(repr=False)
    live: bool | None = None

    def receive(self, *, payload: bytes, signature: str | None, now: datetime) -> AppliedEvent:
        """Take a delivery of the webhook: its raw body and the header Stripe-Signature.

        Returning is the acknowledgement. Raises SignatureRefused or NotAnEvent, after which
        nothing was stored, and DatabaseError, after which Stripe sends it again.
        """
        self._verify_signature(payload, signature, now)
        event = self._read_event(payload)
        return self.apply(event=event, arrived_by="webhook", now=now)

    def apply(
        self, *, event: Mapping[str, Any], arrived_by: ArrivedBy, now: datetime
    ) -> AppliedEvent:
        """Take an event that is known to be Stripe's, parsed from its JSON; a repeat does nothing.

        Raises NotAnEvent, DatabaseError.
        """
        translated = self._translate(event, now)
        return self._store_once(translated, arrived_by)

    def _verify_signature(self, payload: bytes, signature: str | None, now: datetime) -> None:
        signed_at = _signed_at(signature)
        if signed_at is None or not self._is_stripes(payload, signature):
            raise SignatureRefused("The signature is not Stripe's for this body.")
        # Stripe's own check lets times in the future pass.
        if abs(now.timestamp() - signed_at) > TOLERANCE_SECONDS:
            raise SignatureRefused("The signature was not made just now.")

    def _is_stripes(self, payload: bytes, signature: str | None) -> bool:
        secret = self.webhook_secret.get_secret_value()
        try:
            stripe.WebhookSignature.verify_header(payload, signature, secret)
        except (stripe.SignatureVerificationError, UnicodeDecodeError):
            return False
        return True

    def _read_event(self, payload: bytes) -> Mapping[str, Any]:
        try:
            event = json.loads(payload, parse_float=Decimal, parse_constant=_refuse_constant)
        except (ValueError, ArithmeticError, RecursionError):
            raise NotAnEvent("The body is not JSON.") from None
        if not isinstance(event, dict):
            raise NotAnEvent("The body is not an event of Stripe.")
        return event

    def _translate(self, event: Mapping[str, Any], now: datetime) -> TranslatedEvent:
        return translate(event, zone=self.zone, live=self.live, now=now)

    def _store_once(self, translated: TranslatedEvent, arrived_by: ArrivedBy) -> AppliedEvent:
        """The one transaction."""
        return self.database.apply_stripe_event(
            actor=ACTOR,
            event=translated.event,
            arrived_by=arrived_by,
            effect=translated.effect,
            outcome=translated.outcome,
            detail=translated.detail,
            outbox=self.outbox.on_money()
            | {kind: self.outbox.plan_for_any(kind) for kind in _OF_AUTOPAY},
        )


def open_payments(
    settings: Settings, database: DatabaseService, outbox: Outbox
) -> PaymentReceived | None:
    """The story, where Stripe is configured; the demo takes no payments."""
    key, secret = settings.stripe_secret_key, settings.stripe_webhook_secret
    if settings.demo or key is None or secret is None:
        return None
    mode = re.match(r"(?:sk|rk)_(live|test)_", key.get_secret_value())
    return PaymentReceived(
        database=database,
        outbox=outbox,
        zone=settings.timezone,
        webhook_secret=secret,
        live=mode[1] == "live" if mode else None,
    )


def _signed_at(signature: str | None) -> int | None:
    """The second that the header names; None when it does not name exactly one."""
    if not signature or len(signature) > _LONGEST_HEADER or not signature.isascii():
        return None
    times = [part[2:] for part in signature.split(",") if part.startswith("t=")]
    return int(times[0]) if len(times) == 1 and re.fullmatch(r"[0-9]{1,12}", times[0]) else None


def _refuse_constant(name: str) -> Never:
    raise ValueError(f"{name} is not JSON.")
