"""When each demo meter was opened and read, and what was noted down."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from services.demo.premises import TO_TRY_DAYS, Premises
from services.demo.profile import Register, exported_wh, spread

MONTHS = 18
SUNDAY = 6
COLLECTED_AT = time(8)
# Days before the day of loading on which meters with something to see were last read.
_LAST_READ_BEFORE = {
    "not_read": 31,
    "draft": 3,
    "below_last": 2,
    "too_high": 4,
    "zero_use": 5,
    "check_read": 10,
}
_CHECK_READ_AFTER = timedelta(days=2)


class DemoRead(NamedTuple):
    """Values in Wh before the multiplier, noted down at a local time; None without panels."""

    read_at: datetime
    register_wh: int
    export_wh: int | None = None


@dataclass(frozen=True, slots=True)
class DemoMeter:
    """A meter with its opening date and its later reads, oldest first."""

    premises: Premises
    opened_on: date
    reads: tuple[DemoRead, ...]


def demo_meter(premises: Premises, *, as_of: date, zone: ZoneInfo) -> DemoMeter:
    """A meter's life up to, and not including, the local day `as_of`."""
    if premises.story == "to_try":
        return DemoMeter(premises, as_of - timedelta(days=TO_TRY_DAYS), ())
    if premises.kind == "smart":
        return _smart_meter(premises, as_of, zone)
    days = list(_monthly_days(_read_day(premises, as_of), as_of))
    register = Register(premises, days[0], zone)
    reads = [_monthly_read(register, day, zone) for day in days[1:]]
    if premises.is_solar:
        export = Register(premises, days[0], zone, exported_wh)
        reads = [read._replace(export_wh=export.whole_kwh_at(read.read_at)) for read in reads]
    return DemoMeter(premises, days[0], tuple(_with_story(register, reads, zone)))


def _read_day(premises: Premises, as_of: date) -> int:
    """The day of each month, 1 to 28, on which the round comes to a meter."""
    before = _LAST_READ_BEFORE.get(premises.story)
    if before is None:
        return premises.number * 11 % 28 + 1
    return min((as_of - timedelta(days=before)).day, 28)


def _monthly_days(read_day: int, as_of: date) -> Iterator[date]:
    for back in range(MONTHS, -1, -1):
        years, month = divmod(as_of.year * 12 + as_of.month - 1 - back, 12)
        day = date(years, month + 1, read_day)
        if day < as_of:
            yield day


def _monthly_read(register: Register, day: date, zone: ZoneInfo) -> DemoRead:
    minutes = spread(f"{register.premises.serial} read on {day}", 7 * 60)
    at = datetime.combine(day, time(9), tzinfo=zone) + timedelta(minutes=minutes)
    return DemoRead(at, register.whole_kwh_at(at))


def _with_story(register: Register, reads: list[DemoRead], zone: ZoneInfo) -> list[DemoRead]:
    """The reads with what happened at the last one."""
    last, before = reads[-1], reads[-2]
    match register.premises.story:
        case "below_last":
            reads[-1] = last._replace(register_wh=before.register_wh - 40_000)
        case "too_high":
            # A digit too many was noted down: ten times the use.
            use = last.register_wh - before.register_wh
            reads[-1] = last._replace(register_wh=before.register_wh + 10 * use)
        case "zero_use":
            reads[-1] = last._replace(register_wh=before.register_wh)
        case "check_read":
            day = last.read_at.date() + _CHECK_READ_AFTER
            reads.append(_monthly_read(register, day, zone))
    return reads


def _smart_meter(premises: Premises, as_of: date, zone: ZoneInfo) -> DemoMeter:
    first = next(_monthly_days(1, as_of))
    opened_on = first + timedelta(days=(SUNDAY - first.weekday()) % 7)
    register = Register(premises, opened_on, zone)
    weeks = range(1, (as_of - opened_on - timedelta(days=1)).days // 7 + 1)
    sundays = (opened_on + timedelta(weeks=week) for week in weeks)
    collected = (datetime.combine(day, COLLECTED_AT, tzinfo=zone) for day in sundays)
    return DemoMeter(premises, opened_on, tuple(DemoRead(at, register.at(at)) for at in collected))
