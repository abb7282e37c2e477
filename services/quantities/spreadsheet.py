"""The one way to write a table for a spreadsheet, as CSV or as a workbook, and to take one back.

A spreadsheet runs a cell that begins like a formula, so such text gets an apostrophe before it
(OWASP, CSV Injection), which our own imports take off again. A byte order mark at the start tells
Excel that the file is UTF-8.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, BinaryIO, Final, TextIO

import xlsxwriter

from services.quantities.money import Money, exponent

# The full-width forms count as formulas in East Asian versions.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")

# Rows go to disk as they come, so that a long list does not fill the memory.
_WORKBOOK: Final = {
    "constant_memory": True,
    "strings_to_formulas": False,
    "strings_to_urls": False,
    "strings_to_numbers": False,
}
_COLUMN_WIDTH: Final = 16
ROWS_OF_A_SHEET: Final = 1_048_575
ROWS_OF_A_PIECE: Final = 1_000

_NUMBER: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?")


def csv_file(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """A header and rows as CSV in UTF-8 with a byte order mark.

    Text is written so that no spreadsheet takes it for a formula. Money and other numbers are
    written as they are: they may begin with a minus.
    """
    return b"".join(csv_pieces(columns, rows))


def write_csv(out: TextIO, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> int:
    """Write a header and rows as CSV to an open text, as `csv_file` does; how many rows."""
    writer = csv.writer(out)
    writer.writerow(columns)
    number = 0
    for number, row in enumerate(rows, start=1):  # noqa: B007 - the last one is how many
        writer.writerow([cell_text(value) for value in row])
    return number


def csv_pieces(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[bytes]:
    """The bytes of `csv_file` in pieces of some 1,000 rows, each made when it is asked for."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(columns)
    # The byte order mark stands before the first piece alone. A half of a surrogate pair, which
    # UTF-8 has no bytes for, must not lose the whole file.
    encoding = "utf-8-sig"
    for number, row in enumerate(rows, start=1):
        writer.writerow([cell_text(value) for value in row])
        if number % ROWS_OF_A_PIECE == 0:
            yield text.getvalue().encode(encoding, errors="replace")
            encoding = "utf-8"
            text.seek(0)
            text.truncate()
    yield text.getvalue().encode(encoding, errors="replace")


def xlsx_file(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """A header and rows as an Excel workbook, as `write_xlsx` writes it."""
    out = io.BytesIO()
    write_xlsx(out, columns, rows)
    return out.getvalue()


def write_xlsx(
    out: BinaryIO, columns: Sequence[str], rows: Iterable[Sequence[object]], *, name: str = "Sheet"
) -> int:
    """Write a header and rows as an Excel workbook to an open file; how many rows.

    Each sheet is a table with a fixed header. Money and other numbers are numbers, written as
    their decimal text and shown with the decimals of their currency; dates are dates; text is
    text, never a formula or a link. What one sheet has no room for goes on in the next.
    """
    with xlsxwriter.Workbook(out, _WORKBOOK) as book:
        sheets = _Sheets(book, columns, name)
        for row in rows:
            sheets.add(row)
        return sheets.number


class _Sheets:
    """The sheets of a workbook, one begun after another."""

    def __init__(self, book: Any, columns: Sequence[str], name: str) -> None:
        self._book, self._columns, self._name = book, columns, name
        self._bold = book.add_format({"bold": True})
        self._day = book.add_format({"num_format": "yyyy-mm-dd"})
        self._money: dict[int, Any] = {}
        self.number = self._sheets = 0
        self._begin()

    def add(self, row: Sequence[object]) -> None:
        """Write the next row."""
        if self._next > ROWS_OF_A_SHEET:
            self._begin()
        for column, value in enumerate(row):
            self._write(column, value)
        self._next += 1
        self.number += 1

    def _begin(self) -> None:
        self._sheets += 1
        self._sheet = self._book.add_worksheet(f"{self._name}{self._sheets}")
        self._sheet.freeze_panes(1, 0)
        self._sheet.set_column(0, max(len(self._columns) - 1, 0), _COLUMN_WIDTH)
        self._sheet.write_row(0, 0, self._columns, self._bold)
        self._next = 1

    def _write(self, column: int, value: object) -> None:
        sheet, row = self._sheet, self._next
        if isinstance(value, Money):
            # The writer formats a Decimal as it is: the cell holds the amount's own digits.
            sheet.write_number(row, column, Decimal(value.text), self._format_of(value))
        elif isinstance(value, int | Decimal):
            sheet.write_number(row, column, value)
        elif isinstance(value, date):
            sheet.write_datetime(row, column, value, self._day)
        elif value is not None and value != "":
            sheet.write_string(row, column, str(value))

    def _format_of(self, money: Money) -> Any:
        places = exponent(money.currency)
        if places not in self._money:
            shown = f"#,##0.{'0' * places}" if places else "#,##0"
            self._money[places] = self._book.add_format({"num_format": shown})
        return self._money[places]


def harmless(text: str) -> str:
    """Text that a spreadsheet shows as it is."""
    # Text that has the apostrophe already gets another, or one import too many would take it off.
    return f"'{text}" if _is_risky(text.lstrip("'")) else text


def as_written(cell: str) -> str:
    """The text that `harmless` was given; any other cell is returned unchanged."""
    return cell[1:] if cell.startswith("'") and harmless(cell[1:]) == cell else cell


def _is_risky(text: str) -> bool:
    if _NUMBER.fullmatch(text):
        return False
    return text.startswith(_FORMULA) or text.lstrip().startswith(_FORMULA)


def cell_text(value: object) -> str:
    """A value as a cell of a CSV: money and numbers as they are, text harmless, None empty."""
    if isinstance(value, Money):
        return value.text
    if value is None:
        return ""
    return harmless(value) if isinstance(value, str) else str(value)
