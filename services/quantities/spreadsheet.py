"""The one way to write a table for a spreadsheet, as CSV or as a workbook, and to take one back.

A spreadsheet runs a cell that begins like a formula, so such text gets an apostrophe before it
(OWASP, CSV Injection), which our own imports take off again. A byte order mark at the start tells
Excel that the file is UTF-8.
"""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, Final, TextIO

import xlsxwriter

from services.quantities.money import Money

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

_NUMBER: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?")


def csv_file(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """A header and rows as CSV in UTF-8 with a byte order mark.

    Text is written so that no spreadsheet takes it for a formula. Money and other numbers are
    written as they are: they may begin with a minus.
    """
    out = io.StringIO(newline="")
    write_csv(out, columns, rows)
    # A half of a surrogate pair, which UTF-8 has no bytes for, must not lose the whole file.
    return out.getvalue().encode("utf-8-sig", errors="replace")


def write_csv(out: TextIO, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> int:
    """Write a header and rows as CSV to an open text, as `csv_file` does; how many rows."""
    writer = csv.writer(out)
    writer.writerow(columns)
    number = 0
    for number, row in enumerate(rows, start=1):  # noqa: B007 - the last one is how many
        writer.writerow([cell_text(value) for value in row])
    return number


def xlsx_file(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """A header and rows as an Excel workbook of one sheet, which is a table with a fixed header.

    Money and other numbers are numbers and dates are dates; text is text, never a formula or a
    link. A sheet takes 1,048,575 rows beside the header.
    """
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, _WORKBOOK) as book:
        sheet = book.add_worksheet()
        sheet.freeze_panes(1, 0)
        sheet.set_column(0, max(len(columns) - 1, 0), _COLUMN_WIDTH)
        sheet.write_row(0, 0, columns, book.add_format({"bold": True}))
        day = book.add_format({"num_format": "yyyy-mm-dd"})
        for number, row in enumerate(rows, start=1):
            for column, value in enumerate(row):
                _write(sheet, number, column, value, day)
    return out.getvalue()


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


def _write(sheet: Any, row: int, column: int, value: object, day: object) -> None:
    if isinstance(value, Money):
        sheet.write_number(row, column, Decimal(value.text))
    elif isinstance(value, int | Decimal):
        sheet.write_number(row, column, value)
    elif isinstance(value, date):
        sheet.write_datetime(row, column, value, day)
    elif value is not None and value != "":
        sheet.write_string(row, column, str(value))
