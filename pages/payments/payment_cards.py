"""Payments as rows, and what a person must look at first."""

from typing import Final

import streamlit as st

from pages.registry import PAYMENT
from pages.shared.components import chosen_page, page_number, status_badge
from pages.shared.format import count, escaped, money
from pages.shared.money_format import FLAG, PAYMENT_STATUS, received
from pages.shared.session import services
from services.records.ledger import Payment, PaymentFlag, PaymentStatus

_FLAGS_KEY: Final = "flagged-payments-page"
_FLAGS_AT_ONCE: Final = 4
_PAGE_SIZE: Final = 12


def show_flags() -> None:
    """The flags that nobody has looked at, the oldest first, if there are any."""
    found = services().database.open_payment_flags(
        page=chosen_page(_FLAGS_KEY), page_size=_FLAGS_AT_ONCE
    )
    if not found.total:
        return
    with st.container(border=True, gap="small"):
        st.markdown(f":material/flag: **Needs a look** · {count(found.total, 'payment')}")
        for flag in found.items:
            _show_flag(flag)
        page_number(total=found.total, page_size=_FLAGS_AT_ONCE, key=_FLAGS_KEY)


def show_payments(text: str, status: PaymentStatus | None) -> None:
    """A page of the payments that fit; the database searches, counts and cuts."""
    key = f"payments-page-{text}-{status}"
    found = services().database.payments(
        text=text, status=status, page=chosen_page(key), page_size=_PAGE_SIZE
    )
    st.caption(count(found.total, "payment") if found.total else "No payment fits.")
    with st.container(gap="xsmall"):
        for payment in found.items:
            _show_row(payment)
    page_number(total=found.total, page_size=_PAGE_SIZE, key=key)


def _show_flag(flag: PaymentFlag) -> None:
    amount = money(flag.amount_minor, flag.currency)
    whose = f" · account {flag.account_no}" if flag.account_no else ""
    with st.container(gap="xxsmall"):
        st.page_link(
            PAYMENT.script,
            label=f"**{escaped(amount)}**{escaped(whose)}",
            icon=":material/payments:",
            query_params={"id": flag.payment_id},
        )
        st.caption(f"{FLAG[flag.reason]} {escaped(flag.detail)}")


def _show_row(payment: Payment) -> None:
    with (
        st.container(border=True),
        st.container(horizontal=True, wrap=False, vertical_alignment="center"),
    ):
        with st.container(gap="xxsmall"):
            whose = payment.customer_name or "Nobody known"
            st.page_link(
                PAYMENT.script,
                label=f"**{escaped(whose)}**",
                icon=":material/payments:",
                query_params={"id": payment.id},
            )
            said = received(payment.method, payment.received_on, payment.reference)
            account = f" · account {payment.account_no}" if payment.account_no else ""
            st.caption(escaped(f"{said}{account}"))
        with st.container(width="content", gap="xxsmall", horizontal_alignment="right"):
            amount = escaped(money(payment.amount_minor, payment.currency))
            st.markdown(f"**{amount}**", text_alignment="right")
            status_badge(payment.status, PAYMENT_STATUS)
            if payment.flags:
                st.badge("Needs a look", color="orange", icon=":material/flag:")
