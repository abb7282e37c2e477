"""One service point under an address of its own: /service-point?id=…"""

import streamlit as st

from pages.shared.session import require_permission
from pages.supply.place_detail import show_place
from services.identity.permissions import Permission

principal = require_permission(Permission.VIEW_CUSTOMERS)
show_place(st.query_params.get("id", ""), principal)
