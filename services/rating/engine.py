"""The price of a bill: a tariff, the usage and the days become the lines of one bill or of many."""

from functools import lru_cache

from services.quantities.period import Period
from services.rating.charges import charge_lines
from services.rating.exact_columns import Column, total
from services.rating.lines import PricedLine
from services.rating.pricing_context import PricingContext
from services.rating.rated_bill import RatedBill
from services.rating.rounding import closing_lines, opening_lines, priced
from services.rating.usage import BillingDeterminants, UsageBatch
from services.tariffs import Charge, DemandCharge, Tariff, dependency_order


def rate(*, tariff: Tariff, consumption_wh: int, period: Period) -> RatedBill:
    """Price `consumption_wh` used over the local days of `period`. Raises UnableToPriceBill."""
    return rate_usage(tariff=tariff, usage=BillingDeterminants(wh=consumption_wh), period=period)


def rate_usage(*, tariff: Tariff, usage: BillingDeterminants, period: Period) -> RatedBill:
    """Price one bill's usage over the local days of `period`. Raises UnableToPriceBill."""
    context = PricingContext(tariff, UsageBatch.of_one(usage, period))
    lines = bill_lines(context)
    printed = (line.printed(1, places=context.places)[0] for line in lines)
    return RatedBill(currency=tariff.currency, lines=tuple(line for line in printed if line))


def bill_lines(context: PricingContext) -> list[PricedLine]:
    """All lines of whole bills, in the order of printing."""
    lines = [*opening_lines(context), *lines_of_charges(context)]
    return [*lines, *closing_lines(lines, context)]


def lines_of_charges(context: PricingContext) -> list[PricedLine]:
    """The lines of the tariff's charges: computed as they need each other, printed as written."""
    lines: dict[str, list[PricedLine]] = {}
    for charge in _in_dependency_order(context.tariff):
        # A demand is that of one bill: what several bills had adds up to nothing.
        own = (context.last_bill if isinstance(charge, DemandCharge) else None) or context
        lines[charge.code] = [priced(line, context) for line in charge_lines(charge, own)]
        amounts = [line.amount for line in lines[charge.code]]
        if charge.code in context.kept:
            amounts.append(Column.constant(context.kept[charge.code]))
        context.charged[charge.code] = total(amounts)
    return [line for charge in context.tariff.charges for line in lines[charge.code]]


@lru_cache(maxsize=256)
def _in_dependency_order(tariff: Tariff) -> tuple[Charge, ...]:
    charges = {charge.code: charge for charge in tariff.charges}
    return tuple(charges[code] for code in dependency_order(tariff.charges))
