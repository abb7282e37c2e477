"""One customer's account under an address of its own: /customer?id=…"""

import streamlit as st

from pages.account_detail import show_account
from pages.shell import require_role
from services.auth import Role

principal = require_role(Role.ADMIN)
st.page_link("admin/customers.py", label="All customers", icon=":material/arrow_back:")
show_account(st.query_params.get("id", ""), principal)
