"""The books of a month as an accountant closes them: balances, entries by kind, receivables."""

from datetime import date, datetime
from typing import Annotated

from pydantic import BeforeValidator

from services.records.base import Record
from services.records.ledger import Amounts, Book, EntryKind, PaymentMethod

# A sum over no rows is null.
Sum = Annotated[int, BeforeValidator(lambda value: value or 0)]


class MonthClosing(Record):
    """A month (its 1st) whose books are closed, with those of all months before it."""

    month: date
    closed_by: str
    closed_at: datetime


class KindSum(Record):
    """The entries of one kind in a month and their sum, a debit above 0."""

    kind: EntryKind
    number: int
    amount_minor: int


class MonthBook(Amounts):
    """One book in one currency: what the month opened and closed with, and what lies between."""

    book: Book
    opening_minor: int
    closing_minor: int
    kinds: Annotated[tuple[KindSum, ...], BeforeValidator(lambda value: value or ())]


class MethodSum(Amounts):
    """Money that came and went back by one method in a month; both above 0."""

    method: PaymentMethod
    received_minor: Sum
    returned_minor: Sum


class MonthEndReport(Record):
    """A month's books; `open_from` is the first date that entries may still have, if any."""

    closing: MonthClosing | None
    open_from: date | None
    books: tuple[MonthBook, ...]
    methods: tuple[MethodSum, ...]

    def is_closed(self, month: date) -> bool:
        """Whether nothing can be dated in a month (its 1st) any more."""
        return self.open_from is not None and month < self.open_from


class Aged(Amounts):
    """What was open when a month ended, by days past due; credit (below 0) paid nothing yet."""

    not_due_minor: int
    late_30_minor: int
    late_60_minor: int
    late_90_minor: int
    later_minor: int
    credit_minor: int
    balance_minor: int

    @property
    def past_due_minor(self) -> int:
        """What should have been paid by the month's end."""
        return self.late_30_minor + self.late_60_minor + self.late_90_minor + self.later_minor


class AgedTotal(Aged):
    """Of all customers of a currency."""

    customers: int


class AgedCustomer(Aged):
    """Of one customer."""

    customer_id: str
    account_no: str
    customer_name: str


class AgedKey(Record):
    """A customer's place among those with something open: what was late of them is below 0."""

    currency: str
    late: int
    id: str

    @property
    def token(self) -> str:
        """The key as a text for an address."""
        return f"{self.currency}~{self.late}~{self.id}"


class Receivables(Record):
    """Open items at a month's end: all of them by currency, and some customers."""

    # The day that "past due" is as of: the month's last, or of one that goes on the last marking.
    as_of: date
    totals: tuple[AgedTotal, ...]
    customers: tuple[AgedCustomer, ...]
    # Where the next customers begin; None where these are the last.
    after: AgedKey | None = None
    # How far the month is worked out, of 1,000; None once it is.
    permille: int | None = None


class MonthToAge(Record):
    """A month whose receivables are to be worked out, and the instant at which it ended."""

    month: date
    until: datetime


class LedgerProblem(Record):
    """Something that does not add up: what kind of row, why, and the row's id."""

    what: str
    detail: str
    subject: str


class BookBalance(Amounts):
    """What all accounts of a book and a currency come to."""

    book: Book
    balance_minor: int
    accounts: int


class LedgerCheck(Record):
    """All entries added up again; a sound ledger has no problems (100 are named at most)."""

    problems: tuple[LedgerProblem, ...]
    entries: int
    balances: tuple[BookBalance, ...]


class KeptLedgerCheck(LedgerCheck):
    """A check that was kept: the ledger as it was at `began_at` (UTC)."""

    began_at: datetime
    finished_at: datetime
    checked_by: str


class LedgerState(Record):
    """The last check that was kept, and whether the ledger is checked at night alone."""

    is_large: bool
    check: KeptLedgerCheck | None
