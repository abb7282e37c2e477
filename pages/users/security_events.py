"""What the security log has about one person, in short."""

from collections.abc import Sequence

import streamlit as st

from pages.languages.words import _, say
from pages.shared.format import escaped, moment
from pages.shared.session import zone
from pages.sign_ins.event_names import EVENT_NAMES
from services.records.sessions import SecurityEvent


def show_events(events: Sequence[SecurityEvent]) -> None:
    """The latest events, one line each."""
    st.subheader(_("Lately"), anchor=False)
    if not events:
        st.caption(_("Nothing yet."))
    with st.container(gap="xxsmall"):
        for event in events:
            said = [moment(event.at, zone())]
            if event.address:
                said.append(_("from {address}", address=escaped(event.address)))
            if event.detail:
                said.append(escaped(say(event.detail)))
            name = EVENT_NAMES.get(event.event, event.event)
            st.markdown(f"**{escaped(name)}** :small[{' · '.join(said)}]")
