"""The exceptions queue: readings that wait for a decision, the most money at stake first."""

import streamlit as st

from pages.readings.exception_decision import show_said
from pages.readings.exception_list import show_list
from pages.readings.exception_queue import ask_filter, show_next
from pages.readings.exceptions_together import show_together
from pages.shared.session import require_role
from services.identity.auth import Role

_VIEWS = {"One by one": show_next, "Together": show_together, "List": show_list}

admin = require_role(Role.ADMIN)
st.title("Exceptions", anchor=False)
show_said()
view = st.segmented_control(
    "View",
    list(_VIEWS),
    default="One by one",
    required=True,
    label_visibility="collapsed",
    key="exceptions-view",
)
chosen = ask_filter(admin)
if chosen is not None:
    _VIEWS[view or "One by one"](chosen, admin)
