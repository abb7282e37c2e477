"""What a URDB rate takes per kW: by time of use, by month, with a ratchet, and per kVAr."""

from decimal import Decimal
from typing import Any, Final

from services.importing.urdb.draft import Charge, Draft, slabs_of
from services.importing.urdb.fields import one_line, plain
from services.importing.urdb.schedules import Schedule, read_months, read_schedule
from services.importing.urdb.structures import Structure, read_structure
from services.languages.sentence import sentence

_QUANTITIES: Final = {"": "kw", "kw": "kw", "kva": "kva"}
# How long most ratchets look back; with the month itself that is a year.
_USUAL_MONTHS: Final = 11


def add_demand(draft: Draft) -> None:
    """The charges for demand and reactive power. Raises UnusableRate."""
    measured = draft.fields.text("demandunits")
    _add_by_time(draft, draft.fields.text("demandrateunit") or measured)
    flat = _add_by_month(draft, draft.fields.text("flatdemandunit") or measured)
    _add_ratchet(draft, flat)
    reactive = draft.fields.number("demandreactivepowercharge")
    if reactive:
        per_kvar = {"quantity": "kvar", "rate": plain(reactive)}
        draft.add("reactive", "Reactive power", "demand", **per_kvar)


def _add_by_time(draft: Draft, unit: str) -> None:
    structure = read_structure(draft.fields, "demandratestructure")
    if structure is None:
        # Hours without a price.
        draft.fields.take("demandweekdayschedule")
        draft.fields.take("demandweekendschedule")
        return
    schedule = read_schedule(draft.fields, "demand", structure.periods)
    _add(draft, structure, schedule, code="demand", description="Demand", unit=unit)


def _add_by_month(draft: Draft, unit: str) -> Charge | None:
    structure = read_structure(draft.fields, "flatdemandstructure")
    if structure is None:
        draft.fields.take("flatdemandmonths")
        return None
    schedule = read_months(draft.fields, structure.periods)
    description = "Highest demand"
    return _add(draft, structure, schedule, code="demand_max", description=description, unit=unit)


def _add(
    draft: Draft,
    structure: Structure,
    schedule: Schedule,
    *,
    code: str,
    description: str,
    unit: str,
) -> Charge | None:
    draft.name_unused(structure, schedule)
    used = {p: structure.periods[p] for p in schedule.used}
    if structure.is_free(used):
        return None
    units = {tier.unit for tiers in used.values() for tier in tiers if tier.unit} or {unit.lower()}
    quantities = {_QUANTITIES.get(its) for its in units}
    quantity = quantities.pop()
    if quantity is None or quantities:
        draft.fields.remark(
            structure.name, sentence("left out: demand in {units}", units=", ".join(sorted(units)))
        )
        return None
    if structure.tiered(used):
        slabs = {
            p: slabs_of(its, "up_to_kw", path=f"{structure.name}[{p}]") for p, its in used.items()
        }
        priced = draft.slabs(code, schedule, slabs)
    else:
        priced = draft.rates(code, schedule, [tiers[0].rate for tiers in structure.periods])
    return draft.add(code, description, "demand", quantity=quantity, **priced)


def _add_ratchet(draft: Draft, flat: Charge | None) -> None:
    """The ratchet on the charge for the highest demand, or a remark why there is none."""
    fields = draft.fields
    months = int(fields.number("lookbackrange"))
    which = fields.take("lookbackmonths")
    percent = fields.number("lookbackpercent") * 100
    path = "lookbackpercent"
    by_month = fields.take("demandratchetpercentage")
    if not percent and by_month is not None:
        path = "demandratchetpercentage"
        percent = _percent_of_all_months(draft, by_month)
    if not percent:
        return
    if flat is None or (isinstance(which, list) and any(which) and not months):
        ratchet = plain(percent)
        why = (
            sentence(
                "left out: a ratchet of {percent}%, there is no charge for the highest demand",
                percent=ratchet,
            )
            if flat is None
            else sentence("left out: a ratchet of {percent}%, by calendar month", percent=ratchet)
        )
        fields.remark(path, why)
        return
    if not months:
        months = _USUAL_MONTHS
        fields.remark(
            path,
            sentence(
                "does not say how many months it looks back: taken as {months}", months=months
            ),
        )
    flat["ratchet"] = {"percent": plain(percent), "months": months}


def _percent_of_all_months(draft: Draft, by_month: Any) -> Decimal:
    path = "demandratchetpercentage"
    listed = by_month if isinstance(by_month, list) else [by_month]
    percents = {draft.fields.exact(percent, f"{path}[{i}]") for i, percent in enumerate(listed)}
    if len(percents) > 1:
        draft.fields.remark(
            path, sentence("left out: it differs by month: {value}", value=one_line(by_month))
        )
        return Decimal(0)
    percent = percents.pop()
    # Written both ways: 0.8 and 80.
    return percent * 100 if percent <= 1 else percent
