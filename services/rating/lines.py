"""Lines of bills as columns, and how the line of one bill is printed from them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final

import numpy as np

from services.quantities.money import decimal_text, round_half_up, scaled_text
from services.quantities.period import Period
from services.rating.exact_columns import Column, Mask, Whole
from services.rating.pricing_context import present
from services.rating.proration import count_text
from services.rating.rated_bill import BillLine, SlabPart, Unit

Words = Callable[[int], str | None]  # for a row, the words that its line has

_MONEY_PLACES: Final = 12  # shown of an amount whose decimals do not end
_ALL: Final[Mask] = np.array([True])
_COUNTED: Final = frozenset[Unit](("day", "month", "bill", "year"))


@dataclass(frozen=True, slots=True, eq=False)
class SlabColumns:
    """A slab of a line: Wh (W) within its bounds at its rate; `end` None is without bound."""

    start: Column
    end: Column | None
    used: Column
    rate: str
    amount: Column


@dataclass(frozen=True, slots=True, eq=False)
class LineColumns:
    """One line of N bills, unrounded; `shown` None means that each bill has it.

    `quantity` is in `unit`, `amount` in whole currency. Where the words differ between bills they
    are functions of the row.
    """

    code: str
    description: str
    tax: bool
    quantity: Column
    unit: Unit
    rate: str | None
    amount: Column
    shown: Mask | None = None
    slabs: tuple[SlabColumns, ...] = ()
    detail: Words | None = None
    rate_of: Words | None = None
    note: Words | None = None


@dataclass(frozen=True, slots=True, eq=False)
class PricedLine:
    """A line with its amounts: what others are computed from, and in minor units as printed.

    Bills without the line have 0.
    """

    columns: LineColumns
    amount: Column
    amount_minor: Whole

    @property
    def shown(self) -> Mask:
        """Which bills have this line."""
        return _ALL if self.columns.shown is None else self.columns.shown

    def printed(
        self, rows: int, *, places: int, part: Period | None = None
    ) -> list[BillLine | None]:
        """The line of each bill, None where it has none, in a currency of so many places."""
        line = self.columns
        quantities = _quantity_texts(line, rows, places)
        amounts = np.broadcast_to(self.amount_minor, rows).tolist()
        slabs = _slab_parts(line.slabs, rows, places)
        found: list[BillLine | None] = []
        for row, is_on in enumerate(np.broadcast_to(self.shown, rows).tolist()):
            if not is_on:
                found.append(None)
                continue
            detail = line.detail(row) if line.detail else None
            found.append(
                BillLine(
                    code=line.code,
                    description=f"{line.description}, {detail}" if detail else line.description,
                    tax=line.tax,
                    quantity=quantities[row],
                    unit=line.unit,
                    rate=_rate_text(line, slabs[row], row),
                    amount_minor=amounts[row],
                    slabs=slabs[row],
                    note=line.note(row) if line.note else None,
                    part=part,
                )
            )
        return found


def by_bill(printed: Sequence[Sequence[BillLine | None]], bills: int) -> list[tuple[BillLine, ...]]:
    """Of each of so many bills the lines that it has, of all their lines, each printed for all."""
    if not printed:
        return [()] * bills
    return [tuple(line for line in of_bill if line) for of_bill in zip(*printed, strict=True)]


def used_lines(lines: Sequence[LineColumns]) -> list[LineColumns]:
    """The lines of one charge without those of nothing; where nothing was used, the first."""
    used = [present(line.quantity) for line in lines]
    if len(lines) == 1:
        return list(lines)
    nothing = ~used[0]
    for mask in used[1:]:
        nothing = nothing & ~mask
    used[0] = used[0] | nothing
    return [replace(line, shown=mask) for line, mask in zip(lines, used, strict=True)]


def in_words(*phrases: str | None) -> str | None:
    """The phrases that there are, as one note."""
    return "; ".join(phrase for phrase in phrases if phrase) or None


def bounds_in_words(start: Fraction, end: Fraction | None, unit: str) -> str:
    """A slab's bounds: "50 to 100 kWh", "above 100 kWh", "all kWh"."""
    if end is not None:
        return f"{decimal_text(start)} to {decimal_text(end)} {unit}"
    return f"above {decimal_text(start)} {unit}" if start else f"all {unit}"


def _quantity_texts(line: LineColumns, rows: int, places: int) -> list[str]:
    quantity = line.quantity
    if line.unit == "%":
        if 10**_MONEY_PLACES % quantity.den == 0:
            return quantity.texts(rows, least_places=places)
        return _each(quantity, rows, lambda value: _money_text(value, places))
    if line.unit in _COUNTED:
        return _each(quantity, rows, count_text)
    return quantity.texts(rows)


def _each(column: Column, rows: int, text: Callable[[Fraction], str]) -> list[str]:
    if len(column.num) == 1:
        return [text(column.at(0))] * rows
    return [text(column.at(row)) for row in range(rows)]


def _money_text(value: Fraction, places: int) -> str:
    """Whole minor units as such; what an unrounded line comes to with all its decimals."""
    if 10**_MONEY_PLACES % value.denominator == 0:
        return decimal_text(value, least_places=places)
    return scaled_text(round_half_up(value * 10**_MONEY_PLACES), places=_MONEY_PLACES)


def _rate_text(line: LineColumns, slabs: Sequence[SlabPart], row: int) -> str | None:
    if line.rate_of:
        return line.rate_of(row)
    if not line.slabs:
        return line.rate
    rates = [slab.rate for slab in slabs] or [line.slabs[0].rate]
    return rates[0] if len(rates) == 1 else None


def _slab_parts(slabs: Sequence[SlabColumns], rows: int, places: int) -> list[tuple[SlabPart, ...]]:
    """Of each bill the parts in the slabs that it used."""
    if not slabs:
        return [()] * rows
    used = [np.broadcast_to(slab.used.num, rows).tolist() for slab in slabs]
    texts = [
        (
            slab.start.texts(rows, over=1000),
            [None] * rows if slab.end is None else slab.end.texts(rows, over=1000),
            slab.used.texts(rows, over=1000),
            [slab.rate] * rows,
            slab.amount.texts(rows, least_places=places),
        )
        for slab in slabs
    ]
    parts = [
        [
            SlabPart(*text) if wh else None
            for wh, text in zip(whs, zip(*of, strict=True), strict=True)
        ]
        for whs, of in zip(used, texts, strict=True)
    ]
    return [tuple(part for part in of_bill if part) for of_bill in zip(*parts, strict=True)]
