"""From interval series of many meters to usage: sums and peaks of each bill and calendar period.

A series has N rows (meters) and T columns (intervals of 15, 30 or 60 minutes that follow each
other). All meters share the time axis, so each interval is given its bill and its period of each
calendar once, and then all rows are summed by these labels.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Any

import numpy as np

from services.quantities.period import Period, start_of_day
from services.rating.exact_columns import Whole
from services.rating.interval_sums import OUTSIDE, Runs, RunTable
from services.rating.rated_bill import UnableToPriceBill
from services.rating.time_axis import (
    QUARTER,
    Labels,
    TimeAxis,
    WallClock,
    one_label,
    wall_clock,
)
from services.rating.usage import UsageBatch
from services.tariffs import (
    Calendar,
    DemandCharge,
    EnergyCharge,
    Tariff,
    compiled,
    day_number,
)

_SERIES = ("wh", "export_wh", "vah", "varh")


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """Whole Wh of N meters in T intervals, (N, T); exports, VAh and varh where they are known.

    Raises UnableToPriceBill for tables that are no such series.
    """

    axis: TimeAxis
    wh: Whole
    export_wh: Whole | None = None
    vah: Whole | None = None
    varh: Whole | None = None

    def __post_init__(self) -> None:
        for name in _SERIES:
            table = getattr(self, name)
            if table is not None:
                object.__setattr__(self, name, _checked(name, table, self.axis.count))


def usage_from_series(*, series: Series, tariff: Tariff, periods: Sequence[Period]) -> UsageBatch:
    """The usage of N meters in B bill periods, as N × B rows: all bills of a meter together.

    Periods are local days, in order and without overlaps; the past peaks of each are those of the
    periods before it. Raises UnableToPriceBill if the series lacks a part of a period, or an
    interval lies in two bills or in two periods of a calendar.
    """
    bills = _Bills.of(series, tariff, periods)
    meters = len(series.wh)
    return UsageBatch(
        start=np.tile([day_number(period.start) for period in periods], meters),
        end=np.tile([day_number(period.end) for period in periods], meters),
        wh=bills.sums("wh"),
        export_wh=None if series.export_wh is None else bills.sums("export_wh"),
        vah=None if series.vah is None else bills.sums("vah"),
        varh=None if series.varh is None else bills.sums("varh"),
        by_period=bills.sums_by_period("wh", "kwh"),
        export_by_period=bills.sums_by_period("export_wh", "export_kwh"),
        vah_by_period=bills.sums_by_period("vah", "kvah"),
        wh_before={day: bills.sums_before("wh", day) for day in bills.changes},
        peak_w=bills.peaks("wh").reshape(-1),
        peak_va=None if series.vah is None else bills.peaks("vah").reshape(-1),
        peak_var=None if series.varh is None else bills.peaks("varh").reshape(-1),
        peak_w_by_period=bills.peaks_by_period("wh", "kw"),
        peak_va_by_period=bills.peaks_by_period("vah", "kva"),
        past_peaks_w=bills.past_peaks("wh", "kw"),
        past_peaks_va=bills.past_peaks("vah", "kva"),
        past_peaks_var=bills.past_peaks("varh", "kvar"),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Bills:
    """Tables of a series, and for each interval its bill and its period of each calendar.

    `labels` are the index of the bill or OUTSIDE; those of a calendar are the index of the bill ×
    the number of periods + the index of the period.
    """

    tariff: Tariff
    count: int
    per_hour: int
    tables: Mapping[str, RunTable]
    days: Labels
    labels: Labels
    by_calendar: Mapping[str, Labels]

    @classmethod
    def of(cls, series: Series, tariff: Tariff, periods: Sequence[Period]) -> "_Bills":
        clock = wall_clock(series.axis)
        labels = one_label(_bill_of(clock.days, periods), of="bills")
        _check_complete(series.axis, labels, periods)
        by_calendar = {
            name: _with_periods(labels, clock, compiled(tariff, name), name)
            for name in sorted(_calendars(tariff))
        }
        days = clock.days[:, 0]
        changed = [days < day_number(day) for day in _changes(tariff)]
        runs = Runs.of(
            [labels, *by_calendar.values(), *(mask.astype(np.int64) for mask in changed)]
        )
        measured = {name: getattr(series, name) for name in _SERIES}
        tables = {n: RunTable(table, runs) for n, table in measured.items() if table is not None}
        return cls(tariff, len(periods), series.axis.per_hour, tables, days, labels, by_calendar)

    @property
    def changes(self) -> list[date]:
        """The dates on which some rate per kWh changes."""
        return _changes(self.tariff)

    # Energy in Wh, N × B rows

    def sums(self, name: str) -> Whole:
        """The sum of each bill."""
        return self.tables[name].sums(self.labels, self.count).reshape(-1)

    def sums_before(self, name: str, day: date) -> Whole:
        """The sum of each bill's intervals before a local date."""
        before = np.where(self.days < day_number(day), self.labels, OUTSIDE)
        return self.tables[name].sums(before, self.count).reshape(-1)

    def sums_by_period(self, name: str, quantity: str) -> dict[str, dict[str, Whole]]:
        """The sums by period of the calendars of energy charges of this quantity."""
        charges = (c for c in self.tariff.charges if isinstance(c, EnergyCharge))
        names = {c.calendar for c in charges if c.calendar and c.quantity == quantity}
        if name not in self.tables:
            return {}
        return {
            calendar: self._split(calendar, self.tables[name].sums) for calendar in sorted(names)
        }

    # Demand in W (VA): the highest average of an interval

    def peaks(self, name: str) -> Whole:
        """The peak of each bill, (N, B)."""
        return self.tables[name].peaks(self.labels, self.count) * self.per_hour

    def peaks_by_period(self, name: str, quantity: str) -> dict[str, dict[str, Whole]]:
        """The peaks by period of the calendars of demand charges of this quantity, N × B rows."""
        charges = (c for c in self.tariff.charges if isinstance(c, DemandCharge))
        names = {c.calendar for c in charges if c.calendar and c.quantity == quantity}
        if name not in self.tables:
            return {}
        found = {calendar: self._split(calendar, self.tables[name].peaks) for calendar in names}
        return {
            calendar: {period: peaks * self.per_hour for period, peaks in periods.items()}
            for calendar, periods in sorted(found.items())
        }

    def past_peaks(self, name: str, quantity: str) -> Whole | None:
        """The peaks of the bills before each bill, the last first, as far as a ratchet looks."""
        charges = (c for c in self.tariff.charges if isinstance(c, DemandCharge))
        looks = [c.ratchet.months for c in charges if c.ratchet and c.quantity == quantity]
        if not looks or name not in self.tables:
            return None
        months = max(looks)
        peaks = self.peaks(name)
        past = np.zeros((*peaks.shape, months), dtype=peaks.dtype)
        for back in range(1, min(months, self.count - 1) + 1):
            past[:, back:, back - 1] = peaks[:, :-back]
        return past.reshape(-1, months)

    def _split(self, calendar: str, reduce: Callable[[Labels, int], Whole]) -> dict[str, Whole]:
        """What a calendar's labels come to, by the names of its periods."""
        periods = compiled(self.tariff, calendar).periods
        found = reduce(self.by_calendar[calendar], self.count * len(periods))
        columns = found.reshape(-1, len(periods))
        return {name: columns[:, index] for index, name in enumerate(periods)}


def _with_periods(bills: Labels, clock: WallClock, calendar: Calendar, name: str) -> Labels:
    """The bill and the period of each interval as one label."""
    inside = bills != OUTSIDE
    days, half_hours = clock.days[inside], clock.half_hours[inside]
    first, last = int(days.min()), int(days.max())
    rows = calendar.rows(np.arange(first, last + 1)).astype(np.int64)
    periods = one_label(rows[days - first, half_hours], of=f"periods of the calendar {name}")
    labels = np.full(len(bills), OUTSIDE)
    labels[inside] = bills[inside] * len(calendar.periods) + periods
    return labels


def _calendars(tariff: Tariff) -> set[str]:
    """The calendars by which a charge is priced."""
    charges = (c for c in tariff.charges if isinstance(c, (EnergyCharge, DemandCharge)))
    return {charge.calendar for charge in charges if charge.calendar}


def _checked(name: str, values: Any, count: int) -> Whole:
    table = np.atleast_2d(np.asarray(values))
    if table.dtype.kind not in "iu" or table.shape[1:] != (count,):
        raise UnableToPriceBill(f"The series {name} must hold {count} whole numbers a meter.")
    if table.size and int(table.min()) < 0:
        raise UnableToPriceBill(f"The series {name} must not be negative.")
    return table


def _bill_of(days: Labels, periods: Sequence[Period]) -> Labels:
    """The index of the period of each day, OUTSIDE for those of none."""
    for before, after in pairwise(periods):
        if after.start < before.end:
            raise UnableToPriceBill("The periods of bills must be in order, without overlaps.")
    starts = np.array([day_number(period.start) for period in periods])
    ends = np.array([day_number(period.end) for period in periods])
    found = np.searchsorted(starts, days, side="right") - 1
    return np.where((found >= 0) & (days < ends[found]), found, OUTSIDE)


def _check_complete(axis: TimeAxis, labels: Labels, periods: Sequence[Period]) -> None:
    for index, period in enumerate(periods):
        begin, end = (start_of_day(day, axis.zone) for day in (period.start, period.end))
        if np.count_nonzero(labels == index) * axis.quarters != (end - begin) // QUARTER:
            raise UnableToPriceBill(
                f"The series does not have every interval from {period.start} to {period.end}."
            )


def _changes(tariff: Tariff) -> list[date]:
    """The dates on which some rate per kWh changes."""
    charges = (c for c in tariff.charges if isinstance(c, EnergyCharge))
    return sorted({change.begin for charge in charges for change in charge.changes or ()})
