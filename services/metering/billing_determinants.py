"""From what a meter measured to the usage that a tariff prices, for a bill or some of its days."""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import date
from fractions import Fraction
from functools import lru_cache
from itertools import accumulate, pairwise

import numpy as np

from services.languages.sentence import sentence
from services.metering.interval_table import IntervalUsage, MeteredIntervals
from services.metering.measured import Metering
from services.metering.registers import IMPORT, measure_of, names_for
from services.quantities.money import round_half_up
from services.quantities.period import Period
from services.rating import (
    BillingDeterminants,
    Part,
    UnableToPriceBill,
)
from services.tariffs import (
    Calendar,
    DemandCharge,
    EnergyCharge,
    Tariff,
    compiled,
    day_number,
    net_calendar,
)


def usage_of(*, metering: Metering, tariff: Tariff, days: Period) -> BillingDeterminants:
    """What these days of a bill are priced from, under the tariff in force on them.

    Where they are only some of the bill's days, imported energy is shared as the intervals have it;
    what they do not measure (exports, kVAh, kVArh), and energy that they show none of, by days.
    Registers come before intervals. Raises UnableToPriceBill.
    """
    part, past, period = _Part(metering, tariff, days), metering.past, metering.period
    usage = (
        part.by_intervals(metering.intervals)
        if metering.intervals and part.wants_intervals()
        else IntervalUsage(part.wh, by_period={}, wh_before={}, peak_w=None, peak_w_by_period={})
    )
    exported, apparent = part.exported(), part.apparent()
    of_year = past.charged_minor(tariff, period.start)
    is_last = days.end == period.end
    return BillingDeterminants(
        wh=usage.wh,
        export_wh=exported,
        vah=apparent,
        varh=part.counted("kvarh"),
        by_period={**usage.by_period, **part.by_period("kwh", part.wh)},
        export_by_period=part.by_period("export_kwh", exported, prefix="export:"),
        vah_by_period=part.by_period("kvah", apparent or 0, prefix="kvah:"),
        wh_before=usage.wh_before,
        peak_w=part.peak_w(by_intervals=usage.peak_w),
        peak_va=part.peak("kva"),
        peak_var=metering.maxima.get("max_kvar"),
        peak_w_by_period={**usage.peak_w_by_period, **part.peaks_by_period("kw")},
        peak_va_by_period=part.peaks_by_period("kva"),
        past_peaks_w=past.peaks(tariff, "kw", period.start),
        past_peaks_va=past.peaks(tariff, "kva", period.start),
        past_peaks_var=past.peaks(tariff, "kvar", period.start),
        connected_w=metering.constants.connected_w,
        connected_va=metering.constants.connected_va,
        carried_minor=past.carried_minor(period.start) if days.start == period.start else 0,
        charged_this_year_minor=of_year,
        uncovered_days=past.uncovered_days(tariff, period.start),
        closes_year=is_last and of_year is not None and period.end.year > period.start.year,
    )


def rests_on_intervals(metering: Metering, parts: Sequence[Part]) -> bool:
    """Whether intervals had a say in the amounts of a bill: by time, demand, or for its parts."""
    return metering.intervals is not None and any(
        part.period != metering.period
        or _Part(metering, part.tariff, part.period).wants_intervals()
        for part in parts
    )


@dataclass(frozen=True, slots=True)
class _Part:
    """Some days of a bill, or all of them, under the tariff in force."""

    metering: Metering
    tariff: Tariff
    days: Period

    # Energy

    @property
    def wh(self) -> int:
        """The total of these days."""
        return self._share(self.metering.wh, by_intervals=True)

    def counted(self, constants: str) -> int | None:
        """What a register counted in these days, None without it."""
        counted = self.metering.counted.get(constants)
        return None if counted is None else self._share_of(constants, counted)

    def exported(self) -> int:
        """The energy exported: by its register, or by those of all periods."""
        return self._in_all("export") or 0

    def apparent(self) -> int | None:
        """The apparent energy: by its register, or by those of all periods; None without them."""
        return self._in_all("kvah")

    def _in_all(self, constants: str) -> int | None:
        all_hours = self.counted(constants)
        if all_hours is not None:
            return all_hours
        counted = self.metering.counted.items()
        by_period = [
            self._share_of(name, wh) for name, wh in counted if name.startswith(f"{constants}:")
        ]
        return sum(by_period) if by_period else None

    def by_period(
        self, quantity: str, total: int, *, prefix: str = ""
    ) -> dict[str, dict[str, int]]:
        """The total by period of the calendars of charges for it, where registers measure it."""
        calendars = self._calendars(quantity)
        found = {name: self._by_registers(name, prefix, total) for name in calendars}
        return {name: periods for name, periods in found.items() if periods is not None}

    def _by_registers(self, calendar: str, prefix: str, total: int) -> dict[str, int] | None:
        """The total shared as the registers of a calendar's periods counted; None without them.

        One period may lack a register: it has the rest.
        """
        registers = self._registers_of(calendar, prefix, self.metering.counted)
        if not registers:
            return None
        occurring = self._occurring(calendar)
        lacking = [p for p, days in occurring.items() if days and p not in registers]
        if len(lacking) > 1:
            return None
        weights: dict[str, int] = {}
        for constants in dict.fromkeys(registers.values()):
            # One register may count a period of every season: shared by the days of each.
            periods = [period for period, name in registers.items() if name == constants]
            days = [occurring[period] for period in periods]
            counted = self._share_of(constants, self.metering.counted[constants])
            weights |= _by_name(counted, periods, days if any(days) else [1] * len(days))
        for period in lacking:
            weights[period] = max(total - sum(weights.values()), 0)
        if total and not any(weights.values()):
            return None
        return _by_name(total, weights, weights.values())

    def _share_of(self, constants: str, counted: int) -> int:
        """The part of a register's count; the intervals are those of what was imported."""
        return self._share(counted, by_intervals=measure_of(constants).quantity == IMPORT)

    def _share(self, quantity: int, *, by_intervals: bool) -> int:
        """The part of a quantity that falls on these days; the parts of a bill add up to it."""
        whole = self.metering.period
        if self.days == whole:
            return quantity
        cuts = list(pairwise([whole.start, self.days.start, self.days.end, whole.end]))
        weights = [self._measured(start, end) for start, end in cuts] if by_intervals else []
        if not any(weights):
            weights = [(end - start).days for start, end in cuts]
        return _shared(quantity, weights)[1]

    def _measured(self, start: date, end: date) -> int:
        """What the intervals of some days measured, 0 without intervals."""
        intervals = self.metering.intervals
        return 0 if intervals is None else intervals.wh_between(start, end)

    # Demand

    def peak_w(self, *, by_intervals: int | None) -> int | None:
        """The highest demand at any time."""
        if "max_kw" in self.metering.maxima or by_intervals is None:
            return self.peak("kw")
        return by_intervals

    def peak(self, quantity: str) -> int | None:
        """The highest kw (kva) by registers, in W (VA): at any time, or of all periods."""
        if f"max_{quantity}" in self.metering.maxima:
            return self.metering.maxima[f"max_{quantity}"]
        by_period = self.peaks_by_period(quantity).values()
        return max((max(peaks.values()) for peaks in by_period), default=None)

    def peaks_by_period(self, quantity: str) -> dict[str, dict[str, int]]:
        """The highest kw (kva) by period of the calendars of charges for it, where registers do."""
        found = {name: self._maxima_of(name, quantity) for name in self._calendars(quantity)}
        return {name: peaks for name, peaks in found.items() if peaks is not None}

    def _maxima_of(self, calendar: str, quantity: str) -> dict[str, int] | None:
        """The maximum of each period; None unless each that occurs has a register of its own."""
        registers = self._registers_of(calendar, f"max_{quantity}:", self.metering.maxima)
        if not registers:
            return None
        occurring = [period for period, days in self._occurring(calendar).items() if days]
        own = {registers[period] for period in occurring if period in registers}
        if len(own) < len(occurring):
            return None
        return {period: self.metering.maxima[registers[period]] for period in occurring}

    # Intervals

    def wants_intervals(self) -> bool:
        """Whether the tariff needs what the registers do not measure."""
        charges = self.tariff.charges
        energy = [charge for charge in charges if isinstance(charge, EnergyCharge)]
        per_kw = any(c.slab_limits_per == "kw" for c in energy) or any(
            isinstance(c, DemandCharge) or getattr(c, "times", "") == "billed_kw" for c in charges
        )
        return (
            (per_kw and "max_kw" not in self.metering.maxima)
            or any(charge.changes for charge in energy)
            or self._calendars("kwh") != set(self.by_period("kwh", self.wh))
            or self._calendars("kw") != set(self.peaks_by_period("kw"))
        )

    def by_intervals(self, intervals: MeteredIntervals) -> IntervalUsage:
        """The intervals' peaks, and the total shared as they have it."""
        found = intervals.usage(self.tariff, self.days)
        if self.wh and not found.wh:
            raise UnableToPriceBill(sentence("The meter's intervals show no use in these days."))
        return replace(
            found,
            wh=self.wh,
            by_period={
                calendar: _by_name(self.wh, periods, periods.values())
                for calendar, periods in found.by_period.items()
            },
            wh_before={
                day: _shared(self.wh, [before, found.wh - before])[0]
                for day, before in found.wh_before.items()
            },
        )

    # Calendars

    def _calendars(self, quantity: str) -> AbstractSet[str]:
        """Those of the charges for a quantity."""
        return _calendars(self.tariff, quantity)

    def _occurring(self, calendar: str) -> Mapping[str, int]:
        """On how many of these days there is some half hour of each period."""
        return _occurring(compiled(self.tariff, calendar), self.days)

    def _registers_of(self, calendar: str, prefix: str, known: Mapping[str, int]) -> dict[str, str]:
        """The register of each period that has one."""
        found: dict[str, str] = {}
        if not known:
            return found
        for period in compiled(self.tariff, calendar).periods:
            names = names_for(period, seasons=self.tariff.seasons or ())
            constants = next((prefix + name for name in names if prefix + name in known), None)
            if constants is not None:
                found[period] = constants
        return found


@lru_cache(maxsize=1024)
def _calendars(tariff: Tariff, quantity: str) -> AbstractSet[str]:
    charges = (c for c in tariff.charges if isinstance(c, EnergyCharge | DemandCharge))
    found = {c.calendar for c in charges if c.calendar and c.quantity == quantity}
    if quantity == "export_kwh" and tariff.net_metering:
        # What is exported is netted by the periods in which energy is imported.
        found |= {name for name in (net_calendar(tariff),) if name}
    return frozenset(found)


@lru_cache(maxsize=256)
def _occurring(calendar: Calendar, days: Period) -> Mapping[str, int]:
    rows = calendar.rows(np.arange(day_number(days.start), day_number(days.end)))
    counts = [(rows == index).any(axis=1).sum() for index in range(len(calendar.periods))]
    return dict(zip(calendar.periods, map(int, counts), strict=True))


def _by_name(total: int, names: Iterable[str], weights: Iterable[int]) -> dict[str, int]:
    return dict(zip(names, _shared(total, list(weights)), strict=True))


def _shared(total: int, weights: Sequence[int]) -> list[int]:
    """Whole numbers that add up, by cumulative rounding half up as the rating engine shares."""
    of_all = sum(weights)
    reached = [
        round_half_up(Fraction(total * weight, of_all)) if of_all else 0
        for weight in (0, *accumulate(weights))
    ]
    return [after - before for before, after in pairwise(reached)]
