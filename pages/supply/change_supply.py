"""A change at a service point: /change-supply?id=…&what=move-out"""

import streamlit as st

from pages.languages.words import _
from pages.registry import SERVICE_POINT
from pages.shared.permitted import page_link
from pages.shared.session import require_permission
from pages.supply.change_forms import show_change
from services.identity.permissions import Permission

principal = require_permission(Permission.CHANGE_SUPPLY)
point = st.query_params.get("id", "")
page_link(
    SERVICE_POINT,
    label=_("The service point"),
    icon=":material/arrow_back:",
    query_params={"id": point},
)
show_change(point, st.query_params.get("what", ""), principal)
