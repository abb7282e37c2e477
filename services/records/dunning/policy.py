"""The dunning policy and what was done by it: records."""

from datetime import date, datetime
from typing import Any, Final, Literal, get_args

from services.quantities.money import Money
from services.records.base import Record

StepAction = Literal["reminder", "overdue", "demand", "notice", "disconnection"]
# How the occasion of a debt of charges begins, which are dunned where no bill is overdue.
CHARGES: Final = "charges-"
STEP_ACTIONS: Final[tuple[StepAction, ...]] = get_args(StepAction)
# Why a step that is due is not taken: the account is on hold; nobody has the notice yet.
Wait = Literal["", "held", "notice"]

# Before the due date by bill, the day after it by bill, and from then on by account.
DunningPart = Literal["reminders", "overdue", "ladder"]


class PolicyStep(Record):
    """A step: what is done `day` days after the due date, below 0 before it.

    `fee` says whether the late fee is charged with it; `key` names it for good.
    """

    key: str
    action: StepAction
    day: int
    fee: bool = False


class LateFee(Record):
    """The late fee: an amount and a part of what is overdue, at most `cap_minor` for one debt.

    Minor units of the policy's currency, without tax; `percent_bp` and `tax_bp` are hundredths of
    a percent. Bills that are late by at most `grace_days` are charged nothing.
    """

    fixed_minor: int
    percent_bp: int
    cap_minor: int
    grace_days: int
    tax_bp: int


class DunningPolicy(Record):
    """A version of a currency's policy; version 0 is the default, which nobody has set."""

    id: str | None
    currency: str
    version: int
    valid_from: date | None = None
    minimum_minor: int
    notice_days: int
    steps: tuple[PolicyStep, ...]
    late_fee: LateFee | None = None
    created_by: str = ""
    created_at: datetime | None = None

    def money(self, minor: int) -> Money:
        """An amount of minor units in the policy's currency."""
        return Money(minor, self.currency)

    def row(self) -> dict[str, Any]:
        """What is stored of a new version."""
        return self.model_dump(
            mode="json",
            include={"id", "currency", "valid_from", "minimum_minor", "notice_days", "steps"},
        ) | {"late_fee": self.late_fee.model_dump() if self.late_fee else None}


class PolicyVersions(Record):
    """The policy that holds, and the versions of it, the last first."""

    in_force: DunningPolicy
    versions: tuple[DunningPolicy, ...]


class Arrears(Record):
    """What an account owes overdue in one currency, of how many bills, and since which due date.

    `charges_minor` is due beside its bills, such as fees, since another day.
    """

    overdue_minor: int
    bills: int
    since: date | None = None
    charges_minor: int = 0
    charges_since: date | None = None


class DueStep(Record):
    """A step that is due of an account on some day, with the late fee that goes with it.

    `bill_id` is the bill that it is about: for steps of the whole account its oldest unpaid one.
    """

    customer_id: str
    account_no: str
    customer_name: str
    currency: str
    bill_id: str | None
    bill_number: int | None = None
    occasion: str = ""
    step: str
    action: StepAction
    day: int
    due_date: date
    amount_minor: int
    bills: int
    fee_minor: int = 0
    tax_minor: int = 0
    wait: Wait = ""

    def money(self, minor: int) -> Money:
        """An amount of minor units in the account's currency."""
        return Money(minor, self.currency)


class StepTotal(Record):
    """A step of a night added up: how many of it, of how many accounts, on what amounts.

    `fee_minor` is the late fees with their tax, `waiting` how many are held or wait for a notice.
    """

    currency: str
    step: str
    action: StepAction
    day: int
    steps: int
    accounts: int
    amount_minor: int
    fee_minor: int
    waiting: int

    def money(self, minor: int) -> Money:
        """An amount of minor units in the accounts' currency."""
        return Money(minor, self.currency)


class DunningTotals(Record):
    """A night's steps added up; `complete` is whether all accounts were looked at."""

    rows: tuple[StepTotal, ...]
    complete: bool


class DunningAction(Record):
    """A step that was taken of an account; `given_on` is when its notice reached the customer."""

    id: str
    customer_id: str
    currency: str
    bill_id: str | None
    bill_number: int | None = None
    account_no: str = ""
    customer_name: str = ""
    occasion: str = ""
    step: str
    action: StepAction
    day: int
    taken_on: date
    amount_minor: int
    fee_minor: int = 0
    tax_minor: int = 0
    given_on: date | None = None
    given_by: str | None = None
    created_at: datetime

    def money(self, minor: int) -> Money:
        """An amount of minor units in the account's currency."""
        return Money(minor, self.currency)


class Debtor(Record):
    """An account that owes something overdue: since when, how much, and the last step taken.

    `overdue_minor` is of so many bills, `charges_minor` of fees and other charges that are due.
    """

    customer_id: str
    account_no: str
    customer_name: str
    currency: str
    bill_id: str | None
    since: date
    overdue_minor: int
    bills: int
    charges_minor: int = 0
    last: DunningAction | None = None
    held: bool = False

    def money(self, minor: int) -> Money:
        """An amount of minor units in the account's currency."""
        return Money(minor, self.currency)


class AccountArrears(Arrears):
    """What an account owes overdue, by currency."""

    currency: str


class DunningOfAccount(Record):
    """How dunning of an account stands: what the next jobs do, and what it owes overdue."""

    due: tuple[DueStep, ...]
    arrears: tuple[AccountArrears, ...]


class RowsAfter(Record):
    """Where a page of a list ended; the next one begins after it."""

    id: str
    due_date: date | None = None
    taken_on: date | None = None
