"""Rounding: of each line, of the total, and the lines that say what rounding changed."""

from collections.abc import Sequence
from typing import Final

from services.rating.exact_columns import ONE, Column, total
from services.rating.lines import LineColumns, PricedLine
from services.rating.pricing_context import PricingContext, present
from services.tariffs import Rounding, RoundTo, Tariff, exact

# Codes of lines that are no charges.
BEFORE_CHARGES: Final = ("brought_forward",)
AFTER_CHARGES: Final = ("rounding", "carried_forward")
_HALF_UP: Final = RoundTo()


def line_rule(tariff: Tariff) -> RoundTo | None:
    """How each line is rounded; None where lines are not."""
    lines = tariff.rounding.lines if isinstance(tariff.rounding, Rounding) else None
    return None if lines == "none" else lines or _HALF_UP


def priced(line: LineColumns, context: PricingContext) -> PricedLine:
    """A line as it is printed, and with the amount that others are computed from.

    This is the one place where the amount of a charge is rounded.
    """
    rule, unit = line_rule(context.tariff), context.minor_unit
    if rule is None:
        return PricedLine(line, line.amount, line.amount.steps(of=unit).num)
    if rule.to is None:
        minor = line.amount.steps(rule.mode, unit)
        return PricedLine(line, minor.times(unit), minor.num)
    amount = line.amount.rounded(rule.mode, exact(rule.to))
    return PricedLine(line, amount, amount.steps(of=unit).num)


def opening_lines(context: PricingContext) -> list[PricedLine]:
    """What the last bill carried forward, where it did."""
    carried = context.usage.carried_minor
    if carried is None:
        return []
    amount = Column.of(carried).times(context.minor_unit)
    return [_difference("brought_forward", "Brought forward from the last bill", amount, context)]


def closing_lines(lines: Sequence[PricedLine], context: PricingContext) -> list[PricedLine]:
    """What rounding adds to the printed lines to come to the total."""
    rounding = context.tariff.rounding
    if not isinstance(rounding, Rounding) or (rounding.total is None and rounding.lines != "none"):
        return []
    unit = context.minor_unit
    shown = total([Column.of(line.amount_minor) for line in lines]).times(unit)
    exactly = total([line.amount for line in lines])
    to_minor = exactly.rounded(to=unit)
    rule = rounding.total
    if rule is None:
        return [_difference("rounding", "Rounding", to_minor - shown, context)]
    rounded = exactly.rounded(rule.mode, exact(rule.to) if rule.to else unit)
    if not rule.carry_forward:
        return [_difference("rounding", "Rounding", rounded - shown, context)]
    forward = "Carried forward to the next bill"
    return [
        _difference("rounding", "Rounding", to_minor - shown, context),
        _difference("carried_forward", forward, rounded - to_minor, context),
    ]


def _difference(code: str, description: str, amount: Column, context: PricingContext) -> PricedLine:
    """A line for an amount that is no charge, where it is not 0."""
    line = LineColumns(
        code=code,
        description=description,
        tax=False,
        quantity=ONE,
        unit="bill",
        rate=None,
        amount=amount,
        shown=present(amount),
    )
    return PricedLine(line, amount, amount.steps(of=context.minor_unit).num)
