"""Notifications: what was sent to whom, what failed and why, and trying it again."""

import streamlit as st

from pages.notification_cards import STATUS, show_failed_work, show_notifications
from pages.shell import require_role, services
from services.auth import Role
from services.domain.contact import NotificationStatus

# The words people see are also what stands in the address.
STATUS_OF: dict[str, NotificationStatus] = {
    STATUS[status][0]: status
    for status in ("sent", "waiting", "sending", "failed", "given_up", "unknown", "not_configured")
}


def ask_filters() -> tuple[str, NotificationStatus | None]:
    """What to look for; each filter is part of the address, so a list can be linked to."""
    with st.grid(2, min_column_width=150, vertical_alignment="bottom") as grid:
        with grid.cell():
            text = st.text_input(
                "Search",
                key="q",
                type="search",
                placeholder="Bill number or account",
                live=True,
                bind="query-params",
            )
        with grid.cell():
            status = st.selectbox(
                "Status",
                list(STATUS_OF),
                index=None,
                key="status",
                placeholder="Every status",
                bind="query-params",
            )
    return text or "", STATUS_OF.get(status or "")


principal = require_role(Role.ADMIN)
st.title("Notifications", anchor=False)
if not services().settings.sends_messages:
    st.info(
        "No channel is configured: each message is written and kept here, and nobody gets it.",
        icon=":material/notifications_off:",
    )
show_failed_work(principal)
st.subheader("Messages", anchor=False)
show_notifications(*ask_filters(), principal)
