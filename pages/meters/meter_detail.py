"""A meter: where it is and who has it, what was read and used, and what happened to it."""

from typing import Final

import streamlit as st

from pages.registry import CORRECT_READING, CUSTOMER, CUSTOMERS, SUBMIT_READING
from pages.shared.components import description_list, status_badge
from pages.shared.detail import State, chosen_view, detail_header
from pages.shared.form_ids import show_done
from pages.shared.format import (
    READING_SOURCE,
    READING_STATUS,
    day,
    escaped,
    kwh,
    moment,
    times,
)
from pages.shared.session import services, today, zone
from pages.shared.timeline import show_timeline
from pages.shared.usage import show_usage
from services.identity.auth import Principal
from services.records.readings import Meter, Reading

_VIEWS: Final = ("Meter", "Timeline")
_STATES: Final[dict[str, State]] = {"active": ("In use", "green"), "closed": ("Closed", "gray")}
_READ_AT_ONCE: Final = 13


def show_meter_page(meter_id: str, principal: Principal) -> None:
    """The meter as it stands now; raises NotFound."""
    meter = services().readings.meter(meter_id=meter_id, principal=principal)
    with detail_header(f"Meter {meter.serial}", back=CUSTOMERS, states=[_STATES[meter.status]]):
        if meter.status == "active" and st.button(
            "Submit a reading", type="primary", icon=":material/speed:"
        ):
            st.switch_page(SUBMIT_READING.script, query_params={"meter": meter.serial})
    show_done()
    if chosen_view(_VIEWS) == "Timeline":
        show_timeline("meter", meter.id, principal)
        return
    _show_facts(meter)
    with st.container(border=True):
        show_usage(services().usage.of_meter(meter_id=meter.id, today=today(), principal=principal))
    _show_readings(meter, principal)


def _show_facts(meter: Meter) -> None:
    with st.container(border=True):
        if meter.customer_id:
            st.page_link(
                CUSTOMER.script,
                label=f"**{escaped(meter.customer_name)}** · account {escaped(meter.account_no)}",
                icon=":material/person:",
                query_params={"id": meter.customer_id},
            )
        else:
            st.markdown("Nobody is supplied by it now.")
        facts = [
            ("Address", meter.address or ""),
            ("Service point", meter.service_point_code or ""),
            ("Tariff", meter.tariff_name or ""),
            ("Installed on", day(meter.opened_on) if meter.opened_on else ""),
            ("Read", "by itself" if meter.kind == "smart" else "by a person"),
            ("Digits", str(meter.dials)),
        ]
        if meter.multiplier_milli != 1000:
            facts.append(("Multiplier", times(meter.multiplier_milli)))
        description_list(facts, least_width=130)


def _show_readings(meter: Meter, principal: Principal) -> None:
    found = services().readings.of_meter(
        meter_id=meter.id, limit=_READ_AT_ONCE, principal=principal
    )
    with st.container(border=True, gap="small"):
        st.markdown("**Last readings**")
        if not found:
            st.caption("It was not read yet.")
        for reading in found:
            _show_reading(reading)


def _show_reading(reading: Reading) -> None:
    with st.container(horizontal=True, wrap=False, vertical_alignment="center"):
        with st.container(gap="xxsmall"):
            st.markdown(f"**{kwh(reading.register_wh)}**")
            read = moment(reading.read_at, zone())
            st.caption(escaped(f"{read} · {READING_SOURCE[reading.source]}"))
        if reading.status == "accepted":
            st.page_link(
                CORRECT_READING.script,
                label="Correct",
                icon=":material/edit:",
                query_params={"id": reading.id},
                width="content",
            )
        with st.container(width="content"):
            status_badge(reading.status, READING_STATUS)
