"""A change at a service point: /change-supply?id=…&what=move-out"""

import streamlit as st

from pages.registry import SERVICE_POINT
from pages.shared.session import require_role
from pages.supply.change_forms import show_change
from services.identity.auth import Role

principal = require_role(Role.ADMIN)
point = st.query_params.get("id", "")
st.page_link(
    SERVICE_POINT.script,
    label="The service point",
    icon=":material/arrow_back:",
    query_params={"id": point},
)
show_change(point, st.query_params.get("what", ""), principal)
