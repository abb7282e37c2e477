"""How autopay is paying a bill, in a sentence: on which day, or since when and until when."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Final

from services.languages.sentence import Sentence, sentence
from services.records.base import Record

# In how many business days Stripe knows whether a debit came, by the kind of what is charged:
# https://docs.stripe.com/payments/bank-debits. A card is charged at once, but for cards of India,
# whose customers hear of it a day before.
_BUSINESS_DAYS: Final[Mapping[str, int]] = {
    "card": 2,
    "us_bank_account": 4,
    "bacs_debit": 4,
    "au_becs_debit": 4,
    "nz_bank_account": 4,
    "acss_debit": 5,
    "sepa_debit": 5,
}
_OF_OTHERS: Final = 5
_SATURDAY: Final = 5


def expected_by(kind: str, since: date) -> date:
    """The local date by which a debit that began on another should have come.

    `kind` is Stripe's of the card or account. Saturdays and Sundays do not count; a bank's
    holidays are not known.
    """
    day, left = since, _BUSINESS_DAYS.get(kind, _OF_OTHERS)
    while left:
        day += timedelta(days=1)
        left -= day.weekday() < _SATURDAY
    return day


class BillAutopay(Record):
    """How autopay stands that is to pay a bill; dates are local.

    `charge_on` is the day of the next charge, `since` that on which the one under way began, and
    `confirming` whether the bank wants its customer to confirm it.
    """

    status: str
    charge_on: date
    since: date | None = None
    confirming: bool = False
    kind: str = ""

    @property
    def under_way(self) -> bool:
        """Whether Stripe was asked, or the bank is at it."""
        return self.since is not None and not self.confirming

    @property
    def expected_by(self) -> date | None:
        """When the money of a charge that is under way should be there."""
        return expected_by(self.kind, self.since) if self.under_way and self.since else None

    def to_its_customer(self, today: date | None = None) -> Sentence:
        """What its customer is to know; on a local date, where one is given."""
        if self.confirming:
            return sentence(
                "Your bank wants you to confirm the charge: open your page, choose Autopay, and "
                "confirm it there."
            )
        if self.since is not None and (by := self.expected_by) is not None:
            if today is not None and by < today:
                return sentence(
                    "Autopay's charge has been under way since {since}, which is longer than "
                    "usual. There is nothing to do.",
                    since=self.since,
                )
            return sentence(
                "Autopay's charge has been under way since {since}, and the money is expected by "
                "{by}. There is nothing to do.",
                since=self.since,
                by=by,
            )
        if self.status == "waiting":
            return sentence(
                "The charge failed. Autopay tries again on {day}, so there is nothing to do now.",
                day=self.charge_on,
            )
        return sentence("Autopay pays it on {day}, so there is nothing to do.", day=self.charge_on)

    def to_the_office(self, today: date) -> Sentence:
        """The same for the utility's people."""
        if self.confirming:
            return sentence("The bank wants the customer to confirm the charge.")
        if self.since is not None and (by := self.expected_by) is not None:
            if by < today:
                return sentence(
                    "The charge has been under way since {since}, which is longer than usual.",
                    since=self.since,
                )
            return sentence(
                "The charge has been under way since {since}, and its money is expected by {by}.",
                since=self.since,
                by=by,
            )
        if self.status == "waiting":
            return sentence("The charge failed, and is tried again on {day}.", day=self.charge_on)
        return sentence("It is charged on {day}.", day=self.charge_on)
