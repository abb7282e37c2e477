"""What is said of changes of a customer: contact details, notes, messages, plans."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from services.history import terms
from services.history.entries import Detail, NamedChange, Said, link_to
from services.history.values import listed, moment, parted
from services.languages.sentence import N_, sentence

_CONTACT: Final = {
    "name": N_("Name"),
    "phone": N_("Phone"),
    "email": N_("E-mail"),
    "address": N_("Address"),
    "language": N_("Language"),
    "tax_number": N_("Tax number"),
    "account_no": N_("Account"),
    "currency": N_("Currency"),
    "one_statement": N_("One statement"),
}
# The same within a sentence.
_NAMED: Final = {
    "name": N_("name"),
    "phone": N_("phone"),
    "email": N_("e-mail"),
    "address": N_("address"),
    "language": N_("language"),
    "tax_number": N_("tax number"),
    "account_no": N_("account"),
    "currency": N_("currency"),
    "one_statement": N_("one statement"),
}
_WISHES: Final = {
    "preferred": N_("Preferred channel"),
    "quiet_from": N_("Quiet from"),
    "quiet_until": N_("Quiet until"),
}
# The occasions of messages, within a sentence.
_OCCASION: Final = {
    "bill_issued": N_("when it was issued"),
    "payment_reminder": N_("payment reminder"),
    "overdue_notice": N_("overdue notice"),
    "disconnection_notice": N_("disconnection notice"),
    "payment_received": N_("thanks for a payment"),
    "balance_changed": N_("when its balance changed"),
    "bill_corrected": N_("when it was corrected"),
    "autopay_notice": N_("notice of a charge by autopay"),
    "autopay_failed": N_("charge by autopay that failed"),
    "autopay_expiring": N_("card of autopay that expires"),
    "autopay_ended": N_("end of autopay"),
    "charges_overdue": N_("charges overdue"),
    "account_statement": N_("statement of account"),
}
_PLAN_ENDED: Final = {
    "broken": N_("Instalment plan broken"),
    "cancelled": N_("Instalment plan cancelled"),
    "active": N_("Instalment plan taken up again"),
}


def customer(named: NamedChange) -> Said:
    """A customer was added, or their details changed."""
    if named.is_new:
        return Said(what=sentence("Customer added"), details=named.facts(_CONTACT))
    if set(named.change.after) <= {"currency"}:
        currency = named.text("currency")
        what = sentence("The account is kept in {currency} from now on", currency=currency)
        return Said(what=what)
    changed = [sentence(name) for column, name in _NAMED.items() if column in named.change.after]
    what = sentence("Changed: {what}", what=_and(changed) or sentence("details"))
    return Said(what=what, details=named.details(_CONTACT))


def channels(named: NamedChange) -> Said:
    """How a customer is sent messages; a webhook's address is kept to itself."""
    details = tuple(filter(None, (_whatsapp(named), _discord(named), *_wishes(named))))
    return Said(what=sentence("How messages are sent changed"), details=details)


def note(named: NamedChange) -> Said:
    """What somebody wrote down."""
    return Said(what=sentence("Note"), more=named.text("note"))


def message(named: NamedChange) -> Said:
    """A message and what came of it."""
    kind, channel, status = (str(named.value(c) or "") for c in ("kind", "channel", "status"))
    occasion = _OCCASION.get(kind, kind.replace("_", " "))
    about = listed((sentence(occasion), named.name("bill_id")))
    to = named.text("recipient") if channel != "letter" else ""
    came_back = not named.is_new
    what = sentence("Message: {about}", about=about)
    if came_back:
        what = sentence("Message came back: {about}", about=about)
    return Said(
        what=what,
        more=parted(
            sentence(terms.CHANNELS.get(channel, channel)),
            sentence("to {recipient}", recipient=to) if to else "",
            sentence(terms.MESSAGE_STATES.get(status, status.replace("_", " "))),
            named.text("error"),
        ),
        details=() if came_back else tuple(_life(named)),
        link=link_to("bill", named.value("bill_id")),
    )


def _life(named: NamedChange) -> Iterator[Detail]:
    """What happened to a message, in order, where that is more than how it is now."""
    life = named.value("life") or []
    if len(life) < 2:
        return
    for event in life:
        at = datetime.fromisoformat(event["at"])
        state, why = str(event["state"]), str(event.get("why", ""))
        became = sentence(terms.BECAME.get(state, state))
        if why:
            became = sentence("{became}: {why}", became=became, why=sentence(why))
        yield Detail(moment(at, named.zone), "", became)


def reply(named: NamedChange) -> Said:
    """A customer answered to a message."""
    channel = str(named.value("channel") or "")
    by = sentence(terms.CHANNELS.get(channel, channel))
    return Said(
        what=sentence("The customer answered, by {channel}", channel=by),
        more=parted(named.text("subject"), named.text("body")),
    )


def stopped_number(named: NamedChange) -> Said:
    """Whoever has the customer's number wants no texts, or wants them again."""
    phone = named.text("phone")
    if named.is_new:
        return Said(what=sentence("No texts go to {phone}: a STOP came from it", phone=phone))
    return Said(what=sentence("Texts go to {phone} again: a START came from it", phone=phone))


def plan(named: NamedChange) -> Said:
    """An instalment plan was agreed, or ended."""
    reason = named.text("reason")
    if named.is_new:
        return Said(what=sentence("Instalment plan agreed"), more=reason)
    what = _PLAN_ENDED.get(str(named.value("status")), N_("Instalment plan changed"))
    return Said(what=sentence(what), more=reason)


def dunning_hold(named: NamedChange) -> Said:
    """Dunning was put on hold, or goes on."""
    if not named.is_new:
        because = named.text("released_because")
        return Said(what=sentence("Dunning goes on"), more=because)
    reason = sentence(terms.HOLD_REASONS.get(str(named.value("reason")), N_("by hand")))
    what = sentence("Dunning on hold: {reason}", reason=reason)
    if named.value("until"):
        until = named.shown("until")
        what = sentence("Dunning on hold: {reason}, until {day}", reason=reason, day=until)
    return Said(what=what, more=named.text("note"))


def _whatsapp(named: NamedChange) -> Detail | None:
    if "whatsapp_opt_in_at" not in named.change.after:
        return None
    agreed = named.shown("whatsapp_opt_in_at")
    before = named.change.before.get("whatsapp_opt_in_at")
    if not agreed and not before:
        return None
    now = sentence("agreed {moment}", moment=agreed) if agreed else sentence("no")
    return Detail("WhatsApp", sentence("agreed") if before else "", now)


def _discord(named: NamedChange) -> Detail | None:
    if "discord_webhook_url" not in named.change.after:
        return None
    before = named.change.before.get("discord_webhook_url")
    there = named.value("discord_webhook_url")
    if not there and not before:
        return None
    now = sentence("set") if there else sentence("none")
    if there and before:
        now = sentence("another one")
    return Detail(sentence("Discord webhook"), sentence("set") if before else "", now)


def _wishes(named: NamedChange) -> Iterator[Detail]:
    """What changed of the preferred channel, the quiet hours, and whether they want messages."""
    for column, label in _WISHES.items():
        if column in named.change.after:
            before = _wish(named.change.before.get(column))
            after = _wish(named.change.after.get(column))
            if before != after:
                yield Detail(sentence(label), before, after)
    if "opted_out_at" in named.change.after and (
        named.value("opted_out_at") or named.change.before.get("opted_out_at")
    ):
        out = bool(named.value("opted_out_at"))
        wanted, none = sentence("wanted"), sentence("none")
        yield Detail(sentence("Messages"), wanted if out else none, none if out else wanted)
    yield from _reach(named)


def _reach(named: NamedChange) -> Iterator[Detail]:
    """What became of mail to the address and of texts to the number."""
    if named.value("bounced_email") and "bounced_email" in named.change.after:
        gone = sentence("mail came back: the address gets none until it is changed")
        yield Detail(sentence("E-mail"), "", gone)
    elif named.change.before.get("bounced_email"):
        again = sentence("the address gets mail again")
        yield Detail(sentence("E-mail"), sentence("mail came back"), again)
    if named.value("unreached_phone") and "unreached_phone" in named.change.after:
        yield Detail(sentence("Phone"), "", sentence("texts do not arrive at the number"))
    elif named.change.before.get("unreached_phone"):
        arrives = sentence("texts arrive again")
        yield Detail(sentence("Phone"), sentence("texts do not arrive at the number"), arrives)


def _wish(value: object) -> str:
    text = str(value or "")
    # A time of day without its seconds.
    if text in terms.CHANNELS:
        return sentence(terms.CHANNELS[text])
    return text[:5] if text[2:3] == ":" else text


def _and(words: Sequence[str]) -> str:
    if len(words) < 2:
        return "".join(words)
    return sentence("{first} and {last}", first=listed(words[:-1]), last=words[-1])
