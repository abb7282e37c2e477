"""Flagged readings: what the rules doubted, and a person's decision on each."""

import streamlit as st

from pages.registry import FLAGGED_READING
from pages.shared.components import chosen_page, doubts_of, page_number
from pages.shared.format import READING_SOURCE, count, escaped, kwh, moment
from pages.shared.session import require_role, services, zone
from services.identity.auth import Principal, Role
from services.records.readings import Reading

PAGE_SIZE = 10


def show_row(reading: Reading) -> None:
    """One flagged reading and the first doubt about it."""
    with st.container(border=True, gap="xxsmall"):
        st.page_link(
            FLAGGED_READING.script,
            label=f"**{kwh(reading.register_wh)}** · {escaped(reading.meter_serial)}",
            icon=":material/flag:",
            query_params={"id": reading.id},
        )
        for doubt in doubts_of(reading.validation)[:1]:
            st.markdown(escaped(doubt))
        st.caption(
            f"**{escaped(reading.supplied)}** · read {moment(reading.read_at, zone())} "
            f"by {escaped(reading.submitted_by)} · {READING_SOURCE[reading.source]}"
        )


def show_list(principal: Principal) -> None:
    """A page of what waits for a decision, newest first."""
    found = services().readings.flagged(
        principal=principal, page=chosen_page("flagged-page"), page_size=PAGE_SIZE
    )
    if found.total:
        waits = "waits" if found.total == 1 else "wait"
        st.caption(f"{count(found.total, 'reading')} {waits} for a decision.")
    else:
        st.success("No reading waits for a decision.", icon=":material/check_circle:")
    with st.container(gap="xsmall"):
        for reading in found.items:
            show_row(reading)
    page_number(total=found.total, page_size=PAGE_SIZE, key="flagged-page")


admin = require_role(Role.ADMIN)
st.title("Flagged readings", anchor=False)
show_list(admin)
