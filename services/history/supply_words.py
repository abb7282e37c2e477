"""What is said of changes of meters, places of supply, agreements and readings."""

from typing import Final

from services.history import terms
from services.history.entries import NamedChange, Said, link_to
from services.history.values import parted
from services.languages.sentence import N_, sentence

_METER: Final = {
    "serial": N_("Serial"),
    "customer_id": N_("Customer"),
    "tariff_id": N_("Tariff"),
    "kind": N_("Kind"),
    "dials": N_("Digits"),
    "multiplier_milli": N_("Multiplier"),
    "status": N_("Status"),
    "opened_on": N_("Connected on"),
    "transformer_id": N_("Transformer"),
    "registers": N_("Further registers"),
    "connected_w": N_("Connected load"),
    "connected_va": N_("Connected load"),
}
_SUPPLY: Final = {
    "connect": N_("Connected"),
    "move_in": N_("Moved in"),
    "move_out": N_("Moved out"),
    "exchange": N_("Meter exchanged"),
    "multiplier": N_("Another multiplier"),
    "tariff": N_("Another tariff"),
    "stay": N_("Did not move out"),
    "disconnect": N_("Disconnected"),
    "reconnect": N_("Reconnected"),
    "not_disconnected": N_("Was not disconnected"),
    "not_reconnected": N_("Was not reconnected"),
    "undo": N_("Undone"),
}
_DECIDED: Final = {
    "accepted": N_("accepted"),
    "needs_review": N_("waits for a decision"),
    "rejected": N_("rejected"),
    "superseded": N_("replaced by a corrected one"),
}


def meter(named: NamedChange) -> Said:
    """A meter was connected, or something of it changed."""
    serial = named.shown("serial")
    link = link_to("meter", named.change.row_id)
    if named.is_new:
        return Said(
            what=sentence("Meter {serial} added", serial=serial),
            details=named.facts(_METER, without=("serial",)),
            link=link,
        )
    if named.change.after.get("status") == "closed":
        what = sentence("Meter {serial} closed", serial=serial)
    elif set(named.change.after) == {"tariff_id"}:
        what = sentence("Another tariff for meter {serial}", serial=serial)
    else:
        what = sentence("Meter {serial} changed", serial=serial)
    return Said(what=what, details=named.details(_METER), link=link)


def reading(named: NamedChange) -> Said:
    """A reading came in, was decided on, or was replaced."""
    value, on, meter = named.shown("register_wh"), named.shown("read_on"), named.name("meter_id")
    source = terms.READING_SOURCE.get(str(named.value("source")), "")
    link = link_to("meter", named.value("meter_id"))
    if named.is_new:
        status = str(named.value("status"))
        state = "" if status == "accepted" else _DECIDED.get(status, status)
        more = parted(
            sentence("read on {day}", day=on),
            sentence(source),
            sentence("the meter's first reading") if named.value("is_opening") else "",
            sentence(state),
        )
        what = sentence("Reading {value}", value=value)
        if meter:
            what = sentence("Reading {value} of meter {meter}", value=value, meter=meter)
        return Said(what=what, more=more, link=link)
    if named.changed("status"):
        status = str(named.value("status"))
        said = sentence(_DECIDED.get(status, status.replace("_", " ")))
        what = sentence("Reading {value} of {day} {decided}", value=value, day=on, decided=said)
        return Said(what=what, more=named.text("decision_reason"), link=link)
    what = sentence("Reading {value} of {day} changed", value=value, day=on)
    return Said(what=what, details=named.details(), link=link)


def missed_read(named: NamedChange) -> Said:
    """A meter could not be read at a visit."""
    why, meter = sentence(terms.MISSED_READ.get(named.value("reason"), "")), named.name("meter_id")
    what = sentence("The meter could not be read: {why}", why=why)
    if meter:
        what = sentence("Meter {meter} could not be read: {why}", meter=meter, why=why)
    visited = sentence("visited on {day}", day=named.shown("missed_on"))
    return Said(
        what=what,
        more=parted(visited, named.text("note")),
        link=link_to("meter", named.value("meter_id")),
    )


def photo(named: NamedChange) -> Said:
    """A meter was photographed."""
    meter = named.name("meter_id")
    what = sentence("Photo of meter {meter} kept", meter=meter) if meter else sentence("Photo kept")
    return Said(what=what, link=link_to("meter", named.value("meter_id")))


def reading_request(named: NamedChange) -> Said:
    """A meter is to be read again, was read again, or need not be any more."""
    meter = named.name("meter_id")
    reading = sentence("New reading")
    if meter:
        reading = sentence("New reading of meter {meter}", meter=meter)
    if named.is_new:
        what = sentence("{reading} asked for", reading=reading)
    elif named.value("done_reading_id"):
        what = sentence("{reading}, as asked for, came in", reading=reading)
    else:
        what = sentence("{reading} is not needed any more", reading=reading)
    link = link_to("meter", named.value("meter_id"))
    return Said(what=what, more=named.text("reason"), link=link)


def service_point(named: NamedChange) -> Said:
    """A service point was added, or something of it changed."""
    code, link = named.shown("code"), link_to("service_point", named.change.row_id)
    if named.is_new:
        what, details = (
            sentence("Service point {code} added", code=code),
            named.facts(without=("code",)),
        )
        return Said(what=what, details=details, link=link)
    what = sentence("Service point {code} changed", code=code)
    return Said(what=what, details=named.details(), link=link)


def installation(named: NamedChange) -> Said:
    """A meter was put up at a place, or taken away."""
    serial, place = named.name("meter_id"), named.name("service_point_id")
    link = link_to("meter", named.value("meter_id"))
    if named.is_new:
        on = named.shown("installed_on")
        details = named.facts({"multiplier_milli": N_("Multiplier")}, without=_INSTALLED)
        what = _at(sentence("Meter {serial} installed", serial=serial), place)
        return Said(what=what, more=on, details=details, link=link)
    if named.change.after.get("removed_on"):
        more = parted(named.shown("removed_on"), named.shown("removal_reason"))
        what = _at(sentence("Meter {serial} removed", serial=serial), place)
        return Said(what=what, more=more, link=link)
    meter = _at(sentence("Meter {serial}", serial=serial), place)
    return Said(what=sentence("{meter} changed", meter=meter), details=named.details(), link=link)


_INSTALLED: Final = ("installed_at", "installed_on", "meter_id", "service_point_id")


def agreement(named: NamedChange) -> Said:
    """Who is supplied at a place, from when to when."""
    place = named.name("service_point_id")
    who = named.name("customer_id")
    link = link_to("service_point", named.value("service_point_id"))
    if named.is_new:
        more = sentence("{customer}, from {day}", customer=who, day=named.shown("starts_on"))
        return Said(what=_at(sentence("Supply agreed"), place), more=more, link=link)
    if named.change.after.get("ends_on"):
        more = sentence("{customer}, on {day}", customer=who, day=named.shown("ends_on"))
        return Said(what=_at(sentence("Agreement ended"), place), more=more, link=link)
    details = named.details({"billing_day": N_("Billing day")})
    return Said(what=_at(sentence("Agreement changed"), place), details=details, link=link)


def _at(what: str, place: str) -> str:
    return sentence("{what} at {place}", what=what, place=place) if place else what


def disconnection(named: NamedChange) -> Said:
    """The supply of an agreement was cut, came back, or either was a mistake."""
    if named.is_new:
        since = sentence("from {day}", day=named.shown("disconnected_on"))
        return Said(what=sentence("Supply cut"), more=since)
    if named.changed("withdrawn"):
        return Said(what=sentence("Supply was not cut"))
    if named.change.after.get("reconnected_on"):
        since = sentence("from {day}", day=named.shown("reconnected_on"))
        return Said(what=sentence("Supply restored"), more=since)
    if named.changed("reconnected_on"):
        return Said(what=sentence("Supply was not restored"))
    return Said(what=sentence("Reading of a disconnection corrected"))


def agreement_tariff(named: NamedChange) -> Said:
    """Another tariff from a date on."""
    tariff, begins = named.name("tariff_id"), named.shown("starts_on")
    if named.is_new:
        what = sentence("Tariff {name}", name=tariff)
        return Said(what=what, more=sentence("from {day}", day=begins))
    return Said(what=sentence("Tariff of the agreement changed"), details=named.details())


def supply_change(named: NamedChange) -> Said:
    """Why who is supplied, or by which meter, changed."""
    kind, place = str(named.value("kind")), named.name("service_point_id")
    what = sentence(_SUPPLY.get(kind, N_("Supply changed")))
    return Said(
        what=_at(what, place),
        more=parted(named.shown("effective_on"), named.shown("reason")),
        link=link_to("service_point", named.value("service_point_id")),
    )


def tariff(named: NamedChange) -> Said:
    """A tariff was made, or its name changed."""
    name = named.shown("name")
    if named.is_new:
        details = named.facts({"code": N_("Code")}, without=("name",))
        return Said(what=sentence("Tariff {name} made", name=name), details=details)
    details = named.details({"name": N_("Name")})
    return Said(what=sentence("Tariff {name} changed", name=name), details=details)


def tariff_version(named: NamedChange) -> Said:
    """A version of a tariff was published, or took the place of a wrong one."""
    begins = named.shown("effective_from")
    if not named.is_new:
        changed = sentence("Version from {day} changed", day=begins)
        return Said(what=changed, details=named.details())
    if named.value("replaces_id"):
        corrected = sentence("Version from {day} corrected", day=begins)
        return Said(what=corrected, more=named.text("correction_reason"))
    return Said(what=sentence("Version from {day} published", day=begins))
