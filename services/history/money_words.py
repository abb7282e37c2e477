"""What is said of changes of bills, payments and what moves on an account."""

from typing import Final, cast

from services.history import terms
from services.history.told import Said, Told, link_to
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
    "tariff_version": "Billed anew by a corrected tariff",
    "tariff": "Billed anew by another tariff",
    "void": "Bill made void",
    "supply": "Billed anew after a change of supply",
}
_SPARED: Final = {
    "bank_debit": "is not reminded of for now: the bank is paying it",
    "money_returned": "is not reminded of for now: its money went back",
}


def bill(told: Told) -> Said:
    """A bill was drawn up, issued, paid, overdue, made void."""
    return Said(
        what=_bill_said(told),
        more=_bill_more(told),
        details=told.details(_BILL, without=_IN_THE_WORDS) if not told.is_new else (),
        link=link_to("bill", told.change.row_id),
    )


# What the sentence about a bill says already.
_IN_THE_WORDS: Final = ("status", "number", "issued_at", "issued_on", "void_reason", "due_date")


def _bill_said(told: Told) -> str:
    number = told.names.get(told.change.row_id, "")
    name = f"Bill {number}" if number else "Draft bill"
    total = told.shown("total_minor")
    if told.is_new and not told.value("number"):
        return f"Draft bill drawn up: {total}"
    if told.is_new or told.change.after.get("status") == "issued":
        return f"{name} issued: {total}"
    return f"{name} {_what_became_of(told)}"


def _what_became_of(told: Told) -> str:
    if told.change.after.get("status") == "void":
        return "made void"
    if told.changed("amount_paid_minor"):
        return _paid(told)
    if told.changed("overdue_since"):
        return "is overdue" if told.value("overdue_since") else "is no longer overdue"
    if told.changed("payment_url"):
        return "has a payment link" if told.value("payment_url") else "has no payment link any more"
    return "changed"


def _paid(told: Told) -> str:
    paid, total = told.value("amount_paid_minor") or 0, told.value("total_minor") or 0
    if paid < (told.change.before.get("amount_paid_minor") or 0):
        return "is open again"
    return "paid" if paid >= total else "partly paid"


def _bill_more(told: Told) -> str:
    if told.change.after.get("status") == "void":
        return str(told.value("void_reason") or "")
    if told.is_new or told.change.after.get("status") == "issued":
        spans = f"{told.shown('period_start')} – {told.shown('period_end')}"
        due = told.shown("due_date")
        parts = (spans, told.shown("consumption_wh"), f"due {due}" if due else "")
        held = f"held: {told.value('held_because')}" if told.value("held_because") else ""
        return " · ".join(filter(None, (*parts, held)))
    return ""


def payment(told: Told) -> Said:
    """Money came, or was found to be somebody's."""
    amount = told.shown("amount_minor")
    what = "Deposit" if told.value("book") == "deposit" else "Payment"
    if told.is_new:
        method = terms.METHOD.get(cast(PaymentMethod, told.value("method")), "")
        received = f"received on {told.shown('received_on')}"
        more = " · ".join(filter(None, (method, str(told.value("reference") or ""), received)))
        return Said(
            what=f"{what} of {amount}", more=more, link=link_to("payment", told.change.row_id)
        )
    if told.changed("customer_id") and not told.change.before.get("customer_id"):
        said = f"{what} of {amount} found to be from {told.name('customer_id')}"
        return Said(what=said, link=link_to("payment", told.change.row_id))
    return Said(
        what=f"{what} of {amount} changed",
        details=told.details(),
        link=link_to("payment", told.change.row_id),
    )


def payment_return(told: Told) -> Said:
    """Money went back, or was to."""
    kind = terms.RETURN_KIND.get(cast(ReturnKind, told.value("kind")), "Return")
    status = str(told.value("status"))
    state = _RETURN_STATUS.get(status, status.replace("_", " "))
    more = [str(told.value("reason") or "")]
    if told.value("error"):
        more.append(str(told.value("error")))
    return Said(
        what=f"{kind} of {told.shown('amount_minor')}: {state}",
        more=" · ".join(filter(None, more)),
        link=link_to("payment", told.value("payment_id")),
    )


def payment_link(told: Told) -> Said:
    """A link to pay a bill by was made, or closed."""
    about = told.name("bill_id")
    what = "Payment link closed" if told.value("active") is False else "Payment link made"
    more = f"{about}, {told.shown('amount_minor')}" if about else told.shown("amount_minor")
    return Said(what=what, more=more, link=link_to("bill", told.value("bill_id")))


def payment_flag(told: Told) -> Said:
    """Something about a payment is to be looked at, or was."""
    reason = terms.FLAG.get(cast(FlagReason, told.value("reason")), "")
    if not told.is_new:
        return Said(what="Looked at", more=str(told.value("resolution") or ""))
    return Said(what="Needs a look", more=f"{reason} {told.value('detail') or ''}".strip())


def allocation(told: Told) -> Said:
    """What a payment paid, or paid no longer."""
    minor = told.value("amount_minor") or 0
    about = told.name("bill_id") or terms.ENTRY.get(str(told.value("kind")), "an entry")
    what = f"Paid {about}" if minor > 0 else f"No longer pays {about}"
    return Said(
        what=what,
        more=told.shown("amount_minor"),
        link=link_to("bill", told.value("bill_id")),
    )


def adjustment(told: Told) -> Said:
    """A credit or a fee, or one taken back; a deposit that was used."""
    kind = str(told.value("kind"))
    amount = abs(told.value("amount_minor") or 0)
    return Said(
        what=f"{terms.ENTRY.get(kind, 'Entry')}: {_of(told, amount)}",
        more=str(told.value("note") or ""),
    )


def correction(told: Told) -> Said:
    """What was billed wrongly was billed anew."""
    what = _CORRECTED.get(str(told.value("kind")), "Corrected")
    difference = told.value("difference_minor") or 0
    parts = [str(told.value("reason") or ""), count(told.value("bills") or 0, "bill")]
    if difference:
        parts.append(f"{_of(told, abs(difference))} {'more' if difference > 0 else 'less'}")
    return Said(what=what, more=" · ".join(filter(None, parts)))


def spared_bill(told: Told) -> Said:
    """Whether a bill is reminded of."""
    about = told.name("bill_id")
    link = link_to("bill", told.value("bill_id"))
    if not told.is_new and told.value("released_at"):
        return Said(
            what=f"{about} is collected again",
            more=str(told.value("released_because") or ""),
            link=link,
        )
    reason = _SPARED.get(str(told.value("reason")), "is not reminded of for now")
    return Said(what=f"{about} {reason}", more=told.shown("detail"), link=link)


def reopened_work(_told: Told) -> Said:
    """Links or messages that had failed are tried again."""
    return Said(what="Links and messages that had failed are tried again")


def _of(told: Told, minor: int) -> str:
    return money(minor, str(told.value("currency")))
