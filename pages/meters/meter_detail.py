"""A meter: where it is and who has it, what was read and used, and what happened to it."""

from collections.abc import Mapping
from typing import Final

import streamlit as st

from pages.languages.words import Said, _, pgettext, say
from pages.meters.collection import collection_facts
from pages.meters.series_file import offer_series
from pages.registry import (
    CORRECT_READING,
    CUSTOMER,
    CUSTOMERS,
    ESTIMATE_READING,
    SUBMIT_READING,
)
from pages.shared.components import description_list, status_badge
from pages.shared.detail import State, chosen_view, detail_header
from pages.shared.form_ids import form_done, show_done
from pages.shared.format import (
    READING_STATUS,
    day,
    escaped,
    how_read,
    kwh,
    moment,
    times,
)
from pages.shared.permitted import page_link
from pages.shared.photos import show_meter_photos
from pages.shared.session import may, services, today, zone
from pages.shared.timeline import show_timeline
from pages.shared.usage import show_usage
from services.database.errors import IllegalChange, NotFound
from services.identity.auth import Principal
from services.identity.permissions import Permission
from services.languages.sentence import N_
from services.records.readings import Meter, MeterKind, Reading

_VIEWS: Final = (N_("Meter"), N_("Timeline"))
_STATES: Final[dict[str, State]] = {
    "active": (N_("In use"), "green"),
    "closed": (N_("Closed"), "gray"),
}
_READ_AT_ONCE: Final = 13
_READ_BY: Final[Mapping[MeterKind, str]] = Said(
    {"manual": N_("by a person"), "smart": N_("by the head end")}
)
_READ_FROM_NOW_ON: Final[Mapping[MeterKind, str]] = Said(
    {
        "manual": N_("It is read by a person from now on."),
        "smart": N_("It is read by the head end from now on."),
    }
)


def show_meter_page(meter_id: str, principal: Principal) -> None:
    """The meter as it stands now; raises NotFound."""
    meter = services().readings.meter(meter_id=meter_id, principal=principal)
    title = _("Meter {serial}", serial=meter.serial)
    with detail_header(title, back=CUSTOMERS, states=[_STATES[meter.status]]):
        if (
            meter.status == "active"
            and may(Permission.SUBMIT_READINGS)
            and st.button(_("Submit a reading"), type="primary", icon=":material/speed:")
        ):
            st.switch_page(SUBMIT_READING.script, query_params={"meter": meter.serial})
    show_done()
    if chosen_view(_VIEWS) == "Timeline":
        show_timeline("meter", meter.id, principal)
        return
    _show_facts(meter, principal)
    with st.container(border=True):
        show_usage(services().usage.of_meter(meter_id=meter.id, today=today(), principal=principal))
        offer_series(meter, principal)
    _show_readings(meter, principal)
    if may(Permission.VIEW_READINGS):
        show_meter_photos(meter.id, principal)


def _show_facts(meter: Meter, principal: Principal) -> None:
    with st.container(border=True):
        if meter.customer_id:
            page_link(
                CUSTOMER,
                label=_(
                    "**{customer}** · account {account}",
                    customer=escaped(meter.customer_name),
                    account=escaped(meter.account_no),
                ),
                icon=":material/person:",
                query_params={"id": meter.customer_id},
            )
        else:
            st.markdown(_("Nobody is supplied by it now."))
        facts = [
            (_("Address"), meter.address or ""),
            (_("Service point"), meter.service_point_code or ""),
            (_("Tariff"), meter.tariff_name or ""),
            (_("Installed on"), day(meter.opened_on) if meter.opened_on else ""),
            (pgettext("by whom", "Read"), _READ_BY[meter.kind]),
            (_("Digits"), str(meter.dials)),
        ]
        if meter.multiplier_milli != 1000:
            facts.append((_("Multiplier"), times(meter.multiplier_milli)))
        if meter.kind == "smart":
            facts += collection_facts(meter.id, principal)
        description_list(facts, least_width=130)
        is_here = meter.status == "active" and meter.removed_on is None
        if is_here and may(Permission.CHANGE_SUPPLY):
            _ask_kind(meter, principal)


def _ask_kind(meter: Meter, principal: Principal) -> None:
    """Who reads it: a person, or the head end by the meter's serial."""
    with st.popover(_("Change how it is read"), icon=":material/sensors:"):
        kind: MeterKind = st.radio(
            _("It is read"),
            list(_READ_BY),
            index=list(_READ_BY).index(meter.kind),
            format_func=_READ_BY.__getitem__,
            key=f"kind-{meter.id}",
        )
        if services().headend_url is None:
            st.caption(_("No head end is connected: see Services."))
        if st.button(_("Save"), key=f"save-kind-{meter.id}", type="primary"):
            try:
                services().places.read_by(meter.id, kind, principal=principal)
            except (IllegalChange, NotFound) as error:
                st.error(escaped(say(error)), icon=":material/edit:")
                return
            form_done(f"kind-{meter.id}", _READ_FROM_NOW_ON[kind])
            st.rerun()


def _show_readings(meter: Meter, principal: Principal) -> None:
    found = services().readings.of_meter(
        meter_id=meter.id, limit=_READ_AT_ONCE, principal=principal
    )
    with st.container(border=True, gap="small"):
        st.markdown(_("**Last readings**"))
        if not found:
            st.caption(_("It has not been read yet."))
        for reading in found:
            _show_reading(reading)
        if meter.agreement_id is not None and meter.removed_on is None:
            page_link(
                ESTIMATE_READING,
                label=_("Estimate a reading that could not be taken"),
                icon=":material/calculate:",
                query_params={"meter": meter.serial},
            )


def _show_reading(reading: Reading) -> None:
    with st.container(horizontal=True, wrap=False, vertical_alignment="center"):
        with st.container(gap="xxsmall"):
            st.markdown(f"**{kwh(reading.register_wh)}**")
            read = moment(reading.read_at, zone())
            st.caption(escaped(f"{read} · {how_read(reading)}"))
            if reading.estimated_by:
                st.caption(escaped(say(reading.estimated_by)))
        if reading.status == "accepted":
            page_link(
                CORRECT_READING,
                label=_("Correct"),
                icon=":material/edit:",
                query_params={"id": reading.id},
                width="content",
            )
        with st.container(width="content"):
            status_badge(reading.status, READING_STATUS)
