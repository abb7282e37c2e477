"""What customers do at Stripe from their page: pay a bill, set autopay up, confirm, end it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from services.autopay.charging import AutopayCharging
from services.autopay.rules import InvalidAutopay, consent_text
from services.autopay.signing_up import AutopaySignUp
from services.customer_page.allowances import Allowance
from services.customer_page.visits import confirmed
from services.database.errors import IllegalChange, NotFound
from services.database.service import DatabaseService
from services.integrations.failures import FinalFailure, TemporaryFailure
from services.languages.language import Language
from services.languages.sentence import Sentence, sentence
from services.payments.stripe.checkout import StripeCheckout
from services.payments.stripe.payment_links import is_payable
from services.people.customer_links import PATH
from services.quantities.money import InvalidMoney, Money
from services.quantities.typed import typed_money
from services.records.bills import Bill
from services.records.customers.autopay import AutopayOfCustomer, Mandate
from services.records.customers.pages import Visit

AUTOPAY_PATH: Final = f"{PATH}/autopay"
BY_CUSTOMER: Final = "The customer ended it on their page."
# Above this nobody sets a limit: it is a mistake of typing.
_MOST_MINOR: Final = 10**11
_PAGE_AWAY: Final = sentence(
    "The payment page does not answer just now. Try again in a few minutes."
)
_AWAY: Final = sentence("Stripe does not answer just now. Try again in a few minutes.")
_NO_LIMIT: Final = sentence("The limit is an amount above 0, or nothing for no limit.")


class StripeAway(Exception):
    """Stripe does not do it just now; the sentence says what to do."""


@dataclass(frozen=True)
class CustomerPaying:
    """A customer's own doing at Stripe; ids are the form's, so that a repeat changes nothing.

    `checkout` is None where people pay by links alone.
    """

    database: DatabaseService
    sign_up: AutopaySignUp
    charging: AutopayCharging
    utility_name: Callable[[], str]
    currency: Callable[[], str]
    checkout: StripeCheckout | None = None
    pages: Allowance = field(default_factory=lambda: Allowance(30, timedelta(hours=1)))

    @property
    def here(self) -> bool:
        """Whether bills are paid from this page, and customers come back to it."""
        return self.checkout is not None and self.sign_up.address is not None

    def pay(self, visit: Visit, *, bill_id: str, form_id: str, now: datetime) -> str:
        """Where Stripe takes what is left of a bill; raises NotFound, IllegalChange, StripeAway."""
        bill = self.database.bill(bill_id)
        if bill.customer_id != visit.customer_id or bill.status == "draft":
            raise NotFound("EB404", sentence("No such bill."))
        if not is_payable(bill):
            raise IllegalChange("EB005", sentence("There is nothing to pay of this bill now."))
        if self.checkout is None or self.sign_up.address is None:
            raise StripeAway(_PAGE_AWAY)
        self.pages.use(visit.customer_id, now)
        back = f"{self.sign_up.address}{PATH}/bills/{bill.id}"
        try:
            return self.checkout.open(
                bill=bill,
                form_id=form_id,
                success_url=f"{back}?from=paid",
                cancel_url=f"{back}?from=cancelled",
                now=now,
            )
        except (TemporaryFailure, FinalFailure):
            raise StripeAway(_PAGE_AWAY) from None

    def autopay(self, visit: Visit) -> AutopayOfCustomer:
        """How autopay stands; who has a link alone sees no more than what is to be confirmed."""
        return self.database.autopay.of_customer(visit.customer_id)

    def came_back(self, visit: Visit, *, now: datetime) -> AutopayOfCustomer:
        """The same for who comes back from Stripe, which is asked what was saved."""
        return self.sign_up.came_back(customer_id=confirmed(visit).customer_id, now=now)

    def consent(self, *, limit: Money | None, language: Language) -> str:
        """What a customer agrees to, in the language in which they read it."""
        days = self.database.autopay.policy().notice_days
        return consent_text(language, utility=self.utility_name(), limit=limit, notice_days=days)

    def begin(
        self,
        visit: Visit,
        *,
        mandate_id: str,
        agreed: bool,
        limit: str,
        language: Language,
        now: datetime,
    ) -> str:
        """Where Stripe saves a card or account.

        Raises InvalidAutopay, IllegalChange, StripeAway, TooMany.
        """
        customer_id = confirmed(visit).customer_id
        currency = visit.currency or self.currency()
        upto = _limit(limit, currency)
        if not agreed:
            raise InvalidAutopay(
                sentence("Tick that you agree; without it nothing may be charged.")
            )
        self.pages.use(customer_id, now)
        try:
            return self.sign_up.begin(
                mandate_id=mandate_id,
                customer_id=customer_id,
                currency=currency,
                consent=self.consent(limit=upto, language=language),
                limit_minor=upto.minor if upto else None,
                actor=visit.actor,
                now=now,
            )
        except (TemporaryFailure, FinalFailure):
            raise StripeAway(_AWAY) from None

    def end(self, visit: Visit, *, mandate_id: str) -> Mandate:
        """End autopay at once; raises NotFound."""
        return self.sign_up.end(
            mandate_id=mandate_id,
            customer_id=confirmed(visit).customer_id,
            actor=visit.actor,
            because=BY_CUSTOMER,
        )

    def resume(self, visit: Visit, *, mandate_id: str, now: datetime) -> Mandate:
        """Let paused autopay go on; raises IllegalChange."""
        return self.sign_up.resume(
            mandate_id=mandate_id,
            customer_id=confirmed(visit).customer_id,
            actor=visit.actor,
            now=now,
        )

    def confirm(self, visit: Visit, *, attempt_id: str, now: datetime) -> str:
        """Where the customer's bank asks them to confirm a charge; empty where it does not.

        Whoever has a link may do so: the bank asks its own customer. Raises NotFound, StripeAway.
        """
        self.pages.use(visit.customer_id, now)
        try:
            return self.charging.confirm(
                attempt_id=attempt_id,
                customer_id=visit.customer_id,
                return_url=f"{self.sign_up.address}{AUTOPAY_PATH}?from=confirmed",
                now=now,
            )
        except (TemporaryFailure, FinalFailure):
            raise StripeAway(_AWAY) from None


def said_of_payment(bill: Bill, came_from: str) -> Sentence:
    """How a bill stands, to somebody who comes back from paying it; the webhook may come later."""
    if came_from == "cancelled":
        return sentence("You left the payment page, so nothing was paid.")
    if bill.balance_minor <= 0:
        return sentence("Thank you: this bill is paid.")
    if bill.spared_because == "bank_debit":
        return sentence("Thank you: your bank is paying it, which takes some days.")
    return sentence(
        "Thank you. Stripe has your payment, and tells us of it in a moment: until then the bill "
        "still shows as open. There is no need to pay again."
    )


def _limit(text: str, currency: str) -> Money | None:
    """The limit that was typed; raises InvalidAutopay."""
    if not text.strip():
        return None
    try:
        found = typed_money(text, currency=currency)
    except InvalidMoney:
        raise InvalidAutopay(_NO_LIMIT) from None
    if not 0 < found.minor <= _MOST_MINOR:
        raise InvalidAutopay(_NO_LIMIT)
    return found
