"""What is said of changes of bills, payments and what moves on an account."""

from typing import Final, cast

from services.history import terms
from services.history.entries import NamedChange, Said, link_to
from services.history.values import listed, money, parted
from services.languages.sentence import N_, nsentence, sentence
from services.records.ledger import FlagReason, PaymentMethod, ReturnKind

_BILL: Final = {
    "amount_paid_minor": N_("Paid"),
    "overdue_since": N_("Overdue since"),
    "due_date": N_("Due"),
    "payment_url": N_("Payment link"),
    "held_because": N_("Held because"),
}
_RETURN_STATUS: Final = {
    "pending": N_("asked of Stripe"),
    "done": N_("went back"),
    "failed": N_("failed"),
    "undone": N_("came back again"),
}
_CORRECTED: Final = {
    "reading": N_("Reading corrected"),
    "tariff_version": N_("Reissued for a corrected tariff"),
    "tariff": N_("Reissued for another tariff"),
    "void": N_("Bill made void"),
    "supply": N_("Reissued after a change of supply"),
}
_SPARED: Final = {
    "bank_debit": N_("{bill} is not reminded of for now: the bank is paying it"),
    "money_returned": N_("{bill} is not reminded of for now: its money went back"),
    "autopay": N_("{bill} is not reminded of for now: autopay pays it"),
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
    bill = sentence("Bill {number}", number=number) if number else sentence("Draft bill")
    total = named.shown("total_minor")
    if named.is_new and not named.value("number"):
        return sentence("Draft bill drawn up: {total}", total=total)
    if named.is_new or named.change.after.get("status") == "issued":
        return sentence("{bill} issued: {total}", bill=bill, total=total)
    return _what_became_of(bill, named)


def _what_became_of(bill: str, named: NamedChange) -> str:
    if named.change.after.get("status") == "void":
        return sentence("{bill} made void", bill=bill)
    if named.changed("amount_paid_minor"):
        return _paid(bill, named)
    said = N_("{bill} changed")
    if named.changed("overdue_since"):
        overdue = named.value("overdue_since")
        said = N_("{bill} is overdue") if overdue else N_("{bill} is no longer overdue")
    elif named.changed("payment_url"):
        linked = named.value("payment_url")
        said = N_("{bill} has a payment link")
        said = said if linked else N_("{bill} has no payment link any more")
    return sentence(said, bill=bill)


def _paid(bill: str, named: NamedChange) -> str:
    paid, total = named.value("amount_paid_minor") or 0, named.value("total_minor") or 0
    if paid < (named.change.before.get("amount_paid_minor") or 0):
        return sentence("{bill} is open again", bill=bill)
    if paid >= total:
        return sentence("{bill} paid", bill=bill)
    return sentence("{bill} partly paid", bill=bill)


def _bill_more(named: NamedChange) -> str:
    if named.change.after.get("status") == "void":
        return named.text("void_reason")
    if named.is_new or named.change.after.get("status") == "issued":
        spans = sentence(
            "{start} – {end}", start=named.shown("period_start"), end=named.shown("period_end")
        )
        due, why = named.shown("due_date"), named.text("held_because")
        return parted(
            spans,
            named.shown("consumption_wh"),
            sentence("due {day}", day=due) if due else "",
            sentence("held: {why}", why=why) if why else "",
        )
    return ""


def payment(named: NamedChange) -> Said:
    """Money came, or was found to be somebody's."""
    amount = named.shown("amount_minor")
    is_deposit = named.value("book") == "deposit"
    what = sentence("Deposit") if is_deposit else sentence("Payment")
    link = link_to("payment", named.change.row_id)
    said = sentence("{what} of {amount}", what=what, amount=amount)
    if named.is_new:
        method = terms.METHOD.get(cast(PaymentMethod, named.value("method")), "")
        received = sentence("received on {day}", day=named.shown("received_on"))
        more = parted(sentence(method), named.text("reference"), received)
        return Said(what=said, more=more, link=link)
    if named.changed("customer_id") and not named.change.before.get("customer_id"):
        whose = named.name("customer_id")
        found = sentence("{payment} found to be from {customer}", payment=said, customer=whose)
        return Said(what=found, link=link)
    changed = sentence("{payment} changed", payment=said)
    return Said(what=changed, details=named.details(), link=link)


def payment_return(named: NamedChange) -> Said:
    """Money went back, or was to."""
    kind = terms.RETURN_KIND.get(cast(ReturnKind, named.value("kind")), N_("Return"))
    status = str(named.value("status"))
    state = _RETURN_STATUS.get(status, status.replace("_", " "))
    return Said(
        what=sentence(
            "{kind} of {amount}: {state}",
            kind=sentence(kind),
            amount=named.shown("amount_minor"),
            state=sentence(state),
        ),
        more=parted(named.text("reason"), named.text("error")),
        link=link_to("payment", named.value("payment_id")),
    )


def payment_link(named: NamedChange) -> Said:
    """A link to pay a bill by was made, or closed."""
    about = named.name("bill_id")
    closed = named.value("active") is False
    what = sentence("Payment link closed") if closed else sentence("Payment link made")
    more = listed((about, named.shown("amount_minor")))
    return Said(what=what, more=more, link=link_to("bill", named.value("bill_id")))


def payment_flag(named: NamedChange) -> Said:
    """Something about a payment is to be looked at, or was."""
    reason = terms.FLAG.get(cast(FlagReason, named.value("reason")), "")
    if not named.is_new:
        return Said(what=sentence("Looked at"), more=named.text("resolution"))
    detail = named.text("detail")
    said = sentence("{reason} {detail}", reason=sentence(reason), detail=detail)
    return Said(what=sentence("Needs a look"), more=said if detail else sentence(reason))


def allocation(named: NamedChange) -> Said:
    """What a payment paid, or paid no longer."""
    minor = named.value("amount_minor") or 0
    kind = terms.ENTRY.get(str(named.value("kind")), N_("an entry"))
    about = named.name("bill_id") or sentence(kind)
    paid = sentence("Paid {about}", about=about)
    what = paid if minor > 0 else sentence("No longer pays {about}", about=about)
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
        what=sentence(
            "{kind}: {amount}",
            kind=sentence(terms.ENTRY.get(kind, N_("Entry"))),
            amount=_of(named, amount),
        ),
        more=named.text("note"),
    )


def correction(named: NamedChange) -> Said:
    """What was billed wrongly was voided, and reissued or not."""
    what = sentence(_CORRECTED.get(str(named.value("kind")), N_("Corrected")))
    difference, bills = named.value("difference_minor") or 0, named.value("bills") or 0
    amount = _of(named, abs(difference))
    apart = sentence("{amount} less", amount=amount)
    if difference > 0:
        apart = sentence("{amount} more", amount=amount)
    return Said(
        what=what,
        more=parted(
            named.text("reason"),
            nsentence("{count} bill", "{count} bills", bills),
            apart if difference else "",
        ),
    )


def spared_bill(named: NamedChange) -> Said:
    """Whether a bill is reminded of."""
    about = named.name("bill_id")
    link = link_to("bill", named.value("bill_id"))
    if not named.is_new and named.value("released_at"):
        return Said(
            what=sentence("{bill} is collected again", bill=about),
            more=named.text("released_because"),
            link=link,
        )
    reason = _SPARED.get(str(named.value("reason")), N_("{bill} is not reminded of for now"))
    return Said(what=sentence(reason, bill=about), more=named.shown("detail"), link=link)


def reopened_work(named: NamedChange) -> Said:
    """Links or messages that had failed are tried again, or a message goes once more."""
    steps = named.change.after.get("steps") or {}
    before = named.change.before.get("steps") or {}
    detail = (steps.get("12") or {}).get("detail", "")
    if detail.startswith("came back"):
        return Said(what=sentence("A message came back, and goes on another channel"))
    if detail.startswith("once more") and before:
        return Said(what=sentence("A message is sent {detail}", detail=sentence(detail)))
    return Said(what=sentence("Links and messages that had failed are tried again"))


def _of(named: NamedChange, minor: int) -> str:
    return money(minor, str(named.value("currency")))
