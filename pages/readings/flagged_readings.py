"""The exceptions queue: readings that wait for a decision, the most money at stake first."""

import streamlit as st

from pages.languages.words import _
from pages.readings.exception_decision import show_said
from pages.readings.exception_list import SHOWN, show_list
from pages.readings.exception_queue import ask_filter, found_with, show_next
from pages.readings.exceptions_together import show_results, show_together
from pages.shared.header import show_header
from pages.shared.session import may, require_permission
from services.identity.permissions import Permission
from services.languages.sentence import N_
from services.readings.exceptions import MOST_AT_ONCE

# Each view with how many readings it shows.
_FIRST = N_("One by one")
_VIEWS = {
    _FIRST: (show_next, 1),
    N_("Together"): (show_together, MOST_AT_ONCE),
    N_("List"): (show_list, SHOWN),
}

admin = require_permission(Permission.VIEW_READINGS)
show_header(_("Exceptions"))
show_said()
view = st.segmented_control(
    _("View"),
    [name for name in _VIEWS if name != "Together" or may(Permission.DECIDE_READINGS)],
    format_func=_,
    default=_FIRST,
    required=True,
    label_visibility="collapsed",
    key="exceptions-view",
)
show, limit = _VIEWS[view or _FIRST]
found = found_with(admin, limit=limit)
show_results()
if not found.ranked:
    st.success(_("No reading waits for a decision."), icon=":material/check_circle:")
else:
    ask_filter(found)
    if found.items:
        show(found, admin)
    else:
        st.success(_("Nothing of this kind waits any more."), icon=":material/check_circle:")
