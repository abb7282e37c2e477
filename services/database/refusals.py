"""What functions of the database refuse with, marked for the catalogues.

A page says it in the language of the visit, as any other error.
"""

from typing import Final

from services.languages.sentence import N_

REFUSALS: Final = (
    N_("Only a month that is over can be closed."),
    N_("A later month is closed already."),
    N_("The ledger does not add up: see what is wrong with it first."),
    N_(
        "The ledger was not checked within the last 36 hours. It is checked each night; run "
        "Ledger check on Jobs to have it checked now."
    ),
    N_(
        "The ledger did not add up at its last check: see what is wrong with it, and run Ledger "
        "check on Jobs again."
    ),
    N_("This day is closed already."),
    N_("Something was entered or given back meanwhile: look at what is expected now."),
    N_("Say in the note why another amount was counted than is expected."),
    N_("Somebody else has changed the policy meanwhile: look at it again."),
    N_("There is no such request."),
    N_("Somebody else must decide on what you asked for."),
    N_("This request has expired. It can be asked for again."),
    N_("This request was decided on already."),
    N_("This needs the approval of a second person: see Approvals."),
    N_("No such line of a bank statement."),
    N_("Somebody else decided this line meanwhile: look at it again."),
    N_("This money left the account: it is nobody's payment."),
)
# Why autopay or a charge of it has ended, and what became of an event of Stripe's.
OUTCOMES: Final = (
    N_("Autopay has ended."),
    N_("Nothing was due any more."),
    N_("It is above the customer's limit."),
    N_("The bill is void."),
    N_("It is charged by autopay."),
    N_("The customer saved another card or account."),
    N_("The customer ended it on their page."),
    N_("The customer's supply has ended."),
    N_("Autopay is switched off."),
    N_("A charge failed: {why}"),
    N_("The customer's bank disputes a charge."),
    N_("It was not finished at Stripe."),
    N_("What Stripe said of it cannot be kept: look at it at Stripe."),
    N_("Waits for its payment."),
    N_("Waits for an earlier event of its payment."),
    N_("Counted already."),
    N_("A customer was at Stripe to set autopay up."),
    N_("Autopay had ended."),
    N_("The card was renewed."),
)
