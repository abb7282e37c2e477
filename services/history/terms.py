"""What people call the states and kinds that are stored as one word."""

from typing import Final

from services.languages.sentence import N_
from services.records.ledger import FlagReason, PaymentMethod, ReturnKind
from services.records.submissions import MissedReason

READING_SOURCE: Final = {
    "field": N_("field read"),
    "smart": N_("smart meter"),
    "customer": N_("read by the customer"),
    "estimated": N_("estimated"),
    "imported": N_("imported"),
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
    "bill_issued": N_("When it was issued"),
    "payment_reminder": N_("Payment reminder"),
    "overdue_notice": N_("Overdue notice"),
    "disconnection_notice": N_("Disconnection notice"),
    "payment_received": N_("Thanks for a payment"),
    "balance_changed": N_("When its balance changed"),
    "bill_corrected": N_("When it was corrected"),
    "autopay_notice": N_("Notice of a charge by autopay"),
    "autopay_failed": N_("Charge by autopay that failed"),
    "autopay_expiring": N_("Card of autopay that expires"),
    "autopay_ended": N_("End of autopay"),
    "charges_overdue": N_("Charges overdue"),
    "account_statement": N_("Statement of account"),
}
HOLD_REASONS: Final[dict[str, str]] = {
    "dispute": N_("a dispute"),
    "plan": N_("a plan is being agreed"),
    "vulnerable": N_("a vulnerable customer"),
    "hand": N_("held back by hand"),
}
CHANNELS: Final = {
    "discord": N_("Discord, shared channel"),
    "discord_customer": N_("Discord, the customer's"),
    "whatsapp": N_("WhatsApp"),
    "email": N_("E-mail"),
    "sms": N_("SMS"),
    "letter": N_("Letter"),
    "none": N_("No channel"),
}
# How a message stands, in one word or few: the same on every page and in every list.
MESSAGE_STATES: Final = {
    "waiting": N_("waiting"),
    "sending": N_("being sent"),
    "sent": N_("sent"),
    "delivered": N_("delivered"),
    "read": N_("read"),
    "undelivered": N_("not delivered"),
    "bounced": N_("came back"),
    "failed": N_("refused"),
    "given_up": N_("given up"),
    "unknown": N_("may have arrived"),
    "not_configured": N_("not sent"),
}
# What happened to a message, step by step.
BECAME: Final = MESSAGE_STATES | {
    "queued": N_("in the queue"),
    "held": N_("held back"),
    "waiting": N_("will be tried again"),
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
    "refund": N_("Refund"),
    "reversal": N_("Reversal"),
    "dispute": N_("Dispute"),
    "payout": N_("Pay-out"),
}
FLAG: Final[dict[FlagReason, str]] = {
    "amount_differs": N_("The amount is not what the bill asked for."),
    "currency_differs": N_("It is in another currency than the bill."),
    "bill_void": N_("The bill it was for is void: the money lies on the account."),
    "bill_not_issued": N_("The bill it was for is a draft."),
    "unknown_bill": N_("Nobody knows which bill or account it is for."),
    "already_paid": N_("The bill it was for was paid already: perhaps somebody paid twice."),
    "disputed": N_("The payer disputes it with their bank."),
    "reference_repeated": N_("Its reference is booked already: perhaps it was entered twice."),
}
ENTRY: Final[dict[str, str]] = {
    "bill": N_("Bill"),
    "bill_void": N_("Bill made void"),
    "payment": N_("Payment"),
    "refund": N_("Refund"),
    "reversal": N_("Payment reversed"),
    "dispute": N_("Payment disputed"),
    "payout": N_("Paid out"),
    "return_undone": N_("Came back again"),
    "credit": N_("Credit"),
    "credit_undone": N_("Credit taken back"),
    "fee": N_("Fee"),
    "fee_undone": N_("Fee taken back"),
    "deposit_used": N_("Deposit used"),
    "opening_balance": N_("Opening balance"),
    "opening_balance_undone": N_("Opening balance taken back"),
}
