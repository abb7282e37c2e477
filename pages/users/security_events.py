"""What the security log has about one person, in short."""

from collections.abc import Sequence

import streamlit as st

from pages.shared.format import escaped, moment
from pages.shared.session import zone
from pages.sign_ins.event_names import EVENT_NAMES
from services.records.sessions import SecurityEvent


def show_events(events: Sequence[SecurityEvent]) -> None:
    """The latest events, one line each."""
    st.subheader("Lately", anchor=False)
    if not events:
        st.caption("Nothing yet.")
    with st.container(gap="xxsmall"):
        for event in events:
            where = f" · from {escaped(event.address)}" if event.address else ""
            detail = f" · {escaped(event.detail)}" if event.detail else ""
            name = EVENT_NAMES.get(event.event, event.event)
            st.markdown(f"**{escaped(name)}** :small[{moment(event.at, zone())}{where}{detail}]")
