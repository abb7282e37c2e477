"""Settings: what the utility calls itself, how it bills, and which readings it doubts."""

import streamlit as st

from pages.languages.words import _
from pages.registry import SETTINGS
from pages.settings.accounts_form import ask_accounts
from pages.settings.approvals_form import ask_approvals
from pages.settings.billing_form import ask_billing, ask_time_zone
from pages.settings.documents_form import ask_documents
from pages.settings.fees_form import ask_fees
from pages.settings.limits_form import ask_limits
from pages.settings.settings_changes import show_changes
from pages.settings.settings_form import may_change
from pages.settings.utility_form import ask_logo, ask_utility
from pages.shared.detail import chosen_view
from pages.shared.form_ids import show_done
from pages.shared.header import show_header
from pages.shared.session import people_with, require_permission
from services.identity.permissions import Permission
from services.languages.sentence import N_

_VIEWS = (
    *(
        N_("Utility"),
        N_("Billing"),
        N_("Documents"),
        N_("Readings"),
        N_("Fees"),
        N_("Accounts"),
        N_("Approvals"),
        N_("Changes"),
    ),
)

principal = require_permission(Permission.VIEW_SYSTEM)
show_header(SETTINGS.title)
show_done()
if not may_change():
    st.caption(
        _(
            ":material/lock: Settings are changed by {people}.",
            people=people_with(Permission.CHANGE_SETTINGS),
        )
    )
view = chosen_view(_VIEWS)
if view == "Billing":
    ask_billing(principal)
    ask_time_zone(principal)
elif view == "Documents":
    ask_documents(principal)
elif view == "Readings":
    ask_limits(principal)
elif view == "Fees":
    ask_fees(principal)
elif view == "Accounts":
    ask_accounts(principal)
elif view == "Approvals":
    ask_approvals(principal)
elif view == "Changes":
    show_changes(principal)
else:
    ask_utility(principal)
    ask_logo(principal)
