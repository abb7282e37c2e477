"""All that is looked at together about one customer's account: records."""

from datetime import date

from services.records.base import Record
from services.records.bills import Bill
from services.records.ledger import Account, InstalmentPlan, LedgerEntry


class AccountHead(Record):
    """An account, and the day that what is overdue on it is as of; None where nothing is."""

    account: Account
    overdue_as_of: date | None


class OpenItems(Record):
    """What is to pay on an account (bills and fees), and credits that pay nothing yet."""

    bills: tuple[Bill, ...]
    fees: tuple[LedgerEntry, ...]
    credits_left: tuple[LedgerEntry, ...]


class AccountPlans(Record):
    """Instalment plans, the last agreed first, and the open bills that are in none."""

    plans: tuple[InstalmentPlan, ...]
    free_bills: tuple[Bill, ...]


class Changeable(Record):
    """What can be undone or paid out: credit that pays nothing yet, and what was adjusted.

    `open_credit_minor` is above 0; the adjustments stand, the newest first.
    """

    open_credit_minor: int
    adjustments: tuple[LedgerEntry, ...]
