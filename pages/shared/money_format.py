"""How the pages speak of money that moves: methods, states, flags, entries of an account."""

from datetime import date
from typing import Final

from pages.shared.format import Color, day, escaped, period
from services.records.bills import invoice_reference
from services.records.ledger import FlagReason, LedgerEntry, PaymentMethod, TimelineEvent
from services.utility_settings.model import FeeKind

METHOD: Final[dict[PaymentMethod, str]] = {
    "cash": "cash",
    "mobile_money": "mobile money",
    "bank": "bank transfer",
    "cheque": "cheque",
    "card": "card",
    "stripe": "online by Stripe",
}
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
RETURN_KIND: Final = {
    "refund": "Refund",
    "reversal": "Reversal",
    "dispute": "Dispute",
    "payout": "Pay-out",
}
PLAN_STATUS: Final[dict[str, tuple[str, Color]]] = {
    "active": ("Running", "blue"),
    "kept": ("Kept", "green"),
    "broken": ("Broken", "red"),
    "cancelled": ("Cancelled", "gray"),
}
FLAG: Final[dict[FlagReason, str]] = {
    "amount_differs": "The amount is not what the bill asked for.",
    "currency_differs": "It is in another currency than the bill.",
    "bill_void": "The bill it was for is void: the money lies on the account.",
    "bill_not_issued": "The bill it was for is a draft.",
    "unknown_bill": "Nobody knows which bill or account it is for.",
    "already_paid": "The bill it was for was paid already: perhaps somebody paid twice.",
    "disputed": "The payer disputes it with their bank.",
    "reference_repeated": "Its reference is booked already: perhaps it was entered twice.",
}
_ENTRY: Final = {
    "bill": "Bill",
    "bill_void": "Bill made void",
    "payment": "Payment",
    "refund": "Refund",
    "reversal": "Payment reversed",
    "dispute": "Payment disputed",
    "payout": "Paid out",
    "return_undone": "Came back again",
    "credit": "Credit",
    "credit_undone": "Credit taken back",
    "fee": "Fee",
    "fee_undone": "Fee taken back",
    "deposit_used": "Deposit used",
}
ICON: Final = {
    "bill": "receipt_long",
    "bill_void": "block",
    "payment": "payments",
    "refund": "undo",
    "reversal": "undo",
    "dispute": "gavel",
    "payout": "outbound",
    "return_undone": "redo",
    "credit": "add_circle",
    "fee": "remove_circle",
    "deposit_used": "savings",
    "message": "mail",
    "return_pending": "hourglass_top",
    "return_failed": "error",
}


def entry_kind(kind: str) -> str:
    """What an entry is, whatever it is about."""
    return _ENTRY[kind]


def entry_name(entry: LedgerEntry | TimelineEvent, kind: str) -> str:
    """What an entry is, with the bill or the way of payment: Bill INV-000117."""
    name = "Deposit" if (kind, entry.book) == ("payment", "deposit") else _ENTRY[kind]
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
