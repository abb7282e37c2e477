"""The intervals that bills rest on, of one meter or of many together, and what they come to.

Meters that have intervals of the same days share a table: what a tariff needs of it is summed for
all of them at once.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from zoneinfo import ZoneInfo

import numpy as np

from services.quantities.period import Period, start_of_day
from services.rating import Series, TimeAxis, UsageBatch, usage_from_series
from services.rating.exact_columns import Whole
from services.rating.usage import ByPeriod, ColumnsByPeriod
from services.records.intervals import IntervalDays
from services.tariffs import Tariff


@dataclass(frozen=True, slots=True, eq=False)
class IntervalTable:
    """Whole Wh of N meters from a local day on, (N, T)."""

    first: date
    minutes: int
    zone: ZoneInfo
    wh: Whole
    _usages: dict[tuple[int, Period], tuple[Tariff, UsageBatch]] = field(default_factory=dict)

    def usage(self, tariff: Tariff, days: Period) -> UsageBatch:
        """The use of some days as a tariff asks for it; raises UnableToPriceBill."""
        # By the object, which is kept with it: a tariff is one of few, and dear to compare.
        key = id(tariff), days
        if key not in self._usages:
            start = start_of_day(self.first, self.zone)
            axis = TimeAxis(start, self.minutes, self.wh.shape[1], self.zone)
            series = Series(axis=axis, wh=self.wh)
            found = usage_from_series(series=series, tariff=tariff, periods=[days])
            self._usages[key] = tariff, found
        return self._usages[key][1]


@dataclass(frozen=True, slots=True)
class IntervalUsage:
    """What the intervals of one meter say of a use; as in BillingDeterminants."""

    wh: int
    by_period: ByPeriod
    wh_before: Mapping[date, int]
    peak_w: int | None
    peak_w_by_period: ByPeriod


@dataclass(frozen=True, slots=True, eq=False)
class MeteredIntervals:
    """Those of one meter: the days of a bill, without a gap and of one length."""

    days: IntervalDays
    table: IntervalTable
    row: int = 0

    @classmethod
    def alone(cls, days: IntervalDays, *, zone: ZoneInfo) -> "MeteredIntervals":
        """With a table of its own."""
        table = IntervalTable(days.dates[0], days.minutes[0], zone, days.wh[np.newaxis])
        return cls(days, table)

    def usage(self, tariff: Tariff, days: Period) -> IntervalUsage:
        """The use of some days as a tariff asks for it; raises UnableToPriceBill."""
        of_all, row = self.table.usage(tariff, days), self.row
        return IntervalUsage(
            wh=int(of_all.wh[row]),
            by_period=_of_one(of_all.by_period, row),
            wh_before={day: int(column[row]) for day, column in of_all.wh_before.items()},
            peak_w=None if of_all.peak_w is None else int(of_all.peak_w[row]),
            peak_w_by_period=_of_one(of_all.peak_w_by_period, row),
        )

    def wh_between(self, start: date, end: date) -> int:
        """What was used from a date to before another."""
        return self.days.between(start, end).total_wh


def _of_one(columns: ColumnsByPeriod, row: int) -> ByPeriod:
    return {
        calendar: {period: int(column[row]) for period, column in periods.items()}
        for calendar, periods in columns.items()
    }


def in_one_table(
    alone: Iterable[tuple[Hashable, MeteredIntervals]],
) -> Sequence[MeteredIntervals]:
    """The same, where those of the same kind and of the same intervals share a table."""
    given = list(alone)
    alike: dict[Hashable, list[int]] = defaultdict(list)
    for index, (kind, one) in enumerate(given):
        table = one.table
        key = kind, table.first, table.minutes, table.zone, table.wh.shape[1]
        alike[key].append(index)
    shared = [one for _, one in given]
    for indices in alike.values():
        first = shared[indices[0]].table
        table = replace(first, wh=np.concatenate([shared[i].table.wh for i in indices]), _usages={})
        for row, i in enumerate(indices):
            shared[i] = replace(shared[i], table=table, row=row)
    return shared
