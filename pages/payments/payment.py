"""One payment under an address of its own: /payment?id=… It is also the receipt."""

import streamlit as st

from pages.payments.payment_detail import show_payment
from pages.shared.session import require_role
from services.identity.auth import Role

principal = require_role(Role.ADMIN)
show_payment(st.query_params.get("id", ""), principal)
