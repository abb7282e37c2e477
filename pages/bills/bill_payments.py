"""The payments of one bill, and the way to its customer's account and to another payment."""

import streamlit as st

from pages.registry import CUSTOMER, PAYMENT, RECORD_PAYMENT
from pages.shared.format import escaped, money
from pages.shared.money_format import entry_kind, received
from pages.shared.session import services
from services.records.bills import Bill
from services.records.ledger import Allocation


def show_bill_payments(bill: Bill) -> None:
    """What has paid the bill, the oldest first; what can be done about what is left."""
    for one in services().database.allocations(bill_id=bill.id):
        if one.debit_kind == "bill":
            _show_allocation(one)
    plans = services().database.plans(customer_id=bill.customer_id)
    if any(p.status == "active" and bill.id in {b.bill_id for b in p.bills} for p in plans):
        st.caption(":material/event_note: In an instalment plan: neither reminded of nor marked.")
    if bill.balance_minor > 0 and bill.status not in ("draft", "void"):
        st.page_link(
            RECORD_PAYMENT.script,
            label="**Record a payment**",
            icon=":material/add_circle:",
            query_params={"bill": bill.id},
        )
    st.page_link(
        CUSTOMER.script,
        label="The customer's account",
        icon=":material/person:",
        query_params={"id": bill.customer_id},
    )


def _show_allocation(one: Allocation) -> None:
    amount = escaped(money(one.amount_minor, one.currency))
    if one.payment_id is None:
        st.markdown(f"{amount} · {entry_kind(one.credit_kind)}")
        return
    payment = services().database.payment(one.payment_id)
    st.page_link(
        PAYMENT.script,
        label=f"{amount} · {escaped(received(payment.method, payment.received_on))}",
        icon=":material/payments:",
        query_params={"id": one.payment_id},
    )
