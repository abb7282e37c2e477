"""A bill whose tariff changes within its period: each part has its days, its use and its lines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from services.quantities.period import Period
from services.rating.engine import lines_of_charges
from services.rating.exact_columns import ZERO, Column, share
from services.rating.lines import PricedLine, by_bill
from services.rating.pricing_context import PricingContext
from services.rating.rated_bill import RatedBill, UnableToPriceBill
from services.rating.rounding import closing_lines, opening_lines
from services.rating.usage import BillingDeterminants, ByPeriod, UsageBatch
from services.tariffs import DemandCharge, Tariff, day_number


@dataclass(frozen=True, slots=True)
class LastBill:
    """Of several bills that are priced as one: what the last one measured, for its demand.

    `kept` are the amounts that those before were charged for theirs, by code.
    """

    usage: BillingDeterminants
    kept: Mapping[str, Fraction]


@dataclass(frozen=True, slots=True)
class Part:
    """Some days of a bill, what was used in them, and the tariff in force."""

    tariff: Tariff
    period: Period
    usage: BillingDeterminants


@dataclass(frozen=True, slots=True, eq=False)
class PartBatch:
    """As a part, of N bills that have the same days and tariffs."""

    tariff: Tariff
    period: Period
    usage: UsageBatch


def rate_parts(
    *,
    parts: Sequence[Part],
    whole: Period,
    billed_as: Sequence[Period] = (),
    last: LastBill | None = None,
) -> RatedBill:
    """Price a bill in parts, which follow each other and fill the bill's days.

    The charges of each part are its own lines, which name its days. What is due once a bill is
    shared among the parts by days; the total is rounded once, as the last part's tariff says. Where
    the days are those of several bills, `billed_as`, what is due once a bill is due for each, and
    demand is charged as the `last` of them measured it, if it is given. Raises UnableToPriceBill.
    """
    alone = [
        PartBatch(part.tariff, part.period, UsageBatch.of_one(part.usage, part.period))
        for part in parts
    ]
    (rated,) = rate_parts_each(parts=alone, whole=whole, billed_as=billed_as, last=last)
    return rated


def rate_parts_each(
    *,
    parts: Sequence[PartBatch],
    whole: Period,
    billed_as: Sequence[Period] = (),
    last: LastBill | None = None,
) -> list[RatedBill]:
    """Price N bills in the same parts, as `rate_parts` does each. Raises UnableToPriceBill."""
    _check(parts, whole)
    closes = parts[-1].tariff
    bills = len(parts[0].usage)
    end = PricingContext(closes, _carried(parts, whole))
    lines: list[tuple[PricedLine, Period | None]] = [(line, None) for line in opening_lines(end)]
    charged: dict[str, Column] = {}
    for part in parts:
        priced = _lines_of(part, whole, charged, billed_as, last)
        lines += [(line, _days_of(line, part, billed_as, last)) for line in priced]
    lines += [(line, None) for line in closing_lines([line for line, _ in lines], end)]
    printed = [line.printed(bills, places=end.places, part=days) for line, days in lines]
    return [RatedBill(currency=closes.currency, lines=own) for own in by_bill(printed, bills)]


def split_by_days(
    *, usage: BillingDeterminants, whole: Period, periods: Sequence[Period]
) -> tuple[BillingDeterminants, ...]:
    """The usage of a period in parts by their days, in whole Wh that add up.

    Peaks are those of each part; what was carried forward goes to the first part and the end of a
    year to the last.
    """
    days = [period.days for period in periods]
    if sum(days) != whole.days:
        raise UnableToPriceBill("The parts of a bill must have all its days.")
    energy = _shared(usage.wh, days)
    exported = _shared(usage.export_wh, days)
    imports = _shared_by_period(usage.by_period, energy)
    exports = _shared_by_period(usage.export_by_period, exported)
    apparent = _shared(usage.vah, days)
    reactive = _shared(usage.varh, days)
    apparents = _shared_by_period(usage.vah_by_period, apparent)
    last = len(periods) - 1
    return tuple(
        replace(
            usage,
            wh=energy[n],
            export_wh=exported[n],
            vah=None if usage.vah is None else apparent[n],
            varh=None if usage.varh is None else reactive[n],
            by_period=imports[n],
            export_by_period=exports[n],
            vah_by_period=apparents[n],
            wh_before={},
            carried_minor=0 if n else usage.carried_minor,
            closes_year=usage.closes_year and n == last,
        )
        for n in range(len(periods))
    )


def _check(parts: Sequence[PartBatch], whole: Period) -> None:
    if not parts:
        raise UnableToPriceBill("A bill needs at least one part.")
    ends = [whole.start, *(part.period.end for part in parts)]
    starts = [*(part.period.start for part in parts), whole.end]
    if ends != starts:
        raise UnableToPriceBill("The parts of a bill must follow each other and fill its days.")
    if len({part.tariff.currency for part in parts}) > 1:
        raise UnableToPriceBill("The tariffs of one bill must be in one currency.")


def _carried(parts: Sequence[PartBatch], whole: Period) -> UsageBatch:
    """What the bills before carried forward, of whole bills."""
    some = [p.usage.carried_minor for p in parts if p.usage.carried_minor is not None]
    rows = np.ones(len(parts[0].usage), dtype=np.int64)
    return UsageBatch(
        start=rows * day_number(whole.start),
        end=rows * day_number(whole.end),
        wh=rows * 0,
        carried_minor=sum(some[1:], some[0]) if some else None,
    )


def _lines_of(
    part: PartBatch,
    whole: Period,
    charged: dict[str, Column],
    billed_as: Sequence[Period],
    last: LastBill | None,
) -> list[PricedLine]:
    """The lines of a part; adds to what the parts so far were charged, by code."""
    bills = PricingContext(
        part.tariff,
        part.usage,
        whole=whole,
        charged_before=dict(charged),
        billed_as=tuple(billed_as),
    )
    if last is not None:
        of_last = UsageBatch.of_one(last.usage, billed_as[-1])
        bills.last_bill, bills.kept = PricingContext(part.tariff, of_last), last.kept
    lines = lines_of_charges(bills)
    for code, amount in bills.charged.items():
        charged[code] = charged.get(code, ZERO) + amount
    return lines


def _days_of(
    line: PricedLine, part: PartBatch, billed_as: Sequence[Period], last: LastBill | None
) -> Period:
    is_of_last = last is not None and line.columns.code in demand_codes(part.tariff)
    return billed_as[-1] if is_of_last else part.period


def demand_codes(tariff: Tariff) -> frozenset[str]:
    """The codes of the charges for demand."""
    return frozenset(one.code for one in tariff.charges if isinstance(one, DemandCharge))


def _shared(whole: int | None, weights: Sequence[int]) -> list[int]:
    parts = share(Column.constant(whole or 0), [Column.constant(weight) for weight in weights])
    return [int(part.at(0)) for part in parts]


def _shared_by_period(measured: ByPeriod, totals: Sequence[int]) -> list[ByPeriod]:
    """Each part's energy by calendar and period: all parts add up, and so do all periods.

    Each part takes its total from what the parts before it left, in proportion to that.
    """
    left = {calendar: dict(periods) for calendar, periods in measured.items()}
    parts: list[ByPeriod] = []
    for whole in totals:
        taken: dict[str, Mapping[str, int]] = {}
        for calendar, periods in left.items():
            shares = _shared(whole, list(periods.values()))
            taken[calendar] = dict(zip(periods, shares, strict=True))
            left[calendar] = {p: periods[p] - taken[calendar][p] for p in periods}
        parts.append(taken)
    return parts
