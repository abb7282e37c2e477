"""How one file writes what may be written in two ways: its numbers and its dates."""

import csv
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass, field
from typing import Final

from services.importing.dates import AmbiguousDate, DateOrder, DateStyle
from services.importing.numbers import NumberStyle
from services.importing.raw_rows import Header, RawRows, rows_below
from services.importing.source import UnreadableFile
from services.importing.workbook import TypedText
from services.quantities.written_numbers import AmbiguousNumber, DecimalSign

_MOST_KNOWN: Final = 50_000
Texts = Callable[[Set[str]], Iterator[str]]


@dataclass(frozen=True, slots=True)
class FileStyles:
    """The columns that hold numbers and dates, and how the file writes them."""

    numbers: frozenset[str] = frozenset()
    dates: frozenset[str] = frozenset()
    number_style: NumberStyle = field(default_factory=NumberStyle)
    date_style: DateStyle = field(default_factory=DateStyle)
    # Those that hold numbers or dates.
    columns: tuple[str, ...] = field(init=False)
    # The same texts stand in many rows.
    _known: dict[tuple[str, str], str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "columns", tuple(self.numbers | self.dates))

    def plain(self, column: str, cell: str) -> str:
        """A cell with a decimal point, or a date as 2026-03-01.

        Raises AmbiguousNumber, AmbiguousDate.
        """
        if isinstance(cell, TypedText) or not cell:
            return str(cell)
        known = self._known.get((column, cell))
        if known is None:
            known = self._plain(column, cell)
            if len(self._known) < _MOST_KNOWN:
                self._known[column, cell] = known
        return known

    def _plain(self, column: str, cell: str) -> str:
        if column in self.dates:
            return self.date_style.plain(cell)
        return _plain(cell, self.number_style) if column in self.numbers else cell


def styles_of(
    raw: RawRows,
    header: Header,
    fields: Sequence[str | None],
    *,
    numbers: Set[str],
    dates: Set[str],
    decimal: DecimalSign | None,
    date_order: DateOrder | None,
) -> FileStyles:
    """The styles that the whole file shows, or that were said.

    `fields` are the columns of the file. Raises UnreadableFile where it writes in both ways.
    """

    def texts(columns: Set[str]) -> Iterator[str]:
        return _texts(raw, header, [at for at, field in enumerate(fields) if field in columns])

    try:
        number_style = NumberStyle(decimal) if decimal else _number_style(texts, numbers)
        date_style = DateStyle(date_order) if date_order else DateStyle.of_cells(texts(dates))
        if raw.separator == "," and number_style.decimal is None and _no_comma(texts, numbers):
            # Where commas part the cells, a number without one has a decimal point.
            number_style = NumberStyle("point")
            if all(map(str.isascii, texts(numbers))):
                # So every one is written plainly already.
                numbers = frozenset()
    except (AmbiguousNumber, AmbiguousDate) as error:
        raise UnreadableFile(str(error)) from None
    except csv.Error:
        # Walking through the rows says where the file is broken.
        return FileStyles()
    return FileStyles(frozenset(numbers), frozenset(dates), number_style, date_style)


def _texts(raw: RawRows, header: Header, places: Sequence[int]) -> Iterator[str]:
    """The texts of columns, each once or nearly so."""
    known: set[str] = set()
    for _, record in rows_below(raw, header.row) if places else ():
        for place in places:
            if place >= len(record) or (cell := record[place]) in known:
                continue
            if isinstance(cell, TypedText):
                continue
            if len(known) < _MOST_KNOWN:
                known.add(cell)
            yield cell.strip()


def _number_style(texts: Texts, numbers: Set[str]) -> NumberStyle:
    return NumberStyle.of_cells(part for cell in texts(numbers) for part in _numbers_in(cell))


def _no_comma(texts: Texts, numbers: Set[str]) -> bool:
    return not any("," in cell for cell in texts(numbers))


def _plain(cell: str, style: NumberStyle) -> str:
    """A number, or names with numbers such as peak=430, with a decimal point."""
    if "=" not in cell:
        return style.plain(cell)
    pairs = (part.partition("=") for part in cell.split())
    return " ".join(f"{name}{equals}{style.plain(number)}" for name, equals, number in pairs)


def _numbers_in(cell: str) -> list[str]:
    """The numbers of a cell that holds one, or several by name."""
    return [part.partition("=")[2] for part in cell.split()] if "=" in cell else [cell]
