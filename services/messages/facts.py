"""What a message about money says beyond its bill: the payment it thanks for, the correction."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final, Self

from services.languages.sentence import Sentence, sentence
from services.quantities.money import Money

# For the occasions of which the bill itself says everything.
NO_FACTS: Final[Mapping[str, str]] = {}
# Of a step of dunning which one it is (demand or notice), the days between a disconnection notice
# and the cut, and the late fee that was charged with it, with its tax.
DUNNING: Final = "dunning"
NOTICE_DAYS: Final = "notice_days"
LATE_FEE: Final = "late_fee_minor"
# What the account owes overdue, of how many bills, and from which day on the supply may be cut.
IN_ARREARS: Final = "in_arrears"
BILLS_IN_ARREARS: Final = "bills_in_arrears"
CUT_FROM: Final = "cut_from"
# Of a payment that paid no bill: it is credit on the account.
ON_ACCOUNT: Final = "on_account"
# The credit notes of bills that were taken back: their ids, and their numbers as people write them.
CREDIT_NOTES: Final = "credit_notes"
CREDITED: Final = "credited"
# The law asks for it: whoever wants no messages is sent it all the same.
REQUIRED_BY_LAW: Final = frozenset({"disconnection_notice"})


@dataclass(frozen=True, slots=True)
class Received:
    """A payment as its receipt message states it; its currency may be another than the bill's."""

    amount: Money
    on: date

    @classmethod
    def of(cls, facts: Mapping[str, str]) -> Self:
        """From {amount_minor, currency, received_on}; raises KeyError, ValueError."""
        amount = Money(int(facts["amount_minor"]), facts["currency"])
        return cls(amount, date.fromisoformat(facts["received_on"]))


@dataclass(frozen=True, slots=True)
class Correction:
    """Bills made void and those in their place, by reference, and what that comes to.

    `difference` is above 0 when the customer owes more than before; `issued` is empty where no
    bill is in their place. `credited` are the numbers of the credit notes, empty without any.
    """

    voided: str
    issued: str
    difference: Money
    credited: str = ""

    @classmethod
    def of(cls, facts: Mapping[str, str]) -> Self:
        """From {voided, issued, difference_minor, currency, credited?}; KeyError, ValueError."""
        difference = Money(int(facts["difference_minor"]), facts["currency"])
        return cls(facts["voided"], facts["issued"], difference, facts.get(CREDITED, ""))

    @property
    def size(self) -> Money:
        """The difference without its direction."""
        return Money(abs(self.difference.minor), self.difference.currency)

    @property
    def direction(self) -> str:
        """ "more", "less" or, for no difference, nothing."""
        if self.difference.minor == 0:
            return ""
        return "more" if self.difference.minor > 0 else "less"

    @property
    def in_words(self) -> Sentence:
        """₹12.00 more than before."""
        if not self.direction:
            return sentence("the same as before")
        if self.direction == "more":
            return sentence("{amount} more than before", amount=self.size)
        return sentence("{amount} less than before", amount=self.size)
