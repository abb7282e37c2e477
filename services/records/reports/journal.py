"""Rows of reports as the database answers them; amounts are whole minor units of `currency`."""

from datetime import date, datetime
from typing import Annotated, Literal, NamedTuple

from pydantic import BeforeValidator

from services.records.ledger import Amounts

JournalBook = Literal["account", "deposit", "suspense"]
JournalPart = Literal[
    "receivables",
    "deposits",
    "suspense",
    "money",
    "revenue",
    "tax",
    "rounding",
    "credits",
    "fees",
    "opening_balances",
]
Text = Annotated[str, BeforeValidator(lambda value: "" if value is None else str(value))]


class Posting(NamedTuple):
    """A posting after which a page begins."""

    on_date: date
    posting_no: int


class JournalLine(Amounts):
    """A line of the journal, a debit above 0; the lines of a posting come to 0.

    `detail` is the method of money, what revenue is of, or the rate of a tax.
    """

    on_date: date
    posting_no: int
    kind: str
    book: JournalBook
    part: JournalPart
    detail: str
    amount_minor: int
    bill_number: int | None
    account_no: Text
    customer_name: Text
    reference: Text
    note: Text
    # Of a voided bill, the number of the document that takes it back.
    credit_note: Text = ""
    actor: str
    created_at: datetime


class JournalSum(Amounts):
    """Lines of a day, part and side added up; of a tax also what it is of, as decimal text."""

    on_date: date
    part: JournalPart
    detail: str
    is_debit: bool
    code: Text
    description: Text
    unit: Text
    amount_minor: int
    base: str | None
    number: int


class BookBalanceAt(Amounts):
    """What a book came to before a date."""

    book: JournalBook
    balance_minor: int
