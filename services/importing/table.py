"""A CSV file as rows of named cells, numbered as a spreadsheet numbers them."""

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import TypeVar

from services.importing.numbers import NumberStyle
from services.importing.report import ImportProblem
from services.importing.source import Source, UnreadableFile, read_text
from services.quantities.spreadsheet import as_written
from services.quantities.written_numbers import AmbiguousNumber, DecimalSign

Value = TypeVar("Value")

_PRINTED = 60
# Malayalam, Persian and others write these inside words, not in identifiers. Nothing else that is
# unprintable is meant.
JOINERS = str.maketrans("", "", "\u200c\u200d")
NO_BREAK_SPACE = "\u00a0"
# In a cell: what is known is taken away. An empty cell leaves it.
TAKE_AWAY = "-"
_POWER_OF_TEN = re.compile(r"[0-9]([.,][0-9]+)?E\+[0-9]+", re.IGNORECASE)

_SEPARATORS = re.compile(r"[/\\]")


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
            self.refuse(column, "is empty: fill it in.")
        elif len(value) > most:
            self.refuse(column, f"is longer than {most} characters.")
        elif not value.translate(JOINERS).isprintable():
            self.refuse(column, "holds a line break or another character that cannot be printed.")
        return value

    def identifier(self, column: str, *, most: int = 60, required: bool = True) -> str:
        """A text that names something; one that a spreadsheet took for a number is refused."""
        value = self.text(column, most=most, required=required)
        if value != value.translate(JOINERS):
            self.refuse(column, "holds a character that cannot be seen: type it again.")
        if {".", ".."} & set(_SEPARATORS.split(value)):
            self.refuse(column, "holds . or .. as a part, which reads as a path of a file.")
        if _POWER_OF_TEN.fullmatch(value):
            self.refuse(
                column,
                f"{value} is a number that a spreadsheet shortened, and its last digits are lost. "
                "Give the column the format Text there, enter it again, and save the file.",
            )
        return value

    def changed(self, column: str, *, most: int) -> str | None:
        """A text that may be left out: None leaves what is known, and the sign - takes it away."""
        value = self.text(column, most=most)
        return "" if value == TAKE_AWAY else value or None

    def parsed(self, column: str, parse: Callable[[str], Value]) -> Value | None:
        """What `parse` makes of the cell; None after a ValueError, whose message is reported."""
        try:
            return parse(self.values.get(column, ""))
        except ValueError as error:
            self.refuse(column, str(error))
            return None

    def refuse(self, column: str, message: str) -> None:
        """Report what is wrong with a cell."""
        self.problems.append(ImportProblem(self.row, column, message))


@dataclass
class Table:
    """A file's header and its rows; walking through the rows may add to `problems`."""

    columns: list[str]
    ignored: tuple[str, ...]
    problems: list[ImportProblem] = field(default_factory=list)
    _records: Iterator[list[str]] = field(default_factory=lambda: iter(()))
    _header_row: int = 1
    _numbers: frozenset[str] = frozenset()
    _style: NumberStyle = field(default_factory=NumberStyle)

    def rows(self) -> Iterator[Cells]:
        """The rows that are not blank; numbers have a decimal point.

        A row with too few or too many cells, or with a number that may be two, is only reported.
        """
        seen = 0
        number = self._header_row
        try:
            for number, record in enumerate(self._records, start=self._header_row + 1):
                cells = [as_written(cell.strip()) for cell in record]
                if not any(cells):
                    continue
                seen += 1
                if len(cells) < len(self.columns) or any(cells[len(self.columns) :]):
                    self.problems.append(ImportProblem(number, "", self._miscounted(len(cells))))
                    continue
                named = dict(zip(self.columns, cells, strict=False))
                if self._write_numbers_plainly(number, named):
                    yield Cells(number, named, self.problems)
        except csv.Error as error:
            self.problems.append(ImportProblem(number + 1, "", _csv_problem(error)))
        if not seen and not self.problems:
            self.problems.append(ImportProblem(None, "", "There are no rows below the header."))

    def _write_numbers_plainly(self, row: int, named: dict[str, str]) -> bool:
        """Whether each number of a row is clear; those that are not are reported."""
        known = len(self.problems)
        for column in self._numbers:
            try:
                named[column] = _plain(named[column], self._style)
            except AmbiguousNumber as error:
                self.problems.append(ImportProblem(row, column, str(error)))
        return len(self.problems) == known

    def _miscounted(self, found: int) -> str:
        return (
            f"has {found} cells where the header names {len(self.columns)}. Put a value that "
            "holds a comma or semicolon between quotation marks."
        )


def read_table(
    source: Source,
    *,
    required: Sequence[str],
    optional: Sequence[str] = (),
    prefix: str | None = None,
    numbers: Sequence[str] = (),
    decimal: DecimalSign | None = None,
) -> Table:
    """Open a CSV with at least the required columns, in any order, comma or semicolon between.

    Names of columns are compared without case and spaces around them. Columns named in neither
    list, and not beginning with `prefix`, are ignored, and listed in `ignored`. The columns
    `numbers`, and those with the prefix, hold numbers: `decimal` says how the file writes them,
    else a file with semicolons must show it (services/importing/numbers.py).
    Raises UnreadableFile.
    """
    text = read_text(source)
    delimiter = _delimiter(text)
    records = _records_of(text, delimiter)
    try:
        header_row, header = next(
            (number, record)
            for number, record in enumerate(records, start=1)
            if any(cell.strip() for cell in record)
        )
    except StopIteration:
        raise UnreadableFile("The file has only blank lines.") from None
    except csv.Error as error:
        raise UnreadableFile(_csv_problem(error), row=1) from None
    columns = [cell.strip().lower() for cell in header]
    while columns and not columns[-1]:
        columns.pop()
    if prefix is not None:
        prefixed = [c for c in dict.fromkeys(columns) if c.startswith(prefix)]
        optional, numbers = (*optional, *prefixed), (*numbers, *prefixed)
    _check_columns(columns, required, optional)
    ignored = tuple(c or "(no name)" for c in columns if c not in (*required, *optional))
    counted = frozenset(numbers) & set(columns)
    if decimal is None and delimiter == ",":
        # Where commas part the cells a number has a decimal point, and no grouping.
        counted = frozenset()
    style = NumberStyle(decimal) if decimal else _style_of(text, delimiter, columns, counted)
    return Table(
        columns, ignored, _records=records, _header_row=header_row, _numbers=counted, _style=style
    )


def _records_of(text: str, delimiter: str) -> Iterator[list[str]]:
    return csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)


def _plain(cell: str, style: NumberStyle) -> str:
    """A number, or names with numbers such as peak=430, with a decimal point."""
    if "=" not in cell:
        return style.plain(cell)
    pairs = (part.partition("=") for part in cell.split())
    return " ".join(f"{name}{equals}{style.plain(number)}" for name, equals, number in pairs)


def _numbers_in(cell: str) -> list[str]:
    """The numbers of a cell that holds one, or several by name."""
    return [part.partition("=")[2] for part in cell.split()] if "=" in cell else [cell]


def _style_of(text: str, delimiter: str, columns: Sequence[str], numbers: Set[str]) -> NumberStyle:
    """How the number columns of the whole file are written. Raises UnreadableFile."""
    places = [place for place, column in enumerate(columns) if column in numbers]
    cells = (
        number
        for record in _records_of(text, delimiter)
        for place in places
        if place < len(record)
        for number in _numbers_in(record[place].strip())
    )
    try:
        return NumberStyle.of_cells(cells)
    except AmbiguousNumber as error:
        raise UnreadableFile(str(error)) from None
    except csv.Error:
        # Walking through the rows says where the file is broken.
        return NumberStyle()


def _check_columns(
    columns: Sequence[str], required: Sequence[str], optional: Sequence[str]
) -> None:
    missing = [name for name in required if name not in columns]
    if missing:
        raise UnreadableFile(
            f"The header lacks the column{'s' if len(missing) > 1 else ''} {', '.join(missing)}. "
            f"It must name {', '.join(required)}."
        )
    twice = [name for name in (*required, *optional) if columns.count(name) > 1]
    if twice:
        raise UnreadableFile(f"The header names {', '.join(twice)} twice.")


def _delimiter(text: str) -> str:
    header = next(line for line in text.splitlines() if line.strip())
    return ";" if header.count(";") > header.count(",") else ","


def _csv_problem(error: csv.Error) -> str:
    if "unexpected end" in str(error):
        return "a quotation mark is opened here and never closed."
    if "field larger" in str(error):
        return "a cell is longer than 100,000 characters: look for a missing quotation mark."
    return f"the quotation marks are not as CSV has them ({str(error)[:_PRINTED]})."
