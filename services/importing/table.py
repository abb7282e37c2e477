"""A file as rows of named cells, numbered as a spreadsheet numbers them."""

import csv
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from services.importing.columns import WantedColumns
from services.importing.dates import AmbiguousDate, DateOrder
from services.importing.raw_rows import (
    Header,
    RawRows,
    csv_problem,
    find_header,
    raw_rows,
    rows_below,
)
from services.importing.report import ImportProblem, Question
from services.importing.source import Source, UnreadableFile
from services.importing.styles import FileStyles, styles_of
from services.importing.workbook import TypedText
from services.languages.sentence import joined, nsentence, sentence, sentence_of
from services.quantities.spreadsheet import as_written
from services.quantities.written_numbers import AmbiguousNumber, DecimalSign

Value = TypeVar("Value")

# Malayalam, Persian and others write these inside words, not in identifiers. Nothing else that is
# unprintable is meant.
JOINERS = str.maketrans("", "", "\u200c\u200d")
NO_BREAK_SPACE = "\u00a0"
# In a cell: what is known is taken away. An empty cell leaves it.
TAKE_AWAY = "-"
_POWER_OF_TEN = re.compile(r"[0-9]([.,][0-9]+)?E\+[0-9]+", re.IGNORECASE)

_SEPARATORS = re.compile(r"[/\\]")
_TOTAL = re.compile(r"(grand |sub-?|page |report )?(totals?|sum)\b.*", re.IGNORECASE)
_LINE_BREAKS = re.compile(r"[\s,;]*[\r\n\v]+[\s,;]*")
_PRINTED = 60


@dataclass(frozen=True, slots=True)
class Cells:
    """One row's cells; what is wrong with them is collected, so that all of it is reported."""

    row: int
    values: Mapping[str, str]
    problems: list[ImportProblem]

    def text(self, column: str, *, most: int = 200, required: bool = False) -> str:
        """A trimmed text on one line of at most `most` characters."""
        value = " ".join(self.values.get(column, "").split(NO_BREAK_SPACE))
        if required and not value:
            self.refuse(column, sentence("is empty: fill it in."))
        elif len(value) > most:
            self.refuse(column, sentence("is longer than {most} characters.", most=most))
        elif not value.translate(JOINERS).isprintable():
            self.refuse(
                column, sentence("holds a line break or another character that cannot be printed.")
            )
        return value

    def identifier(self, column: str, *, most: int = 60, required: bool = True) -> str:
        """A text that names something; one that a spreadsheet took for a number is refused."""
        value = self.text(column, most=most, required=required)
        if value != value.translate(JOINERS):
            self.refuse(column, sentence("holds a character that cannot be seen: type it again."))
        if {".", ".."} & set(_SEPARATORS.split(value)):
            self.refuse(
                column, sentence("holds . or .. as a part, which reads as a path of a file.")
            )
        if _POWER_OF_TEN.fullmatch(value):
            self.refuse(
                column,
                sentence(
                    "{typed} is a number that a spreadsheet shortened, and its last digits are "
                    "lost. Give the column the format Text there, enter it again, and save the "
                    "file.",
                    typed=value,
                ),
            )
        return value

    def changed(self, column: str, *, most: int) -> str | None:
        """A text that may be left out: None leaves what is known, and the sign - takes it away."""
        value = self.text(column, most=most)
        return "" if value == TAKE_AWAY else value or None

    def lines(self, column: str, *, most: int) -> str | None:
        """A text of several lines as one, with commas between them; else like `changed`."""
        value = self.values.get(column, "").strip()
        joined = {**self.values, column: _LINE_BREAKS.sub(", ", value)}
        return Cells(self.row, joined, self.problems).changed(column, most=most)

    def parsed(self, column: str, parse: Callable[[str], Value]) -> Value | None:
        """What `parse` makes of the cell; None after a ValueError, whose message is reported."""
        try:
            return parse(self.values.get(column, ""))
        except ValueError as error:
            self.refuse(column, sentence_of(error))
            return None

    def refuse(self, column: str, message: str) -> None:
        """Report what is wrong with a cell."""
        self.problems.append(ImportProblem(self.row, column, message))


@dataclass
class Table:
    """A file's header and its rows; walking through the rows may add to `problems` and `asks`.

    `columns` has our name of each column, or the file's own where it is ignored.
    """

    columns: list[str]
    ignored: tuple[str, ...]
    header: Header
    remarks: tuple[str, ...]
    problems: list[ImportProblem] = field(default_factory=list)
    asks: set[Question] = field(default_factory=set)
    # Rows with a number or date that is unclear, by their number, for reports on every row.
    refused: dict[int, Mapping[str, str]] = field(default_factory=dict)
    _raw: RawRows | None = None
    _required: tuple[str, ...] = ()
    _styles: FileStyles = field(default_factory=FileStyles)

    def rows(self) -> Iterator[Cells]:
        """The rows that are not blank; numbers have a decimal point, dates are as 2026-03-01.

        A row with too few or too many cells, a total, or one with a number or date that may be
        two, is only reported.
        """
        seen = 0
        number = self.header.row
        try:
            for number, record in rows_below(self._raw, self.header.row):
                cells = [_trimmed(cell) for cell in record]
                if not any(cells):
                    continue
                seen += 1
                named = dict(zip(self.columns, cells, strict=False))
                if (problem := self._problem_of(cells, named)) is not None:
                    self.problems.append(ImportProblem(number, "", problem))
                    continue
                if self._write_plainly(number, named):
                    yield Cells(number, named, self.problems)
                else:
                    self.refused[number] = named
        except csv.Error as error:
            self.problems.append(ImportProblem(number + 1, "", csv_problem(error)))
        if not seen and not self.problems:
            self.problems.append(
                ImportProblem(None, "", sentence("There are no rows below the header."))
            )

    def _problem_of(self, cells: Sequence[str], named: Mapping[str, str]) -> str | None:
        """What is wrong with a row as a whole: it is a total, or cells are missing."""
        first = next(filter(None, cells))
        lacks = not all(map(named.get, self._required))
        if lacks and _TOTAL.fullmatch(first):
            return sentence(
                "looks like a total ({typed}): delete the row from the file.", typed=first[:40]
            )
        wanted = len(self.columns)
        if len(cells) != wanted and (len(cells) < wanted or any(cells[wanted:])):
            return nsentence(
                "has {count} cell where the header names {columns}. Put a value that holds a comma "
                "or semicolon between quotation marks.",
                "has {count} cells where the header names {columns}. Put a value that holds a "
                "comma or semicolon between quotation marks.",
                len(cells),
                columns=len(self.columns),
            )
        return None

    def _write_plainly(self, row: int, named: dict[str, str]) -> bool:
        """Whether each number and date of a row is clear; those that are not are reported."""
        known = len(self.problems)
        for column in self._styles.columns:
            try:
                named[column] = self._styles.plain(column, named[column])
            except AmbiguousNumber as error:
                self.problems.append(ImportProblem(row, column, sentence_of(error)))
                if self._styles.number_style.decimal is None:
                    self.asks.add("decimal")
            except AmbiguousDate as error:
                self.problems.append(ImportProblem(row, column, sentence_of(error)))
                self.asks.add("dates")
        return len(self.problems) == known


def read_table(
    source: Source,
    *,
    required: Sequence[str],
    optional: Sequence[str] = (),
    prefix: str | None = None,
    numbers: Sequence[str] = (),
    dates: Sequence[str] = (),
    decimal: DecimalSign | None = None,
    date_order: DateOrder | None = None,
    said: Mapping[str, str] | None = None,
) -> Table:
    """Open a CSV, XLSX or ODS with at least the required columns, in any order.

    The header may stand below titles, and name the columns in usual ways or as `said`
    (services/importing/columns.py). Columns named in neither list, and not beginning with `prefix`,
    are ignored, and listed in `ignored`. The columns `numbers`, and those with the prefix, hold
    numbers: `decimal` says how the file writes them, else it must show it; `date_order` likewise
    for the columns `dates`. Raises UnreadableFile.
    """
    wanted = WantedColumns(required, optional, prefix, said)
    raw = raw_rows(source, wanted=wanted)
    header = find_header(raw, wanted=wanted)
    fields = wanted.fields_of(header.headings)
    _check_columns(header.headings, fields, wanted)
    columns = [
        field or heading.lower() for field, heading in zip(fields, header.headings, strict=True)
    ]
    meant = {field for field in fields if field}
    prefixed = [field for field in meant if prefix is not None and field.startswith(prefix)]
    styles = styles_of(
        raw,
        header,
        fields,
        numbers=meant & {*numbers, *prefixed},
        dates=meant & set(dates),
        decimal=decimal,
        date_order=date_order,
    )
    left = [heading for field, heading in zip(fields, header.headings, strict=True) if not field]
    return Table(
        columns,
        tuple(heading.lower() or sentence("(no name)") for heading in left),
        header,
        tuple(raw.remarks),
        _raw=raw,
        _required=tuple(required),
        _styles=styles,
    )


def _trimmed(cell: str) -> str:
    return cell if isinstance(cell, TypedText) else as_written(cell.strip())


def _check_columns(
    headings: Sequence[str], fields: Sequence[str | None], wanted: WantedColumns
) -> None:
    twice = [name for name in dict.fromkeys(fields) if name and fields.count(name) > 1]
    if twice:
        raise UnreadableFile(sentence("The header names {names} twice.", names=", ".join(twice)))
    missing = [name for name in wanted.required if name not in fields]
    if missing:
        unknown = [h for h, f in zip(headings, fields, strict=True) if h and not f]
        own = ", ".join(heading[:_PRINTED] for heading in unknown[:10])
        what: dict[str, object] = {
            "missing": ", ".join(missing),
            "required": ", ".join(wanted.required),
        }
        lacks = (
            sentence("The header lacks the columns {missing}. It must name {required}.", **what)
            if len(missing) > 1
            else sentence("The header lacks the column {missing}. It must name {required}.", **what)
        )
        if own:
            lacks = joined([lacks, sentence("Of other names it has {names}.", names=own)], " ")
        raise UnreadableFile(lacks)
