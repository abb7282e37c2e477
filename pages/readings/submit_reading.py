"""Submit a reading: find the meter, see what is expected, type what it shows, and see the bill."""

import streamlit as st

from pages.languages.words import _
from pages.readings.meter_card import meter_context, search_meter, show_meter
from pages.readings.reading_form import ask_reading, submit_now
from pages.readings.reading_result import show_result
from pages.shared.header import show_header
from pages.shared.session import open_round, require_permission
from services.identity.permissions import Permission

principal = require_permission(Permission.SUBMIT_READINGS)

show_header(_("Submit a reading"))
serial = st.query_params.get("meter")
state = st.session_state
if "reading-result" in state:
    show_result(principal)
elif serial is None:
    if st.button(_("Today's round"), icon=":material/route:", help=_("Also without a connection.")):
        open_round()
    search_meter(principal)
elif "reading-accepted-form" in state:
    submit_now(principal)
else:
    context = meter_context(serial, principal)
    if context is not None:
        card, form = st.columns([3, 2], gap="medium")
        with card:
            show_meter(context)
        with form:
            ask_reading(context.meter)
    if st.button(_("Another meter"), icon=":material/arrow_back:", type="tertiary"):
        for name in ("reading-form", "reading-doubt"):
            state.pop(name, None)
        st.query_params.clear()
        st.rerun()
