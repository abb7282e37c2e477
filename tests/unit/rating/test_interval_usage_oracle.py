"""Interval meters: sums and peaks by period, held against asking each half hour for its time."""

import csv
import json
from dataclasses import dataclass
from datetime import UTC, date, timedelta
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from services.quantities.period import Period, start_of_day
from services.rating import UnableToPriceBill, UsageBatch
from services.rating.interval_usage import Series, usage_from_series
from services.rating.time_axis import TimeAxis
from services.tariffs import parse_tariff
from tests.oracle.arithmetic import Json, days_between
from tests.oracle.generator import HOLIDAYS, random_tariff
from tests.oracle.intervals import Measured, measured

HOME = Path(__file__).parents[2] / "data" / "ausgrid_home_half_hours.csv"


@dataclass(frozen=True)
class Days:
    """Some local days around what clocks do on `change`, measured every so many minutes."""

    zone: str
    change: date
    minutes: int

    @property
    def periods(self) -> list[Period]:
        """Three bills of odd lengths, the second with the change."""
        days = [self.change + timedelta(days=n) for n in (-4, -1, 3, 5)]
        return [Period(start, end) for start, end in pairwise(days)]


CASES = [
    Days("Australia/Sydney", date(2011, 10, 2), 30),  # 23 hours
    Days("Australia/Sydney", date(2012, 4, 1), 15),  # 25 hours
    Days("Europe/Berlin", date(2024, 3, 31), 30),
    Days("America/New_York", date(2024, 11, 3), 15),
    Days("Australia/Lord_Howe", date(2024, 4, 7), 30),  # half an hour back
    Days("America/Sao_Paulo", date(2018, 11, 4), 30),  # no midnight
    Days("America/Havana", date(2024, 11, 3), 30),  # midnight twice over
    Days("Asia/Kathmandu", date(2024, 12, 25), 15),  # 5 h 45 min ahead; a holiday
    Days("Asia/Kolkata", date(2023, 8, 15), 30),  # 5 h 30 min ahead; a holiday
    Days("Pacific/Apia", date(2011, 12, 31), 30),  # a day that never was
    Days("Europe/London", date(2024, 10, 27), 60),
    Days("UTC", date(2024, 2, 29), 30),
]


def _tariff_with_hours(random: Random, minutes: int = 30) -> Json:
    """A tariff whose calendars are measured: energy and demand by period, and a ratchet."""
    while True:
        tariff = random_tariff(random)
        half_past = ":30" in json.dumps(tariff.get("calendars", {}))
        # An hour is in one period only if periods are whole hours.
        if "calendars" in tariff and not (minutes == 60 and half_past):
            break
    tariff["holidays"] = HOLIDAYS
    rates = dict.fromkeys(tariff["calendars"]["hours"]["periods"], "1")
    by_hours = {"calendar": "hours", "rates": rates}
    ratchet = {"percent": "80", "months": 2}
    charges: list[dict[str, Any]] = [
        {"kind": "energy", **by_hours},
        {"kind": "energy", "quantity": "export_kwh", **by_hours},
        {"kind": "energy", "quantity": "kvah", **by_hours},
        {"kind": "demand", "quantity": "kw", **by_hours},
        {"kind": "demand", "quantity": "kva", **by_hours},
        {"kind": "demand", "quantity": "kva", "rate": "1", "ratchet": ratchet},
        {"kind": "demand", "quantity": "kw", "rate": "1", "ratchet": ratchet},
        {"kind": "energy", "rate": "1", "changes": [{"from": str(_A_CHANGE), "rate": "2"}]},
    ]
    named = [{"code": f"c{n}", "description": "C", **charge} for n, charge in enumerate(charges)]
    return {**tariff, "charges": named}


_A_CHANGE = date(2024, 4, 7)


def _axis(case: Days) -> TimeAxis:
    """The intervals from the first bill's first instant to the last one's end, and some more."""
    zone = ZoneInfo(case.zone)
    start = start_of_day(case.periods[0].start, zone) - timedelta(hours=2)
    end = start_of_day(case.periods[-1].end, zone) + timedelta(hours=3)
    count = int((end - start) / timedelta(minutes=case.minutes))
    return TimeAxis(start=start, minutes=case.minutes, count=count, zone=zone)


def _same(
    batch: UsageBatch, row: int, imported: Measured, exported: Measured, apparent: Measured
) -> None:
    usage, _ = batch.row(row)
    assert (usage.wh, usage.export_wh, usage.vah) == (imported.wh, exported.wh, apparent.wh)
    assert (usage.peak_w, usage.peak_va) == (imported.peak_w, apparent.peak_w)
    assert usage.vah_by_period["hours"] == apparent.by_period["hours"]
    assert usage.peak_va_by_period["hours"] == apparent.peak_w_by_period["hours"]
    assert usage.by_period["hours"] == imported.by_period["hours"]
    assert usage.export_by_period["hours"] == exported.by_period["hours"]
    assert usage.peak_w_by_period["hours"] == imported.peak_w_by_period["hours"]
    before = sum(wh for day, wh in imported.wh_on.items() if day < _A_CHANGE)
    assert usage.wh_before[_A_CHANGE] == before


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.zone} {case.change}")
def test_each_interval_is_in_the_period_that_the_clock_on_the_wall_says(case: Days) -> None:
    for seed in range(3):
        random = Random(f"{case} {seed}")  # noqa: S311
        tariff = _tariff_with_hours(random, case.minutes)
        axis = _axis(case)
        tables = [
            [[random.randrange(3000) for _ in range(axis.count)] for _ in range(2)]
            for _ in range(3)
        ]
        wh, export_wh, vah = map(np.array, tables)
        batch = usage_from_series(
            series=Series(axis=axis, wh=wh, export_wh=export_wh, vah=vah),
            tariff=parse_tariff(tariff),
            periods=case.periods,
        )
        row = 0
        for tables_of_meter in zip(*tables, strict=True):
            past: list[int] = []
            past_va: list[int] = []
            for period in case.periods:
                found = [
                    measured(
                        tariff=tariff,
                        start=axis.start,
                        minutes=axis.minutes,
                        wh=wh,
                        zone=axis.zone,
                        period=period,
                    )
                    for wh in tables_of_meter
                ]
                _same(batch, row, *found)
                usage, _ = batch.row(row)
                for peaks, earlier in ((usage.past_peaks_w, past), (usage.past_peaks_va, past_va)):
                    assert [peak for peak in peaks if peak] == earlier[:2], case
                past.insert(0, found[0].peak_w)
                past_va.insert(0, found[2].peak_w)
                row += 1


def test_a_real_home_around_two_clock_changes() -> None:
    with HOME.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    random = Random(1)  # noqa: S311
    zone = ZoneInfo("Australia/Sydney")
    for first in (date(2011, 9, 29), date(2012, 3, 29)):
        # The source leaves clock changes out: 48 half hours a day, taken here as they follow.
        start = start_of_day(first, zone)
        days = {f"{day}" for day in days_between(first, first + timedelta(days=6))}
        own = [row for row in rows if row["start"][:10] in days]
        used = [int(row["consumption_wh"]) for row in own]
        exported = [int(row["generation_wh"]) for row in own]
        apparent = [wh * 10 // 9 for wh in used]
        assert len(own) == 288
        period = Period(first + timedelta(days=1), first + timedelta(days=5))
        tariff = _tariff_with_hours(random)
        axis = TimeAxis(start=start, minutes=30, count=len(own), zone=zone)
        batch = usage_from_series(
            series=Series(
                axis=axis,
                wh=np.array([used]),
                export_wh=np.array([exported]),
                vah=np.array([apparent]),
            ),
            tariff=parse_tariff(tariff),
            periods=[period],
        )
        found = [
            measured(tariff=tariff, start=start, minutes=30, wh=wh, zone=zone, period=period)
            for wh in (used, exported, apparent)
        ]
        _same(batch, 0, *found)
        assert batch.row(0)[0].wh not in (0, sum(used))


def test_an_hour_across_the_end_of_a_day_is_in_no_bill() -> None:
    """Hours of the clock in Greenwich are from half to half in Kolkata."""
    period = Period(date(2024, 1, 1), date(2024, 1, 3))
    zone = ZoneInfo("Asia/Kolkata")
    start = start_of_day(period.start, zone).astimezone(UTC) - timedelta(minutes=30)
    axis = TimeAxis(start=start, minutes=60, count=49, zone=zone)
    tariff = _tariff_with_hours(Random(1))  # noqa: S311
    with pytest.raises(UnableToPriceBill, match="boundary"):
        usage_from_series(
            series=Series(axis=axis, wh=np.ones((1, 49), dtype=np.int64)),
            tariff=parse_tariff(tariff),
            periods=[period],
        )
