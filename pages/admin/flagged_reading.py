"""One flagged reading under an address of its own: /flagged-reading?id=…"""

import streamlit as st

from pages.flagged_detail import show_flagged
from pages.shell import require_role
from services.auth import Role

principal = require_role(Role.ADMIN)
st.page_link(
    "admin/flagged_readings.py", label="All flagged readings", icon=":material/arrow_back:"
)
show_flagged(st.query_params.get("id", ""), principal)
