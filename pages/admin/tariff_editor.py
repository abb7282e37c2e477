"""Writing a tariff under an address of its own: /tariff-editor, or from a version ?code=…&from=…"""

import streamlit as st

from pages.shell import require_role
from pages.tariff_writing import show_editor
from services.auth import Role

principal = require_role(Role.ADMIN)
st.page_link("admin/tariffs.py", label="All tariffs", icon=":material/arrow_back:")
show_editor(
    code=st.query_params.get("code", ""),
    begins=st.query_params.get("from", ""),
    principal=principal,
)
