"""What is said of changes of bills, payments and what moves on an account."""

from typing import Final, cast

from services.history import terms
from services.history.entries import NamedChange, Said, link_to
from services.quantities.counting import count
from services.quantities.written import money
from services.records.ledger import FlagReason, PaymentMethod, ReturnKind

_BILL: Final = {
    "amount_paid_minor": "Paid",
    "overdue_since": "Overdue since",
    "due_date": "Due",
    "payment_url": "Payment link",
    "held_because": "Held because",
}
_RETURN_STATUS: Final = {
    "pending": "asked of Stripe",
    "done": "went back",
    "failed": "failed",
    "undone": "came back again",
}
_CORRECTED: Final = {
    "reading": "Reading corrected",
    "tariff_version": "Reissued for a corrected tariff",
    "tariff": "Reissued for another tariff",
    "void": "Bill made void",
    "supply": "Reissued after a change of supply",
}
_SPARED: Final = {
    "bank_debit": "is not reminded of for now: the bank is paying it",
    "money_returned": "is not reminded of for now: its money went back",
    "autopay": "is not reminded of for now: autopay pays it",
}


def bill(named: NamedChange) -> Said:
    """A bill was drawn up, issued, paid, overdue, made void."""
    return Said(
        what=_bill_said(named),
        more=_bill_more(named),
        details=named.details(_BILL, without=_IN_THE_WORDS) if not named.is_new else (),
        link=link_to("bill", named.change.row_id),
    )


# What the sentence about a bill says already.
_IN_THE_WORDS: Final = ("status", "number", "issued_at", "issued_on", "void_reason", "due_date")


def _bill_said(named: NamedChange) -> str:
    number = named.names.get(named.change.row_id, "")
    name = f"Bill {number}" if number else "Draft bill"
    total = named.shown("total_minor")
    if named.is_new and not named.value("number"):
        return f"Draft bill drawn up: {total}"
    if named.is_new or named.change.after.get("status") == "issued":
        return f"{name} issued: {total}"
    return f"{name} {_what_became_of(named)}"


def _what_became_of(named: NamedChange) -> str:
    if named.change.after.get("status") == "void":
        return "made void"
    if named.changed("amount_paid_minor"):
        return _paid(named)
    if named.changed("overdue_since"):
        return "is overdue" if named.value("overdue_since") else "is no longer overdue"
    if named.changed("payment_url"):
        return (
            "has a payment link" if named.value("payment_url") else "has no payment link any more"
        )
    return "changed"


def _paid(named: NamedChange) -> str:
    paid, total = named.value("amount_paid_minor") or 0, named.value("total_minor") or 0
    if paid < (named.change.before.get("amount_paid_minor") or 0):
        return "is open again"
    return "paid" if paid >= total else "partly paid"


def _bill_more(named: NamedChange) -> str:
    if named.change.after.get("status") == "void":
        return str(named.value("void_reason") or "")
    if named.is_new or named.change.after.get("status") == "issued":
        spans = f"{named.shown('period_start')} – {named.shown('period_end')}"
        due = named.shown("due_date")
        parts = (spans, named.shown("consumption_wh"), f"due {due}" if due else "")
        held = f"held: {named.value('held_because')}" if named.value("held_because") else ""
        return " · ".join(filter(None, (*parts, held)))
    return ""


def payment(named: NamedChange) -> Said:
    """Money came, or was found to be somebody's."""
    amount = named.shown("amount_minor")
    what = "Deposit" if named.value("book") == "deposit" else "Payment"
    if named.is_new:
        method = terms.METHOD.get(cast(PaymentMethod, named.value("method")), "")
        received = f"received on {named.shown('received_on')}"
        more = " · ".join(filter(None, (method, str(named.value("reference") or ""), received)))
        return Said(
            what=f"{what} of {amount}", more=more, link=link_to("payment", named.change.row_id)
        )
    if named.changed("customer_id") and not named.change.before.get("customer_id"):
        said = f"{what} of {amount} found to be from {named.name('customer_id')}"
        return Said(what=said, link=link_to("payment", named.change.row_id))
    return Said(
        what=f"{what} of {amount} changed",
        details=named.details(),
        link=link_to("payment", named.change.row_id),
    )


def payment_return(named: NamedChange) -> Said:
    """Money went back, or was to."""
    kind = terms.RETURN_KIND.get(cast(ReturnKind, named.value("kind")), "Return")
    status = str(named.value("status"))
    state = _RETURN_STATUS.get(status, status.replace("_", " "))
    more = [str(named.value("reason") or "")]
    if named.value("error"):
        more.append(str(named.value("error")))
    return Said(
        what=f"{kind} of {named.shown('amount_minor')}: {state}",
        more=" · ".join(filter(None, more)),
        link=link_to("payment", named.value("payment_id")),
    )


def payment_link(named: NamedChange) -> Said:
    """A link to pay a bill by was made, or closed."""
    about = named.name("bill_id")
    what = "Payment link closed" if named.value("active") is False else "Payment link made"
    more = f"{about}, {named.shown('amount_minor')}" if about else named.shown("amount_minor")
    return Said(what=what, more=more, link=link_to("bill", named.value("bill_id")))


def payment_flag(named: NamedChange) -> Said:
    """Something about a payment is to be looked at, or was."""
    reason = terms.FLAG.get(cast(FlagReason, named.value("reason")), "")
    if not named.is_new:
        return Said(what="Looked at", more=str(named.value("resolution") or ""))
    return Said(what="Needs a look", more=f"{reason} {named.value('detail') or ''}".strip())


def allocation(named: NamedChange) -> Said:
    """What a payment paid, or paid no longer."""
    minor = named.value("amount_minor") or 0
    about = named.name("bill_id") or terms.ENTRY.get(str(named.value("kind")), "an entry")
    what = f"Paid {about}" if minor > 0 else f"No longer pays {about}"
    return Said(
        what=what,
        more=named.shown("amount_minor"),
        link=link_to("bill", named.value("bill_id")),
    )


def adjustment(named: NamedChange) -> Said:
    """A credit or a fee, or one taken back; a deposit that was used."""
    kind = str(named.value("kind"))
    amount = abs(named.value("amount_minor") or 0)
    return Said(
        what=f"{terms.ENTRY.get(kind, 'Entry')}: {_of(named, amount)}",
        more=str(named.value("note") or ""),
    )


def correction(named: NamedChange) -> Said:
    """What was billed wrongly was voided, and reissued or not."""
    what = _CORRECTED.get(str(named.value("kind")), "Corrected")
    difference = named.value("difference_minor") or 0
    parts = [str(named.value("reason") or ""), count(named.value("bills") or 0, "bill")]
    if difference:
        parts.append(f"{_of(named, abs(difference))} {'more' if difference > 0 else 'less'}")
    return Said(what=what, more=" · ".join(filter(None, parts)))


def spared_bill(named: NamedChange) -> Said:
    """Whether a bill is reminded of."""
    about = named.name("bill_id")
    link = link_to("bill", named.value("bill_id"))
    if not named.is_new and named.value("released_at"):
        return Said(
            what=f"{about} is collected again",
            more=str(named.value("released_because") or ""),
            link=link,
        )
    reason = _SPARED.get(str(named.value("reason")), "is not reminded of for now")
    return Said(what=f"{about} {reason}", more=named.shown("detail"), link=link)


def reopened_work(named: NamedChange) -> Said:
    """Links or messages that had failed are tried again, or a message goes once more."""
    steps = named.change.after.get("steps") or {}
    before = named.change.before.get("steps") or {}
    detail = (steps.get("12") or {}).get("detail", "")
    if detail.startswith("came back"):
        return Said(what="A message came back, and goes on another channel")
    if detail.startswith("once more") and before:
        return Said(what=f"A message is sent {detail}")
    return Said(what="Links and messages that had failed are tried again")


def _of(named: NamedChange, minor: int) -> str:
    return money(minor, str(named.value("currency")))
