"""How the pages speak of money that moves: methods, states, flags, entries of an account."""

from datetime import date
from typing import Final

from pages.shared.format import Color, day, escaped, period
from services.history import terms
from services.records.bills import invoice_reference
from services.records.ledger import LedgerEntry, PaymentMethod
from services.utility_settings.model import FeeKind

METHOD: Final = terms.METHOD
# As lists show them; what comes by Stripe nobody enters.
METHOD_NAME: Final = {method: f"{how[0].upper()}{how[1:]}" for method, how in METHOD.items()}
OFFICE_METHODS: Final[dict[PaymentMethod, str]] = {
    m: name for m, name in METHOD_NAME.items() if m != "stripe"
}
FEE_NAMES: Final[dict[FeeKind, str]] = {
    "connection": "Connection",
    "reconnection": "Reconnection",
    "disconnection": "Disconnection",
    "late_payment": "Late payment",
    "returned_payment": "Returned payment",
    "meter_test": "Meter test",
}
PAYMENT_STATUS: Final[dict[str, tuple[str, Color]]] = {
    "applied": ("Applied", "green"),
    "partly_applied": ("Partly applied", "violet"),
    "unapplied": ("Unapplied", "blue"),
    "unidentified": ("Unidentified", "orange"),
    "deposit": ("Deposit", "gray"),
    "returned": ("Returned", "gray"),
}
RETURN_STATUS: Final[dict[str, tuple[str, Color]]] = {
    "pending": ("Asked of Stripe", "orange"),
    "done": ("Went back", "green"),
    "failed": ("Failed", "red"),
    "undone": ("Came back again", "gray"),
}
RETURN_KIND: Final = terms.RETURN_KIND
PLAN_STATUS: Final[dict[str, tuple[str, Color]]] = {
    "active": ("Running", "blue"),
    "kept": ("Kept", "green"),
    "broken": ("Broken", "red"),
    "cancelled": ("Cancelled", "gray"),
}
FLAG: Final = terms.FLAG


def entry_kind(kind: str) -> str:
    """What an entry is, whatever it is about."""
    return terms.ENTRY[kind]


def entry_name(entry: LedgerEntry, kind: str) -> str:
    """What an entry is, with the bill or the way of payment: Bill INV-000117."""
    name = "Deposit" if (kind, entry.book) == ("payment", "deposit") else terms.ENTRY[kind]
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
    return f"{METHOD_NAME[method]} {reference}".strip() + f", {day(on)}"
