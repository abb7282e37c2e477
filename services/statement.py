"""An account's statement as a file for a spreadsheet: every entry with the balance after it."""

import csv
import io
from collections.abc import Iterator
from typing import Final

from services.database.service import DatabaseService
from services.domain.accounts import LedgerEntry
from services.domain.money import Money
from services.domain.records import invoice_reference

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
# A spreadsheet would take what begins so for a formula.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def statement_csv(database: DatabaseService, *, customer_id: str) -> bytes:
    """All entries of a customer, book by book and the oldest first, as CSV in UTF-8.

    An amount above 0 is owed by the customer. Raises DatabaseError.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    entries = sorted(
        _entries(database, customer_id), key=lambda e: (e.book, e.currency, e.entry_no)
    )
    writer.writerows(_row(entry) for entry in entries)
    # With a mark at its start, by which spreadsheets know the encoding.
    return text.getvalue().encode("utf-8-sig")


def _entries(database: DatabaseService, customer_id: str) -> Iterator[LedgerEntry]:
    page, seen, total = 1, 0, 1
    while seen < total:
        found = database.ledger(customer_id=customer_id, page=page, page_size=_AT_ONCE)
        if not found.items:
            return
        yield from found.items
        page, seen, total = page + 1, seen + len(found.items), found.total


def _row(entry: LedgerEntry) -> tuple[str, ...]:
    return (
        entry.book,
        str(entry.entry_no),
        entry.on_date.isoformat(),
        entry.kind,
        invoice_reference(entry.bill_number) if entry.bill_number is not None else "",
        entry.method or "",
        _harmless(entry.reference or ""),
        _harmless(entry.note),
        Money(entry.amount_minor, entry.currency).text,
        Money(entry.balance_minor, entry.currency).text,
        entry.currency,
        _harmless(entry.actor),
    )


def _harmless(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text
