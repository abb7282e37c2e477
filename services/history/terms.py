"""What people call the states and kinds that are stored as one word."""

from typing import Final

from services.languages.sentence import N_
from services.records.ledger import FlagReason, PaymentMethod, ReturnKind
from services.records.submissions import MissedReason

READING_SOURCE: Final = {
    "field": "field read",
    "smart": "smart meter",
    "customer": "read by the customer",
    "estimated": "estimated",
    "imported": "imported",
}
MISSED_READ: Final[dict[MissedReason, str]] = {
    "no_access": N_("no access"),
    "dog": N_("a dog"),
    "damaged": N_("the meter is damaged"),
    "not_found": N_("the meter was not found"),
    "locked": N_("locked"),
    "other": N_("another reason"),
}
OCCASION: Final = {
    "bill_issued": "When it was issued",
    "payment_reminder": "Payment reminder",
    "overdue_notice": "Overdue notice",
    "disconnection_notice": "Disconnection notice",
    "payment_received": "Thanks for a payment",
    "balance_changed": "When its balance changed",
    "bill_corrected": "When it was corrected",
    "autopay_notice": "Notice of a charge by autopay",
    "autopay_failed": "Charge by autopay that failed",
    "autopay_expiring": "Card of autopay that expires",
    "autopay_ended": "End of autopay",
    "charges_overdue": "Charges overdue",
}
HOLD_REASONS: Final[dict[str, str]] = {
    "dispute": "a dispute",
    "plan": "a plan is being agreed",
    "vulnerable": "a vulnerable customer",
    "hand": "held back by hand",
}
CHANNELS: Final = {
    "discord": "Discord, shared channel",
    "discord_customer": "Discord, the customer's",
    "whatsapp": "WhatsApp",
    "email": "E-mail",
    "sms": "SMS",
    "letter": "Letter",
    "none": "No channel",
}
# How a message stands, in one word or few: the same on every page and in every list.
MESSAGE_STATES: Final = {
    "waiting": "waiting",
    "sending": "being sent",
    "sent": "sent",
    "delivered": "delivered",
    "read": "read",
    "undelivered": "not delivered",
    "bounced": "came back",
    "failed": "refused",
    "given_up": "given up",
    "unknown": "may have arrived",
    "not_configured": "not sent",
}
# What happened to a message, step by step.
BECAME: Final = MESSAGE_STATES | {
    "queued": "in the queue",
    "held": "held back",
    "waiting": "will be tried again",
}
METHOD: Final[dict[PaymentMethod, str]] = {
    "cash": N_("cash"),
    "mobile_money": N_("mobile money"),
    "bank": N_("bank transfer"),
    "cheque": N_("cheque"),
    "card": N_("card"),
    "stripe": N_("online by Stripe"),
}
RETURN_KIND: Final[dict[ReturnKind, str]] = {
    "refund": "Refund",
    "reversal": "Reversal",
    "dispute": "Dispute",
    "payout": "Pay-out",
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
ENTRY: Final[dict[str, str]] = {
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
    "opening_balance": "Opening balance",
    "opening_balance_undone": "Opening balance taken back",
}
