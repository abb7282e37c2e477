"""One customer's account under an address of its own: /customer?id=…"""

import streamlit as st

from pages.customers.account_detail import show_account
from pages.shared.session import require_permission
from services.identity.permissions import Permission

principal = require_permission(Permission.VIEW_CUSTOMERS)
show_account(st.query_params.get("id", ""), principal)
