"""Who made a change, by the name that people know them under."""

from typing import Final

from services.languages.sentence import N_, sentence

_SYSTEMS: Final = {
    "system": N_("the system"),
    "system:demo": N_("the demo"),
    "system:stripe": "Stripe",
    "system:payment-links": N_("payment links"),
    "system:owed-work": N_("the background work"),
    "system:deliveries": N_("the reports of deliveries"),
    "system:mailbox": N_("the mailbox"),
    "system:texts": N_("the texts of customers"),
    "system:payments": N_("the check of payments"),
    "system:refunds": N_("refunds"),
    "system:clock": N_("the check of the clock"),
    "job:monthly_bills": N_("the monthly bills"),
    "system:autopay": N_("autopay"),
    "job:autopay": N_("the charges of autopay"),
    "job:payment_reminders": N_("the payment reminders"),
    "job:overdue_marking": N_("the marking of overdue bills"),
    "job:meter_collection": N_("the meter collection"),
    "job:backup": N_("the backup"),
}
_KINDS: Final = {
    "customer": N_("the customer ({name})"),
    "key": N_("the API key {name}"),
    "cli": N_("{name}, at the command line"),
    "system": N_("the system ({name})"),
    "job": N_("the job ({name})"),
}


def name_of(actor: str) -> str:
    """The name of an actor: a person's as it is, a program's as what it does."""
    if actor in _SYSTEMS:
        return sentence(_SYSTEMS[actor])
    kind, _, name = actor.partition(":")
    if kind not in _KINDS or not name:
        return actor
    if kind in ("system", "job"):
        name = name.replace("_", " ").replace("-", " ")
    return sentence(_KINDS[kind], name=name)
