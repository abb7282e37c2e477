"""What is said of changes of a customer: contact details, notes, messages, plans."""

from typing import Final

from services.history import terms
from services.history.told import Detail, Said, Told, link_to

_CONTACT: Final = {
    "name": "Name",
    "phone": "Phone",
    "email": "E-mail",
    "address": "Address",
    "language": "Language",
    "account_no": "Account",
    "currency": "Currency",
    "one_statement": "One statement",
}
_SENT: Final = {
    "sent": "sent",
    "waiting": "waiting to be sent",
    "sending": "being sent",
    "failed": "refused",
    "given_up": "given up",
    "unknown": "may have arrived",
    "not_configured": "not sent: no channel is set up",
}
_PLAN_ENDED: Final = {
    "broken": "Instalment plan broken",
    "cancelled": "Instalment plan cancelled",
    "active": "Instalment plan taken up again",
}


def customer(told: Told) -> Said:
    """A customer was added, or their details changed."""
    if told.is_new:
        return Said(what="Customer added", details=told.facts(_CONTACT))
    if set(told.change.after) <= {"currency"}:
        return Said(what=f"The account is kept in {told.value('currency')} from now on")
    changed = [name.lower() for column, name in _CONTACT.items() if column in told.change.after]
    return Said(what=f"Changed: {_listed(changed) or 'details'}", details=told.details(_CONTACT))


def channels(told: Told) -> Said:
    """How a customer is sent messages; a webhook's address is kept to itself."""
    details = tuple(filter(None, (_whatsapp(told), _discord(told))))
    return Said(what="How messages are sent changed", details=details)


def note(told: Told) -> Said:
    """What somebody wrote down."""
    return Said(what="Note", more=str(told.value("note") or ""))


def message(told: Told) -> Said:
    """A message and what came of it."""
    kind, channel, status = (str(told.value(c) or "") for c in ("kind", "channel", "status"))
    occasion = terms.OCCASION.get(kind, kind.replace("_", " "))
    about = told.name("bill_id")
    how = [terms.CHANNELS.get(channel, channel), _SENT.get(status, status.replace("_", " "))]
    if told.value("recipient"):
        how.insert(1, f"to {told.value('recipient')}")
    if told.value("error"):
        how.append(str(told.value("error")))
    return Said(
        what=f"Message: {', '.join(filter(None, (_lower_first(occasion), about)))}",
        more=" · ".join(filter(None, how)),
        link=link_to("bill", told.value("bill_id")),
    )


def plan(told: Told) -> Said:
    """An instalment plan was agreed, or ended."""
    reason = str(told.value("reason") or "")
    if told.is_new:
        return Said(what="Instalment plan agreed", more=reason)
    what = _PLAN_ENDED.get(str(told.value("status")), "Instalment plan changed")
    return Said(what=what, more=reason)


def _whatsapp(told: Told) -> Detail | None:
    if "whatsapp_opt_in_at" not in told.change.after:
        return None
    agreed = told.shown("whatsapp_opt_in_at")
    before = told.change.before.get("whatsapp_opt_in_at")
    if not agreed and not before:
        return None
    return Detail("WhatsApp", "agreed" if before else "", f"agreed {agreed}" if agreed else "no")


def _discord(told: Told) -> Detail | None:
    if "discord_webhook_url" not in told.change.after:
        return None
    before = told.change.before.get("discord_webhook_url")
    there = told.value("discord_webhook_url")
    if not there and not before:
        return None
    now = "another one" if there and before else "set" if there else "none"
    return Detail("Discord webhook", "set" if before else "", now)


def _listed(words: list[str]) -> str:
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"


def _lower_first(text: str) -> str:
    return f"{text[:1].lower()}{text[1:]}"
