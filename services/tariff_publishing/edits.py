"""What a form does to the JSON of a tariff while it is written: charges, slabs, conditions.

Each edit changes the parsed JSON in place and leaves alone what it is not about. The JSON may be
wrong elsewhere; where it is not shaped as the form showed it, an edit changes nothing.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from services.tariff_publishing.json_text import Path, exact_json, pretty
from services.tariffs.values import listed, mapped

Json = dict[str, Any]
Edit = Callable[[Json], None]

_SLAB_FIELDS: Final = (
    "slabs",
    "period_slabs",
    "slab_limits_per",
    "slabs_apply",
    "limits_to",
    "print",
)
_CALENDAR_FIELDS: Final = ("rates", "period_slabs", "calendar", "tiers")
_NEW: Final[dict[str, Json]] = {
    "energy": {"description": "Energy", "rate": ""},
    "fixed": {"description": "Fixed charge", "amount": "", "per": "month", "proration": "days"},
    "percent": {"description": "Tax", "percent": "", "tax": True},
    "minimum": {
        "description": "To the minimum of the month",
        "amount": "",
        "per": "month",
        "proration": "none",
    },
    "demand": {"description": "Demand charge", "quantity": "kw", "rate": ""},
}
_SETTLED: Final = "settled_kwh"
_OF_OTHERS: Final = ("percent", "minimum")
NEW_KINDS: Final = tuple(_NEW)
_NEW_CALENDAR: Final = {
    "order": ["peak", "off_peak"],
    "periods": {
        "peak": [{"from": "18:00", "to": "22:00"}],
        "off_peak": [{"from": "22:00", "to": "18:00"}],
    },
}


def edited(text: str, edit: Edit) -> str:
    """The text after an edit. Raises UnreadableFile where the text is no JSON."""
    data = exact_json(text)
    edit(data)
    return pretty(data)


def at(data: Any, path: Path) -> Any:
    """What stands at a path; None where nothing does."""
    for step in path:
        if isinstance(step, int):
            data = listed(data)[step] if -1 < step < len(listed(data)) else None
        else:
            data = mapped(data).get(step)
    return data


def put(path: Path, value: Any) -> Edit:
    """Set a value; None takes the field out."""

    def edit(data: Json) -> None:
        place, last = at(data, path[:-1]), path[-1]
        if value is not None and isinstance(place, dict | list):
            place[last] = value  # type: ignore[index]
        elif isinstance(place, dict):
            place.pop(last, None)

    return edit


def add_slab(path: Path) -> Edit:
    """One more slab before the last, to be filled in; `path` leads to the slabs."""

    def edit(data: Json) -> None:
        slabs = at(data, path)
        if isinstance(slabs, list):
            slabs.insert(max(0, len(slabs) - 1), {_bound_name(data, path): "", "rate": ""})

    return edit


def remove_slab(path: Path, index: int) -> Edit:
    """Take a slab out; the last of those that stay takes all the rest."""

    def edit(data: Json) -> None:
        slabs = at(data, path)
        if isinstance(slabs, list) and index < len(slabs) > 1:
            del slabs[index]
            if isinstance(slabs[-1], dict):
                slabs[-1].pop(_bound_name(data, path), None)

    return edit


def price_by(index: int, way: str) -> Edit:
    """Price a charge by one "rate", by "slabs", or by period: "rates" or "period_slabs".

    The first rate that it had is kept. Where periods are asked for and the tariff has none, it gets
    an evening peak to begin with.
    """

    def edit(data: Json) -> None:
        charge = at(data, ("charges", index))
        if not isinstance(charge, dict) or way in charge:
            return
        first = _first_rate(charge)
        old = dict(charge)
        for name in ("rate", "changes", *_SLAB_FIELDS, *_CALENDAR_FIELDS):
            charge.pop(name, None)
        charge |= _price(data, old, way, first)

    return edit


def charged_per(index: int, per: str) -> Edit:
    """Charge an amount per bill, day, month or year, and with what goes with that."""

    def edit(data: Json) -> None:
        charge = at(data, ("charges", index))
        if not isinstance(charge, dict):
            return
        charge["per"] = per
        if per == "month":
            charge.setdefault("proration", "days" if charge.get("kind") == "fixed" else "none")
        else:
            charge.pop("proration", None)
        if per != "day":
            charge.pop("days_as", None)

    return edit


def add_charge(kind: str) -> Edit:
    """One more charge of a kind at the end, to be filled in.

    A tax and a minimum begin with the charges that are neither.
    """

    def edit(data: Json) -> None:
        charges = data.setdefault("charges", [])
        if not isinstance(charges, list):
            return
        codes = {mapped(charge).get("code") for charge in charges}
        stem = "tax" if kind == "percent" else kind
        code = next(
            c for n in range(1, 999) if (c := stem if n == 1 else f"{stem}_{n}") not in codes
        )
        charge: Json = {"code": code, "description": "", "kind": kind, **_NEW[kind]}
        if kind in _OF_OTHERS:
            plain = [c for c in map(mapped, charges) if c.get("kind") not in _OF_OTHERS]
            charge["of"] = [c["code"] for c in plain if isinstance(c.get("code"), str)]
        charges.append(charge)

    return edit


def net_metering(surplus: str | None) -> Edit:
    """Net what is exported, with a surplus that is "paid" or "lapses"; None does not net.

    A surplus that is paid has a charge with its rate, to be filled in.
    """

    def edit(data: Json) -> None:
        charges = data.get("charges")
        if not isinstance(charges, list):
            return
        paying = [c for c in charges if mapped(c).get("quantity") == _SETTLED]
        if surplus is None:
            data.pop("net_metering", None)
        else:
            data["net_metering"] = dict(mapped(data.get("net_metering"))) | {"surplus": surplus}
        if surplus != "paid":
            data["charges"] = [charge for charge in charges if charge not in paying]
        elif not paying:
            charge = {"code": "surplus", "description": "Surplus paid out", "kind": "energy"}
            charges.append(charge | {"quantity": _SETTLED, "rate": ""})

    return edit


def remove_charge(index: int) -> Edit:
    """Take a charge out, also from the charges that were computed from it."""

    def edit(data: Json) -> None:
        charges = data.get("charges")
        if not isinstance(charges, list) or index >= len(charges):
            return
        code = mapped(charges.pop(index)).get("code")
        for charge in charges:
            if isinstance(charge, dict) and isinstance(charge.get("of"), list):
                charge["of"] = [other for other in charge["of"] if other != code]

    return edit


def name_charge(index: int, tag: str, name: str) -> Edit:
    """Call a charge by a name in a language, its IETF tag; an empty name takes it out."""

    def edit(data: Json) -> None:
        charge = at(data, ("charges", index))
        if not isinstance(charge, dict) or not isinstance(charge.get("names", {}), dict):
            return
        names = dict(charge.get("names", {})) | {tag: name}
        if not name:
            names.pop(tag)
        if names:
            charge["names"] = names
        else:
            charge.pop("names", None)

    return edit


def move_charge(index: int, by: int) -> Edit:
    """Print a charge earlier or later."""

    def edit(data: Json) -> None:
        charges, to = data.get("charges"), index + by
        if isinstance(charges, list) and 0 <= to < len(charges) > index:
            charges[index], charges[to] = charges[to], charges[index]

    return edit


def round_total(**given: Any) -> Edit:
    """Change how the total is rounded: `to`, `mode`, `carry_forward`; None takes one out."""

    def edit(data: Json) -> None:
        rounding = dict(mapped(data.get("rounding")))
        total = dict(mapped(rounding.get("total"))) | given
        total = {name: value for name, value in total.items() if value is not None}
        rounding["total"] = total
        if not total.get("to") and not total.get("carry_forward"):
            del rounding["total"]
        data["rounding"] = rounding or "half_up"

    return edit


def _bound_name(data: Json, path: Path) -> str:
    return "up_to_kw" if at(data, (*path[:2], "kind")) == "demand" else "up_to_kwh"


def _first_rate(charge: Mapping[str, Any]) -> Any:
    by_period = next(iter(mapped(charge.get("period_slabs")).values()), None)
    slabs = listed(charge.get("slabs")) or listed(by_period)
    found = [charge.get("rate"), *(mapped(slab).get("rate") for slab in slabs)]
    found += mapped(charge.get("rates")).values()
    return next((rate for rate in found if rate is not None), "")


def _price(data: Json, old: Json, way: str, first: Any) -> Json:
    """The fields that price a charge in a way, from those that it had."""
    energy = old.get("kind") == "energy"
    slabs = old.get("slabs") or next(iter(mapped(old.get("period_slabs")).values()), None)
    slabs = slabs or _begun(first, "up_to_kwh" if energy else "up_to_kw")
    limits = {"slab_limits_per": old.get("slab_limits_per", "month")} if energy else {}
    if way == "rate":
        return {"rate": first}
    if way == "slabs":
        return {"slabs": slabs, **limits}
    calendar, periods = _calendar(data, old)
    if way == "rates":
        return {"calendar": calendar, "rates": dict.fromkeys(periods, first)}
    by_period = {period: [dict(mapped(slab)) for slab in slabs] for period in periods}
    tiers = {"tiers": "pooled"} if energy else {}
    return {"calendar": calendar, "period_slabs": by_period, **limits, **tiers}


def _begun(rate: Any, bound: str) -> list[Json]:
    return [{bound: "", "rate": rate}, {"rate": rate}]


def _calendar(data: Json, charge: Json) -> tuple[str, list[str]]:
    """The calendar that a charge goes by, made where there is none, and its periods."""
    calendars = data.setdefault("calendars", {})
    if not calendars:
        calendars["hours"] = {
            "order": list(_NEW_CALENDAR["order"]),
            "periods": {
                name: [dict(window) for window in windows]
                for name, windows in mapped(_NEW_CALENDAR["periods"]).items()
            },
        }
    name = charge.get("calendar")
    if not isinstance(name, str) or name not in calendars:
        name = next(iter(calendars))
    return name, list(mapped(mapped(calendars[name]).get("periods")))
