"""Notifications: what was sent to whom, what failed and why, and trying it again."""

import streamlit as st

from pages.languages.words import _
from pages.registry import NOTIFICATIONS
from pages.shared.components import search_and_status
from pages.shared.header import show_header
from pages.shared.session import require_permission, services
from pages.system.notification_cards import (
    STATUS,
    show_failed_work,
    show_notifications,
    show_queues,
)
from pages.system.replies import show_replies
from pages.system.unprinted_bills import show_unprinted_bills
from services.identity.permissions import Permission
from services.records.messages import NotificationStatus

# The words people see are also what stands in the address.
STATUS_OF: dict[str, NotificationStatus] = {
    STATUS[status][0]: status
    for status in (
        "sent",
        "delivered",
        "read",
        "undelivered",
        "bounced",
        "waiting",
        "sending",
        "failed",
        "given_up",
        "unknown",
        "not_configured",
    )
}


principal = require_permission(Permission.VIEW_CUSTOMERS)
show_header(NOTIFICATIONS.title)
if not services().settings.sends_messages:
    st.info(
        _("No channel is configured: each message is written and kept here, and nobody gets it."),
        icon=":material/notifications_off:",
    )
show_failed_work(principal)
show_replies(principal)
show_unprinted_bills(principal)
show_queues(principal)
st.subheader(_("Messages"), anchor=False)
show_notifications(*search_and_status(_("Bill number or account"), STATUS_OF), principal)
