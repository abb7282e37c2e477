"""What messages say of charges beside bills that are due, such as fees and opening balances."""

from collections.abc import Iterator, Mapping
from typing import Final

from services.languages.language import Language
from services.records.bills import Bill
from services.records.outbox import OutboxKind

CHARGES_OVERDUE: Final[OutboxKind] = "charges_overdue"
_OF_ACCOUNTS: Final[frozenset[OutboxKind]] = frozenset({CHARGES_OVERDUE, "account_statement"})
# What of them is due, and since when; not there where nothing is.
CHARGES_DUE: Final = "charges_due"
CHARGES_SINCE: Final = "charges_since"


def charges_text(bill: Bill, facts: Mapping[str, str], language: Language) -> str:
    """That charges are due, where no bill is."""
    _ = language.gettext
    said = _(
        "{amount} of fees and other charges on your electricity account {account} was due on {day} "
        "and has not been paid.",
        amount=facts[CHARGES_DUE],
        account=bill.account_no,
        day=facts[CHARGES_SINCE],
    )
    please = [said, _("Please pay now."), _("If you cannot pay at once, please talk to us.")]
    return "\n".join([" ".join(please), _("Pay {how}", how=how_to_pay_charges(bill, language))])


def brief_charges(bill: Bill, facts: Mapping[str, str], language: Language) -> str:
    """The same where each letter is paid for."""
    _ = language.gettext
    said = _("{amount} of fees and other charges is overdue.", amount=facts[CHARGES_DUE])
    return " ".join([said, _("Pay {how}", how=how_to_pay_charges(bill, language))])


def charges_beside(facts: Mapping[str, str], language: Language) -> Iterator[str]:
    """That charges are due beside an overdue bill; nothing where none are."""
    if CHARGES_DUE in facts:
        yield language.gettext(
            "In addition, {amount} of fees and other charges is due.", amount=facts[CHARGES_DUE]
        )


def how_to_pay_charges(bill: Bill, language: Language) -> str:
    """There is no link for what no bill has."""
    return language.gettext(
        "at our office with your account number {account}", account=bill.account_no
    )


def subject_of(bill: Bill, kind: OutboxKind) -> str:
    """What a message is about: a bill, or the account."""
    return bill.account_no if kind in _OF_ACCOUNTS else bill.reference
