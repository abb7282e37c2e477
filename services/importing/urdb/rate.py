"""A rate of the Utility Rate Database becomes a tariff in the project's format, with remarks."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from services.importing.urdb.demand import add_demand
from services.importing.urdb.draft import DaysAs, Draft
from services.importing.urdb.energy import add_energy, add_fuel
from services.importing.urdb.fields import RateFields, Remark, UnusableRate, date_of, one_line
from services.importing.urdb.fixed import add_fixed, add_minimums
from services.languages.sentence import N_, sentence

CURRENCY: Final = "USD"

# Who may have the rate. Whom it is given to is for people to decide.
_CONDITIONS: Final = (
    "peakkwcapacitymin",
    "peakkwcapacitymax",
    "peakkwcapacityhistory",
    "peakkwhusagemin",
    "peakkwhusagemax",
    "peakkwhusagehistory",
    "voltageminimum",
    "voltagemaximum",
    "voltagecategory",
    "phasewiring",
    "sector",
    "servicetype",
)
# About the record, not about what is charged.
_ABOUT_THE_RECORD: Final = (
    "eiaid",
    "country",
    "is_default",
    "supersedes",
    "latest_update",
    "revisions",
    "sourceparent",
    "approved",
    "version",
)
_PROSE: Final = (
    "description",
    "basicinformationcomments",
    "energycomments",
    "demandcomments",
    "fixedattrs",
    "energyattrs",
    "demandattrs",
)
_NOT_IN_A_CODE: Final = re.compile(r"[^A-Za-z0-9_.-]+")


@dataclass(frozen=True, slots=True)
class ImportedRate:
    """A tariff as parse_tariff reads it, and what the rate has that it has not: (path, text)."""

    tariff: dict[str, Any]
    remarks: tuple[Remark, ...]


def tariff_of(
    rate: object,
    *,
    label: str = "",
    effective_from: date | None = None,
    days_as: DaysAs = "actual",
) -> ImportedRate:
    """The tariff of a rate whose JSON was read with parse_float=Decimal.

    Amounts are dollars. `label` is the name it stands under, where that is not its own; without
    `effective_from` the tariff begins on the rate's own start date. `days_as` "average_month"
    counts an amount per day as 365/12 days in each month. Raises UnusableRate.
    """
    if not isinstance(rate, Mapping):
        raise UnusableRate(("", sentence("is not an object with named fields")))
    fields = RateFields(rate)
    given, own = fields.text("label"), fields.text("name")
    head = _head(fields, code=label or given or own, own_name=own, effective_from=effective_from)
    draft = Draft(fields, days_as)
    add_fixed(draft)
    add_energy(draft)
    add_fuel(draft)
    add_demand(draft)
    if not draft.charges:
        raise UnusableRate(("", sentence("has no charge that a bill could be made of")))
    add_minimums(draft)
    tariff = {**head, "charges": draft.charges}
    if draft.calendars:
        tariff["calendars"] = draft.calendars
    _name_the_rest(fields)
    return ImportedRate(tariff, tuple(fields.remarks))


def _head(
    fields: RateFields, *, code: str, own_name: str, effective_from: date | None
) -> dict[str, Any]:
    utility, uri, source = (fields.text(name) for name in ("utility", "uri", "source"))
    begins = effective_from or _begin(fields)
    _name_the_end(fields)
    if effective_from:
        fields.take("startdate")
    name = ": ".join(part for part in (utility, own_name) if part) or code or "URDB"
    return {
        "code": _NOT_IN_A_CODE.sub("-", code).strip("-._")[:64] or "URDB",
        "name": name[:200],
        "currency": CURRENCY,
        "effective_from": begins.isoformat(),
        "source": "OpenEI Utility Rate Database: " + " ".join(filter(None, (uri or name, source))),
    }


def _begin(fields: RateFields) -> date:
    given = fields.take("startdate")
    if given is None:
        raise UnusableRate(("startdate", sentence("is missing: say from when the tariff holds")))
    begins = date_of(given)
    if begins is None:
        raise UnusableRate(("startdate", sentence("{value} is not a date", value=one_line(given))))
    return begins


def _name_the_end(fields: RateFields) -> None:
    given = fields.take("enddate")
    if given is not None:
        day = str(date_of(given) or one_line(given))
        fields.remark("enddate", sentence("this rate ended on {day}", day=day))


def _name_the_rest(fields: RateFields) -> None:
    """A remark for each thing that no charge was made of."""
    left = fields.left()
    for name in ("dgrules", "usenetmetering"):
        if name in left:
            why = sentence(
                "{value}: exported energy is not set off against what is used",
                value=one_line(left.pop(name)),
            )
            fields.remark(name, why)
    for names, what in (
        (_CONDITIONS, N_("conditions that are not enforced: {names}")),
        (_ABOUT_THE_RECORD, N_("kept in no field: {names}")),
    ):
        listed = [f"{name} {one_line(left.pop(name))}" for name in names if name in left]
        if listed:
            fields.remark("", sentence(what, names=", ".join(listed)))
    for name in _PROSE:
        if name in left:
            fields.remark(
                name,
                sentence("text for people, not priced: {value}", value=one_line(left.pop(name))),
            )
    for name, value in left.items():
        fields.remark(name, sentence("left out: {value}", value=one_line(value)))
