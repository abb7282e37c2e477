"""Bill runs: what the next one will do, what the last one made, and who is billed on which day."""

import streamlit as st

from pages.bill_runs.billing_days import show_billing_days
from pages.bill_runs.last_run import show_last_run
from pages.bill_runs.next_run import show_next_run
from pages.registry import BILL_RUNS, SETTINGS
from pages.shared.detail import chosen_view
from pages.shared.form_ids import show_done
from pages.shared.format import escaped
from pages.shared.header import show_header
from pages.shared.permitted import page_link
from pages.shared.session import require_permission, services
from services.identity.permissions import Permission

principal = require_permission(Permission.VIEW_BILLS)
show_header(BILL_RUNS.title)
show_done()
if lacks := services().issuer.terms().lacks:
    st.warning(f"{escaped(lacks)} Until then bills are kept as drafts.", icon=":material/rule:")
    page_link(SETTINGS, label="Settings", icon=":material/settings:")
view = chosen_view(("Next run", "Last run", "Billing days"))
if view == "Billing days":
    show_billing_days(principal)
elif view == "Last run":
    show_last_run(principal)
else:
    show_next_run(principal)
