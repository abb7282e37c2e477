"""Percents of other charges, also for a power factor, and reactive energy above what is free."""

from fractions import Fraction
from functools import partial
from typing import Final

import numpy as np

from services.languages.sentence import sentence
from services.quantities.money import decimal_text
from services.rating.exact_columns import ZERO, Column, Mask, decimal, floor_quotient, quotient
from services.rating.lines import LineColumns
from services.rating.pricing_context import PricingContext, present
from services.rating.rated_bill import UnableToPriceBill
from services.rating.slabs import rated_line
from services.tariffs import PercentCharge, PowerFactorCharge, ReactiveCharge, exact

# In hundredths.
_UNITY: Final = decimal("100")
# Squares of 0 to 200, to take roots of whole numbers up to 40,000 from.
_SQUARES: Final = np.arange(201) ** 2


def percent_lines(charge: PercentCharge, context: PricingContext) -> list[LineColumns]:
    """A percent of other charges, or with gross_up of an amount that contains it."""
    base = context.charged_by(charge.of)
    whole = 100 - exact(charge.percent) if charge.gross_up else Fraction(100)
    return [
        LineColumns(
            code=charge.code,
            description=charge.description,
            tax=charge.tax,
            quantity=base,
            unit="%",
            rate=charge.percent,
            amount=base * decimal(charge.percent).times(1 / whole),
            note=partial(_gross_up_in_words, charge.percent) if charge.gross_up else None,
        )
    ]


def reactive_lines(charge: ReactiveCharge, context: PricingContext) -> list[LineColumns]:
    """kVArh above those that are free with each kWh, in whole varh."""
    free = (context.measured("wh", charge) * decimal(charge.free_kvarh_per_kwh)).rounded()
    above = (context.measured("varh", charge) - free).at_least(ZERO)
    return [rated_line(charge, "kVArh", used=above, rate=charge.rate)]


def power_factor_lines(charge: PowerFactorCharge, context: PricingContext) -> list[LineColumns]:
    """A percent of other charges for each 0.01 of power factor; absent where it is 0."""
    hundredths, known = _power_factor(charge, context)
    percent = _percent(charge, hundredths).only(known)
    base = context.charged_by(charge.of)
    return [
        LineColumns(
            code=charge.code,
            description=charge.description,
            tax=charge.tax,
            quantity=base,
            unit="%",
            rate=None,
            amount=(base * percent).times(Fraction(1, 100)),
            shown=present(percent),
            rate_of=lambda row: decimal_text(percent.at(row)),
            note=partial(_in_words, charge, hundredths),
        )
    ]


def _power_factor(charge: PowerFactorCharge, context: PricingContext) -> tuple[Column, Mask]:
    """kWh / kVAh, or kWh / √(kWh² + kVArh²), in hundredths half up; known where there is use.

    Never above 1: fewer kVAh than kWh are a register's rounding or a wrong read, and no merit.
    """
    active = context.measured("wh", charge)
    if context.usage.vah is not None:
        apparent = context.measured("vah", charge)
        return quotient(active.times(100), apparent).at_most(_UNITY), present(apparent)
    if context.usage.varh is None:
        raise UnableToPriceBill(
            sentence(
                "{charge} ({code}) needs the kVAh or kVArh, which are not known.",
                charge=charge.description,
                code=charge.code,
            )
        )
    reactive = context.measured("varh", charge)
    square = active * active + reactive * reactive
    # x = 100 × kWh / √square to the nearest is (⌊2x⌋ + 1) / 2, and ⌊2x⌋ is the root of ⌊4x²⌋.
    roots = np.searchsorted(
        _SQUARES, floor_quotient((active * active).times(40_000), square).num, side="right"
    )
    return Column.of(roots // 2), present(square)


def _percent(charge: PowerFactorCharge, hundredths: Column) -> Column:
    """The points below the target, each at the percent of the step it is in, less the bonus."""
    steps = [(charge.target, charge.percent_per_point)]
    steps += [(step.pf, step.percent_per_point) for step in charge.below or ()]
    percent = ZERO
    for index, (top, per_point) in enumerate(steps):
        upto = _hundredths(top)
        reached = hundredths.at_most(upto)
        if index + 1 < len(steps):
            reached = reached.at_least(_hundredths(steps[index + 1][0]))
        percent = percent + (upto - reached) * decimal(per_point)
    if charge.bonus_percent_per_point is not None:
        above = hundredths - _hundredths(charge.bonus_above or charge.target)
        percent = percent - above.at_least(ZERO) * decimal(charge.bonus_percent_per_point)
    if charge.at_most_percent is not None:
        most = decimal(charge.at_most_percent)
        percent = percent.at_most(most).at_least(-most)
    return percent


def _gross_up_in_words(percent: str, _: int) -> str:
    rest = decimal_text(100 - exact(percent))
    return f"{percent}% of an amount that contains it: × {percent} ÷ {rest}"


def _hundredths(power_factor: str) -> Column:
    return decimal(power_factor).times(100)


def _in_words(charge: PowerFactorCharge, hundredths: Column, row: int) -> str:
    factor = decimal_text(hundredths.at(row) / 100, least_places=2)
    return f"power factor {factor}, target {charge.target}"
