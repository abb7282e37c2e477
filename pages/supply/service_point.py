"""One service point under an address of its own: /service-point?id=…"""

import streamlit as st

from pages.shared.session import require_role
from pages.supply.place_detail import show_place
from services.identity.auth import Role

principal = require_role(Role.ADMIN)
show_place(st.query_params.get("id", ""), principal)
