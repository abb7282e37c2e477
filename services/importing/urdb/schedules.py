"""URDB's tables of twelve months by 24 hours as a calendar of few windows."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from services.importing.urdb.fields import RateFields, UnusableRate
from services.languages.sentence import sentence

DayType = Literal["weekday", "weekend"]
Table = Sequence[Sequence[int]]
Run = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Schedule:
    """Which period of a rate structure each hour of each month belongs to, by kind of day."""

    weekday: Table
    weekend: Table

    @property
    def used(self) -> list[int]:
        """The periods that some hour belongs to."""
        return sorted(set().union(*self.by_month))

    @property
    def by_month(self) -> list[set[int]]:
        """The periods of each month."""
        return [{*a, *b} for a, b in zip(self.weekday, self.weekend, strict=True)]

    def calendar(self) -> dict[str, Any]:
        """The calendar of the tariff format, each half hour in exactly one period."""
        periods = {name_of(period): list(self._windows(period)) for period in self.used}
        return {"periods": periods, "order": list(periods)}

    def _windows(self, period: int) -> Iterator[dict[str, Any]]:
        found: dict[Run, dict[int, set[DayType]]] = defaultdict(lambda: defaultdict(set))
        tables: tuple[tuple[DayType, Table], ...] = (
            ("weekday", self.weekday),
            ("weekend", self.weekend),
        )
        for day_type, table in tables:
            for month, row in enumerate(table, start=1):
                for run in _runs(row, period):
                    found[run][month].add(day_type)
        for run in sorted(found):
            months_of: dict[tuple[DayType, ...], list[int]] = defaultdict(list)
            for month, days in sorted(found[run].items()):
                months_of[tuple(sorted(days))].append(month)
            for day_types, months in sorted(months_of.items()):
                yield _window(run, day_types, months)


def name_of(period: int) -> str:
    """The name of a period in the tariff; people count URDB's periods from 1."""
    return f"period_{period + 1}"


def monthly(periods: Sequence[int]) -> Schedule:
    """The schedule of a structure whose period depends on the month alone."""
    table = [[period] * 24 for period in periods]
    return Schedule(table, table)


def read_schedule(fields: RateFields, prefix: str, structure: Sequence[Any]) -> Schedule:
    """The schedules of "energy" or "demand". Raises UnusableRate."""
    names = (f"{prefix}weekdayschedule", f"{prefix}weekendschedule")
    given = [fields.take(name) for name in names]
    if all(table is None for table in given):
        if len(structure) > 1:
            raise UnusableRate(
                (
                    names[0],
                    sentence("is missing, and there are {number} periods", number=len(structure)),
                )
            )
        return monthly([0] * 12)
    tables = []
    for name, table, other in zip(names, given, reversed(given), strict=True):
        if table is None:
            fields.remark(
                name, sentence("is missing: its days are taken as the other schedule has them")
            )
        tables.append(_checked(other if table is None else table, name, len(structure)))
    return Schedule(*tables)


def read_months(fields: RateFields, structure: Sequence[Any]) -> Schedule:
    """The schedule of flat demand, a period for each month. Raises UnusableRate."""
    name = "flatdemandmonths"
    periods = fields.take(name)
    if periods is None:
        if len(structure) > 1:
            raise UnusableRate(
                (
                    name,
                    sentence("is missing, and there are {number} periods", number=len(structure)),
                )
            )
        return monthly([0] * 12)
    if not isinstance(periods, list) or len(periods) != 12:
        raise UnusableRate((name, sentence("must list a period for each of the twelve months")))
    return monthly([_period(p, f"{name}[{i}]", len(structure)) for i, p in enumerate(periods)])


def _checked(table: Any, name: str, periods: int) -> Table:
    if not isinstance(table, list) or len(table) != 12:
        raise UnusableRate((name, sentence("must have a list for each of the twelve months")))
    for month, row in enumerate(table):
        if not isinstance(row, list) or len(row) != 24:
            raise UnusableRate(
                (f"{name}[{month}]", sentence("must have a period for each of the 24 hours"))
            )
    return [
        [_period(p, f"{name}[{month}][{hour}]", periods) for hour, p in enumerate(row)]
        for month, row in enumerate(table)
    ]


def _period(value: Any, path: str, periods: int) -> int:
    # Spreadsheets and data frames write whole numbers as 2.0.
    if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
        raise UnusableRate((path, sentence("must be the number of a period, counted from 0")))
    if not 0 <= value < periods or value != int(value):
        raise UnusableRate(
            (
                path,
                sentence(
                    "there is no period {period}: the rate has {periods}, from 0",
                    period=str(value),
                    periods=periods,
                ),
            )
        )
    return int(value)


def _runs(row: Sequence[int], period: int) -> list[Run]:
    """From hour to hour (24 is midnight) of a day; what goes over midnight is one run."""
    starts = [h for h in range(24) if row[h] == period and (h == 0 or row[h - 1] != period)]
    ends = [h + 1 for h in range(24) if row[h] == period and (h == 23 or row[h + 1] != period)]
    runs = list(zip(starts, ends, strict=True))
    if len(runs) > 1 and runs[0][0] == 0 and runs[-1][1] == 24:
        runs = [*runs[1:-1], (runs[-1][0], runs[0][1])]
    return runs


def _window(run: Run, days: Sequence[DayType], months: Sequence[int]) -> dict[str, Any]:
    window: dict[str, Any] = {}
    if len(months) < 12:
        window["months"] = list(months)
    if len(days) < 2:
        window["days"] = list(days)
    if run != (0, 24):
        window |= {"from": f"{run[0]:02d}:00", "to": f"{run[1]:02d}:00"}
    return window
