"""Charges for power, and for reactive power and energy."""

from fractions import Fraction

from tests.oracle.arithmetic import Json, half_up, to_multiple
from tests.oracle.calendars import occurs, period_names
from tests.oracle.parts import (
    Exact,
    NotPriced,
    Part,
    days_of_periods,
    fill,
    months_rule,
    printed,
)


def demand(part: Part, charge: Json) -> list[Exact]:
    """The lines of a charge per kW, kVA or kVAr."""
    unit = {"kw": "kW", "kva": "kVA", "kvar": "kVAr"}[charge["quantity"]]
    times = (
        part.count("month", months_rule(part, charge))
        if charge.get("proration") == "days"
        else part.share
    )
    return [
        Exact(line.quantity, line.unit, line.amount * times)
        for line in printed(demand_at_rates(part, charge), unit)
    ]


def demand_at_rates(part: Part, charge: Json) -> list[list[tuple[int, Fraction]]]:
    """W (VA, var) and rate, for each line and within it for each slab."""
    if "calendar" not in charge:
        billed = billed_demand(charge, part, measured_demand(part, charge))
        if "rate" in charge:
            return [[(billed, Fraction(charge["rate"]))]]
        return [fill_demand(billed, charge["slabs"])]
    lines = []
    for name, peak in peaks_by_period(part, charge).items():
        billed = billed_demand(charge, part, peak)
        if "rates" in charge:
            lines.append([(billed, Fraction(charge["rates"][name]))])
        else:
            lines.append(fill_demand(billed, charge["period_slabs"][name]))
    return lines


def peaks_by_period(part: Part, charge: Json) -> dict[str, int]:
    """The peak measured in each period; or the bill's, where all its days are in one season."""
    calendar = part.tariff["calendars"][charge["calendar"]]
    names = period_names(calendar)
    usage = part.usage
    meters = {"kw": usage.peak_w_by_period, "kva": usage.peak_va_by_period}
    measured = meters.get(charge["quantity"], {}).get(charge["calendar"])
    if measured is not None:
        start, end = part.period.start, part.period.end
        return {
            name: measured.get(name, 0)
            for name in names
            if occurs(name, start, end, tariff=part.tariff, calendar=calendar)
        }
    days = days_of_periods(part, calendar)
    for name, n in zip(names, days, strict=True):
        if n == part.period.days:
            return {name: measured_demand(part, charge)}
    raise NotPriced("peak_w_by_period")


def fill_demand(watts: int, slabs: list[Json]) -> list[tuple[int, Fraction]]:
    """How many W go to each slab, whose limits are kW and never scaled."""
    return fill(watts, slabs, [half_up(Fraction(s["up_to_kw"]) * 1000) for s in slabs[:-1]], {})


def measured_demand(part: Part, charge: Json) -> int:
    """The highest W, VA, or var above those free with each kW."""
    if charge["quantity"] != "kvar":
        return int(part.have({"kw": "peak_w", "kva": "peak_va"}[charge["quantity"]]))
    if "free_per_kw" not in charge:
        return int(part.have("peak_var"))
    free = half_up(Fraction(charge["free_per_kw"]) * part.have("peak_w"))
    return max(0, int(part.have("peak_var")) - free)


def billed_demand(charge: Json, part: Part, measured: int) -> int:
    """The demand after the ratchet, the least, and its rounding, in that order."""
    billed = measured
    ratchet = charge.get("ratchet")
    if ratchet:
        name = {"kw": "past_peaks_w", "kva": "past_peaks_va", "kvar": "past_peaks_var"}
        past = getattr(part.usage, name[charge["quantity"]])[: ratchet["months"]]
        billed = max(billed, half_up(Fraction(ratchet["percent"]) / 100 * max(past, default=0)))
    if "at_least_kw" in charge:
        billed = max(billed, half_up(Fraction(charge["at_least_kw"]) * 1000))
    if "demand_to" in charge:
        step = Fraction(charge["demand_to"]["to"]) * 1000
        billed = int(
            to_multiple(Fraction(billed), step, charge["demand_to"].get("mode", "half_up"))
        )
    return billed


def billed_kw(part: Part) -> int:
    """W as the tariff's first demand charge in kW bills them, else as measured."""
    for charge in part.tariff["charges"]:
        if charge["kind"] == "demand" and charge["quantity"] == "kw" and "calendar" not in charge:
            return billed_demand(charge, part, part.have("peak_w"))
    return int(part.have("peak_w"))


def reactive(part: Part, charge: Json) -> list[Exact]:
    """kVArh above those that are free with each kWh."""
    free = half_up(Fraction(charge.get("free_kvarh_per_kwh", "0")) * part.usage.wh)
    return printed([[(max(0, part.have("varh") - free), Fraction(charge["rate"]))]], "kVArh")
