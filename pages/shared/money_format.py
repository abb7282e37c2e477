"""How the pages speak of money that moves: methods, states, flags, entries of an account."""

from collections.abc import Mapping
from datetime import date
from typing import Final

from pages.languages.words import Said, _
from pages.shared.format import Color, apart, day, escaped, period
from services.history import terms
from services.languages.sentence import N_
from services.records.bills import invoice_reference
from services.records.ledger import LedgerEntry, PaymentMethod
from services.utility_settings.model import FeeKind

METHOD: Final[Mapping[PaymentMethod, str]] = Said(terms.METHOD)
# As lists show them; what comes by Stripe nobody enters.
METHOD_NAME: Final[Mapping[PaymentMethod, str]] = Said(
    {
        "cash": N_("Cash"),
        "mobile_money": N_("Mobile money"),
        "bank": N_("Bank transfer"),
        "cheque": N_("Cheque"),
        "card": N_("Card"),
        "stripe": N_("Online by Stripe"),
    }
)
OFFICE_METHODS: Final[Mapping[PaymentMethod, str]] = Said(
    {
        "cash": N_("Cash"),
        "mobile_money": N_("Mobile money"),
        "bank": N_("Bank transfer"),
        "cheque": N_("Cheque"),
        "card": N_("Card"),
    }
)
FEE_NAMES: Final[Mapping[FeeKind, str]] = Said(
    {
        "connection": N_("Connection"),
        "reconnection": N_("Reconnection"),
        "disconnection": N_("Disconnection"),
        "late_payment": N_("Late payment"),
        "returned_payment": N_("Returned payment"),
        "meter_test": N_("Meter test"),
    }
)
PAYMENT_STATUS: Final[dict[str, tuple[str, Color]]] = {
    "applied": (N_("Applied"), "green"),
    "partly_applied": (N_("Partly applied"), "violet"),
    "unapplied": (N_("Unapplied"), "blue"),
    "unidentified": (N_("Unidentified"), "orange"),
    "deposit": (N_("Deposit"), "gray"),
    "returned": (N_("Returned"), "gray"),
}
RETURN_STATUS: Final[dict[str, tuple[str, Color]]] = {
    "pending": (N_("Asked of Stripe"), "orange"),
    "done": (N_("Went back"), "green"),
    "failed": (N_("Failed"), "red"),
    "undone": (N_("Came back again"), "gray"),
}
RETURN_KIND: Final = Said(terms.RETURN_KIND)
PLAN_STATUS: Final[dict[str, tuple[str, Color]]] = {
    "active": (N_("Running"), "blue"),
    "kept": (N_("Kept"), "green"),
    "broken": (N_("Broken"), "red"),
    "cancelled": (N_("Cancelled"), "gray"),
}
FLAG: Final = Said(terms.FLAG)


def entry_kind(kind: str) -> str:
    """What an entry is, whatever it is about."""
    return _(terms.ENTRY[kind])


def entry_name(entry: LedgerEntry, kind: str) -> str:
    """What an entry is, with the bill or the way of payment: Bill INV-000117."""
    name = _("Deposit") if (kind, entry.book) == ("payment", "deposit") else _(terms.ENTRY[kind])
    if kind in ("bill", "bill_void") and entry.bill_number is not None:
        return f"{name} {invoice_reference(entry.bill_number)}"
    return f"{name}, {METHOD[entry.method]}" if entry.method else name


def entry_more(entry: LedgerEntry) -> str:
    """The day of an entry and what else is said of it, as Markdown shows it letter by letter."""
    more = [day(entry.on_date)]
    if entry.kind == "bill" and entry.period_start and entry.period_end:
        more.append(period(entry.period_start, entry.period_end))
    if entry.reference:
        more.append(entry.reference)
    if entry.note and entry.note != entry.reference:
        more.append(entry.note)
    return escaped(" · ".join(more))


def received(method: PaymentMethod, on: date, reference: str = "") -> str:
    """How and when money came or went: Bank transfer T-17, 12 Nov 2026."""
    said = f"{METHOD_NAME[method]} {apart(reference)}" if reference else METHOD_NAME[method]
    return f"{said}, {day(on)}"
