"""What is said of changes of meters, places of supply, agreements and readings."""

from typing import Final

from services.history import terms
from services.history.entries import NamedChange, Said, link_to

_METER: Final = {
    "serial": "Serial",
    "customer_id": "Customer",
    "tariff_id": "Tariff",
    "kind": "Kind",
    "dials": "Digits",
    "multiplier_milli": "Multiplier",
    "status": "Status",
    "opened_on": "Connected on",
    "transformer_id": "Transformer",
    "registers": "Further registers",
    "connected_w": "Connected load",
    "connected_va": "Connected load",
}
_SUPPLY: Final = {
    "connect": "Connected",
    "move_in": "Moved in",
    "move_out": "Moved out",
    "exchange": "Meter exchanged",
    "multiplier": "Another multiplier",
    "tariff": "Another tariff",
    "stay": "Did not move out",
    "disconnect": "Disconnected",
    "reconnect": "Reconnected",
    "not_disconnected": "Was not disconnected",
    "not_reconnected": "Was not reconnected",
    "undo": "Undone",
}
_DECIDED: Final = {
    "accepted": "accepted",
    "needs_review": "waits for a decision",
    "rejected": "rejected",
    "superseded": "replaced by a corrected one",
}


def meter(named: NamedChange) -> Said:
    """A meter was connected, or something of it changed."""
    serial = named.shown("serial")
    link = link_to("meter", named.change.row_id)
    if named.is_new:
        return Said(
            what=f"Meter {serial} added",
            details=named.facts(_METER, without=("serial",)),
            link=link,
        )
    if named.change.after.get("status") == "closed":
        what = f"Meter {serial} closed"
    elif set(named.change.after) == {"tariff_id"}:
        what = f"Another tariff for meter {serial}"
    else:
        what = f"Meter {serial} changed"
    return Said(what=what, details=named.details(_METER), link=link)


def reading(named: NamedChange) -> Said:
    """A reading came in, was decided on, or was replaced."""
    value, on = named.shown("register_wh"), named.shown("read_on")
    of = f" of meter {named.name('meter_id')}" if named.name("meter_id") else ""
    source = terms.READING_SOURCE.get(str(named.value("source")), "")
    link = link_to("meter", named.value("meter_id"))
    if named.is_new:
        status = str(named.value("status"))
        state = "" if status == "accepted" else _DECIDED.get(status, status)
        opening = "the meter's first reading" if named.value("is_opening") else ""
        more = " · ".join(filter(None, (f"read on {on}", source, opening, state)))
        return Said(what=f"Reading {value}{of}", more=more, link=link)
    reason = str(named.value("decision_reason") or "")
    if named.changed("status"):
        status = str(named.value("status"))
        said = _DECIDED.get(status, status.replace("_", " "))
        return Said(what=f"Reading {value} of {on} {said}", more=reason, link=link)
    return Said(what=f"Reading {value} of {on} changed", details=named.details(), link=link)


def missed_read(named: NamedChange) -> Said:
    """A meter could not be read at a visit."""
    why = terms.MISSED_READ.get(named.value("reason"), "")
    note = str(named.value("note") or "")
    of = f"Meter {named.name('meter_id')}" if named.name("meter_id") else "The meter"
    return Said(
        what=f"{of} could not be read: {why}",
        more=" · ".join(filter(None, (f"visited on {named.shown('missed_on')}", note))),
        link=link_to("meter", named.value("meter_id")),
    )


def photo(named: NamedChange) -> Said:
    """A meter was photographed."""
    of = f" of meter {named.name('meter_id')}" if named.name("meter_id") else ""
    return Said(what=f"Photo{of} kept", link=link_to("meter", named.value("meter_id")))


def reading_request(named: NamedChange) -> Said:
    """A meter is to be read again, was read again, or need not be any more."""
    of = f" of meter {named.name('meter_id')}" if named.name("meter_id") else ""
    link, reason = link_to("meter", named.value("meter_id")), str(named.value("reason") or "")
    if named.is_new:
        return Said(what=f"New reading{of} asked for", more=reason, link=link)
    if named.value("done_reading_id"):
        return Said(what=f"New reading{of}, as asked for, came in", more=reason, link=link)
    return Said(what=f"New reading{of} is not needed any more", more=reason, link=link)


def service_point(named: NamedChange) -> Said:
    """A service point was added, or something of it changed."""
    code, link = named.shown("code"), link_to("service_point", named.change.row_id)
    if named.is_new:
        what, details = f"Service point {code} added", named.facts(without=("code",))
        return Said(what=what, details=details, link=link)
    return Said(what=f"Service point {code} changed", details=named.details(), link=link)


def installation(named: NamedChange) -> Said:
    """A meter was put up at a place, or taken away."""
    serial, place = named.name("meter_id"), named.name("service_point_id")
    link = link_to("meter", named.value("meter_id"))
    at = f" at {place}" if place else ""
    if named.is_new:
        on = named.shown("installed_on")
        details = named.facts({"multiplier_milli": "Multiplier"}, without=_INSTALLED)
        return Said(what=f"Meter {serial} installed{at}", more=on, details=details, link=link)
    if named.change.after.get("removed_on"):
        more = " · ".join(filter(None, (named.shown("removed_on"), named.shown("removal_reason"))))
        return Said(what=f"Meter {serial} removed{at}", more=more, link=link)
    return Said(what=f"Meter {serial}{at} changed", details=named.details(), link=link)


_INSTALLED: Final = ("installed_at", "installed_on", "meter_id", "service_point_id")


def agreement(named: NamedChange) -> Said:
    """Who is supplied at a place, from when to when."""
    place = named.name("service_point_id")
    at = f" at {place}" if place else ""
    who = named.name("customer_id")
    link = link_to("service_point", named.value("service_point_id"))
    if named.is_new:
        more = f"{who}, from {named.shown('starts_on')}"
        return Said(what=f"Supply agreed{at}", more=more, link=link)
    if named.change.after.get("ends_on"):
        more = f"{who}, on {named.shown('ends_on')}"
        return Said(what=f"Agreement ended{at}", more=more, link=link)
    details = named.details({"billing_day": "Billing day"})
    return Said(what=f"Agreement changed{at}", details=details, link=link)


def disconnection(named: NamedChange) -> Said:
    """The supply of an agreement was cut, came back, or either was a mistake."""
    if named.is_new:
        return Said(what="Supply cut", more=f"from {named.shown('disconnected_on')}")
    if named.changed("withdrawn"):
        return Said(what="Supply was not cut")
    if named.change.after.get("reconnected_on"):
        return Said(what="Supply restored", more=f"from {named.shown('reconnected_on')}")
    if named.changed("reconnected_on"):
        return Said(what="Supply was not restored")
    return Said(what="Reading of a disconnection corrected")


def agreement_tariff(named: NamedChange) -> Said:
    """Another tariff from a date on."""
    tariff, begins = named.name("tariff_id"), named.shown("starts_on")
    if named.is_new:
        return Said(what=f"Tariff {tariff}", more=f"from {begins}")
    return Said(what="Tariff of the agreement changed", details=named.details())


def supply_change(named: NamedChange) -> Said:
    """Why who is supplied, or by which meter, changed."""
    kind, place = str(named.value("kind")), named.name("service_point_id")
    what = _SUPPLY.get(kind, "Supply changed")
    return Said(
        what=f"{what} at {place}" if place else what,
        more=" · ".join(filter(None, (named.shown("effective_on"), named.shown("reason")))),
        link=link_to("service_point", named.value("service_point_id")),
    )


def tariff(named: NamedChange) -> Said:
    """A tariff was made, or its name changed."""
    name = named.shown("name")
    if named.is_new:
        return Said(
            what=f"Tariff {name} made", details=named.facts({"code": "Code"}, without=("name",))
        )
    return Said(what=f"Tariff {name} changed", details=named.details({"name": "Name"}))


def tariff_version(named: NamedChange) -> Said:
    """A version of a tariff was published, or took the place of a wrong one."""
    begins = named.shown("effective_from")
    if not named.is_new:
        return Said(what=f"Version from {begins} changed", details=named.details())
    reason = str(named.value("correction_reason") or "")
    if named.value("replaces_id"):
        return Said(what=f"Version from {begins} corrected", more=reason)
    return Said(what=f"Version from {begins} published")
