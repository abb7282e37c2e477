"""What a bill prints, as the database has it at the bill's issue: records."""

import datetime as dt

from services.records.base import Record
from services.records.bills import Bill
from services.records.ledger import EntryKind
from services.records.readings import Reading


class PrintedEntry(Record):
    """An entry of the account between two bills; a debit is above 0."""

    kind: EntryKind
    amount_minor: int
    on: dt.date
    method: str
    reference: str


class BillDocumentFacts(Record):
    """A bill, its readings, and its account since the bill before it.

    `used_before` is the meter's Wh by month (its 1st); `replaces` is the number of a void bill;
    `payment_url` is the link that was made at its issue.
    """

    bill: Bill
    opening: Reading
    closing: Reading
    language: str
    replaces: int | None
    payment_url: str | None
    brought_forward_minor: int
    entries: tuple[PrintedEntry, ...]
    used_before: dict[dt.date, int]
