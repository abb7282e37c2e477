"""What is said of changes of a customer: contact details, notes, messages, plans."""

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from services.history import terms
from services.history.entries import Detail, NamedChange, Said, link_to

_CONTACT: Final = {
    "name": "Name",
    "phone": "Phone",
    "email": "E-mail",
    "address": "Address",
    "language": "Language",
    "tax_number": "Tax number",
    "account_no": "Account",
    "currency": "Currency",
    "one_statement": "One statement",
}
_WISHES: Final = {
    "preferred": "Preferred channel",
    "quiet_from": "Quiet from",
    "quiet_until": "Quiet until",
}
_PLAN_ENDED: Final = {
    "broken": "Instalment plan broken",
    "cancelled": "Instalment plan cancelled",
    "active": "Instalment plan taken up again",
}


def customer(named: NamedChange) -> Said:
    """A customer was added, or their details changed."""
    if named.is_new:
        return Said(what="Customer added", details=named.facts(_CONTACT))
    if set(named.change.after) <= {"currency"}:
        return Said(what=f"The account is kept in {named.value('currency')} from now on")
    changed = [name.lower() for column, name in _CONTACT.items() if column in named.change.after]
    return Said(what=f"Changed: {_listed(changed) or 'details'}", details=named.details(_CONTACT))


def channels(named: NamedChange) -> Said:
    """How a customer is sent messages; a webhook's address is kept to itself."""
    details = tuple(filter(None, (_whatsapp(named), _discord(named), *_wishes(named))))
    return Said(what="How messages are sent changed", details=details)


def note(named: NamedChange) -> Said:
    """What somebody wrote down."""
    return Said(what="Note", more=str(named.value("note") or ""))


def message(named: NamedChange) -> Said:
    """A message and what came of it."""
    kind, channel, status = (str(named.value(c) or "") for c in ("kind", "channel", "status"))
    occasion = terms.OCCASION.get(kind, kind.replace("_", " "))
    about = named.name("bill_id")
    how = [
        terms.CHANNELS.get(channel, channel),
        terms.MESSAGE_STATES.get(status, status.replace("_", " ")),
    ]
    if named.value("recipient") and channel != "letter":
        how.insert(1, f"to {named.value('recipient')}")
    if named.value("error"):
        how.append(str(named.value("error")))
    came_back = not named.is_new
    return Said(
        what=f"Message{' came back' if came_back else ''}: "
        f"{', '.join(filter(None, (_lower_first(occasion), about)))}",
        more=" · ".join(filter(None, how)),
        details=() if came_back else tuple(_life(named)),
        link=link_to("bill", named.value("bill_id")),
    )


def _life(named: NamedChange) -> Iterator[Detail]:
    """What happened to a message, in order, where that is more than how it is now."""
    life = named.value("life") or []
    if len(life) < 2:
        return
    for event in life:
        at = datetime.fromisoformat(event["at"]).astimezone(named.zone)
        state, why = str(event["state"]), str(event.get("why", ""))
        became = terms.BECAME.get(state, state)
        yield Detail(f"{at:%d %b, %H:%M}", "", f"{became}: {why}" if why else became)


def reply(named: NamedChange) -> Said:
    """A customer answered to a message."""
    channel = str(named.value("channel") or "")
    subject, body = str(named.value("subject") or ""), str(named.value("body") or "")
    return Said(
        what=f"The customer answered, by {terms.CHANNELS.get(channel, channel)}",
        more=" · ".join(filter(None, (subject, body))),
    )


def plan(named: NamedChange) -> Said:
    """An instalment plan was agreed, or ended."""
    reason = str(named.value("reason") or "")
    if named.is_new:
        return Said(what="Instalment plan agreed", more=reason)
    what = _PLAN_ENDED.get(str(named.value("status")), "Instalment plan changed")
    return Said(what=what, more=reason)


def dunning_hold(named: NamedChange) -> Said:
    """Dunning was put on hold, or goes on."""
    if not named.is_new:
        because = str(named.value("released_because") or "")
        return Said(what="Dunning goes on", more=because)
    reason = terms.HOLD_REASONS.get(str(named.value("reason")), "by hand")
    until = f", until {named.shown('until')}" if named.value("until") else ""
    note = str(named.value("note") or "")
    return Said(what=f"Dunning on hold: {reason}{until}", more=note)


def _whatsapp(named: NamedChange) -> Detail | None:
    if "whatsapp_opt_in_at" not in named.change.after:
        return None
    agreed = named.shown("whatsapp_opt_in_at")
    before = named.change.before.get("whatsapp_opt_in_at")
    if not agreed and not before:
        return None
    return Detail("WhatsApp", "agreed" if before else "", f"agreed {agreed}" if agreed else "no")


def _discord(named: NamedChange) -> Detail | None:
    if "discord_webhook_url" not in named.change.after:
        return None
    before = named.change.before.get("discord_webhook_url")
    there = named.value("discord_webhook_url")
    if not there and not before:
        return None
    now = "another one" if there and before else "set" if there else "none"
    return Detail("Discord webhook", "set" if before else "", now)


def _wishes(named: NamedChange) -> Iterator[Detail]:
    """What changed of the preferred channel, the quiet hours, and whether they want messages."""
    for column, label in _WISHES.items():
        if column in named.change.after:
            before = _wish(named.change.before.get(column))
            after = _wish(named.change.after.get(column))
            if before != after:
                yield Detail(label, before, after)
    if "opted_out_at" in named.change.after and (
        named.value("opted_out_at") or named.change.before.get("opted_out_at")
    ):
        out = bool(named.value("opted_out_at"))
        yield Detail("Messages", "wanted" if out else "none", "none" if out else "wanted")
    if named.value("bounced_email") and "bounced_email" in named.change.after:
        yield Detail("E-mail", "", "mail came back: the address gets none until it is changed")
    elif named.change.before.get("bounced_email"):
        yield Detail("E-mail", "mail came back", "the address gets mail again")


def _wish(value: object) -> str:
    text = str(value or "")
    # A time of day without its seconds.
    return terms.CHANNELS.get(text) or (text[:5] if text[2:3] == ":" else text)


def _listed(words: list[str]) -> str:
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"


def _lower_first(text: str) -> str:
    return f"{text[:1].lower()}{text[1:]}"
