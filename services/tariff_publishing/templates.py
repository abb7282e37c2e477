"""Tariffs to begin with: common ways to charge, with rates as examples that the owner replaces."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

from services.languages.sentence import N_
from services.tariffs import Tariff

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Template:
    """A way to charge; `definition` makes a tariff of it."""

    name: str
    about: str
    code: str
    charges: tuple[Json, ...]
    rest: Mapping[str, Any] = field(default_factory=dict)

    def definition(self, *, currency: str, begins: date, taken: Collection[str]) -> Json:
        """The JSON of a valid tariff; its code is none of those that are taken."""
        head = {
            "code": free_code(self.code, taken=taken),
            "name": self.name,
            "currency": currency,
            "effective_from": begins.isoformat(),
        }
        return head | dict(self.rest) | {"charges": list(self.charges)}


def copied(tariff: Tariff, *, begins: date, taken: Collection[str]) -> Json:
    """A tariff to begin with that charges as another does, under a code of its own."""
    own = {
        "code": free_code(f"{tariff.code[:56]}-COPY", taken=taken),
        "name": f"{tariff.name[:190]}, copy",
        "effective_from": begins.isoformat(),
    }
    definition = tariff.to_json() | own
    # Where the figures of the other come from is not where those of this one do.
    definition.pop("source", None)
    return definition


def free_code(stem: str, *, taken: Collection[str]) -> str:
    """The stem, or the first of stem-2, stem-3, … that no tariff has."""
    code, number = stem, 1
    while code in taken:
        number += 1
        code = f"{stem}-{number}"
    return code


def _charge(code: str, description: str, kind: str, **fields: Any) -> Json:
    return {"code": code, "description": description, "kind": kind, **fields}


def _monthly(code: str, description: str, amount: str, **fields: Any) -> Json:
    given = {"amount": amount, "per": "month", "proration": "days"}
    return _charge(code, description, "fixed", **given, **fields)


def _tax(*of: str) -> Json:
    return _charge("tax", "Tax, 5%", "percent", percent="5", of=list(of), tax=True)


_ENERGY: Final = _charge("energy", "Energy", "energy", rate="5.00")
_SLABS: Final = _charge(
    "energy",
    "Energy",
    "energy",
    slabs=[
        {"up_to_kwh": "50", "rate": "3.00"},
        {"up_to_kwh": "150", "rate": "4.50"},
        {"rate": "6.00"},
    ],
    slab_limits_per="month",
    print="line_per_slab",
)
_HOURS: Final = {
    "order": ["peak", "off_peak"],
    "periods": {
        "peak": [{"from": "18:00", "to": "22:00"}],
        "off_peak": [{"from": "22:00", "to": "18:00"}],
    },
}
_SEASONS: Final = {
    "summer": {"from": "04-01", "to": "09-30"},
    "winter": {"from": "10-01", "to": "03-31"},
}
_YEAR: Final = {
    "order": ["summer", "winter"],
    "periods": {"summer": [{"seasons": ["summer"]}], "winter": [{"seasons": ["winter"]}]},
}

TEMPLATES: Final = (
    Template(N_("Flat rate"), N_("One rate for each kWh."), "FLAT", (_ENERGY,)),
    Template(
        N_("Slabs with fixed charge and tax"),
        N_("The first kWh cost less than the next; an amount per month; a tax on both."),
        "SLABS",
        (_SLABS, _monthly("fixed", "Fixed charge", "50.00"), _tax("energy", "fixed")),
    ),
    Template(
        N_("Time of use"),
        N_("A rate for the evening peak and one for all other hours, with an amount per month."),
        "TIME-OF-USE",
        (
            _charge(
                "energy",
                "Energy",
                "energy",
                calendar="hours",
                rates={"peak": "8.00", "off_peak": "4.00"},
            ),
            _monthly("fixed", "Fixed charge", "50.00"),
        ),
        {"calendars": {"hours": _HOURS}},
    ),
    Template(
        N_("Net metering (solar)"),
        N_(
            "What is sent to the grid offsets what is used, through slabs; a surplus is banked in "
            "kWh and paid out once a year."
        ),
        "NET-METERING",
        (
            _SLABS,
            _monthly("fixed", "Fixed charge", "50.00"),
            _charge("surplus", "Surplus paid out", "energy", quantity="settled_kwh", rate="-2.50"),
        ),
        {"net_metering": {"surplus": "paid", "settled_in": 3}},
    ),
    Template(
        N_("Seasonal"),
        N_("A rate for the summer and one for the winter, with an amount per month."),
        "SEASONAL",
        (
            _charge(
                "energy",
                "Energy",
                "energy",
                calendar="year",
                rates={"summer": "6.00", "winter": "4.50"},
            ),
            _monthly("fixed", "Fixed charge", "50.00"),
        ),
        {"seasons": _SEASONS, "calendars": {"year": _YEAR}},
    ),
    Template(
        N_("Demand (commercial)"),
        N_("The highest kW of the month, each kWh, an amount for each kW connected, and a tax."),
        "DEMAND",
        (
            _charge("demand", "Demand charge", "demand", quantity="kw", rate="150.00"),
            _ENERGY,
            _monthly("fixed", "Fixed charge per kW", "20.00", times="connected_kw"),
            _tax("demand", "energy", "fixed"),
        ),
    ),
    Template(
        N_("Minimum bill"),
        N_("One rate for each kWh, and at least a certain amount each month."),
        "MINIMUM",
        (
            _ENERGY,
            _charge(
                "minimum",
                "To the minimum of the month",
                "minimum",
                amount="100.00",
                per="month",
                proration="none",
                of=["energy"],
            ),
        ),
    ),
)
