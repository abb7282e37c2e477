"""One customer's account under an address of its own: /customer?id=…"""

import streamlit as st

from pages.customers.account_detail import show_account
from pages.shared.session import require_role
from services.identity.auth import Role

principal = require_role(Role.ADMIN)
show_account(st.query_params.get("id", ""), principal)
