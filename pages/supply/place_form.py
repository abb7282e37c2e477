"""The details of a place, and its billing day, as forms."""

from datetime import date
from typing import Any

import streamlit as st

from pages.languages.words import _, say
from pages.shared.form_ids import form_done, form_id
from pages.shared.format import escaped, ordinal
from pages.shared.number_field import number_field
from pages.shared.permitted import submit_button
from pages.shared.session import services, today
from services.billing.cycles import LAST_BILLING_DAY, NoBillingDay
from services.database.errors import IllegalChange, NotFound
from services.identity.auth import Principal
from services.identity.permissions import Permission
from services.quantities.energy import format_kwh
from services.records.supply import Place, ServiceAgreement, ServicePoint
from services.supply.places import InvalidPlace


def show_place_form(place: Place, principal: Principal) -> None:
    """Where it is and how it is reached, to be changed; then the day on which it is billed."""
    name = f"place-{place.point.id}"
    form = form_id(name)
    # As it was when the form opened: what somebody else changes meanwhile is not overwritten.
    seen: ServicePoint = st.session_state.setdefault(f"seen-{form}", place.point)
    with st.form(f"form-{form}"):
        body = _ask(seen, form)
        moved_on = _ask_when_moved(form)
        st.caption(_("Bills keep the address that they were issued for."))
        pressed = submit_button(_("Save"), Permission.CHANGE_SUPPLY, type="primary")
    if pressed:
        _save(name, seen, body, moved_on, principal)
    if place.agreement:
        _ask_billing_day(place.agreement, principal)


def _ask(seen: ServicePoint, form: str) -> dict[str, Any]:
    body: dict[str, Any] = {}
    body["address"] = st.text_input(_("Address"), seen.address, key=f"address-{form}")
    with st.grid(3, min_column_width=150) as grid:
        with grid.cell():
            body["code"] = st.text_input(_("Code"), seen.code, key=f"code-{form}")
        with grid.cell():
            body["route"] = st.text_input(_("Reading route"), seen.route, key=f"route-{form}")
        with grid.cell():
            body["sequence"] = st.number_input(
                _("Place on the route"), 0, 1_000_000, value=seen.sequence, key=f"sequence-{form}"
            )
        with grid.cell():
            body["transformer_code"] = st.text_input(
                _("Transformer"), seen.transformer_code or "", key=f"transformer-{form}"
            )
        with grid.cell():
            body["phases"] = st.number_input(
                _("Phases"), 1, 3, value=seen.phases, key=f"phases-{form}"
            )
        with grid.cell():
            body["connected_w"] = number_field(
                _("Connected load (kW)"), key=f"w-{form}", value=_kilo(seen.connected_w)
            )
        with grid.cell():
            body["connected_va"] = number_field(
                _("Connected load (kVA)"), key=f"va-{form}", value=_kilo(seen.connected_va)
            )
    body["access_note"] = st.text_input(
        _("Access"),
        seen.access_note,
        placeholder=_("The key is with the shop next door"),
        key=f"access-{form}",
    )
    return body


def _ask_when_moved(form: str) -> date | None:
    moved_on: date | None = st.date_input(
        _("Moved to this transformer on"),
        value=None,
        max_value=today(),
        format="DD/MM/YYYY",
        help=_(
            "From this day on its use counts at the new transformer. Leave it empty to correct a "
            "transformer that was wrong from the start."
        ),
        key=f"moved-{form}",
        width=280,
    )
    return moved_on


def _save(
    name: str,
    seen: ServicePoint,
    body: dict[str, Any],
    moved_on: date | None,
    principal: Principal,
) -> None:
    try:
        services().places.change(
            seen=seen, body=body, principal=principal, moved_on=moved_on, today=today()
        )
    except InvalidPlace as error:
        st.error(escaped(say(error)), icon=":material/edit:")
        return
    except (IllegalChange, NotFound) as error:
        st.error(escaped(say(error)), icon=":material/sync_problem:")
        st.button(_("Begin again"), on_click=lambda: st.session_state.pop(f"form-{name}", None))
        return
    form_done(name, _("The details are changed."))
    st.rerun()


def _ask_billing_day(agreement: ServiceAgreement, principal: Principal) -> None:
    with st.form(f"billing-day-{agreement.id}"):
        chosen = st.number_input(
            _("Billing day"),
            1,
            LAST_BILLING_DAY,
            value=agreement.billing_day,
            help=_("The day of the month on which the agreement is billed."),
            width=200,
            key=f"billing-day-of-{agreement.id}",
        )
        st.caption(_("The next bill runs from the last one to the next such day after a month."))
        pressed = submit_button(_("Change the billing day"), Permission.PREPARE_BILLS)
    if not pressed:
        return
    try:
        services().billing_cycles.move_agreement(
            agreement.id, billing_day=int(chosen), principal=principal
        )
    except (NoBillingDay, NotFound, IllegalChange) as error:
        st.error(escaped(say(error)), icon=":material/edit:")
        return
    said = _("It is billed on the {ordinal}.", ordinal=ordinal(int(chosen)))
    form_done(f"billing-day-{agreement.id}", said)
    st.rerun()


def _kilo(units: int | None) -> str:
    return "" if units is None else format_kwh(units)
