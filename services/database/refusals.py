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
    N_("No such customer."),
    N_("Somebody else changed these details meanwhile. Look at them as they are now."),
    N_("Another note was stored under this id: open the form again."),
    N_("A tariff version never changes: publish a new one with a later date."),
    N_("Tariff {tariff} is in {currency}; its currency cannot change."),
    N_(
        "Tariff {tariff} already has another version from {day}; a version never changes: give the "
        "new one a later date."
    ),
    N_(
        "Tariff {tariff} is billed up to {day} (meter {meter}): a new version must begin on "
        "that day or later."
    ),
    N_(
        "A bill up to {day} left kWh in the bank (meter {meter}), which the last bill under "
        "net metering settles: a version without net metering must begin a day later."
    ),
    N_("A new version of the tariff came between: the price must be computed again."),
    N_("No such agreement."),
    N_("They have moved out already."),
    N_("This meter was removed meanwhile: look at the place again."),
    N_("There is a meter with this serial already."),
    N_("Another value is stored for this meter at this very time."),
    N_("This meter is installed at another place: remove it there first."),
    N_("Another meter is installed at this place: exchange it, or remove it first."),
    N_("Somebody else has an agreement for this place: end it first."),
    N_("They are disconnected already."),
    N_("Somebody else changed this at the same time: look at it again."),
    N_("There is a service point with this code already."),
    N_("No such service point."),
    N_("The reading has more digits than the meter."),
    N_("A register of the reading is none of the meter's, or has more digits."),
    N_("The meter was not installed at that time."),
    N_("Say what {register} showed when the meter was connected, such as {register}=0."),
    N_("No such meter."),
    N_("No meter has the serial {identifier}."),
    N_("Another value was already submitted for this meter at this very time."),
    N_("A reading is never overwritten: enter a correction instead."),
    N_("This reading is already {status}."),
    N_("No such reading."),
    N_("This meter is not installed anywhere: it cannot be read."),
    N_("No such request."),
    N_("No meter with the serial {meter} is installed."),
    N_("That tariff is in another currency than the account."),
    N_("Somebody else has an agreement for this place at that time: end it first."),
    N_("A bill of this agreement runs beyond that day: look at it again."),
    N_("This meter is installed at another place at that time: remove it there first."),
    N_("Another meter is installed at this place at that time: exchange it, or remove it first."),
    N_("This meter was read after that time: correct or reject that reading first."),
    N_("There is a customer with this account number already."),
    N_("There is no such agreement."),
    N_("This agreement has ended: it is not billed on any day."),
    N_("Somebody else changed this place meanwhile. Look at it as it is now."),
    N_(
        "This place was moved to another transformer on {day} already: it can only be moved on "
        "from there on a later day."
    ),
    N_("Bills were made for this agreement: let them move out instead."),
    N_("They moved out meanwhile: look at the place again."),
    N_("Nobody who has an agreement for this place was supplied that day."),
    N_("They were reconnected after that day: give a later one."),
    N_("They were disconnected or reconnected meanwhile: look at the place again."),
    N_("The meter that was installed then is not there any more: look at the place again."),
    N_("There is no meter to put back."),
    N_("A bill runs beyond that day: void it first."),
    N_("The meter was read since it was installed: take those readings away first."),
    N_("No such change."),
    N_("This was undone already."),
    N_("Something else was changed at this place after it: undo that first."),
    N_(
        "A bill is priced by this tariff: change the tariff back from that day, which issues "
        "it again."
    ),
    N_("This cannot be undone so."),
    N_("It is the only tariff of this agreement: change it to the right one from that day."),
    N_("This run of the job was taken over by another process, or slept for too long."),
    N_("This run is over: there is nothing to pause."),
    N_("This run is not paused."),
    N_("This reading is billed: void the bill first."),
    N_("Another bill came between: the price must be computed again."),
    N_("No such bill."),
    N_("A void bill cannot be issued."),
    N_("Another reading came between: it must be compared with that one."),
    N_("It was issued meanwhile, and what is issued is voided, not sent back."),
    N_("A later bill begins where this one ends: send that one back with it, or void it first."),
    N_("A later bill of the meter would begin where no bill ends."),
    N_("More kWh would be taken from the bank than there are."),
    N_("The bank of kWh changed meanwhile: the price must be computed again."),
    N_(
        "A bill must run between two accepted reads of its meter and bill exactly the energy "
        "between them."
    ),
    N_("A bill that is {before} cannot become {after}."),
    N_("A void bill does not change."),
    N_("A bill's figures never change: void it and issue a new one."),
    N_("A bill with payments cannot be voided: they return to the account first."),
    N_("This customer has no such bill to go on after."),
    N_("The drafts have changed since their totals were shown."),
    N_("No draft is chosen."),
    N_("Some of these drafts are being issued already."),
    N_("The program stopped while this was being sent. It may have arrived; it is not sent twice."),
    N_("No such work."),
    N_("Nothing of this can be tried again."),
    N_("Another process is working on this by now."),
    N_("It is still being sent."),
    N_("Nothing was written, so nothing can be sent again."),
    N_("No such reply."),
    N_("No such credit, fee or opening balance."),
    N_("The account is in {currency}."),
    N_("No such entry."),
    N_("Nothing is open of that bill on this account."),
    N_("Nothing is left of that credit."),
    N_("The reference {reference} is booked already, to {whom} on {day}."),
    N_("This payment is in an account already: reverse it there and enter it here."),
    N_("This payment went back already."),
    N_("Assigned to account {account}."),
    N_("There is not so much deposit held."),
    N_("No such refund."),
    N_("Only an issued bill takes payments."),
    N_("A deposit pays no bill until it is used."),
    N_("That is more than what is left of the payment."),
    N_("A part of this deposit has been used for bills."),
    N_("A part of this payment was paid out already."),
    N_("There is not so much credit on the account."),
    N_("Only a payment that came by Stripe can go back by it."),
    N_("Together with what went back meanwhile this passes the limit: ask for it again."),
    N_("An instalment was not paid by its date."),
    N_("A plan is about unpaid bills of one customer."),
    N_("One of these bills is in a plan already."),
    N_("The instalments must add up to what is open of the bills."),
    N_("Its bills were made anew, several as one or as a draft: agree on another plan."),
    N_("No answer came in time."),
    N_("It holds for the bill made anew."),
    N_("The customer's bank took the money back."),
    N_("The payment was refunded."),
    N_("Another hold was stored under this id: open the form again."),
    N_("No such hold."),
    N_("No such notice."),
    N_("Only a disconnection notice is handed over."),
    N_("The notice is from after that day."),
    N_("They moved out."),
    N_("The debt was paid."),
    N_("The account is on hold, in a plan, or owes a small balance."),
    N_(
        "Disconnect for non-payment: cut the supply, then read the meter. Not done? Say that "
        "it could not be read, and why."
    ),
    N_(
        "Reconnect, the debt is paid: bring the supply back, then read the meter. Not done? "
        "Say that it could not be read, and why."
    ),
    N_("The money is back."),
    N_("More went back than came."),
    N_("The money came."),
    N_("It names no bill."),
    N_("It names a bill that is not here: {bill}."),
    N_("{bill} was void; the money pays what else is open, and the rest is credit."),
    N_("The bill was a draft; the money pays what else is open, and the rest is credit."),
    N_(
        "Nothing was left to pay of {bill}; the money pays what else is open, and the rest "
        "is credit."
    ),
    N_("Less came than was open of {bill}."),
    N_("More came than was open of {bill}; the rest pays what else is open, or is credit."),
    N_("It is what the link asked for."),
    N_("The customer's bank is paying it."),
    N_("The bank took the money again after it had given it back: record that by hand."),
    N_("Taken again: recorded by hand."),
    N_("It failed at Stripe."),
    N_("It had not been counted yet."),
    N_("Known already."),
    N_("The dispute was lost: what the payment paid is open again."),
    N_("The dispute ended in our favour."),
    N_("It ended in our favour."),
    N_("It is in {currency} and its payment in {other}: look at it at Stripe."),
    N_("No such version of a tariff."),
    N_("This version was corrected already: look at what it says now."),
    N_("This says the same as the version that it would correct."),
    N_("The bills of this meter changed meanwhile: look at them again."),
    N_("This reading was corrected meanwhile."),
    N_(
        "A read at which a meter came or went, or somebody moved or was disconnected, can be "
        "corrected, not withdrawn."
    ),
    N_(
        "A read at which a meter came or went, or somebody moved or was disconnected, keeps "
        "its date."
    ),
    N_(
        "A bill opens or closes at this reading: correct it on the bill, which is then "
        "issued again."
    ),
    N_("A bill runs over the exchange at this reading: void that bill first."),
    N_(
        "A bill runs over this reading, and its demand may be that of this reading: void "
        "that bill first."
    ),
    N_("A draft cannot be printed: issue the bill first."),
    N_("This form was stored already, with other values. Look at them as they are now."),
    N_("Somebody else changed these settings meanwhile. Look at them as they are now."),
    N_("Bills have numbers already, so the first number stays as it is."),
    N_("Credit notes have numbers already, so the first number stays as it is."),
    N_("There is no such API key."),
    N_("There is already a key named {name}."),
    N_("There is no such sign-in."),
    N_("There is an administrator already. Sign in, or ask to be invited."),
    N_("The first user is an administrator. Create that one first."),
    N_("This user is disabled. Enable them first."),
    N_("This user has not set a password yet. Make a new invitation link."),
    N_("This user has accepted the invitation already."),
    N_("A recovery link is for administrators. They reset other people's passwords."),
    N_("The password was changed meanwhile."),
    N_("This is the last administrator. Make somebody else an administrator first."),
    N_("There is no such user."),
    N_("There is already a user with the sign-in name {name}."),
    N_("There is no such link."),
    N_("This link has been used already."),
    N_("This link is too old."),
    N_("This link is no longer good."),
    N_("No such visit."),
    N_("No such place of supply."),
    N_("No such charge."),
    N_("No such consent."),
    N_("The customer saved another card or account."),
    N_("It was not finished at Stripe."),
    N_("It is charged by autopay."),
    N_("It names a charge that is not here, or of another customer: look at it at Stripe."),
    N_("It is no card of autopay."),
    N_("It is nothing of autopay that goes on."),
    N_("The customer's bank disputes a charge."),
    N_("Autopay is switched off."),
    N_("There is no autopay to end."),
    N_("Stripe charged one try of autopay twice: give one back."),
    N_(
        "Autopay charged more than was open of its bills by then; the rest pays what else is "
        "open, or is credit."
    ),
    N_("What Stripe said of it cannot be kept: look at it at Stripe."),
)
# What is wrong with a row of an import, which the database finds.
OF_IMPORTS: Final = (
    N_("Account {account} is in {currency}; its currency cannot change to {other}."),
    N_("Two periods of one transformer cannot overlap: its energy would count twice."),
    N_("No transformer has the code {identifier}."),
    N_("Nothing is stored for transformer {transformer} in this period that could be corrected."),
    N_("Another row of the file corrects the same stored period."),
    N_(
        "Transformer {transformer} has another value for this period, {energy} kWh. If that "
        "one is wrong, add a column named correction with yes in this row."
    ),
    N_(
        "The period overlaps that from {begin} up to {end}, which is stored for transformer "
        "{transformer}."
    ),
    N_("No service point has the code {service_point}: import it first, or leave the cell empty."),
    N_("No tariff has the code {tariff}."),
    N_("Tariff {tariff} is in {currency}, account {account} in {other}."),
    N_("No version of tariff {tariff} is in force on {day}, where billing would begin."),
    N_("Meter {meter} is installed at another service point."),
    N_("Meter {meter} is already connected with other details."),
    N_(
        "Meter {meter} is installed at {service_point}: exchange it on the page of the "
        "service point."
    ),
    N_(
        "Account {account} is supplied at {service_point}: install the meter on the page of "
        "the service point."
    ),
    N_("Account {account} would have tariffs in different currencies."),
    N_(
        "Tariff {tariff} has no period named {period}: a register is export, kvah, kvarh, a "
        "maximum such as max_kw, or a period of the tariff."
    ),
    N_(
        "Meter {meter} is connected already: give only the names of its registers. What a "
        "new one showed at the last billed read is imported as a reading of that day with "
        "the same total."
    ),
    N_("Meter {meter} is installed nowhere: how it is read is said when it is installed."),
    N_("No place of supply is on route {route}."),
    N_("Another service point has the code {code} already."),
    N_(
        "No service point has the code {service_point}: import service points, or the meter "
        "that stands there, first."
    ),
    N_(
        "Account {account} is supplied at {service_point} from {day}: an import does not "
        "change whose agreement it is."
    ),
    N_("No version of tariff {tariff} is in force on {day}."),
    N_("This agreement ended on {day}: change that on the page of the service point."),
    N_(
        "Account {account} is supplied at {service_point} from {day} on: there is one "
        "agreement at a time. End that one first, or correct the dates."
    ),
    N_(
        "Account {account} is supplied at {service_point} from {day} to {end}: there is one "
        "agreement at a time. End that one first, or correct the dates."
    ),
    N_("The agreement begins at it."),
    N_("The agreement ends at it."),
    N_(
        "A bill of this agreement runs to {day}: end it on the page of the service point, "
        "which corrects the bill."
    ),
    N_("must be a day of the agreement."),
    N_(
        "The agreement began on tariff {tariff}: put the day from which another holds under "
        "tariff_from."
    ),
    N_("The file lacks the row with the tariff on which this agreement begins."),
    N_(
        "A bill of this agreement runs to {day}: change the tariff on the page of the "
        "service point, which corrects the bill."
    ),
    N_(
        "Another deposit was brought in for this agreement: change it on the page of account "
        "{account}."
    ),
    N_("No read of {day} is accepted: import one at {service_point} first."),
    N_(
        "No meter stands at {service_point} on {day}: import it with an opening read of that "
        "day or before."
    ),
    N_("Another bank was brought in for this agreement, from which its bills go on."),
    N_("This agreement has bills under net metering already, which begin with an empty bank."),
    N_(
        "Its last bill left kWh in the bank: end the agreement on the page of "
        "{service_point}, which settles them."
    ),
    N_(
        "Its last bill left kWh in the bank: change the tariff on the page of "
        "{service_point}, which settles them."
    ),
    N_("The agreement changed meanwhile: the price must be computed again."),
    N_("Account {account} is in {currency}, not in {other}."),
    N_(
        "Account {account} has an opening balance with this reference already, as of {day} "
        "and of another amount or date. Take that one back on the customer's page, and give "
        "this row another reference."
    ),
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
