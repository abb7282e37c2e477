"""Amounts per bill, month or day, also for each kW or kVA, and the minimum a bill comes to."""

from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import Final

import numpy as np

from services.rating.demand_charges import billed_w
from services.rating.exact_columns import ZERO, Column, Mask, decimal, total
from services.rating.lines import LineColumns, Words, in_words
from services.rating.pricing_context import PricingContext
from services.rating.proration import counted_in_words
from services.rating.rated_bill import Unit
from services.tariffs import FixedCharge, MinimumCharge

_LOADS: Final[dict[str, tuple[str, Unit]]] = {
    "connected_kw": ("connected_w", "kW"),
    "connected_kva": ("connected_va", "kVA"),
    "billed_kw": ("peak_w", "kW"),
}
_ALL: Final[Mask] = np.array([True])
_MONTHS_IN_YEAR: Final = Fraction(365, 12)


def fixed_lines(charge: FixedCharge, context: PricingContext) -> list[LineColumns]:
    """The one line of an amount."""
    stated = _Stated.of(charge, context)
    return [
        LineColumns(
            code=charge.code,
            description=charge.description,
            tax=charge.tax,
            quantity=stated.quantity,
            unit=stated.unit,
            rate=charge.amount,
            amount=stated.amount,
            note=stated.note,
        )
    ]


def minimum_lines(charge: MinimumCharge, context: PricingContext) -> list[LineColumns]:
    """The line of what other charges lack to a minimum; absent where they lack nothing.

    A year's minimum is asked for on the bill that closes the year, against all of the year's bills;
    where the first of them is the meter's first, for the months since then.
    """
    others, due = context.charged_by(charge.of), _ALL
    if charge.per == "year":
        if context.usage.closes_year is None or not context.usage.closes_year.any():
            return []
        others, due = others + _earlier_in_year(charge, context), context.usage.closes_year
    stated = _Stated.of(charge, context)
    missing = stated.amount - others
    return [
        LineColumns(
            code=charge.code,
            description=charge.description,
            tax=charge.tax,
            quantity=stated.quantity,
            unit=stated.unit,
            rate=None,
            amount=missing,
            shown=missing.exceeds(ZERO) & due,
            note=_less_others(context, stated, others),
        )
    ]


@dataclass(frozen=True, slots=True, eq=False)
class _Stated:
    """An amount for each bill, month, day or year, times the load it is stated for."""

    quantity: Column
    unit: Unit
    amount: Column
    note: Words

    @classmethod
    def of(cls, charge: FixedCharge | MinimumCharge, context: PricingContext) -> "_Stated":
        count = _count(charge, context)
        amount, note = decimal(charge.amount) * count, partial(_count_in_words, charge, context)
        if charge.times == "one":
            return cls(count, charge.per, amount, note)
        name, unit = _LOADS[charge.times]
        watts = billed_w(context) if charge.times == "billed_kw" else context.measured(name, charge)
        load = watts.times(Fraction(1, 1000))
        words = partial(_load_in_words, charge, context, count)
        return cls(load, unit, amount * load, words)


def _count(charge: FixedCharge | MinimumCharge, context: PricingContext) -> Column:
    """How many times the amount is due."""
    if charge.per == "year":
        return context.of_year
    if isinstance(charge, FixedCharge) and charge.days_as == "average_month":
        return context.months(charge).times(_MONTHS_IN_YEAR)
    if charge.per == "month" and charge.proration == "none":
        return context.of_bill
    return context.count(charge.per, charge)


def _count_in_words(
    charge: FixedCharge | MinimumCharge, context: PricingContext, row: int
) -> str | None:
    """The days behind a count that is not whole."""
    if charge.per == "year":
        of_year = counted_in_words(context.of_year.at(row) * 12, "month")
        return None if context.of_year.at(row) == 1 else f"{of_year} of the year"
    if charge.per == "day":
        if isinstance(charge, FixedCharge) and charge.days_as == "average_month":
            months = counted_in_words(context.months(charge).at(row), "month")
            days = context.months_in_words(charge, row) or f"× {months}"
            return f"{days}, a month being 365 ÷ 12 days"
        return None
    if charge.per == "month" and charge.proration == "days":
        return context.months_in_words(charge, row)
    return context.share_in_words(row)


def _load_in_words(
    charge: FixedCharge | MinimumCharge, context: PricingContext, count: Column, row: int
) -> str | None:
    """How many times an amount per kW is due, if not once."""
    times = count.at(row)
    if times == 1:
        return None
    days = _count_in_words(charge, context, row)
    return f"× {counted_in_words(times, charge.per)}{f' ({days})' if days else ''}"


def _earlier_in_year(charge: MinimumCharge, context: PricingContext) -> Column:
    """What was charged this year by earlier bills, and by earlier parts of this one."""
    earlier = context.measured("charged_this_year_minor", charge).times(context.minor_unit)
    before = context.charged_before
    return total([earlier, *(before[code] for code in charge.of if code in before)])


def _less_others(context: PricingContext, stated: _Stated, others: Column) -> Words:
    def words(row: int) -> str | None:
        least, charged = (context.money_text(of.at(row)) for of in (stated.amount, others))
        return in_words(f"a minimum of {least} less {charged} charged", stated.note(row))

    return words
