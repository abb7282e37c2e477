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

    def is_on(self, row: int) -> bool:
        """Whether a bill has this line."""
        return bool(self.shown[row if len(self.shown) > 1 else 0])

    def printed(self, row: int, *, places: int, part: Period | None = None) -> BillLine:
        """The line of one bill, in a currency of so many places."""
        line = self.columns
        slabs = [_slab_part(s, row, places) for s in line.slabs if s.used.at(row)]
        detail = line.detail(row) if line.detail else None
        return BillLine(
            code=line.code,
            description=f"{line.description}, {detail}" if detail else line.description,
            tax=line.tax,
            quantity=_quantity_text(line, row, places),
            unit=line.unit,
            rate=_rate_text(line, slabs, row),
            amount_minor=int(self.amount_minor[row if len(self.amount_minor) > 1 else 0]),
            slabs=tuple(slabs),
            note=line.note(row) if line.note else None,
            part=part,
        )


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


def _quantity_text(line: LineColumns, row: int, places: int) -> str:
    value = line.quantity.at(row)
    if line.unit == "%":
        return _money_text(value, places)
    if line.unit in _COUNTED:
        return count_text(value)
    return decimal_text(value)


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


def _slab_part(slab: SlabColumns, row: int, places: int) -> SlabPart:
    end = None if slab.end is None else slab.end.at(row)
    return SlabPart(
        from_kwh=decimal_text(slab.start.at(row) / 1000),
        to_kwh=None if end is None else decimal_text(end / 1000),
        quantity=decimal_text(slab.used.at(row) / 1000),
        rate=slab.rate,
        amount=decimal_text(slab.amount.at(row), least_places=places),
    )
