"""The bills that a tariff makes of a load, month by month, without any database."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import groupby
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np

from services.importing.load_file import Load
from services.importing.source import Source, UnreadableFile, read_text
from services.importing.tariff_files import json_of
from services.importing.urdb import DaysAs, Remark, rates_of, tariff_of
from services.quantities.energy import format_kwh
from services.quantities.money import exponent, round_half_up, scaled_text
from services.quantities.period import Period, next_month
from services.rating import Series, TimeAxis, UsageBatch, netted_alone, usage_from_series
from services.rating.engine import bill_lines
from services.rating.pricing_context import PricingContext
from services.tariffs import MinimumCharge, Tariff, parse_tariff

_ANY_DATE: Final = date(1990, 1, 1)
_WALL_CLOCK: Final = ZoneInfo("UTC")  # A load has no clock changes: its hours are as written.
_MOST_NAMED: Final = 10
_PLACES: Final = 12


@dataclass(frozen=True, slots=True)
class MonthPrice:
    """A month of a load: Wh, highest W, total in minor units, and each charge, unrounded."""

    month: date
    wh: int
    peak_w: int
    total_minor: int
    charges: dict[str, Fraction]

    def to_json(self, *, currency: str) -> dict[str, Any]:
        """The month with decimal texts; charges that go on without end have 12 decimals."""
        return {
            "month": f"{self.month:%Y-%m}",
            "total": scaled_text(self.total_minor, places=exponent(currency)),
            "kwh": format_kwh(self.wh),
            "peak_kw": format_kwh(self.peak_w),
            "charges": {code: _decimals(amount) for code, amount in self.charges.items()},
        }


def tariff_of_rate(
    source: Source, *, label: str | None = None, days_as: DaysAs = "average_month"
) -> tuple[Tariff, tuple[Remark, ...]]:
    """A rate of a URDB file as a tariff that rounds nothing but the total, and its remarks.

    `label` says which, where there are several. Raises UnreadableFile, UnusableRate, InvalidTariff.
    """
    rates = rates_of(json_of(read_text(source), parse_float=Decimal))
    name, rate = _chosen(rates, label, own_name="label")
    imported = tariff_of(rate, label=name, effective_from=_ANY_DATE, days_as=days_as)
    return parse_tariff(imported.tariff | {"rounding": {"lines": "none"}}), imported.remarks


def tariff_of_file(source: Source, *, code: str | None = None) -> Tariff:
    """A tariff of a file in this project's format. Raises UnreadableFile, InvalidTariff."""
    found = json_of(read_text(source))
    listed = found if isinstance(found, list) else [found]
    named = [(str(t.get("code", "")) if isinstance(t, dict) else "", t) for t in listed]
    _, tariff = _chosen(named, code, own_name="code")
    if not isinstance(tariff, dict):
        raise UnreadableFile("A tariff is an object with named fields.")
    return parse_tariff(tariff)


def price_load(tariff: Tariff, load: Load) -> list[MonthPrice]:
    """The price of each month of a load. Raises UnableToPriceBill.

    A load is kWh and nothing else: it exports nothing, and its power factor is 1.
    """
    periods = list(_months(load))
    axis = TimeAxis(load.start, load.minutes, len(load.wh), _WALL_CLOCK)
    wh = np.array([load.wh])
    none = np.zeros_like(wh)
    series = Series(axis, wh, export_wh=none, vah=wh, varh=none)
    usage = usage_from_series(series=series, tariff=tariff, periods=periods)
    usage = netted_alone(tariff, usage)
    priced = _priced(tariff, usage, periods)
    if any(isinstance(c, MinimumCharge) and c.per == "year" for c in tariff.charges):
        return _priced(tariff, _with_closed_years(usage, priced), periods)
    return priced


def _priced(tariff: Tariff, usage: UsageBatch, periods: Sequence[Period]) -> list[MonthPrice]:
    bills = PricingContext(tariff, usage)
    lines = bill_lines(bills)
    return [
        MonthPrice(
            month=period.start,
            wh=int(usage.wh[row]),
            peak_w=0 if usage.peak_w is None else int(usage.peak_w[row]),
            total_minor=sum(int(_at(line.amount_minor, row)) for line in lines),
            charges={c.code: bills.charged[c.code].at(row) for c in tariff.charges},
        )
        for row, period in enumerate(periods)
    ]


def _at(column: Any, row: int) -> Any:
    """A row of a column; one that is the same for all bills has a single row."""
    return column[row if len(column) > 1 else 0]


def _with_closed_years(usage: UsageBatch, priced: Sequence[MonthPrice]) -> UsageBatch:
    """The usage where the last bill of each whole year knows what the others came to."""
    charged = np.zeros(len(priced), dtype=np.int64)
    closes = np.zeros(len(priced), dtype=np.bool_)
    for _, rows in groupby(range(len(priced)), key=lambda row: priced[row].month.year):
        *earlier, last = rows
        charged[last] = sum(priced[row].total_minor for row in earlier)
        closes[last] = len(earlier) == 11
    return replace(usage, charged_this_year_minor=charged, closes_year=closes)


def _months(load: Load) -> Iterator[Period]:
    day = load.start.date()
    end = (load.start + timedelta(minutes=load.minutes) * len(load.wh)).date()
    while day < end:
        yield Period(day, next_month(day))
        day = next_month(day)


def _chosen(
    entries: Sequence[tuple[str, Any]], name: str | None, *, own_name: str
) -> tuple[str, Any]:
    if name is None:
        found = list(entries)
    else:
        found = [entry for entry in entries if entry[0] == name] or [
            (key, e) for key, e in entries if isinstance(e, dict) and e.get(own_name) == name
        ]
    if len(found) == 1:
        return found[0]
    if not entries:
        raise UnreadableFile("There is nothing in the file.")
    some = ", ".join(key for key, _ in (found or entries)[:_MOST_NAMED])
    if name is not None and not found:
        raise UnreadableFile(f"Nothing in the file is called {name[:60]!r}. There is: {some}.")
    raise UnreadableFile(f"The file has {len(found)} of them: say which with --label: {some}.")


def _decimals(amount: Fraction) -> str:
    return scaled_text(round_half_up(amount * 10**_PLACES), places=_PLACES, trim=True)
