"""The rows of a file before anything is known of their meaning: CSV in its kinds, or a workbook."""

import csv
import io
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice, pairwise, zip_longest
from typing import Final

from services.importing.columns import WantedColumns
from services.importing.source import MOST_BYTES, Source, UnreadableFile, read_bytes, read_lines
from services.importing.workbook import UnreadableWorkbook, is_workbook, read_workbook
from services.languages.sentence import sentence, sentence_of

# The header stands among the first rows, below titles.
_LOOKED_AT: Final = 30
_SEPARATORS: Final = (",", ";", "\t", "|")
_SAID: Final = "sep="
_PRINTED: Final = 60


@dataclass(frozen=True, slots=True)
class RawRows:
    """Every row of a file, which may be walked through again; `remarks` are for the person.

    `separator` stands between the cells of a text, None in a workbook.
    """

    separator: str | None
    records: Callable[[], Iterator[list[str]]]
    remarks: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Header:
    """Where the header stands (1 is the first row) and its headings, without blanks at the end."""

    row: int
    headings: list[str]


def raw_rows(source: Source, *, wanted: WantedColumns) -> RawRows:
    """Open a text or a workbook. Raises UnreadableFile."""
    remarks: list[str] = []
    if not isinstance(source, str):
        source = read_bytes(source)
        if is_workbook(source):
            return _of_workbook(source)
    lines = read_lines(source, remarks=remarks)
    separator = _said_separator(lines.head) or _separator(lines.head, wanted)

    def records() -> Iterator[list[str]]:
        return csv.reader(lines.walk(), delimiter=separator, strict=True)

    return RawRows(separator, records, remarks)


def rows_below(rows: RawRows | None, row: int) -> Iterator[tuple[int, list[str]]]:
    """The rows below a row, each with its number."""
    return islice(enumerate(rows.records() if rows else (), start=1), row, None)


def find_header(rows: RawRows, *, wanted: WantedColumns) -> Header:
    """The row with the most known headings; else the first of those with the most cells.

    Headings that were merged over two rows stand partly in the row above. Raises UnreadableFile.
    """
    first = _first_rows(rows)
    if not any(_filled(record) for _, record in first):
        raise UnreadableFile(sentence("The file has only blank lines."))
    candidates = [
        Header(number, _headings(record, above))
        for (_, above), (number, record) in pairwise([(0, []), *first])
        if _filled(record)
    ]
    return max(candidates, key=lambda one: (*_score(one.headings, wanted), -one.row))


def _of_workbook(data: bytes) -> RawRows:
    try:
        book = read_workbook(data, most_bytes=MOST_BYTES)
    except UnreadableWorkbook as error:
        raise UnreadableFile(sentence_of(error)) from None
    remarks: list[str] = []
    if book.others:
        remarks.append(
            sentence(
                "Read from the sheet {sheet}; left out: {others}.",
                sheet=book.sheet,
                others=", ".join(book.others[:10]),
            )
        )
    return RawRows(None, book.records, remarks)


def _first_rows(rows: RawRows) -> list[tuple[int, list[str]]]:
    """The first rows with their numbers, up to one that the CSV reader refuses."""
    first: list[tuple[int, list[str]]] = []
    filled = 0
    try:
        for number, record in enumerate(rows.records(), start=1):
            said = number == 1 and len(record) <= 2 and record[:1] and _is_said(record[0])
            first.append((number, [] if said else record))
            filled += _filled(record) > 0
            if filled >= _LOOKED_AT:
                break
    except csv.Error as error:
        if not any(_filled(record) for _, record in first):
            raise UnreadableFile(csv_problem(error), row=len(first) + 1) from None
    return first


def _score(record: Sequence[str], wanted: WantedColumns) -> tuple[int, int]:
    known = sum(field is not None for field in wanted.fields_of(record))
    # One alone may be a value below headings of somebody's own, such as a customer named Client.
    is_enough = known >= min(2, len(wanted.required))
    return known if is_enough else 0, _filled(record)


def _headings(record: Sequence[str], above: Sequence[str]) -> list[str]:
    """A row as headings, with those that stand only in the row above, which is no title."""
    over = above if _filled(above) > 1 else ()
    pairs = zip_longest(record, over, fillvalue="")
    headings = [" ".join((cell.strip() or upper).split()) for cell, upper in pairs]
    while headings and not headings[-1]:
        headings.pop()
    return headings


def _filled(record: Sequence[str]) -> int:
    return sum(bool(cell.strip()) for cell in record)


def _separator(text: str, wanted: WantedColumns) -> str:
    """What stands between the cells: it gives the most known headings, else the evenest rows."""
    scores = {sign: _score_of_separator(text, sign, wanted) for sign in _SEPARATORS}
    return max(_SEPARATORS, key=lambda one: scores[one])


def _score_of_separator(text: str, sign: str, wanted: WantedColumns) -> tuple[int, int, int]:
    first: list[list[str]] = []
    with suppress(csv.Error):
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=sign, strict=True)
        first.extend(islice((record for record in reader if record), _LOOKED_AT))
    known = max((_score(record, wanted)[0] for record in first), default=0)
    widths = Counter(len(record) for record in first if len(record) > 1)
    width, rows = max(widths.items(), key=lambda one: one[::-1], default=(0, 0))
    return known, rows, width


def _said_separator(text: str) -> str | None:
    """Excel's own first line, such as sep=;"""
    line = text[:10].splitlines()[0] if text[:10].strip() else ""
    return line[len(_SAID)] if _is_said(line) and len(line) == len(_SAID) + 1 else None


def _is_said(cell: str) -> bool:
    return cell.strip().lower().startswith(_SAID)


def csv_problem(error: csv.Error) -> str:
    """What is wrong with the quotation marks of a CSV."""
    if "unexpected end" in str(error):
        return sentence("a quotation mark is opened here and never closed.")
    if "field larger" in str(error):
        return sentence(
            "a cell is longer than 100,000 characters: look for a missing quotation mark."
        )
    return sentence(
        "the quotation marks are not as CSV has them ({error}).", error=str(error)[:_PRINTED]
    )
