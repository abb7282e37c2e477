"""Charges per kWh, kVAh and kVArh: one rate, slabs, time of use, and tiers × time of use."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from itertools import chain, pairwise
from typing import Final, cast

import numpy as np

from services.quantities.counting import count
from services.quantities.money import decimal_text
from services.rating.exact_columns import ZERO, Column
from services.rating.lines import LineColumns, SlabColumns, used_lines
from services.rating.pricing_context import PricingContext, Scale, present
from services.rating.rated_bill import Unit
from services.rating.slabs import (
    Filling,
    Limits,
    rated_line,
    slab_lines,
    slabs_of,
    telescopic,
    whole_use,
)
from services.tariffs import EnergyCharge, Slab, day_number

_MEASURED: Final[dict[str, tuple[str, Unit]]] = {
    "kwh": ("wh", "kWh"),
    "export_kwh": ("export_wh", "kWh"),
    "kvah": ("vah", "kVAh"),
    "kvarh": ("varh", "kVArh"),
    "settled_kwh": ("settled_wh", "kWh"),
}
_FILLING: Final[dict[str, Filling]] = {"telescopic": telescopic, "whole_use": whole_use}


def energy_lines(charge: EnergyCharge, context: PricingContext) -> list[LineColumns]:
    """The lines of one charge per kWh, kVAh or kVArh."""
    energy = _Energy.of(charge, context)
    if charge.rates is not None:
        lines = energy.by_rates(charge.rates)
    elif charge.period_slabs is not None:
        lines = energy.by_period_slabs(charge.period_slabs)
    elif charge.slabs is not None:
        lines = energy.by_slabs(charge.slabs)
    elif charge.changes is not None:
        lines = energy.by_dates()
    else:
        lines = [energy.line(energy.used, str(charge.rate))]
    if charge.quantity == "settled_kwh":
        # Of nearly every bill nothing is settled, which need not be said.
        return [replace(line, shown=present(line.quantity)) for line in lines]
    return used_lines(lines)


@dataclass(frozen=True, slots=True)
class _Energy:
    """One charge with the energy it is about, in Wh (VAh, varh) as billed."""

    charge: EnergyCharge
    context: PricingContext
    name: str
    unit: Unit
    used: Column

    @classmethod
    def of(cls, charge: EnergyCharge, context: PricingContext) -> "_Energy":
        name, unit = _MEASURED[charge.quantity]
        if name == "wh" and context.tariff.net_metering:
            name = "netted_wh"
        return cls(charge, context, name, unit, context.energy(name, charge))

    def line(self, used: Column, rate: str, detail: str | None = None) -> LineColumns:
        """Energy × one rate."""
        return rated_line(self.charge, self.unit, used=used, rate=rate, detail=detail)

    # Slabs

    def by_slabs(self, slabs: Sequence[Slab]) -> list[LineColumns]:
        """The use in the slabs it reaches."""
        return self._printed(self._fill(self.used, slabs))

    def _fill(self, used: Column, slabs: Sequence[Slab]) -> list[SlabColumns]:
        limits = self._limits(slabs)
        parts = _FILLING[self.charge.slabs_apply](used, limits)
        return slabs_of(parts, limits, [slab.rate for slab in slabs])

    def _limits(self, slabs: Sequence[Slab]) -> Limits:
        per = cast(Scale, self.charge.slab_limits_per)
        to_kwh = self.charge.limits_to == "kwh"
        return [
            self.context.limit(slab.up_to_kwh, per=per, charge=self.charge, to_kwh=to_kwh)
            if slab.up_to_kwh is not None
            else None
            for slab in slabs
        ]

    def _printed(
        self, slabs: Sequence[SlabColumns], detail: str | None = None
    ) -> list[LineColumns]:
        each = self.charge.print == "line_per_slab"
        lines = slab_lines(self.charge, self.unit, slabs=slabs, line_per_slab=each, detail=detail)
        limited = any(slab.end for slab in slabs)
        return [replace(line, note=self._limits_in_words) for line in lines] if limited else lines

    def _limits_in_words(self, row: int) -> str | None:
        """What the limits of slabs were scaled to, if they are not as the tariff has them."""
        match self.charge.slab_limits_per:
            case "day":
                scale: str | None = count(int(self.context.days.at(row)), "day")
            case "kw":
                peak = self.context.measured("peak_w", self.charge).at(row) / 1000
                scale = f"{decimal_text(peak)} kW"
            case "month":
                scale = self.context.months_in_words(self.charge, row)
            case _:
                scale = self.context.share_in_words(row)
        return f"limits of the slabs for {scale}" if scale else None

    # Time of use: a line a period

    def by_rates(self, rates: dict[str, str]) -> list[LineColumns]:
        """Each period's energy at its own rate."""
        shares = self.context.shared(self.used, self._weights())
        return [
            self.line(used, rates[period], _period_in_words(period))
            for period, used in zip(self._periods(), shares, strict=True)
        ]

    def by_period_slabs(self, slabs: dict[str, tuple[Slab, ...]]) -> list[LineColumns]:
        """Slabs whose rates differ by period, filled once for all periods or by each of them."""
        filled = self._pooled(slabs) if self.charge.tiers == "pooled" else self._separate(slabs)
        lines = (
            self._printed(own, _period_in_words(period))
            for period, own in zip(self._periods(), filled, strict=True)
        )
        return list(chain.from_iterable(lines))

    def _separate(self, slabs: dict[str, tuple[Slab, ...]]) -> list[list[SlabColumns]]:
        shares = self.context.shared(self.used, self._weights())
        return [
            self._fill(used, slabs[period])
            for period, used in zip(self._periods(), shares, strict=True)
        ]

    def _pooled(self, slabs: dict[str, tuple[Slab, ...]]) -> list[list[SlabColumns]]:
        """The bill's energy fills the slabs, and each slab's is shared among the periods."""
        periods, weights = self._periods(), self._weights()
        # The limits of all periods are equal; only their rates differ.
        limits = self._limits(slabs[periods[0]])
        pool = _FILLING[self.charge.slabs_apply](self.used, limits)
        shared = [self.context.shared(in_slab, weights) for in_slab in pool]
        return [
            slabs_of([of_slab[p] for of_slab in shared], limits, [s.rate for s in slabs[period]])
            for p, period in enumerate(periods)
        ]

    def _periods(self) -> tuple[str, ...]:
        return self.context.calendar(str(self.charge.calendar)).periods

    def _weights(self) -> list[Column]:
        return self.context.energy_weights(self.name, str(self.charge.calendar), self.charge)

    # Rates that change within a bill: a line for the days of each

    def by_dates(self) -> list[LineColumns]:
        """The energy of the days before each change at the rate of those days."""
        changes = self.charge.changes or ()
        begins = [None, *(change.begin for change in changes), None]
        rates = [str(self.charge.rate), *(change.rate for change in changes)]
        lines, before = [], ZERO
        for rate, (begin, end) in zip(rates, pairwise(begins), strict=True):
            upto = self.used if end is None else self._before(end)
            line = self.line(upto - before, rate)
            lines.append(replace(line, detail=partial(self._days_in_words, begin, end)))
            before = upto
        return lines

    def _before(self, day: date) -> Column:
        """The energy used before a date: from intervals, else by days."""
        usage = self.context.usage
        if self.name == "wh" and day in usage.wh_before:
            before = Column.of(usage.wh_before[day])
            after = Column.of(usage.wh) - before
        else:
            reached = np.clip(day_number(day), usage.start, usage.end)
            before, after = Column.of(reached - usage.start), Column.of(usage.end - reached)
        return self.context.shared(self.used, [before, after])[0]

    def _days_in_words(self, begin: date | None, end: date | None, row: int) -> str | None:
        """Which days of a bill are at one of its rates; None where all are."""
        period = self.context.period(row)
        since = begin if begin and begin > period.start else None
        until = end if end and end < period.end else None
        words = [f"from {_day(since)}"] if since else []
        words += [f"before {_day(until)}"] if until else []
        return " and ".join(words) or None


def _period_in_words(period: str) -> str:
    return period.replace("_", " ")


def _day(day: date) -> str:
    return f"{day.day} {day:%b %Y}"
