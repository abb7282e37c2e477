"""Charges per kWh, kVAh and kVArh: flat, by slab, and by period of a calendar."""

from datetime import date
from fractions import Fraction
from itertools import pairwise

from services.quantities.period import Period
from tests.oracle.arithmetic import Json, shared
from tests.oracle.calendars import period_names
from tests.oracle.parts import (
    Exact,
    Part,
    days_of_periods,
    fill,
    printed,
    scaled_limit,
    whole_units,
)


def energy(part: Part, charge: Json) -> list[Exact]:
    """The lines of a charge per kWh, kVAh or kVArh."""
    quantity = charge.get("quantity", "kwh")
    field = {"kwh": "wh", "export_kwh": "export_wh", "kvah": "vah", "kvarh": "varh"}[quantity]
    unit = {"kwh": "kWh", "export_kwh": "kWh", "kvah": "kVAh", "kvarh": "kVArh"}[quantity]
    total = whole_units(part, part.have(field))
    if "calendar" in charge:
        return energy_by_period(part, charge, total, unit)
    if "slabs" in charge:
        return energy_by_slab(part, charge, total, unit)
    segments = rate_segments(part.period, charge)
    rates = [Fraction(rate) for _, _, rate in segments]
    measured = part.usage.wh_before if quantity == "kwh" else {}
    boundaries = [start for start, _, _ in segments[1:]]
    if boundaries and all(day in measured for day in boundaries):
        reached = [0, *(measured[day] for day in boundaries), part.usage.wh]
        weights = [after - before for before, after in pairwise(reached)]
    else:
        weights = [(end - start).days for start, end, _ in segments]
    used = share_out(part, total, weights)
    return printed([[pair] for pair in zip(used, rates, strict=True)], unit)


def rate_segments(period: Period, charge: Json) -> list[tuple[date, date, str]]:
    """The days of the period at each rate that holds in it, in the order of time."""
    begins = [(period.start, str(charge["rate"]))]
    for change in charge.get("changes", ()):
        begin = date.fromisoformat(change["from"])
        if begin <= period.start:
            begins[0] = (period.start, change["rate"])
        elif begin < period.end:
            begins.append((begin, change["rate"]))
    ends = [begin for begin, _ in begins[1:]] + [period.end]
    return [(begin, end, rate) for (begin, rate), end in zip(begins, ends, strict=True)]


def share_out(part: Part, total: int, weights: list[int]) -> list[int]:
    """A total among weights, in Wh, or in kWh where those are billed whole."""
    if part.tariff.get("whole_kwh"):
        return [kwh * 1000 for kwh in shared(total // 1000, weights)]
    return shared(total, weights)


def energy_by_slab(part: Part, charge: Json, total: int, unit: str) -> list[Exact]:
    """The lines of slabs without a calendar."""
    filled = fill(total, charge["slabs"], energy_limits(part, charge, charge["slabs"]), charge)
    if charge.get("print", "one_line") == "line_per_slab":
        return printed([[used] for used in filled], unit)
    return printed([filled], unit)


def energy_limits(part: Part, charge: Json, slabs: list[Json]) -> list[int]:
    """The upper limits of all slabs but the last, in Wh."""
    per = charge["slab_limits_per"]
    return [scaled_limit(part, charge, slab["up_to_kwh"], per) for slab in slabs[:-1]]


def energy_by_period(part: Part, charge: Json, total: int, unit: str) -> list[Exact]:
    """The lines of a charge with a calendar: by period, and for slabs by slab within it."""
    calendar = part.tariff["calendars"][charge["calendar"]]
    names = period_names(calendar)
    weights = period_weights(part, charge, names)
    used = share_out(part, total, weights)
    per_period: list[list[tuple[int, Fraction]]]
    if "rates" in charge:
        rates = [Fraction(charge["rates"][name]) for name in names]
        per_period = [[(wh, rate)] for wh, rate in zip(used, rates, strict=True)]
        return printed(per_period, unit)
    slabs = [charge["period_slabs"][name] for name in names]
    if charge["tiers"] == "per_period":
        per_period = [
            fill(wh, own, energy_limits(part, charge, own), charge)
            for wh, own in zip(used, slabs, strict=True)
        ]
    else:
        per_period = [[] for _ in names]
        pool = fill(total, slabs[0], energy_limits(part, charge, slabs[0]), charge)
        for n, (in_slab, _) in enumerate(pool):
            for own, wh, filled in zip(
                slabs, share_out(part, in_slab, weights), per_period, strict=True
            ):
                filled.append((wh, Fraction(own[n]["rate"])))
    if charge.get("print", "one_line") == "line_per_slab":
        per_period = [[one] for filled in per_period for one in filled]
    return printed(per_period, unit)


def period_weights(part: Part, charge: Json, names: list[str]) -> list[int]:
    """What the registers or intervals measured in each period; for a season its days."""
    usage, calendar = part.usage, charge["calendar"]
    quantity = charge.get("quantity", "kwh")
    measured = {
        "kwh": usage.by_period,
        "export_kwh": usage.export_by_period,
        "kvah": usage.vah_by_period,
    }.get(quantity, {})
    if calendar in measured:
        return [measured[calendar].get(name, 0) for name in names]
    if quantity == "export_kwh" and not usage.export_wh:
        # A house without panels has no register of what it exports by period.
        return [0 for _ in names]
    return days_of_periods(part, part.tariff["calendars"][calendar])
