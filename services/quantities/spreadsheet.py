"""The one way to write a table for a spreadsheet, and to take one back.

A spreadsheet runs a cell that begins like a formula, so such text gets an apostrophe before it
(OWASP, CSV Injection), which our own imports take off again. A byte order mark at the start tells
Excel that the file is UTF-8.
"""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from typing import Final

from services.quantities.money import Money

# The full-width forms count as formulas in East Asian versions.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")

_NUMBER: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?")


def csv_file(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """A header and rows as CSV in UTF-8 with a byte order mark.

    Text is written so that no spreadsheet takes it for a formula. Money and other numbers are
    written as they are: they may begin with a minus.
    """
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(columns)
    writer.writerows([_cell(value) for value in row] for row in rows)
    # A half of a surrogate pair, which UTF-8 has no bytes for, must not lose the whole file.
    return out.getvalue().encode("utf-8-sig", errors="replace")


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


def _cell(value: object) -> str:
    if isinstance(value, Money):
        return value.text
    return harmless(value) if isinstance(value, str) else str(value)
