"""Random usages for a tariff: all that its charges need, at the edges more often than between."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date, timedelta
from fractions import Fraction
from itertools import pairwise
from random import Random
from typing import Any

from services.quantities.period import Period
from services.rating.usage import BillingDeterminants, UsageBatch
from services.tariffs import day_number
from tests.oracle.arithmetic import Json, half_up
from tests.oracle.calendars import occurs, period_at

HUGE_WH = 10**12
USUAL_DAYS = (1, 7, 14, 27, 28, 29, 30, 30, 31, 31, 32, 35, 36, 59, 61, 62, 90, 365, 366)


@dataclass(frozen=True)
class Measured:
    """What the meters of a batch of bills measure, the same for every bill of it."""

    seasons_by_register: bool
    kvah: bool
    by_change: bool


def random_bills(
    random: Random, tariff: Json, count: int
) -> list[tuple[BillingDeterminants, Period]]:
    """Bills whose meters measure the same things, so that they can be one batch."""
    measured = _random_meters(random)
    periods = [random_period(random, tariff) for _ in range(count)]
    return [(_random_usage(random, tariff, measured, period), period) for period in periods]


def random_parts(random: Random, tariffs: list[Json]) -> list[tuple[BillingDeterminants, Period]]:
    """Parts of one bill, each under its tariff, whose days follow each other."""
    parts: list[tuple[BillingDeterminants, Period]] = []
    for tariff in tariffs:
        start = parts[-1][1].end if parts else None
        period = random_period(random, tariff, start=start)
        parts.append((_random_usage(random, tariff, _random_meters(random), period), period))
    return parts


def _random_meters(random: Random) -> Measured:
    return Measured(random.random() < 0.5, random.random() < 0.5, random.random() < 0.4)


def batch_of(bills: list[tuple[BillingDeterminants, Period]]) -> UsageBatch:
    """The bills as columns: what the first has not measured, none has."""
    first, _ = bills[0]
    columns: dict[str, Any] = {
        "start": [day_number(period.start) for _, period in bills],
        "end": [day_number(period.end) for _, period in bills],
    }
    for field in fields(BillingDeterminants):
        values = [getattr(usage, field.name) for usage, _ in bills]
        if getattr(first, field.name) is not None:
            columns[field.name] = _columns(values)
    return UsageBatch(**columns)


def _columns(values: list[Any]) -> Any:
    if isinstance(values[0], Mapping):
        return {key: _columns([value[key] for value in values]) for key in values[0]}
    return values


def random_period(random: Random, tariff: Json, start: date | None = None) -> Period:
    """Odd days, whole months, leap years; within one season where a demand needs that."""
    if start is None:
        start = date(2019, 1, 1) + timedelta(days=random.randrange(5000))
        if random.random() < 0.4:
            start = start.replace(day=1)
    days = random.choice((*USUAL_DAYS, random.randint(1, 400)))
    if random.random() < 0.2:
        next_month = (start.replace(day=1) + timedelta(days=31)).replace(day=1)
        days = (next_month - start).days
    end = start + timedelta(days=days)
    for name in _seasons_of_demand(tariff):
        rule = tariff["calendars"][name]
        first = period_at(start, 0, tariff=tariff, calendar=rule)
        day = start
        while day < end and period_at(day, 0, tariff=tariff, calendar=rule) == first:
            day += timedelta(days=1)
        end = day
    return Period(start, end)


def _seasons_of_demand(tariff: Json) -> list[str]:
    return [
        charge["calendar"]
        for charge in tariff["charges"]
        if charge["kind"] == "demand" and charge.get("calendar") == "season"
    ]


def _random_usage(
    random: Random, tariff: Json, measured: Measured, period: Period
) -> BillingDeterminants:
    wh = _random_wh(random, tariff, period)
    export_wh = _random_wh(random, tariff, period)
    watts = random.choice((0, 1, 999, 4000, 2500, random.randrange(60_000)))
    if random.random() < 0.02:
        watts = 10**9
    calendars = {
        name: _periods_that_occur(tariff, rule, period)
        for name, rule in tariff.get("calendars", {}).items()
        if name == "hours" or measured.seasons_by_register
    }
    vah = _random_vah(random, wh) if measured.kvah or _needs(tariff, "kvah") else None
    fields: dict[str, Any] = {
        "wh": wh,
        "export_wh": export_wh,
        "vah": vah,
        "varh": random.choice((0, wh // 2, wh // 3 + 1, random.randrange(wh + 2))),
        "by_period": {name: _split(random, wh, found) for name, found in calendars.items()},
        "export_by_period": {
            name: _split(random, export_wh, found) for name, found in calendars.items()
        },
        "vah_by_period": {n: _split(random, vah or 0, found) for n, found in calendars.items()},
        "peak_w": watts,
        "peak_va": watts + random.randrange(5000),
        "peak_var": random.randrange(30_000),
        "peak_w_by_period": {n: _peaks(random, watts, found) for n, found in calendars.items()},
        "peak_va_by_period": {n: _peaks(random, watts, found) for n, found in calendars.items()},
        **{
            f"past_peaks_{unit}": tuple(random.randrange(80_000) for _ in range(12))
            for unit in ("w", "va", "var")
        },
        "connected_w": random.choice(
            (2000, 3500, 3501, 5000, 5001, 10_000, random.randrange(15_000))
        ),
        "connected_va": random.randrange(15_000),
        "carried_minor": random.choice((0, 0, 3, -49, random.randrange(-500, 500))),
        "charged_this_year_minor": random.randrange(200_000),
        "closes_year": random.random() < 0.6,
    }
    if measured.by_change:
        fields["wh_before"] = _wh_before(random, tariff, wh, period)
    return BillingDeterminants(**fields)


def _peaks(random: Random, watts: int, found: dict[str, bool]) -> dict[str, int]:
    """A peak in each period that occurs."""
    return {name: random.randrange(watts + 1) if there else 0 for name, there in found.items()}


def _needs(tariff: Json, quantity: str) -> bool:
    return any(charge.get("quantity") == quantity for charge in tariff["charges"])


def _random_wh(random: Random, tariff: Json, period: Period) -> int:
    kind = random.random()
    limits = _limits(tariff) if kind < 0.4 else []
    if limits:
        scales = (Fraction(1), Fraction(period.days), period.months())
        limit = half_up(Fraction(random.choice(limits)) * random.choice(scales) * 1000)
        return max(0, limit + random.choice((-1, 0, 0, 1)))
    if kind < 0.5:
        return random.choice((0, 1, 499, 500, 501, 1500, 2500))
    if kind < 0.55:
        return random.choice((1, 1, 1000)) * (HUGE_WH + random.randrange(HUGE_WH))
    return random.randrange(1_500_000)


def _limits(tariff: Json) -> list[str]:
    """The kWh of all limits of the tariff."""
    texts = []
    for charge in tariff["charges"]:
        when = charge.get("when", {})
        slabs = list(charge.get("slabs", ()))
        for own in charge.get("period_slabs", {}).values():
            slabs += own
        texts += [when.get("kwh_above"), when.get("kwh_up_to")]
        texts += [slab.get("up_to_kwh") for slab in slabs]
    return [text for text in texts if text is not None]


def _random_vah(random: Random, wh: int) -> int:
    return random.choice((wh, wh * 10 // 9, wh * 100 // 85 + 1, wh + random.randrange(wh + 5)))


def _periods_that_occur(tariff: Json, calendar: Json, period: Period) -> dict[str, bool]:
    start, end = period.start, period.end
    return {
        name: occurs(name, start, end, tariff=tariff, calendar=calendar)
        for name in calendar["periods"]
    }


def _split(random: Random, total: int, found: dict[str, bool]) -> dict[str, int]:
    """A total among the periods that occur: sometimes all in one, seldom evenly."""
    names = [name for name, occurring in found.items() if occurring]
    split = dict.fromkeys(found, 0)
    if random.random() < 0.2:
        return split | {random.choice(names): total}
    cuts = sorted(random.randrange(total + 1) for _ in names[1:])
    parts = [end - start for start, end in pairwise([0, *cuts, total])]
    return split | dict(zip(names, parts, strict=True))


def _wh_before(random: Random, tariff: Json, wh: int, period: Period) -> dict[date, int]:
    """What was used before each change: nothing before the bill begins, all after it ends."""
    days = sorted(
        {
            date.fromisoformat(change["from"])
            for charge in tariff["charges"]
            for change in charge.get("changes", ())
        }
    )
    within = [day for day in days if period.start < day < period.end]
    used = sorted(random.randrange(wh + 1) for _ in within)
    providers = {day: 0 if day <= period.start else wh for day in days}
    return providers | dict(zip(within, used, strict=True))
