"""What messages to customers say, occasion by occasion, in the customer's language."""

from collections.abc import Mapping
from datetime import date
from typing import Final

from services.languages.language import ENGLISH_LANGUAGE, Language
from services.languages.sentence import N_
from services.messages.account_texts.autopay import (
    AUTOPAY_KINDS,
    asks_to_pay,
    autopay_text,
    how_it_is_paid,
    is_autopaid,
    is_to_confirm,
)
from services.messages.account_texts.charges import CHARGES_OVERDUE, charges_beside, charges_text
from services.messages.account_texts.statements import ACCOUNT_STATEMENT, statement_text
from services.messages.facts import (
    BILLS_IN_ARREARS,
    CUT_FROM,
    IN_ARREARS,
    LATE_FEE,
    ON_ACCOUNT,
    Correction,
    Received,
)
from services.quantities.energy import format_kwh
from services.records.bills import Bill
from services.records.outbox import OutboxKind

_BANK_PAYS: Final = N_("Your bank is paying it, so there is nothing to do.")
HEADLINES: Final[dict[OutboxKind, str]] = {
    "bill_issued": N_("Electricity bill"),
    "payment_reminder": N_("Payment reminder"),
    "overdue_notice": N_("Payment overdue"),
    "disconnection_notice": N_("Disconnection notice"),
    "payment_received": N_("Payment received"),
    "bill_corrected": N_("Electricity bill corrected"),
    "autopay_notice": N_("Autopay: upcoming charge"),
    "autopay_failed": N_("Autopay: charge failed"),
    "autopay_expiring": N_("Autopay: your card expires"),
    "autopay_ended": N_("Autopay has ended"),
    "charges_overdue": N_("Charges overdue"),
    "account_statement": N_("Your statement of account"),
}


def how_to_pay(bill: Bill, language: Language = ENGLISH_LANGUAGE) -> str:
    """The link, or the reference for paying at the office; nothing while the bank is paying."""
    _ = language.gettext
    if bill.spared_because == "bank_debit":
        return _("nothing now: your bank is paying it")
    if is_to_confirm(bill):
        return _("by confirming the charge on your page, under Autopay")
    if is_autopaid(bill):
        return _("nothing now: autopay pays it")
    return bill.payment_url or _(
        "at our office with the reference {reference}", reference=bill.reference
    )


def text_of_occasion(
    bill: Bill, kind: OutboxKind, facts: Mapping[str, str], language: Language
) -> str:
    """What a message says, in whole sentences; values as the language writes them."""
    if kind in AUTOPAY_KINDS:
        said = autopay_text(bill, kind, facts, language)
        pays = kind == "autopay_failed" and asks_to_pay(facts)
        return f"{said}\n{_where(bill, language)}" if pays else said
    if kind == "payment_received":
        return _thanks(bill, Received.of(facts), facts, language)
    if kind == "bill_corrected":
        return _corrected(bill, Correction.of(facts), facts, language)
    if kind == "payment_reminder":
        return _reminder(bill, language)
    by_kind = {
        CHARGES_OVERDUE: charges_text,
        ACCOUNT_STATEMENT: statement_text,
        "bill_issued": _issued,
        "disconnection_notice": _disconnection,
    }
    return by_kind.get(kind, _overdue)(bill, facts, language)


def _issued(bill: Bill, facts: Mapping[str, str], language: Language) -> str:
    _ = language.gettext
    ready = _("Your electricity bill {reference} is ready.", reference=bill.reference)
    used = f"{ready} {_used(bill, language)}"
    if bill.balance_minor <= 0:
        return " ".join([used, _("There is nothing to pay.")])
    if why := _nothing_to_do(bill, facts, language):
        return f"{used} {why}"
    parts = [used]
    if bill.amount_paid_minor:
        paid, left = bill.money(bill.amount_paid_minor), bill.money(bill.balance_minor)
        parts.append(_("{paid} is paid, {left} is left.", paid=paid, left=left))
    parts.append(_when_to_pay(bill, facts, language))
    return f"{' '.join(parts)}\n{_where(bill, language)}"


def _when_to_pay(bill: Bill, facts: Mapping[str, str], language: Language) -> str:
    _ = language.gettext
    if is_late(bill, facts):
        return " ".join([_("It was due on {day}.", day=bill.due_date), _("Please pay now.")])
    if bill.due_date:
        return _("Please pay by {day}.", day=bill.due_date)
    return _("Please pay.")


def _used(bill: Bill, language: Language) -> str:
    """What was used and what that comes to; of a bill that settles others, since when in all."""
    _ = language.gettext
    total = bill.money(bill.total_minor)
    if bill.settles_since is not None:
        read = _(
            "The meter was read: from {start} to {end} you used {used} kWh in all.",
            start=bill.settles_since,
            end=bill.period_end,
            used=language.number(format_kwh(bill.settled_wh)),
        )
        charged = _(
            "The bill charges that, less what was billed for it before: {total}.", total=total
        )
        return f"{read} {charged}"
    said = (
        _(
            "From {start} to {end} you used {used} kWh (estimated, as the meter was not read; the "
            "next reading settles the difference).",
            start=bill.period_start,
            end=bill.period_end,
            used=language.number(format_kwh(bill.consumption_wh)),
        )
        if bill.closing_source == "estimated"
        else _(
            "From {start} to {end} you used {used} kWh.",
            start=bill.period_start,
            end=bill.period_end,
            used=language.number(format_kwh(bill.consumption_wh)),
        )
    )
    return " ".join([said, _("The bill is {total}.", total=total)])


def _reminder(bill: Bill, language: Language) -> str:
    _ = language.gettext
    left, reference = bill.money(bill.balance_minor), bill.reference
    said = (
        _(
            "A reminder: {left} of your electricity bill {reference} is still to be paid by {day}.",
            left=left,
            reference=reference,
            day=bill.due_date,
        )
        if bill.due_date
        else _(
            "A reminder: {left} of your electricity bill {reference} is still to be paid.",
            left=left,
            reference=reference,
        )
    )
    done = _("If you have just paid, there is nothing to do.")
    return f"{said} {done}\n{_where(bill, language)}"


def _overdue(bill: Bill, facts: Mapping[str, str], language: Language) -> str:
    _ = language.gettext
    left, reference = bill.money(bill.balance_minor), bill.reference
    parts = [
        _(
            "{left} of your electricity bill {reference} was due on {day} and has not been paid.",
            left=left,
            reference=reference,
            day=bill.due_date,
        )
        if bill.due_date
        else _(
            "{left} of your electricity bill {reference} has not been paid.",
            left=left,
            reference=reference,
        )
    ]
    if facts.get(BILLS_IN_ARREARS, "1") != "1":
        parts.append(
            language.ngettext(
                "In all {amount} of {count} bill is overdue.",
                "In all {amount} of {count} bills is overdue.",
                int(facts[BILLS_IN_ARREARS]),
                amount=facts[IN_ARREARS],
            )
        )
    parts += charges_beside(facts, language)
    parts += _late_fee(bill, facts, language)
    parts += [_("Please pay now."), _("If you cannot pay at once, please talk to us.")]
    return f"{' '.join(parts)}\n{_where(bill, language)}"


def _disconnection(bill: Bill, facts: Mapping[str, str], language: Language) -> str:
    _, bills = language.gettext, int(facts[BILLS_IN_ARREARS])
    values = {"account": bill.account_no, "amount": facts[IN_ARREARS]}
    parts = [
        language.ngettext(
            "Disconnection notice for account {account}: {amount} of {count} electricity bill has "
            "been overdue since {day}.",
            "Disconnection notice for account {account}: {amount} of {count} electricity bills has "
            "been overdue since {day}.",
            bills,
            day=bill.due_date,
            **values,
        )
        if bill.due_date
        else language.ngettext(
            "Disconnection notice for account {account}: {amount} of {count} electricity bill has "
            "been overdue.",
            "Disconnection notice for account {account}: {amount} of {count} electricity bills has "
            "been overdue.",
            bills,
            **values,
        ),
        *_late_fee(bill, facts, language),
        _(
            "If it is not paid, your supply may be disconnected from {day} on.",
            day=facts[CUT_FROM],
        ),
        _("If you dispute it or cannot pay, please talk to us before then."),
    ]
    return f"{' '.join(parts)}\n{_where(bill, language)}"


def _late_fee(bill: Bill, facts: Mapping[str, str], language: Language) -> list[str]:
    """That a late fee was charged with this step."""
    if LATE_FEE not in facts:
        return []
    fee = bill.money(int(facts[LATE_FEE]))
    said = language.gettext(
        "A late payment fee of {fee} has been charged to your account.", fee=fee
    )
    return [said]


def _thanks(bill: Bill, received: Received, facts: Mapping[str, str], language: Language) -> str:
    _ = language.gettext
    thanks = _(
        "Thank you: we have received your payment of {amount} on {day}.",
        amount=received.amount,
        day=received.on,
    )
    if ON_ACCOUNT in facts:
        return " ".join([thanks, _("It is on your account, for what is billed next.")])
    if bill.status == "void":
        void = _(
            "Your electricity bill {reference} is void: the money stays with you.",
            reference=bill.reference,
        )
        return f"{thanks} {void}"
    if bill.balance_minor <= 0:
        paid = _("Your electricity bill {reference} is paid.", reference=bill.reference)
        return f"{thanks} {paid}"
    return f"{thanks} {_left(bill, facts, language)}"


def _corrected(
    bill: Bill, correction: Correction, facts: Mapping[str, str], language: Language
) -> str:
    _ = language.gettext
    said = [
        _("We have corrected your electricity bills."),
        _(
            "{voided} no longer holds; instead: {issued}.",
            voided=correction.voided,
            issued=correction.issued,
        )
        if correction.issued
        else _("{voided} no longer holds.", voided=correction.voided),
        *_credited(correction, language),
        _("Together that is {difference}.", difference=correction.in_words),
        _("What you have paid still counts."),
    ]
    # A bill that is void by now is nothing to pay by.
    if bill.status != "void":
        owes = bill.balance_minor > 0
        said.append(_left(bill, facts, language) if owes else _("There is nothing to pay."))
    return " ".join(said)


def _credited(correction: Correction, language: Language) -> list[str]:
    """Which credit notes take the bills back."""
    if not correction.credited:
        return []
    _, numbers = language.gettext, correction.credited
    if ", " in numbers:
        return [_("Credit notes {numbers} take them back.", numbers=numbers)]
    return [_("Credit note {numbers} takes it back.", numbers=numbers)]


def in_their_place(correction: Correction, language: Language) -> str:
    """The bills in the place of void ones, and the credit notes that take those back."""
    _, numbers = language.gettext, correction.credited
    if ", " in numbers:
        notes = _("credit notes {numbers}", numbers=numbers)
    else:
        notes = _("credit note {numbers}", numbers=numbers) if numbers else ""
    return ", ".join(filter(None, (correction.issued, notes)))


def _left(bill: Bill, facts: Mapping[str, str], language: Language) -> str:
    _ = language.gettext
    left, reference = bill.money(bill.balance_minor), bill.reference
    if why := _nothing_to_do(bill, facts, language):
        said = _(
            "{left} of your electricity bill {reference} is open.", left=left, reference=reference
        )
        return f"{said} {why}"
    if bill.due_date is None:
        said = _(
            "{left} of your electricity bill {reference} is left to pay.",
            left=left,
            reference=reference,
        )
    elif is_late(bill, facts):
        said = _(
            "{left} of your electricity bill {reference} is left to pay; it was due on {day}.",
            left=left,
            reference=reference,
            day=bill.due_date,
        )
    else:
        said = _(
            "{left} of your electricity bill {reference} is left to pay by {day}.",
            left=left,
            reference=reference,
            day=bill.due_date,
        )
    return f"{said}\n{_where(bill, language)}"


def _nothing_to_do(bill: Bill, facts: Mapping[str, str], language: Language) -> str:
    """That a bank or autopay is about to pay a bill; nothing where neither does."""
    if is_autopaid(bill):
        return how_it_is_paid(bill, facts, language)
    return language.gettext(_BANK_PAYS) if bill.spared_because == "bank_debit" else ""


def is_past(bill: Bill, today: date) -> bool:
    """Whether a bill's due date is over."""
    return bill.due_date is not None and bill.due_date < today


def is_late(bill: Bill, facts: Mapping[str, str]) -> bool:
    """Whether a bill's due date is over on the day of the facts ("today")."""
    return "today" in facts and is_past(bill, date.fromisoformat(facts["today"]))


def _where(bill: Bill, language: Language) -> str:
    # On a line of its own: a full stop after a link can become part of it.
    _ = language.gettext
    if bill.payment_url:
        return _("Pay here: {link}", link=how_to_pay(bill, language))
    return _("Pay {how}", how=how_to_pay(bill, language))
