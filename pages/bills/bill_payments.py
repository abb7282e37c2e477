"""The payments of one bill, and the way to its customer's account and to another payment."""

import streamlit as st

from pages.languages.words import _
from pages.registry import CUSTOMER, PAYMENT
from pages.shared.format import escaped, money
from pages.shared.money_format import entry_kind, received
from pages.shared.permitted import page_link
from services.records.details import BillDetail, PaidPart


def show_bill_payments(found: BillDetail) -> None:
    """What has paid the bill, the oldest first, and the way to its customer's account."""
    bill = found.bill
    for part in found.paid:
        _show_part(part)
    if found.in_plan:
        st.caption(
            _(":material/event_note: In an instalment plan: neither reminded of nor marked.")
        )
    page_link(
        CUSTOMER,
        label=_("The customer's account"),
        icon=":material/person:",
        query_params={"id": bill.customer_id},
    )


def _show_part(part: PaidPart) -> None:
    one, payment = part.allocation, part.payment
    amount = escaped(money(one.amount_minor, one.currency))
    if payment is None:
        st.markdown(f"{amount} · {entry_kind(one.credit_kind)}")
        return
    page_link(
        PAYMENT,
        label=f"{amount} · {escaped(received(payment.method, payment.received_on))}",
        icon=":material/payments:",
        query_params={"id": payment.id},
    )
