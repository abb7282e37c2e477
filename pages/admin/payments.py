"""Payments: what needs a look, finding one by name or reference, and recording another."""

import streamlit as st

from pages.money_words import PAYMENT_STATUS
from pages.once import show_done
from pages.payment_cards import show_flags, show_payments
from pages.shell import require_role
from services.auth import Role
from services.domain.accounts import PaymentStatus

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


def ask_filters() -> tuple[str, PaymentStatus | None]:
    """What to look for; each filter is part of the address, so a list can be linked to."""
    with st.grid(2, min_column_width=150, vertical_alignment="bottom") as grid:
        with grid.cell():
            text = st.text_input(
                "Search",
                key="q",
                type="search",
                placeholder="Customer, account, bill or reference",
                live=True,
                bind="query-params",
            )
        with grid.cell():
            status = st.selectbox(
                "Status",
                list(STATUS_OF),
                index=None,
                key="status",
                placeholder="Every status",
                bind="query-params",
            )
    return text or "", STATUS_OF.get(status or "")


principal = require_role(Role.ADMIN)
st.title("Payments", anchor=False)
show_done()
if st.button("Record a payment", type="primary", icon=":material/add_circle:"):
    st.switch_page("admin/record_payment.py")
show_flags()
show_payments(*ask_filters())
