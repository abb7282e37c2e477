"""An account's statement as a file for a spreadsheet: every entry with the balance after it."""

from collections.abc import Iterator
from typing import Final

from services.database.service import DatabaseService
from services.quantities.money import Money
from services.quantities.spreadsheet import csv_file
from services.records.bills import invoice_reference
from services.records.ledger import LedgerEntry

COLUMNS: Final = (
    "book",
    "entry",
    "date",
    "kind",
    "bill",
    "method",
    "reference",
    "note",
    "amount",
    "balance",
    "currency",
    "entered_by",
)
_AT_ONCE: Final = 1000


def statement_csv(database: DatabaseService, *, customer_id: str) -> bytes:
    """All entries of a customer, book by book and the oldest first, as CSV in UTF-8.

    An amount above 0 is owed by the customer. Raises DatabaseError.
    """
    entries = sorted(
        _entries(database, customer_id), key=lambda e: (e.book, e.currency, e.entry_no)
    )
    return csv_file(COLUMNS, map(_row, entries))


def _entries(database: DatabaseService, customer_id: str) -> Iterator[LedgerEntry]:
    page, seen, total = 1, 0, 1
    while seen < total:
        found = database.ledger(customer_id=customer_id, page=page, page_size=_AT_ONCE)
        if not found.items:
            return
        yield from found.items
        page, seen, total = page + 1, seen + len(found.items), found.total


def _row(entry: LedgerEntry) -> tuple[object, ...]:
    return (
        entry.book,
        str(entry.entry_no),
        entry.on_date.isoformat(),
        entry.kind,
        invoice_reference(entry.bill_number) if entry.bill_number is not None else "",
        entry.method or "",
        entry.reference or "",
        entry.note,
        Money(entry.amount_minor, entry.currency),
        Money(entry.balance_minor, entry.currency),
        entry.currency,
        entry.actor,
    )
