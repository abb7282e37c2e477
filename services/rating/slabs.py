"""Slabs: how much of a quantity falls between which limits, what it costs, and its lines.

Quantities and limits are whole Wh for rates per kWh, and whole W for rates per kW.
"""

from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import lru_cache

from services.rating.exact_columns import ZERO, Column, Mask, decimal, total
from services.rating.lines import LineColumns, SlabColumns, Words, bounds_in_words
from services.rating.rated_bill import Unit
from services.tariffs import Charge

Limits = Sequence[Column | None]  # the upper bound of each slab; None is without bound
Filling = Callable[[Column, Limits], list[Column]]


def telescopic(used: Column, limits: Limits) -> list[Column]:
    """Each slab takes what is above the one before it, up to its own limit."""
    parts: list[Column] = []
    reached = ZERO
    for limit in limits:
        upto = used if limit is None else used.at_most(limit)
        parts.append(upto - reached)
        reached = upto
    return parts


def whole_use(used: Column, limits: Limits) -> list[Column]:
    """The slab that the use reaches takes all of it; a use on a limit is in the lower slab."""
    parts: list[Column] = []
    above: Mask | None = None  # which uses are above the limits so far
    for limit in limits:
        here = used if above is None else used.only(above)
        if limit is not None:
            above = used.exceeds(limit)
            here = here.only(~above)
        parts.append(here)
    return parts


def slabs_of(parts: Sequence[Column], limits: Limits, rates: Sequence[str]) -> list[SlabColumns]:
    """The parts with their bounds, rates and exact amounts."""
    starts = [ZERO, *(limit for limit in limits if limit is not None)]
    return [
        SlabColumns(start, end, used, rate, cost(used, rate))
        for start, end, used, rate in zip(starts, limits, parts, rates, strict=True)
    ]


def cost(used: Column, rate: str) -> Column:
    """Exact whole currency for Wh (W) at a rate per kWh (kW)."""
    return used * _per_thousandth(rate)


def rated_line(
    charge: Charge, unit: Unit, *, used: Column, rate: str, detail: str | None = None
) -> LineColumns:
    """A line of one quantity at one rate."""
    return LineColumns(
        code=charge.code,
        description=charge.description,
        tax=charge.tax,
        quantity=used.times(Fraction(1, 1000)),
        unit=unit,
        rate=rate,
        amount=cost(used, rate),
        detail=_always(detail),
    )


def slab_lines(
    charge: Charge,
    unit: Unit,
    *,
    slabs: Sequence[SlabColumns],
    line_per_slab: bool,
    detail: str | None = None,
) -> list[LineColumns]:
    """A line for each slab, or one line with the slabs in it."""
    if line_per_slab:
        return [_line_of_slab(charge, unit, slab, detail) for slab in slabs]
    return [
        LineColumns(
            code=charge.code,
            description=charge.description,
            tax=charge.tax,
            quantity=total([slab.used for slab in slabs]).times(Fraction(1, 1000)),
            unit=unit,
            rate=None,
            amount=total([slab.amount for slab in slabs]),
            slabs=tuple(slabs),
            detail=_always(detail),
        )
    ]


def _line_of_slab(charge: Charge, unit: Unit, slab: SlabColumns, detail: str | None) -> LineColumns:
    def words(row: int) -> str | None:
        if not slab.used.at(row):
            return detail
        end = None if slab.end is None else slab.end.at(row) / 1000
        bounds = bounds_in_words(slab.start.at(row) / 1000, end, unit)
        return f"{detail}, {bounds}" if detail else bounds

    return LineColumns(
        code=charge.code,
        description=charge.description,
        tax=charge.tax,
        quantity=slab.used.times(Fraction(1, 1000)),
        unit=unit,
        rate=slab.rate,
        amount=slab.amount,
        detail=words,
    )


@lru_cache(maxsize=4096)
def _per_thousandth(rate: str) -> Column:
    return decimal(rate).times(Fraction(1, 1000))


def _always(detail: str | None) -> Words | None:
    return (lambda _: detail) if detail else None
