"""Payments: what needs a look, finding, sorting and exporting them, and recording another."""

from dataclasses import replace

import streamlit as st

from pages.bills.returned_bills import show_returned_bills
from pages.languages.words import _
from pages.payments.payment_cards import COLUMNS, show_flags, summary
from pages.registry import PAYMENT, PAYMENTS, RECORD_PAYMENT
from pages.shared.form_ids import show_done
from pages.shared.header import header
from pages.shared.list_columns import Listing
from pages.shared.list_filters import ask_days, ask_status, ask_text
from pages.shared.listing import show_list
from pages.shared.money_format import PAYMENT_STATUS
from pages.shared.session import may, require_permission, services
from services.identity.permissions import Permission
from services.records.ledger import PaymentStatus
from services.records.lists import PaymentFilter

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


def ask_filters() -> PaymentFilter:
    """What to look for; each filter is part of the address, so a list can be linked to."""
    with st.grid(5, min_column_width=150, vertical_alignment="bottom") as grid:
        with grid.cell(column_span=2):
            text = ask_text(_("Customer, account, bill or reference"))
        with grid.cell():
            status = ask_status(STATUS_OF)
        with grid.cell(column_span=2):
            first, last = ask_days(_("Received"))
    return PaymentFilter(text=text, status=status, received_from=first, received_to=last)


principal = require_permission(Permission.VIEW_PAYMENTS)
with header(PAYMENTS.title):
    if may(Permission.RECORD_PAYMENTS) and st.button(
        _("Record a payment"), type="primary", icon=":material/add_circle:"
    ):
        st.switch_page(RECORD_PAYMENT.script)
show_done()
show_returned_bills(principal)
show_flags(principal)
wanted = ask_filters()
lists = services().lists
show_list(
    Listing(
        noun="payment",
        page=PAYMENT,
        columns=COLUMNS,
        summary=summary,
        sort="received",
        descending=True,
        asked=wanted,
        fetch=lambda page: lists.payments(wanted=wanted, page=page, principal=principal),
        file=lambda page, kind, ids: lists.payments_file(
            wanted=replace(wanted, ids=ids), page=page, kind=kind, principal=principal
        ),
    )
)
