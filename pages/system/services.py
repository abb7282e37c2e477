"""Services: each system that we lean on, whether it is used and works, and a test of it."""

import streamlit as st

from pages.languages.words import _
from pages.registry import SERVICES
from pages.shared.ai_cards import show_ai_month
from pages.shared.header import show_header
from pages.shared.session import checks, may, now, require_permission, services
from pages.system.alert_cards import show_alerts
from pages.system.graph_card import show_graph_pass
from pages.system.service_cards import show_system
from services import VERSION
from services.identity.permissions import Permission

principal = require_permission(Permission.VIEW_SYSTEM)
show_header(SERVICES.title)
st.caption(_("Every system that billing depends on, as this process found it since it started."))
st.caption(
    _("Version {version}, schema {schema}", version=VERSION, schema=str(services().schema_version))
)
show_alerts(principal)
may_test = may(Permission.RUN_JOBS)
if may_test and (
    st.button(_("Test all"), icon=":material/refresh:", key="test-all")
    or not any(state.last_test for state in checks().states())
):
    with st.spinner(_("Asking each system …")):
        checks().test_all(now=now())
with st.grid(2, min_column_width=300):
    for state in checks().states():
        show_system(state)
show_graph_pass()
show_ai_month(principal)
