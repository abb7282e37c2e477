"""What a URDB rate takes and gives per kWh: tiers, periods, fuel adjustments, energy sold."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from services.importing.urdb.draft import Draft, slabs_of
from services.importing.urdb.fields import UnusableRate
from services.importing.urdb.schedules import Schedule, monthly, read_schedule
from services.importing.urdb.structures import Structure, Tier, read_structure
from services.languages.sentence import sentence

_LIMITS_PER: Final = {"": "month", "kwh": "month", "kwh daily": "day", "kwh/kw": "kw"}
_NOTHING: Final = [Tier(None, Decimal(0), Decimal(0), "")]


def add_energy(draft: Draft) -> None:
    """The charge for energy and the credit for what is sold. Raises UnusableRate."""
    structure = read_structure(draft.fields, "energyratestructure")
    if structure is None:
        return
    schedule = read_schedule(draft.fields, "energy", structure.periods)
    draft.name_unused(structure, schedule)
    units = {period: _unit(structure, period) for period in structure.tiered(schedule.used)}
    if not units:
        rates = [tiers[0].rate for tiers in structure.periods]
        draft.add("energy", "Energy", "energy", **draft.rates("energy", schedule, rates))
    for number, unit in enumerate(sorted(set(units.values()))):
        # Periods whose tiers are counted otherwise cost nothing here, and all in their own charge.
        mine = [p for p in schedule.used if units.get(p, "" if number else unit) == unit]
        code = f"energy_{number + 1}" if number else "energy"
        _add_tiers(draft, structure, schedule, mine=mine, unit=unit, code=code)
    _name_differing_bounds(draft, structure, schedule)
    _add_sold(draft, structure, schedule)


def add_fuel(draft: Draft) -> None:
    """What is added to each kWh by the month. Raises UnusableRate."""
    name = "fueladjustmentsmonthly"
    given = draft.fields.take(name)
    if given is None:
        return
    if not isinstance(given, list) or len(given) != 12:
        raise UnusableRate((name, sentence("must list an amount for each of the twelve months")))
    amounts = [draft.fields.exact(amount, f"{name}[{i}]") for i, amount in enumerate(given)]
    if any(amounts):
        different = list(dict.fromkeys(amounts))
        schedule = monthly([different.index(amount) for amount in amounts])
        rates = draft.rates("fuel", schedule, different)
        draft.add("fuel", "Fuel adjustment", "energy", **rates)


def _unit(structure: Structure, period: int) -> str:
    """How the bounds of a period are counted: "month", "day" or "kw"."""
    units = {tier.unit for tier in structure.periods[period] if tier.bound is not None}
    path = f"{structure.name}[{period}]"
    for unit in sorted(units - set(_LIMITS_PER)):
        raise UnusableRate((path, sentence("tiers in {unit} are not known here", unit=repr(unit))))
    counted = {_LIMITS_PER[unit] for unit in units}
    if len(counted) > 1:
        raise UnusableRate(
            (
                path,
                sentence(
                    "its tiers are in different units: {units}", units=", ".join(sorted(units))
                ),
            )
        )
    return counted.pop()


def _add_tiers(
    draft: Draft,
    structure: Structure,
    schedule: Schedule,
    *,
    mine: Sequence[int],
    unit: str,
    code: str,
) -> None:
    tiers = {p: structure.periods[p] if p in mine else _NOTHING for p in schedule.used}
    # The use fills the tiers once for all periods. Where summer's bounds are not winter's, all are
    # divided at the bounds of both: each period then costs what it did.
    bounds = {tier.bound for its in tiers.values() for tier in its if tier.bound is not None}
    slabs = {
        p: slabs_of(its, "up_to_kwh", bounds=bounds, path=f"{structure.name}[{p}]")
        for p, its in tiers.items()
    }
    charge = draft.slabs("energy", schedule, slabs)
    charge |= {"tiers": "pooled"} if "calendar" in charge else {"print": "line_per_slab"}
    draft.add(code, "Energy", "energy", **charge, slab_limits_per=unit)


def _name_differing_bounds(draft: Draft, structure: Structure, schedule: Schedule) -> None:
    for month, periods in enumerate(schedule.by_month):
        if len({tuple(tier.bound for tier in structure.periods[p]) for p in periods}) > 1:
            why = sentence(
                "periods of month {month} have different bounds: each prices its share of the "
                "month's use by its own",
                month=month + 1,
            )
            draft.fields.remark(structure.name, why)
            return


def _add_sold(draft: Draft, structure: Structure, schedule: Schedule) -> None:
    prices = {p: {tier.sell for tier in structure.periods[p]} for p in schedule.used}
    if not any(any(of_period) for of_period in prices.values()):
        return
    if any(len(of_period) > 1 for of_period in prices.values()):
        why = sentence("left out: the tiers of a period differ in what sold energy earns")
        draft.fields.remark(f"{structure.name}.sell", why)
        return
    rates = draft.rates("energy", schedule, [-tiers[0].sell for tiers in structure.periods])
    draft.add("sold", "Energy sold", "energy", quantity="export_kwh", **rates)
