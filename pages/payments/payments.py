"""Payments: what needs a look, finding one by name or reference, and recording another."""

import streamlit as st

from pages.bills.returned_bills import show_returned_bills
from pages.payments.payment_cards import show_flags, show_payments
from pages.registry import RECORD_PAYMENT
from pages.shared.components import search_and_status
from pages.shared.form_ids import show_done
from pages.shared.money_format import PAYMENT_STATUS
from pages.shared.session import require_role
from services.identity.auth import Role
from services.records.ledger import PaymentStatus

# The words people see are also what stands in the address.
STATUS_OF: dict[str, PaymentStatus] = {
    PAYMENT_STATUS[status][0]: status
    for status in (
        "applied",
        "partly_applied",
        "unapplied",
        "unidentified",
        "deposit",
        "returned",
    )
}


principal = require_role(Role.ADMIN)
st.title("Payments", anchor=False)
show_done()
if st.button("Record a payment", type="primary", icon=":material/add_circle:"):
    st.switch_page(RECORD_PAYMENT.script)
show_returned_bills(principal)
show_flags()
show_payments(*search_and_status("Customer, account, bill or reference", STATUS_OF))
