"""Interval meters read the slow way: each interval is asked for its local time and its period."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from services.quantities.period import Period
from tests.oracle.arithmetic import Json
from tests.oracle.calendars import period_at, period_names


@dataclass
class Measured:
    """Wh and the highest W of the intervals that start on the days of a bill."""

    wh: int = 0
    peak_w: int = 0
    by_period: dict[str, dict[str, int]] = field(default_factory=dict)
    peak_w_by_period: dict[str, dict[str, int]] = field(default_factory=dict)
    wh_on: dict[date, int] = field(default_factory=dict)


def measured(
    *,
    tariff: Json,
    start: datetime,
    minutes: int,
    wh: Sequence[int],
    zone: ZoneInfo,
    period: Period,
) -> Measured:
    """Sum and compare one interval after the other."""
    calendars = tariff.get("calendars", {})
    found = Measured()
    for name, calendar in calendars.items():
        found.by_period[name] = dict.fromkeys(period_names(calendar), 0)
        found.peak_w_by_period[name] = dict.fromkeys(period_names(calendar), 0)
    for n, used in enumerate(wh):
        local = (start + n * timedelta(minutes=minutes)).astimezone(zone)
        day = local.date()
        if not period.start <= day < period.end:
            continue
        watts = used * 60 // minutes
        found.wh += used
        found.peak_w = max(found.peak_w, watts)
        found.wh_on[day] = found.wh_on.get(day, 0) + used
        for name, calendar in calendars.items():
            label = period_at(day, local.hour * 60 + local.minute, tariff=tariff, calendar=calendar)
            peaks = found.peak_w_by_period[name]
            found.by_period[name][label] += used
            peaks[label] = max(peaks[label], watts)
    return found
