"""One payment under an address of its own: /payment?id=… It is also the receipt."""

import streamlit as st

from pages.payments.payment_detail import show_payment
from pages.shared.session import require_permission
from services.identity.permissions import Permission

principal = require_permission(Permission.VIEW_PAYMENTS)
show_payment(st.query_params.get("id", ""), principal)
