"""Readings that phones of the round sent and that were refused: by whom, what, and why."""

from datetime import datetime

import streamlit as st

from pages.registry import METER
from pages.shared.format import escaped, moment
from pages.shared.session import called, services, zone
from services.identity.auth import Principal
from services.readings.round import REFUSED_AT_ONCE
from services.records.submissions import RefusedRead


def show_refused_reads(principal: Principal) -> None:
    """The last ones, each with its meter where there is one."""
    found = services().reading_round.refused(principal=principal)
    if not found:
        st.info("No reading of a round was refused.", icon=":material/check_circle:")
        return
    st.caption("Nothing of these was stored as a reading; the phone shows why, too.")
    for number, one in enumerate(found):
        _show(number, one)
    if len(found) == REFUSED_AT_ONCE:
        st.caption(f"These are the last {REFUSED_AT_ONCE}.")


def _show(number: int, one: RefusedRead) -> None:
    with (
        st.container(border=True),
        st.container(horizontal=True, vertical_alignment="center", wrap=False),
    ):
        with st.container(gap=None):
            value = f"{escaped(one.shown)} kWh" if one.shown else "no value"
            st.markdown(f"**{escaped(one.meter_serial) or 'No meter'}**: {value}")
            st.markdown(escaped(one.why))
            st.caption(
                " · ".join(
                    [
                        f"Read {_read_at(one)}",
                        f"sent {moment(one.refused_at, zone())}",
                        f"by {escaped(called(one.submitted_by))}",
                        *(["a reading came since"] if one.was_read_since else []),
                    ]
                )
            )
        if one.meter_id is not None and st.button(
            "Show", key=f"refused-{number}", help=f"Meter {escaped(one.meter_serial)}"
        ):
            st.switch_page(METER.script, query_params={"id": one.meter_id})


def _read_at(one: RefusedRead) -> str:
    try:
        written = datetime.fromisoformat(one.read_at)
    except ValueError:
        written = None
    if written is None or written.tzinfo is None:
        return escaped(one.read_at) or "at an unknown time"
    return moment(written, zone())
