"""A process of its own that reads one sheet of an XLSX or ODS workbook from its standard input.

Run as a script. A workbook may be made to need any amount of memory or time, and a library in
another language ends the whole process when it runs out: here that ends only this one. It prints
{"sheet", "others"} and then each row as JSON: a text as a string, and what the workbook holds as a
number, date or yes/no as a list of one text. With exit code 3 it prints a sentence instead.
"""

import io
import json
import sys
import zipfile
from contextlib import suppress
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Final

from python_calamine import CalamineError, CalamineWorkbook, SheetVisibleEnum

REFUSED: Final = 3
MOST_ROWS: Final = 500_000
MOST_COLUMNS: Final = 200
MOST_UNPACKED: Final = 500_000_000
MOST_PARTS: Final = 2_000
MOST_MEMORY: Final = 3_000_000_000
_AT_ONCE: Final = 1_000_000
# Beyond 15 digits a spreadsheet has lost some: written so that an identifier is refused.
_EXACT: Final = 10**15


class Refused(Exception):
    """The workbook is not read; the message says why and what to do."""


def main() -> int:
    """Read the workbook on standard input, print its rows, and answer the exit code."""
    _limit_memory()
    try:
        _print_rows(sys.stdin.buffer.read(), most_bytes=int(sys.argv[1]))
    except Refused as error:
        sys.stderr.write(str(error))
        return REFUSED
    return 0


def _limit_memory() -> None:
    if sys.platform != "win32":
        import resource  # noqa: PLC0415

        # Some systems have no such limit, others a lower one already.
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))


def _print_rows(data: bytes, *, most_bytes: int) -> None:
    _check_unpacked(data)
    try:
        book = CalamineWorkbook.from_filelike(io.BytesIO(data))
        sheets = [
            book.get_sheet_by_index(number)
            for number, sheet in enumerate(book.sheets_metadata)
            if sheet.visible is SheetVisibleEnum.Visible
        ]
    except CalamineError as error:
        raise Refused(
            f"The workbook cannot be read ({str(error)[:100]}). Open it and save it again as XLSX."
        ) from None
    filled = [(sheet, sheet.end) for sheet in sheets if sheet.end is not None]
    if not filled:
        raise Refused("The workbook has no cells on a sheet that is shown.")
    sheet, (last_row, last_column) = filled[0]
    name = sheet.name[:40]
    if last_row >= MOST_ROWS or last_column >= MOST_COLUMNS:
        raise Refused(
            f"The sheet {name} reaches to row {last_row + 1:,} and column {last_column + 1:,}; at "
            f"most {MOST_ROWS:,} rows and {MOST_COLUMNS} columns are read. Delete what lies below "
            "and beside the table, or split it."
        )
    _say(json.dumps({"sheet": name, "others": [other.name[:40] for other, _ in filled[1:]]}))
    written = 0
    for row in sheet.iter_rows():
        line = json.dumps([_cell(value) for value in row], ensure_ascii=True)
        written += len(line)
        if written > most_bytes:
            raise Refused(
                f"The sheet {name} holds more than {most_bytes // 1_000_000} MB of "
                "text. Split it and import the parts."
            )
        _say(line)


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")


def _check_unpacked(data: bytes) -> None:
    """Unpack everything once and count: what an archive says of its sizes need not be true."""
    too_large = (
        f"The workbook unpacks to more than {MOST_UNPACKED // 1_000_000} MB, which no table of "
        "this kind needs. Save the table alone as a new workbook, or split it."
    )
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            parts = archive.infolist()
            if len(parts) > MOST_PARTS or sum(part.file_size for part in parts) > MOST_UNPACKED:
                raise Refused(too_large)
            for part in parts:
                # Ends at the size it is said to have, and then compares the checksum.
                with archive.open(part) as unpacked:
                    while unpacked.read(_AT_ONCE):
                        pass
    except (zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, EOFError, OSError):
        raise Refused(
            "The workbook is damaged. Open it in a spreadsheet and save it again as XLSX."
        ) from None
    except RuntimeError:
        raise Refused("The workbook has a password. Save a copy without one.") from None
    except ValueError:
        raise Refused("This is not a workbook. Save the table as XLSX, ODS or CSV.") from None


def _cell(value: object) -> str | list[str]:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return ["yes" if value else "no"]
    if isinstance(value, int | float):
        return [_number(value)]
    if isinstance(value, datetime):
        return [_instant(value)]
    if isinstance(value, date | time):
        return [value.isoformat()]
    return [str(value)] if isinstance(value, timedelta) else ""


def _number(value: float) -> str:
    """Fifteen digits, as a spreadsheet shows them: 0.1 + 0.2 is 0.3."""
    if abs(value) >= _EXACT:
        return f"{value:.14E}"
    return f"{Decimal(f'{value:.15g}'):f}"


def _instant(value: datetime) -> str:
    """A day without a time as a date; a spreadsheet's fractions of a day make 09:59:59.9996."""
    rounded = (value + timedelta(milliseconds=500)).replace(microsecond=0)
    return rounded.date().isoformat() if rounded.time() == time.min else rounded.isoformat()


if __name__ == "__main__":
    sys.exit(main())
