"""Who made a change, by the name that people know them under."""

from typing import Final

_SYSTEMS: Final = {
    "system": "the system",
    "system:demo": "the demo",
    "system:stripe": "Stripe",
    "system:payment-links": "payment links",
    "system:owed-work": "the background work",
    "system:deliveries": "the reports of deliveries",
    "system:mailbox": "the mailbox",
    "system:payments": "the check of payments",
    "system:refunds": "refunds",
    "system:clock": "the check of the clock",
    "job:monthly_bills": "the monthly bills",
    "system:autopay": "autopay",
    "job:autopay": "the charges of autopay",
    "job:payment_reminders": "the payment reminders",
    "job:overdue_marking": "the marking of overdue bills",
    "job:meter_collection": "the meter collection",
    "job:backup": "the backup",
}


def name_of(actor: str) -> str:
    """The name of an actor: a person's as it is, a program's as what it does."""
    kind, _, name = actor.partition(":")
    if kind == "customer" and name:
        return f"the customer ({name})"
    if actor in _SYSTEMS:
        return _SYSTEMS[actor]
    if kind == "key" and name:
        return f"the API key {name}"
    if kind == "cli" and name:
        return f"{name}, at the command line"
    if kind in ("system", "job") and name:
        return f"the {kind} ({name.replace('_', ' ').replace('-', ' ')})"
    return actor
