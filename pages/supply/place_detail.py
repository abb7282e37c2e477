"""A place of supply: who is supplied, by which meter, since when, and what happened there."""

import streamlit as st

from pages.approvals.asking import show_requests
from pages.languages.words import _
from pages.meters.collection import collection_facts
from pages.registry import CHANGE_SUPPLY, CUSTOMER, SERVICE_POINTS, PageEntry
from pages.shared.components import description_list
from pages.shared.detail import State, chosen_view, detail_header
from pages.shared.form_ids import show_done
from pages.shared.format import day, escaped, kwh, ordinal, times
from pages.shared.permitted import page_link
from pages.shared.session import called, services
from pages.shared.timeline import show_timeline
from pages.supply.place_form import show_place_form
from pages.supply.place_reads import show_place_reads
from pages.supply.unbilled import show_unbilled
from pages.supply.undo_change import last_undoable, offer_undo
from services.identity.auth import Principal
from services.languages.sentence import N_
from services.records.supply import (
    Disconnection,
    Place,
    PlacedMeter,
    ServiceAgreement,
    SupplyChangeKind,
)

_VIEWS = (
    N_("Overview"),
    N_("Meters"),
    N_("Agreements"),
    N_("Readings"),
    N_("Changes"),
    N_("Timeline"),
    N_("Details"),
)
_NAMES: dict[SupplyChangeKind, tuple[str, str]] = {
    "connect": (N_("Connected"), "add_home"),
    "move_in": (N_("Moved in"), "login"),
    "move_out": (N_("Moved out"), "logout"),
    "exchange": (N_("Meter exchanged"), "swap_horiz"),
    "multiplier": (N_("Multiplier changed"), "close"),
    "tariff": (N_("Tariff changed"), "price_change"),
    "undo": (N_("Undone"), "undo"),
    "stay": (N_("Did not move out"), "undo"),
    "disconnect": (N_("Disconnected"), "power_off"),
    "reconnect": (N_("Reconnected"), "power"),
    "not_disconnected": (N_("Was not disconnected"), "undo"),
    "not_reconnected": (N_("Was not reconnected"), "undo"),
}


def show_place(service_point_id: str, principal: Principal) -> None:
    """The place, its one main action, and what else can be done there."""
    place = services().supply.place(service_point_id=service_point_id, principal=principal)
    with detail_header(place.point.code, back=SERVICE_POINTS, states=(_state(place),)):
        _main_action(place)
    show_done()
    show_requests(["supply"], [place.point.id], principal)
    _other_actions(place)
    view = chosen_view(_VIEWS)
    if view == "Meters":
        _show_meters(place)
    elif view == "Agreements":
        _show_agreements(place)
        show_unbilled(place.point.id, principal)
    elif view == "Readings":
        show_place_reads(place, principal)
    elif view == "Changes":
        _show_changes(place, principal)
    elif view == "Timeline":
        show_timeline("service_point", place.point.id, principal)
    elif view == "Details":
        show_place_form(place, principal)
    else:
        _show_overview(place, principal)


def _state(place: Place) -> State:
    if place.point.disconnected_on:
        return N_("Disconnected"), "red"
    return (N_("Supplied"), "green") if place.agreement else (N_("Vacant"), "orange")


def _main_action(place: Place) -> None:
    if place.point.disconnected_on:
        _link(place, "reconnect", _("Reconnect"), "power")
    elif place.agreement:
        _link(place, "move-out", _("Move out"), "logout")
    else:
        _link(place, "move-in", _("Move in"), "login")


def _other_actions(place: Place) -> None:
    with st.container(horizontal=True):
        if place.meter:
            _link(place, "exchange", _("Exchange the meter"), "swap_horiz")
            _link(place, "multiplier", _("Change the multiplier"), "close")
        if place.agreements and not place.agreement:
            _link(place, "stay", _("They did not move out"), "undo")
        if place.agreement:
            _link(place, "tariff", _("Change the tariff"), "price_change")
            _supply_actions(place)


def _supply_actions(place: Place) -> None:
    last = place.disconnection
    if last is not None and last.reconnected_on is None:
        _link(place, "move-out", _("Move out"), "logout")
        _link(place, "not-disconnected", _("They were not disconnected"), "undo")
        return
    if place.meter:
        _link(place, "disconnect", _("Disconnect"), "power_off")
    if last is not None:
        _link(place, "not-reconnected", _("They were not reconnected"), "undo")


def _link(place: Place, what: str, label: str, icon: str) -> None:
    page_link(
        CHANGE_SUPPLY,
        label=label,
        icon=f":material/{icon}:",
        query_params={"id": place.point.id, "what": what},
    )


def _show_overview(place: Place, principal: Principal) -> None:
    point, meter, agreement = place.point, place.meter, place.agreement
    with st.container(border=True):
        if agreement:
            _link_to(CUSTOMER, agreement.customer_id, agreement.customer_name)
        said = [
            (_("Address"), point.address or "–"),
            (_("Supplied since"), day(agreement.starts_on) if agreement else _("vacant")),
            *(
                [(_("Disconnected since"), day(point.disconnected_on))]
                if point.disconnected_on
                else []
            ),
            (_("Tariff"), agreement.tariffs[-1].name if agreement else "–"),
            (
                _("Billed"),
                _("on the {ordinal}", ordinal=ordinal(agreement.billing_day)) if agreement else "–",
            ),
            (_("Meter"), meter.serial if meter else _("none")),
            (_("Installed"), day(meter.installed_on) if meter else "–"),
            (_("Multiplier"), times(meter.multiplier_milli) if meter else "–"),
        ]
        if meter and meter.kind == "smart":
            said += collection_facts(meter.meter_id, principal)
        if last := place.last_read:
            shown = _(
                "{register_wh} on {read_on}",
                register_wh=kwh(last.register_wh),
                read_on=last.read_on,
            )
            said.append((_("Last reading"), shown))
        said += [(_("Route"), point.route)] if point.route else []
        said += [(_("Transformer"), point.transformer_code)] if point.transformer_code else []
        said += [(_("Access"), point.access_note)] if point.access_note else []
        description_list(said, least_width=150)


def _show_meters(place: Place) -> None:
    for one in place.installations:
        with st.container(border=True, gap="xsmall"):
            st.markdown(f"**{escaped(one.serial)}** · {_since(one)}")
            st.caption(_reads_of(one))
            if one.removal_reason:
                st.caption(_("Removed: {reason}", reason=escaped(one.removal_reason)))
    if not place.installations:
        st.caption(_("No meter was ever here."))


def _show_agreements(place: Place) -> None:
    for one in place.agreements:
        with st.container(border=True, gap="xsmall"):
            _link_to(CUSTOMER, one.customer_id, f"{one.customer_name} · {one.account_no}")
            st.caption(_days_of(one))
            for tariff in one.tariffs:
                st.caption(
                    _(
                        "Tariff {name} from {day}",
                        name=escaped(tariff.name),
                        day=tariff.starts_on,
                    )
                )
            for cut in place.disconnections:
                if cut.agreement_id == one.id:
                    st.caption(_days_cut(cut, one))
    if not place.agreements:
        st.caption(_("Nobody ever had an agreement here."))


def _show_changes(place: Place, principal: Principal) -> None:
    undoable = last_undoable(place)
    for change in place.changes:
        what, icon = _NAMES[change.kind]
        who = change.details.get("customer") or change.details.get("installed") or ""
        with st.container(border=True, gap="xxsmall"):
            st.caption(day(change.effective_on))
            named = f": {escaped(str(who))}" if who else ""
            st.markdown(f":material/{icon}: **{_(what)}{named}**")
            st.caption(
                _(
                    "{reason} · by {person}",
                    reason=escaped(change.reason),
                    person=escaped(called(change.created_by)),
                )
            )
            if undoable is not None and change.id == undoable.id:
                offer_undo(change, principal)
    if not place.changes:
        st.caption(_("Nothing was changed here yet."))


def _since(one: PlacedMeter) -> str:
    if one.removed_on is None:
        return _("since {day}", day=one.installed_on)
    return _("{first} to {last}", first=one.installed_on, last=one.removed_on)


def _reads_of(one: PlacedMeter) -> str:
    opening = kwh(one.opening.register_wh)
    said = _("Began at {opening}", opening=opening)
    if one.closing is not None:
        closing = kwh(one.closing.register_wh)
        said = _("Began at {opening}, ended at {closing}", opening=opening, closing=closing)
    return said if one.multiplier_milli == 1000 else f"{said} · {times(one.multiplier_milli)}"


def _days_of(one: ServiceAgreement) -> str:
    first, last, billed = one.starts_on, one.ends_on, one.billed_until
    if last and billed:
        return _("{first} to {last}, billed up to {billed}", first=first, last=last, billed=billed)
    if last:
        return _("{first} to {last}, not billed yet", first=first, last=last)
    if billed:
        return _("{first} until today, billed up to {billed}", first=first, billed=billed)
    return _("{first} until today, not billed yet", first=first)


def _days_cut(cut: Disconnection, agreement: ServiceAgreement) -> str:
    until = min(filter(None, (cut.reconnected_on, agreement.ends_on)), default=None)
    if until is None:
        return _("Disconnected since {day}", day=cut.disconnected_on)
    return _("Disconnected {first} to {last}", first=cut.disconnected_on, last=until)


def _link_to(page: PageEntry, thing: str, label: str) -> None:
    page_link(page, label=f"**{escaped(label)}**", query_params={"id": thing})
