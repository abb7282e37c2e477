"""One charge of N bills: its lines, whether it is there at all, and the most it may come to."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import assert_never

import numpy as np

from services.rating.demand_charges import demand_lines
from services.rating.energy_charges import energy_lines
from services.rating.exact_columns import ZERO, Column, Mask, decimal
from services.rating.fixed_charges import fixed_lines, minimum_lines
from services.rating.lines import LineColumns, in_words
from services.rating.percent_charges import percent_lines, power_factor_lines, reactive_lines
from services.rating.pricing_context import PricingContext
from services.tariffs import (
    Charge,
    DemandCharge,
    EnergyCharge,
    FixedCharge,
    MinimumCharge,
    PercentCharge,
    PowerFactorCharge,
    ReactiveCharge,
    When,
)


def charge_lines(charge: Charge, context: PricingContext) -> list[LineColumns]:
    """The lines of a charge, unrounded; absent lines amount to 0.

    No lines where no bill has the charge: then it needs nothing of the usage either.
    """
    if charge.when is None:
        lines = _lines(charge, context)
    else:
        there = _is_there(charge, charge.when, context)
        lines = _lines(charge, context) if there.any() else []
        lines = [replace(line, shown=_both(line.shown, there)) for line in lines]
    if charge.at_most is not None:
        lines = _capped(lines, decimal(charge.at_most) * context.of_bill)
    return [
        line if line.shown is None else replace(line, amount=line.amount.only(line.shown))
        for line in lines
    ]


def _lines(charge: Charge, context: PricingContext) -> list[LineColumns]:
    match charge:
        case EnergyCharge():
            lines = energy_lines(charge, context)
        case FixedCharge():
            lines = fixed_lines(charge, context)
        case DemandCharge():
            lines = demand_lines(charge, context)
        case ReactiveCharge():
            lines = reactive_lines(charge, context)
        case PercentCharge():
            lines = percent_lines(charge, context)
        case PowerFactorCharge():
            lines = power_factor_lines(charge, context)
        case MinimumCharge():
            lines = minimum_lines(charge, context)
        case _:  # pragma: no cover
            assert_never(charge)
    return lines


def _is_there(charge: Charge, when: When, context: PricingContext) -> Mask:
    """For which bills the use and the connected load are in the ranges of `when`."""
    there: Mask = np.array([True])
    if when.per is not None:
        used = context.energy("wh", charge)
        to_kwh = isinstance(charge, EnergyCharge) and charge.limits_to == "kwh"
        for kwh, is_above in ((when.kwh_above, True), (when.kwh_up_to, False)):
            if kwh is not None:
                limit = context.limit(kwh, per=when.per, charge=charge, to_kwh=to_kwh)
                there = there & (used.exceeds(limit) == is_above)
    for kw, is_above in ((when.load_kw_above, True), (when.load_kw_up_to, False)):
        if kw is not None:
            load = context.measured("connected_w", charge)
            there = there & (load.exceeds(decimal(kw).times(1000)) == is_above)
    return there


def _capped(lines: Sequence[LineColumns], most: Column) -> list[LineColumns]:
    """The lines with amounts that together are at most so much, above 0 or below it."""
    capped, upto, given = [], ZERO, ZERO
    for line in lines:
        amount = line.amount if line.shown is None else line.amount.only(line.shown)
        upto = upto + amount
        reached = upto.at_most(most).at_least(-most)
        note = partial(_cap_in_words, line, amount, reached - given)
        capped.append(replace(line, amount=reached - given, note=note))
        given = reached
    return capped


def _cap_in_words(line: LineColumns, amount: Column, capped: Column, row: int) -> str | None:
    note = line.note(row) if line.note else None
    return note if amount.at(row) == capped.at(row) else in_words(note, "at most this amount")


def _both(shown: Mask | None, there: Mask) -> Mask:
    return there if shown is None else shown & there
