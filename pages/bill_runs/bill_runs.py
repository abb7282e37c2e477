"""Bill runs: what the next one will do, what the last one made, and who is billed on which day."""

import streamlit as st

from pages.bill_runs.billing_days import show_billing_days
from pages.bill_runs.last_run import show_last_run
from pages.bill_runs.next_run import show_next_run
from pages.languages.words import _, say
from pages.registry import BILL_RUNS, SETTINGS
from pages.shared.detail import chosen_view
from pages.shared.form_ids import show_done
from pages.shared.format import escaped
from pages.shared.header import show_header
from pages.shared.permitted import page_link
from pages.shared.session import require_permission, services
from services.identity.permissions import Permission
from services.languages.sentence import N_

NEXT_RUN, LAST_RUN, BILLING_DAYS = N_("Next run"), N_("Last run"), N_("Billing days")

principal = require_permission(Permission.VIEW_BILLS)
show_header(BILL_RUNS.title)
show_done()
if lacks := services().issuer.terms().lacks:
    until_then = _("Until then bills are kept as drafts.")
    st.warning(f"{escaped(say(lacks))} {until_then}", icon=":material/rule:")
    page_link(SETTINGS, label=_(SETTINGS.title), icon=":material/settings:")
view = chosen_view((NEXT_RUN, LAST_RUN, BILLING_DAYS))
if view == BILLING_DAYS:
    show_billing_days(principal)
elif view == LAST_RUN:
    show_last_run(principal)
else:
    show_next_run(principal)
