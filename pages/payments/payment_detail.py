"""All of one payment: whose it is, what it paid, what is left of it, what went back."""

from collections.abc import Sequence
from typing import Final

import streamlit as st

from pages.approvals.asking import label_of, show_requests
from pages.languages.words import Said, _
from pages.payments.payment_actions import attempt, show_actions
from pages.payments.payment_flags import ask_resolution
from pages.registry import BILL, CUSTOMER, PAYMENTS
from pages.shared.components import description_list, status_badge
from pages.shared.detail import chosen_view, detail_header
from pages.shared.form_ids import show_done
from pages.shared.format import day, escaped, moment, money
from pages.shared.money_format import (
    METHOD_NAME,
    PAYMENT_STATUS,
    RETURN_KIND,
    RETURN_STATUS,
    received,
)
from pages.shared.permitted import page_link
from pages.shared.session import called, may, now, services, zone
from pages.shared.timeline import show_timeline
from services.identity.auth import Principal
from services.identity.permissions import Permission
from services.languages.sentence import N_
from services.records.bills import invoice_reference
from services.records.ledger import Allocation, Payment, PaymentReturn

_VIEWS: Final = (N_("Payment"), N_("Timeline"))
_DEBIT: Final = Said(
    {
        "fee": N_("A fee"),
        "opening_balance": N_("The opening balance"),
        "opening_balance_undone": N_("An opening balance taken back"),
        "deposit_used": N_("Used of the deposit"),
        "payout": N_("Paid out"),
        "refund": N_("Refunded"),
        "reversal": N_("Reversed"),
        "dispute": N_("Disputed"),
        "bill_void": N_("A void bill"),
        "credit_undone": N_("A credit taken back"),
    }
)


def show_payment(payment_id: str, principal: Principal) -> None:
    """The payment as it stands now, and what can be done about it."""
    found = services().payments.detail(payment_id=payment_id, principal=principal)
    payment = found.payment
    what = _("Deposit of") if payment.book == "deposit" else _("Payment of")
    title = f"{what} {money(payment.amount_minor, payment.currency)}"
    with detail_header(title, back=PAYMENTS, states=[PAYMENT_STATUS[payment.status]]):
        pass
    show_done()
    if chosen_view(_VIEWS) == "Timeline":
        show_timeline("payment", payment.id, principal)
        return
    things = [payment.id, *(one.id for one in found.returns)]
    show_requests(["refund", "refund_again"], things, principal)
    left, right = st.columns([3, 2], gap="medium")
    with left:
        _show_facts(payment)
        _show_paid(payment, found.paid)
        _show_returns(found.returns, principal)
    with right:
        ask_resolution(payment, found.flags, principal)
        show_actions(found, principal)


def _show_facts(payment: Payment) -> None:
    with st.container(border=True):
        if payment.customer_id:
            page_link(
                CUSTOMER,
                label=_(
                    "**{escaped}** · account {escaped_2}",
                    escaped=escaped(payment.customer_name or ""),
                    escaped_2=escaped(payment.account_no or ""),
                ),
                icon=":material/person:",
                query_params={"id": payment.customer_id},
            )
        else:
            st.markdown(_("Nobody knows yet whose it is: it is in no account."))
        description_list(
            [
                (_("Received"), day(payment.received_on)),
                (_("Paid by"), METHOD_NAME[payment.method]),
                (_("Reference"), payment.reference or payment.provider_id or ""),
                (_("Recorded by"), called(payment.recorded_by)),
                (_("Recorded"), moment(payment.created_at, zone())),
            ],
            least_width=130,
        )


def _show_paid(payment: Payment, paid: Sequence[Allocation]) -> None:
    if payment.customer_id is None:
        return
    with st.container(border=True, gap="xsmall"):
        st.markdown(_("**Where it went**"))
        for one in paid:
            _show_allocation(one)
        if payment.open_minor:
            what = _("Held as a deposit") if payment.book == "deposit" else _("Left on the account")
            _amount_row(what, payment.open_minor, payment)


def _show_allocation(one: Allocation) -> None:
    with st.container(horizontal=True, wrap=False, vertical_alignment="center"):
        if one.bill_id and one.bill_number is not None and one.debit_kind == "bill":
            page_link(
                BILL,
                label=invoice_reference(one.bill_number),
                icon=":material/receipt_long:",
                query_params={"id": one.bill_id},
                width="stretch",
            )
        else:
            st.markdown(_DEBIT.get(one.debit_kind, "A fee"), width="stretch")
        amount = escaped(money(one.amount_minor, one.currency))
        st.markdown(amount, width="content", text_alignment="right")


def _amount_row(label: str, minor: int, payment: Payment) -> None:
    with st.container(horizontal=True, wrap=False, vertical_alignment="center"):
        st.markdown(label, width="stretch")
        amount = escaped(money(minor, payment.currency))
        st.markdown(amount, width="content", text_alignment="right")


def _show_returns(returns: Sequence[PaymentReturn], principal: Principal) -> None:
    if not returns:
        return
    with st.container(border=True, gap="small"):
        st.markdown(_("**What went back**"))
        for row in returns:
            with st.container(gap="xxsmall"):
                with st.container(horizontal=True, vertical_alignment="center"):
                    amount = escaped(money(row.amount_minor, row.currency))
                    st.markdown(
                        _(
                            "{RETURN_KIND} of **{amount}**",
                            RETURN_KIND=RETURN_KIND[row.kind],
                            amount=amount,
                        ),
                        width="content",
                    )
                    status_badge(row.status, RETURN_STATUS)
                how = received(row.method, row.on_date, row.reference)
                st.caption(
                    escaped(
                        _(
                            "{how} · by {created_by} · {reason}",
                            how=how,
                            created_by=called(row.created_by),
                            reason=row.reason,
                        )
                    )
                )
                if row.error:
                    st.markdown(f":red[{escaped(row.error)}]")
                _offer_retry(row, principal)


def _offer_retry(row: PaymentReturn, principal: Principal) -> None:
    if (
        not may(Permission.REFUND_PAYMENTS)
        or row.method != "stripe"
        or row.kind != "refund"
        or row.status not in ("pending", "failed")
    ):
        return
    # One that Stripe may still do is only asked after; one that failed is refunded again.
    asks = row.status == "failed" and "refunds" in services().settings.four_eyes
    label = label_of(_("Try again"), asks=asks)
    if st.button(label, icon=":material/refresh:", key=f"retry-{row.id}"):
        attempt(
            f"retry-{row.id}",
            _("Stripe was checked again."),
            lambda: services().refunds.retry(return_id=row.id, principal=principal, now=now()),
        )
