"""Charges per kW, kVA and kVAr of the highest demand, with ratchet, minimum and rounding."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from typing import Final

from services.quantities.counting import count
from services.quantities.money import decimal_text
from services.rating.exact_columns import ONE, ZERO, Column, Whole, decimal
from services.rating.lines import LineColumns, in_words, used_lines
from services.rating.pricing_context import PricingContext, present
from services.rating.proration import counted_in_words
from services.rating.rated_bill import Unit
from services.rating.slabs import rated_line, slab_lines, slabs_of, telescopic
from services.tariffs import DemandCharge, DemandSlab, Ratchet, exact

_MEASURED: Final[dict[str, tuple[str, Unit]]] = {
    "kw": ("peak_w", "kW"),
    "kva": ("peak_va", "kVA"),
    "kvar": ("peak_var", "kVAr"),
}


def demand_lines(charge: DemandCharge, context: PricingContext) -> list[LineColumns]:
    """The lines of one charge per kW, kVA or kVAr: one, or one a period of its calendar."""
    if charge.calendar is None:
        billed = billed_demand(charge, context, _measured(charge, context))
        lines = [_line(charge, context, billed, rate=charge.rate, slabs=charge.slabs)]
    else:
        lines = _lines_of_periods(charge, context, charge.calendar)
    return used_lines([_for_months(charge, context, line) for line in lines])


@dataclass(frozen=True, slots=True, eq=False)
class Billed:
    """Demand in W (VA, var): as measured, the least by the ratchet or the contract, as billed."""

    measured: Column
    ratchet: Column
    least: Column
    watts: Column


def billed_demand(charge: DemandCharge, context: PricingContext, measured: Column) -> Billed:
    """The measured demand or, where they are more, the ratchet's or the least; then rounded."""
    ratchet = _ratchet(charge.ratchet, _past(charge, context)) if charge.ratchet else ZERO
    least = decimal(charge.at_least_kw).times(1000).rounded() if charge.at_least_kw else ZERO
    watts = measured.at_least(ratchet).at_least(least)
    if charge.demand_to:
        rule = charge.demand_to
        watts = watts.rounded(rule.mode, exact(rule.to) * 1000)
    return Billed(measured, ratchet, least, watts)


def billed_w(context: PricingContext) -> Column:
    """The bill's billed demand in W: of the first charge per kW at all times, else the peak."""
    for charge in context.tariff.charges:
        if isinstance(charge, DemandCharge) and charge.quantity == "kw" and not charge.calendar:
            return billed_demand(charge, context, _measured(charge, context)).watts
    return context.measured("peak_w", context.tariff.charges[0])


def _measured(charge: DemandCharge, context: PricingContext) -> Column:
    name, _ = _MEASURED[charge.quantity]
    measured = context.measured(name, charge)
    if charge.free_per_kw is None:
        return measured
    free = (context.measured("peak_w", charge) * decimal(charge.free_per_kw)).rounded()
    return (measured - free).at_least(ZERO)


def _past(charge: DemandCharge, context: PricingContext) -> Whole | None:
    name, _ = _MEASURED[charge.quantity]
    return context.past_peaks(name)


def _ratchet(rule: Ratchet, past: Whole | None) -> Column:
    """A percent of the highest of the last months, in whole W (VA, var)."""
    if past is None:
        return ZERO
    highest = Column.of(past[:, : rule.months].max(axis=1))
    return (highest * decimal(rule.percent)).times(Fraction(1, 100)).rounded()


def _lines_of_periods(
    charge: DemandCharge, context: PricingContext, calendar: str
) -> list[LineColumns]:
    """A line for each period of the calendar that the bill's days have."""
    periods, days_of = context.calendar(calendar).periods, context.occurring(calendar)
    peaks = context.peaks_by_period(_MEASURED[charge.quantity][0], calendar)
    if peaks is None:
        peaks = context.in_one_season(_measured(charge, context), calendar, charge)
    lines = []
    for period, peak, days in zip(periods, peaks, days_of, strict=True):
        billed = billed_demand(charge, context, peak)
        # A season that is not in the bill has no least demand either.
        billed = replace(billed, watts=billed.watts.only(present(days)))
        rate = charge.rates[period] if charge.rates else None
        slabs = charge.period_slabs[period] if charge.period_slabs else None
        detail = period.replace("_", " ")
        lines.append(_line(charge, context, billed, rate=rate, slabs=slabs, detail=detail))
    return lines


def _line(
    charge: DemandCharge,
    context: PricingContext,
    billed: Billed,
    *,
    rate: str | None,
    slabs: Sequence[DemandSlab] | None,
    detail: str | None = None,
) -> LineColumns:
    _, unit = _MEASURED[charge.quantity]
    if slabs is None:
        line = rated_line(charge, unit, used=billed.watts, rate=str(rate), detail=detail)
    else:
        limits = [
            None if slab.up_to_kw is None else decimal(slab.up_to_kw).times(1000).rounded()
            for slab in slabs
        ]
        parts = slabs_of(telescopic(billed.watts, limits), limits, [s.rate for s in slabs])
        (line,) = slab_lines(charge, unit, slabs=parts, line_per_slab=False, detail=detail)
    return replace(line, note=partial(_in_words, charge, context, billed, unit))


def _for_months(charge: DemandCharge, context: PricingContext, line: LineColumns) -> LineColumns:
    """The amount of a month for the months of the bill, or for its share of the whole bill."""
    months = context.months(charge) if charge.proration == "days" else context.of_bill
    return line if months is ONE else replace(line, amount=line.amount * months)


def _in_words(
    charge: DemandCharge, context: PricingContext, billed: Billed, unit: str, row: int
) -> str | None:
    """Why the billed demand is not the measured one, and for which part of a month it is."""
    days = context.share_in_words(row)
    if charge.proration == "days":
        months = context.months(charge).at(row)
        whole = None if months == 1 else f"× {counted_in_words(months, 'month')}"
        days = context.months_in_words(charge, row) or whole
    return in_words(_rule_in_words(charge, context, billed, unit, row), days)


def _rule_in_words(
    charge: DemandCharge, context: PricingContext, billed: Billed, unit: str, row: int
) -> str | None:
    measured, ratchet = billed.measured.at(row), billed.ratchet.at(row)
    least, watts = billed.least.at(row), billed.watts.at(row)
    was = f"measured {decimal_text(measured / 1000)} {unit}"
    past = _past(charge, context)
    if ratchet > max(measured, least) and charge.ratchet and past is not None:
        rule = charge.ratchet
        highest = max(map(int, past[row][: rule.months]))
        of = decimal_text(Fraction(highest, 1000))
        return (
            f"{was}; {rule.percent}% of the highest of {count(rule.months, 'month')}, {of} {unit}"
        )
    if least > measured:
        return f"{was}; at least {charge.at_least_kw} {unit}"
    if watts != measured and charge.demand_to:
        return f"{was}; to {charge.demand_to.to} {unit}"
    if charge.free_per_kw is not None:
        return f"above {charge.free_per_kw} {unit} for each kW"
    return None
