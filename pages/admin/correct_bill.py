"""Correcting a bill under an address of its own: /correct-bill?id=…"""

import streamlit as st

from pages.correction_form import show_correction
from pages.shell import require_role
from services.auth import Role

principal = require_role(Role.ADMIN)
bill_id = st.query_params.get("id", "")
st.page_link(
    "bill.py", label="The bill", icon=":material/arrow_back:", query_params={"id": bill_id}
)
show_correction(bill_id, principal)
