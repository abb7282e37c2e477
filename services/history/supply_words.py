"""What is said of changes of meters, places of supply, agreements and readings."""

from typing import Final

from services.history import terms
from services.history.told import Said, Told, link_to

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


def meter(told: Told) -> Said:
    """A meter was connected, or something of it changed."""
    serial = told.shown("serial")
    link = link_to("meter", told.change.row_id)
    if told.is_new:
        return Said(
            what=f"Meter {serial} added", details=told.facts(_METER, without=("serial",)), link=link
        )
    if told.change.after.get("status") == "closed":
        what = f"Meter {serial} closed"
    elif set(told.change.after) == {"tariff_id"}:
        what = f"Another tariff for meter {serial}"
    else:
        what = f"Meter {serial} changed"
    return Said(what=what, details=told.details(_METER), link=link)


def reading(told: Told) -> Said:
    """A reading came in, was decided on, or was replaced."""
    value, on = told.shown("register_wh"), told.shown("read_on")
    of = f" of meter {told.name('meter_id')}" if told.name("meter_id") else ""
    source = terms.READING_SOURCE.get(str(told.value("source")), "")
    link = link_to("meter", told.value("meter_id"))
    if told.is_new:
        status = str(told.value("status"))
        state = "" if status == "accepted" else _DECIDED.get(status, status)
        opening = "the meter's first reading" if told.value("is_opening") else ""
        more = " · ".join(filter(None, (f"read on {on}", source, opening, state)))
        return Said(what=f"Reading {value}{of}", more=more, link=link)
    reason = str(told.value("decision_reason") or "")
    if told.changed("status"):
        status = str(told.value("status"))
        said = _DECIDED.get(status, status.replace("_", " "))
        return Said(what=f"Reading {value} of {on} {said}", more=reason, link=link)
    return Said(what=f"Reading {value} of {on} changed", details=told.details(), link=link)


def missed_read(told: Told) -> Said:
    """A meter could not be read at a visit."""
    why = terms.MISSED_READ.get(told.value("reason"), "")
    note = str(told.value("note") or "")
    of = f"Meter {told.name('meter_id')}" if told.name("meter_id") else "The meter"
    return Said(
        what=f"{of} could not be read: {why}",
        more=" · ".join(filter(None, (f"visited on {told.shown('missed_on')}", note))),
        link=link_to("meter", told.value("meter_id")),
    )


def photo(told: Told) -> Said:
    """A meter was photographed."""
    of = f" of meter {told.name('meter_id')}" if told.name("meter_id") else ""
    return Said(what=f"Photo{of} kept", link=link_to("meter", told.value("meter_id")))


def reading_request(told: Told) -> Said:
    """A meter is to be read again, was read again, or need not be any more."""
    of = f" of meter {told.name('meter_id')}" if told.name("meter_id") else ""
    link, reason = link_to("meter", told.value("meter_id")), str(told.value("reason") or "")
    if told.is_new:
        return Said(what=f"New reading{of} asked for", more=reason, link=link)
    if told.value("done_reading_id"):
        return Said(what=f"New reading{of}, as asked for, came in", more=reason, link=link)
    return Said(what=f"New reading{of} is not needed any more", more=reason, link=link)


def service_point(told: Told) -> Said:
    """A service point was added, or something of it changed."""
    code, link = told.shown("code"), link_to("service_point", told.change.row_id)
    if told.is_new:
        what, details = f"Service point {code} added", told.facts(without=("code",))
        return Said(what=what, details=details, link=link)
    return Said(what=f"Service point {code} changed", details=told.details(), link=link)


def installation(told: Told) -> Said:
    """A meter was put up at a place, or taken away."""
    serial, place = told.name("meter_id"), told.name("service_point_id")
    link = link_to("meter", told.value("meter_id"))
    at = f" at {place}" if place else ""
    if told.is_new:
        on = told.shown("installed_on")
        details = told.facts({"multiplier_milli": "Multiplier"}, without=_INSTALLED)
        return Said(what=f"Meter {serial} installed{at}", more=on, details=details, link=link)
    if told.change.after.get("removed_on"):
        more = " · ".join(filter(None, (told.shown("removed_on"), told.shown("removal_reason"))))
        return Said(what=f"Meter {serial} removed{at}", more=more, link=link)
    return Said(what=f"Meter {serial}{at} changed", details=told.details(), link=link)


_INSTALLED: Final = ("installed_at", "installed_on", "meter_id", "service_point_id")


def agreement(told: Told) -> Said:
    """Who is supplied at a place, from when to when."""
    place = told.name("service_point_id")
    at = f" at {place}" if place else ""
    who = told.name("customer_id")
    link = link_to("service_point", told.value("service_point_id"))
    if told.is_new:
        more = f"{who}, from {told.shown('starts_on')}"
        return Said(what=f"Supply agreed{at}", more=more, link=link)
    if told.change.after.get("ends_on"):
        more = f"{who}, on {told.shown('ends_on')}"
        return Said(what=f"Agreement ended{at}", more=more, link=link)
    details = told.details({"billing_day": "Billing day"})
    return Said(what=f"Agreement changed{at}", details=details, link=link)


def disconnection(told: Told) -> Said:
    """The supply of an agreement was cut, came back, or either was a mistake."""
    if told.is_new:
        return Said(what="Supply cut", more=f"from {told.shown('disconnected_on')}")
    if told.changed("withdrawn"):
        return Said(what="Supply was not cut")
    if told.change.after.get("reconnected_on"):
        return Said(what="Supply restored", more=f"from {told.shown('reconnected_on')}")
    if told.changed("reconnected_on"):
        return Said(what="Supply was not restored")
    return Said(what="Reading of a disconnection corrected")


def agreement_tariff(told: Told) -> Said:
    """Another tariff from a date on."""
    tariff, begins = told.name("tariff_id"), told.shown("starts_on")
    if told.is_new:
        return Said(what=f"Tariff {tariff}", more=f"from {begins}")
    return Said(what="Tariff of the agreement changed", details=told.details())


def supply_change(told: Told) -> Said:
    """Why who is supplied, or by which meter, changed."""
    kind, place = str(told.value("kind")), told.name("service_point_id")
    what = _SUPPLY.get(kind, "Supply changed")
    return Said(
        what=f"{what} at {place}" if place else what,
        more=" · ".join(filter(None, (told.shown("effective_on"), told.shown("reason")))),
        link=link_to("service_point", told.value("service_point_id")),
    )


def tariff(told: Told) -> Said:
    """A tariff was made, or its name changed."""
    name = told.shown("name")
    if told.is_new:
        return Said(
            what=f"Tariff {name} made", details=told.facts({"code": "Code"}, without=("name",))
        )
    return Said(what=f"Tariff {name} changed", details=told.details({"name": "Name"}))


def tariff_version(told: Told) -> Said:
    """A version of a tariff was published, or took the place of a wrong one."""
    begins = told.shown("effective_from")
    if not told.is_new:
        return Said(what=f"Version from {begins} changed", details=told.details())
    reason = str(told.value("correction_reason") or "")
    if told.value("replaces_id"):
        return Said(what=f"Version from {begins} corrected", more=reason)
    return Said(what=f"Version from {begins} published")
