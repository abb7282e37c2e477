"""What a report is: what it answers, what it asks for, its columns and its chart."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final, Literal

from services.quantities.money import Money

# Money as such, kWh and other numbers as Decimal, counts as int.
Cell = str | date | Money | Decimal | int | None
Row = tuple[Cell, ...]
ColumnKind = Literal["text", "date", "money", "kwh", "number", "person"]
# Days from one to another, or all up to the end of one day.
Asks = Literal["span", "as_of"]
Span = Literal["month", "year", "day"]


@dataclass(frozen=True, slots=True)
class Column:
    """A column; its name is the header of files too. kWh are shown as such."""

    name: str
    kind: ColumnKind = "text"
    # What people need not see on the page.
    only_in_files: bool = False


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars: `amount` of each `by`, of one currency; `stacked` names what parts of a bar are."""

    by: str
    amount: str
    stacked: str | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """A report. `span` is what it asks for at first: the last month, or the last year.

    The rows of a report that is `walked` come page by page; those of the others are few.
    """

    id: str
    title: str
    answers: str
    asks: Asks
    columns: Sequence[Column]
    span: Span = "month"
    walked: bool = False
    chart: Chart | None = None

    @property
    def header(self) -> tuple[str, ...]:
        """The names of all columns, as files have them."""
        return tuple(column.name for column in self.columns)


@dataclass(frozen=True, slots=True)
class Asked:
    """The local dates that a report is of: [start, until); one as of a day ends with it."""

    start: date
    until: date


def money(name: str) -> Column:
    """A column of amounts."""
    return Column(name, "money")


def number(name: str) -> Column:
    """A column of counts or other numbers."""
    return Column(name, "number")


def day(name: str) -> Column:
    """A column of local dates."""
    return Column(name, "date")


CURRENCY: Final = Column("currency")
