"""Stripe's events as the database returns them, each with its outcome: records."""

from datetime import datetime
from typing import Any, Literal

from services.records.base import Record

ArrivedBy = Literal["webhook", "reconciliation"]
EventOutcome = Literal["applied", "waiting", "kept", "ignored"]


class AppliedEvent(Record):
    """The answer to an event: `replay` when it was here before, and then nothing changed."""

    replay: bool
    outcome: EventOutcome
    detail: str
    payment_id: str | None


class StripeEvent(Record):
    """An event with the payment that it is about; `effect` is what it means in our own words."""

    id: str
    type: str
    created_at: datetime
    received_at: datetime
    arrived_by: ArrivedBy
    livemode: bool
    object_id: str
    payment_intent: str | None
    effect: dict[str, Any] | None
    outcome: EventOutcome
    detail: str
    payment_id: str | None
    payment_minor: int | None
    payment_currency: str | None
    bill_id: str | None
    bill_number: int | None
    account_no: str | None
