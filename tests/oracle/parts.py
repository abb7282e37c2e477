"""What every kind of charge asks of a bill: its counts, its limits, slabs, and lines of nothing."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from services.quantities.period import Period
from services.rating.usage import BillingDeterminants
from tests.oracle.arithmetic import Json, half_up, is_one_month, month_count
from tests.oracle.calendars import days_of_seasons, is_seasonal

ONE = Fraction(1)


class NotPriced(ValueError):
    """The usage lacks what a charge needs."""


@dataclass(frozen=True)
class Exact:
    """A line before rounding: a quantity in `unit`, and its amount in whole currency units."""

    quantity: Fraction
    unit: str
    amount: Fraction


@dataclass(frozen=True)
class Part:
    """A bill, or the part of one under one tariff; `whole` is the period of the whole bill."""

    tariff: Json
    usage: BillingDeterminants
    period: Period
    whole: Period

    @property
    def share(self) -> Fraction:
        """The part of the whole bill's days."""
        return Fraction(self.period.days, self.whole.days)

    def count(self, per: str, rule: Json) -> Fraction:
        """How many bills, months or days this part is."""
        if per == "day":
            return Fraction(self.period.days)
        if per == "bill" or is_one_month(rule, self.whole.start, self.whole.end):
            return self.share
        # A part of 25 days of a bill of 60 is no whole month by itself.
        within_whole = {key: value for key, value in rule.items() if key != "one_within_days"}
        alone = self.period == self.whole
        return month_count(rule if alone else within_whole, self.period.start, self.period.end)

    def have(self, name: str) -> Any:
        """A figure of the usage that a charge cannot do without."""
        value = getattr(self.usage, name)
        if value is None:
            raise NotPriced(name)
        return value


def months_rule(part: Part, charge: Json) -> Json:
    """The charge's own way to count months, else the tariff's."""
    rule: Json = charge.get("months") or part.tariff.get("months") or {}
    return rule


def is_present(part: Part, charge: Json) -> bool:
    """Whether the bill's use and the connected load are in the ranges of `when`."""
    when = charge.get("when") or {}
    inside = True
    for bound in ("kwh_above", "kwh_up_to"):
        if bound in when:
            limit = scaled_limit(part, charge, when[bound], when["per"])
            above = whole_units(part, part.usage.wh) > limit
            inside = inside and above == (bound == "kwh_above")
    for bound in ("load_kw_above", "load_kw_up_to"):
        if bound in when:
            above = part.have("connected_w") > 1000 * Fraction(when[bound])
            inside = inside and above == (bound == "load_kw_above")
    return inside


def whole_units(part: Part, wh: int) -> int:
    """Wh as billed: whole kWh where the tariff says so."""
    return half_up(Fraction(wh, 1000)) * 1000 if part.tariff.get("whole_kwh") else wh


def scaled_limit(part: Part, charge: Json, kwh: str, per: str) -> int:
    """A limit of slabs or of `when`, in Wh, for the days (or the kW) of this bill."""
    if per == "kw":
        scale = Fraction(part.have("peak_w"), 1000)
    else:
        scale = part.count(per, months_rule(part, charge))
    if charge.get("limits_to") == "kwh" or part.tariff.get("whole_kwh"):
        return half_up(Fraction(kwh) * scale) * 1000
    return half_up(Fraction(kwh) * scale * 1000)


def fill(
    total: int, slabs: list[Json], limits: list[int], charge: Json
) -> list[tuple[int, Fraction]]:
    """How much of the total goes to each slab, and its rate.

    Where the whole use is at the rate of the slab it reaches, all the other slabs stay empty.
    """
    rates = [Fraction(slab["rate"]) for slab in slabs]
    if charge.get("slabs_apply") == "whole_use":
        reached = sum(total > limit for limit in limits)
        # Limits that the kW or the days make equal are passed together.
        return [(total if n == reached else 0, rate) for n, rate in enumerate(rates)]
    filled = []
    below = 0
    for limit, rate in zip([*limits, total], rates, strict=True):
        reached = max(below, min(total, limit))
        filled.append((reached - below, rate))
        below = reached
    return filled


def days_of_periods(part: Part, calendar: Json) -> list[int]:
    """How many days of the bill are in each period; a calendar by hours needs its registers."""
    if not is_seasonal(calendar, part.tariff):
        raise NotPriced("by_period")
    start, end = part.period.start, part.period.end
    return days_of_seasons(start, end, tariff=part.tariff, calendar=calendar)


def printed(lines: list[list[tuple[int, Fraction]]], unit: str) -> list[Exact]:
    """Lines of Wh (W) at their rates per kWh (kW); those of nothing only when there is no other."""
    made = [
        Exact(
            quantity=Fraction(sum(units for units, _ in line), 1000),
            unit=unit,
            amount=sum((Fraction(units, 1000) * rate for units, rate in line), Fraction(0)),
        )
        for line in lines
    ]
    return [line for line in made if line.quantity] or made[:1]
