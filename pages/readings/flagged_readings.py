"""The exceptions queue: readings that wait for a decision, the most money at stake first."""

import streamlit as st

from pages.readings.exception_decision import show_said
from pages.readings.exception_list import SHOWN, show_list
from pages.readings.exception_queue import ask_filter, found_with, show_next
from pages.readings.exceptions_together import show_results, show_together
from pages.shared.header import show_header
from pages.shared.session import may, require_permission
from services.identity.permissions import Permission
from services.readings.exceptions import MOST_AT_ONCE

# Each view with how many readings it shows.
_VIEWS = {
    "One by one": (show_next, 1),
    "Together": (show_together, MOST_AT_ONCE),
    "List": (show_list, SHOWN),
}

admin = require_permission(Permission.VIEW_READINGS)
show_header("Exceptions")
show_said()
view = st.segmented_control(
    "View",
    [name for name in _VIEWS if name != "Together" or may(Permission.DECIDE_READINGS)],
    default="One by one",
    required=True,
    label_visibility="collapsed",
    key="exceptions-view",
)
show, limit = _VIEWS[view or "One by one"]
found = found_with(admin, limit=limit)
show_results()
if not found.ranked:
    st.success("No reading waits for a decision.", icon=":material/check_circle:")
else:
    ask_filter(found)
    if found.items:
        show(found, admin)
    else:
        st.success("Nothing of this kind waits any more.", icon=":material/check_circle:")
