"""Flagged readings as a list, each with a page of its own."""

from typing import Final

import streamlit as st

from pages.readings.exception_queue import at_stake
from pages.registry import FLAGGED_READING
from pages.shared.components import doubts_of
from pages.shared.format import counted, escaped, how_read, kwh, moment
from pages.shared.permitted import page_link
from pages.shared.session import called, zone
from services.identity.auth import Principal
from services.records.submissions import FlaggedReading, FlaggedReadings

SHOWN: Final = 50


def show_list(found: FlaggedReadings, _: Principal) -> None:
    """What waits for a decision, the most at stake first."""
    waits = "waits" if found.total == 1 else "wait"
    said = f"{counted(found.total, 'reading')} {waits} for a decision."
    if found.total > SHOWN:
        said += f" These are the {SHOWN} with the most at stake."
    st.caption(said)
    with st.container(gap="xsmall"):
        for item in found.items:
            _show_row(item)


def _show_row(item: FlaggedReading) -> None:
    reading = item.reading
    with st.container(border=True, gap="xxsmall"):
        page_link(
            FLAGGED_READING,
            label=f"**{kwh(reading.register_wh)}** · {escaped(reading.meter_serial)}",
            icon=":material/flag:",
            query_params={"id": reading.id},
        )
        for doubt in doubts_of(reading.validation)[:1]:
            st.markdown(escaped(doubt))
        stake = at_stake(item)
        about = f"About **{escaped(stake)}** at stake · " if stake else ""
        st.caption(
            f"{about}**{escaped(reading.supplied)}** · "
            f"read {moment(reading.read_at, zone())} by {escaped(called(reading.submitted_by))} · "
            f"{how_read(reading)}"
        )
