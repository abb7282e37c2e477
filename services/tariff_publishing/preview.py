"""What a tariff would bill for a use that somebody supposes, and what the next kWh costs."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from math import isqrt
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from services.quantities.period import Period
from services.rating import RatedBill, UsageBatch, netted_alone, rate_many
from services.rating.exact_columns import Column, share
from services.tariffs import (
    Charge,
    DemandCharge,
    EnergyCharge,
    FixedCharge,
    MinimumCharge,
    PowerFactorCharge,
    ReactiveCharge,
    Tariff,
    compiled,
    day_number,
    exact,
)

Columns = npt.NDArray[Any]
Shares = Mapping[str, Mapping[str, int]]

_POINTS: Final = 100
_KWH_TOGETHER: Final = 10
SCALES: Final = (500, 1000, 2000, 5000, 20_000, 100_000, 1_000_000)


@dataclass(frozen=True, slots=True)
class Needs:
    """What a scenario must have, beside kWh, so that a tariff can price it.

    `calendars` share the energy by period, `peak_calendars` have a peak in each.
    """

    calendars: tuple[str, ...]
    peak_calendars: tuple[str, ...]
    peak: bool
    power_factor: bool
    connected: bool
    export: bool
    past_peak: bool


@dataclass(frozen=True, slots=True)
class Scenario:
    """A scenario: a month's days, and what `Needs` names; W, Wh and hundredths of power factor.

    `shares` are weights by calendar and period, `peaks_w` the peaks in each.
    """

    period: Period
    shares: Shares = field(default_factory=dict)
    peak_w: int = 0
    peaks_w: Shares = field(default_factory=dict)
    power_factor_percent: int = 100
    connected_w: int = 0
    export_wh: int = 0
    past_peak_w: int = 0


@dataclass(frozen=True, slots=True)
class Curve:
    """Totals in minor units at even steps of kWh, and what a kWh more costs along the way.

    `nexts` are the mean prices, in minor units, of the kWh from one of `nexts_kwh` to the next: of
    some ten each, for a single one is off by what the bill is rounded by.
    """

    kwh: list[int]
    total_minor: list[int]
    nexts_kwh: list[int]
    nexts: list[Fraction]


def needs(tariff: Tariff) -> Needs:
    """What a tariff needs to price a bill."""
    charges = tariff.charges
    energy = [charge for charge in charges if isinstance(charge, EnergyCharge)]
    demand = [charge for charge in charges if isinstance(charge, DemandCharge)]
    by_hours = [c for c in energy if c.calendar and not compiled(tariff, c.calendar).is_seasonal]
    times = {c.times for c in charges if isinstance(c, FixedCharge | MinimumCharge)}
    return Needs(
        calendars=_unique(charge.calendar for charge in by_hours),
        peak_calendars=_unique(c.calendar for c in demand if c.quantity != "kvar"),
        peak=bool(demand) or "billed_kw" in times or any(c.slab_limits_per == "kw" for c in energy),
        power_factor=any(isinstance(c, PowerFactorCharge | ReactiveCharge) for c in charges)
        or any(c.quantity in ("kvah", "kvarh") for c in energy)
        or any(c.quantity != "kw" for c in demand),
        connected=bool(times & {"connected_kw", "connected_kva"})
        or any(c.when and (c.when.load_kw_above or c.when.load_kw_up_to) for c in charges),
        export=tariff.net_metering is not None
        or any(charge.quantity == "export_kwh" for charge in energy),
        past_peak=any(charge.ratchet for charge in demand),
    )


def flat_shares(tariff: Tariff, *, calendar: str, period: Period) -> dict[str, int]:
    """The half hours of each period of a calendar in these days: how a flat load is shared."""
    rule = compiled(tariff, calendar)
    labels = rule.rows(np.arange(day_number(period.start), day_number(period.end)))
    counts = np.bincount(labels.ravel(), minlength=len(rule.periods))
    return dict(zip(rule.periods, map(int, counts), strict=True))


def scale_of(tariff: Tariff) -> int:
    """Up to how many kWh it is worth looking: well beyond the last slab."""
    limits = [limit for charge in tariff.charges for limit in _limits_of(charge)]
    least = Fraction(20_000 if needs(tariff).peak else 500)
    wanted = max([least, *(limit * 3 / 2 for limit in limits)])
    return next((scale for scale in SCALES if scale >= wanted), SCALES[-1])


def priced(*, tariff: Tariff, scenario: Scenario, wh: int) -> RatedBill:
    """The bill of a scenario. Raises UnableToPriceBill."""
    return rate_many(tariff=tariff, batch=_batch(tariff, scenario, np.array([wh]))).bill(0)


def next_kwh_minor(*, tariff: Tariff, scenario: Scenario, wh: int) -> int:
    """What one kWh more adds to the bill, in minor units. Raises UnableToPriceBill."""
    batch = _batch(tariff, scenario, np.array([wh, wh + 1000]))
    now, more = rate_many(tariff=tariff, batch=batch).total_minor
    return int(more) - int(now)


def curve(*, tariff: Tariff, scenario: Scenario, up_to_kwh: int) -> Curve:
    """The bills from 0 to so many kWh in even steps, all else as in the scenario, exactly.

    Raises UnableToPriceBill.
    """
    step = max(1, up_to_kwh // _POINTS)
    kwh = list(range(0, up_to_kwh + 1, step))
    batch = _batch(tariff, scenario, np.array(kwh) * 1000)
    minor = [int(total) for total in rate_many(tariff=tariff, batch=batch).total_minor]
    some = max(1, _KWH_TOGETHER // step)
    nexts = [Fraction(more - less, some * step) for less, more in pairwise(minor[::some])]
    return Curve(kwh, minor, kwh[::some][:-1], nexts)


def _batch(tariff: Tariff, scenario: Scenario, wh: Columns) -> UsageBatch:
    """Bills of a use each, over the same days and with the same demand."""
    wanted, bills = needs(tariff), len(wh)

    def each(value: int) -> Columns:
        return np.full(bills, value)

    export = each(scenario.export_wh)
    calendars = [name for name in wanted.calendars if name in scenario.shares]
    apparent, reactive = _by_power_factor(wh, scenario.power_factor_percent)
    peak_va, peak_var = _by_power_factor(each(scenario.peak_w), scenario.power_factor_percent)
    past_w = each(scenario.past_peak_w)
    past_va, past_var = _by_power_factor(past_w, scenario.power_factor_percent)
    batch = UsageBatch(
        start=each(day_number(scenario.period.start)),
        end=each(day_number(scenario.period.end)),
        wh=wh,
        export_wh=export,
        vah=apparent,
        varh=reactive,
        by_period={name: _shared(wh, scenario.shares[name]) for name in calendars},
        export_by_period={name: _shared(export, scenario.shares[name]) for name in calendars},
        vah_by_period={name: _shared(apparent, scenario.shares[name]) for name in calendars},
        peak_w=each(scenario.peak_w),
        peak_va=peak_va,
        peak_var=peak_var,
        peak_w_by_period={
            name: {period: each(w) for period, w in peaks.items()}
            for name, peaks in scenario.peaks_w.items()
        },
        peak_va_by_period={
            name: {
                period: _by_power_factor(each(w), scenario.power_factor_percent)[0]
                for period, w in peaks.items()
            }
            for name, peaks in scenario.peaks_w.items()
        },
        past_peaks_w=past_w.reshape(-1, 1),
        past_peaks_va=past_va.reshape(-1, 1),
        past_peaks_var=past_var.reshape(-1, 1),
        connected_w=each(scenario.connected_w),
        connected_va=each(scenario.connected_w),
    )
    return netted_alone(tariff, batch)


def _limits_of(charge: Charge) -> Iterator[Fraction]:
    """The slab limits of a charge for about a month, in kWh."""
    if isinstance(charge, EnergyCharge):
        days = 31 if charge.slab_limits_per == "day" else 1
        for slabs in (charge.slabs or (), *(charge.period_slabs or {}).values()):
            yield from (exact(slab.up_to_kwh) * days for slab in slabs if slab.up_to_kwh)


def _by_power_factor(active: Columns, percent: int) -> tuple[Columns, Columns]:
    """Apparent and reactive power (energy) of an active one, in whole units."""
    apparent = [(int(one) * 100 + percent // 2) // percent for one in active]
    reactive = [isqrt(s * s - int(p) * int(p)) for s, p in zip(apparent, active, strict=True)]
    return np.array(apparent), np.array(reactive)


def _shared(wh: Columns, weights: Mapping[str, int]) -> dict[str, Columns]:
    parts = share(Column.of(wh), [Column.constant(weight) for weight in weights.values()])
    return {
        name: np.broadcast_to(part.num, len(wh)) for name, part in zip(weights, parts, strict=True)
    }


def _unique(names: Iterator[str | None]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for name in names if name))
