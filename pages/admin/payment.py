"""One payment under an address of its own: /payment?id=… It is also the receipt."""

import streamlit as st

from pages.payment_detail import show_payment
from pages.shell import require_role
from services.auth import Role

principal = require_role(Role.ADMIN)
st.page_link("admin/payments.py", label="All payments", icon=":material/arrow_back:")
show_payment(st.query_params.get("id", ""), principal)
