"""Events as Stripe tells them: Python objects of their JSON, in the shape of its API."""

from datetime import UTC, datetime
from itertools import count
from typing import Any

from services.records.bills import Bill

Json = dict[str, Any]
AT = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)

_numbers = count(1)


def event(kind: str, thing: Json, *, at: int = 0, **other: Any) -> Json:
    """An event of a type about a thing, `at` seconds after AT."""
    told: Json = {"id": f"evt_{next(_numbers)}", "object": "event", "api_version": "2025-09-30"}
    told |= {"created": int(AT.timestamp()) + at, "livemode": False, "type": kind}
    told |= {"pending_webhooks": 1, "request": {"id": None, "idempotency_key": None}}
    return told | {"data": {"object": thing}} | other


def metadata_of(bill: Bill) -> Json:
    """What a bill's payment link carries along."""
    known = {"bill_id": bill.id, "bill_number": bill.reference, "currency": bill.currency}
    return known | {"amount_minor": str(bill.balance_minor)}


def session(bill: Bill | None, intent: str | None, amount: int | None = None, **other: Any) -> Json:
    """A checkout session of a bill's link, paid in full if not told otherwise."""
    total = bill.balance_minor if bill and amount is None else amount
    told: Json = {"id": f"cs_{intent}", "object": "checkout.session", "mode": "payment"}
    told |= {"payment_status": "paid", "payment_intent": intent, "payment_link": "plink_unknown"}
    told |= {"amount_total": total, "currency": "inr", "status": "complete"}
    told |= {"metadata": metadata_of(bill) if bill else {}}
    told["customer_details"] = {"name": "Somebody Private", "email": "private@example.org"}
    return told | other


def completed(bill: Bill | None, intent: str, amount: int | None = None, **other: Any) -> Json:
    """A link was paid."""
    at = other.pop("at", 0)
    return event("checkout.session.completed", session(bill, intent, amount, **other), at=at)


def refunded(intent: str, total: int, *, at: int, **other: Any) -> Json:
    """Of a payment `total` went back up to now."""
    charge: Json = {"id": f"ch_{intent}", "object": "charge", "payment_intent": intent}
    charge |= {"amount_refunded": total, "currency": "inr"}
    return event("charge.refunded", charge | other, at=at)


def refund_failed(intent: str, refund: str, amount: int, *, at: int, **other: Any) -> Json:
    """A refund did not arrive."""
    kind = other.pop("kind", "refund.failed")
    thing: Json = {"id": refund, "object": "refund", "payment_intent": intent, "amount": amount}
    return event(kind, thing | {"currency": "inr", "status": "failed"} | other, at=at)


def dispute(what: str, intent: str, amount: int, *, at: int, **other: Any) -> Json:
    """A customer's bank disputes a payment: created, funds_withdrawn, funds_reinstated, closed."""
    thing: Json = {"id": f"dp_{intent}", "object": "dispute", "payment_intent": intent}
    thing |= {"amount": amount, "currency": "inr", "reason": "fraudulent", "charge": f"ch_{intent}"}
    return event(f"charge.dispute.{what}", thing | {"status": "needs_response"} | other, at=at)
