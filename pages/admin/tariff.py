"""One tariff under an address of its own: /tariff?code=… with its versions, and each tried out."""

import streamlit as st

from pages.shell import require_role
from pages.tariff_detail import show_tariff
from services.auth import Role

require_role(Role.ADMIN)
st.page_link("admin/tariffs.py", label="All tariffs", icon=":material/arrow_back:")
show_tariff(st.query_params.get("code", ""))
