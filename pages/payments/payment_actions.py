"""What the office does about a payment: refund it, reverse it, let it pay something else."""

from collections.abc import Callable
from typing import Any, Final

import streamlit as st

from pages.approvals.asking import asks_first, label_of
from pages.languages.words import _, say
from pages.shared.form_ids import form_done, form_id
from pages.shared.format import escaped, money
from pages.shared.money_format import OFFICE_METHODS
from pages.shared.number_field import number_field
from pages.shared.session import may, now, services
from services.approvals.asking import AwaitsApproval
from services.database.errors import IllegalChange, NotFound
from services.identity.audit_reason import ReasonMissing
from services.identity.auth import Principal
from services.identity.permissions import Permission
from services.payments.entry_forms import InvalidEntry
from services.payments.stripe.client import UnchargeableAmount
from services.quantities.money import InvalidMoney, Money
from services.records.bills import Bill
from services.records.details import PaymentDetail
from services.records.ledger import Payment, PaymentMethod

_WRONG: Final = (
    InvalidEntry,
    InvalidMoney,
    ReasonMissing,
    IllegalChange,
    NotFound,
    UnchargeableAmount,
)


def show_actions(found: PaymentDetail, principal: Principal) -> None:
    """What can be done now, each behind its own heading."""
    payment = found.payment
    if payment.returnable_minor and may(Permission.REFUND_PAYMENTS):
        with st.expander(_("Refund it"), icon=":material/undo:"):
            _ask_refund(payment, principal)
    can_be_reversed = payment.returnable_minor and payment.method != "stripe"
    if can_be_reversed and may(Permission.REVERSE_PAYMENTS):
        with st.expander(_("Reverse it"), icon=":material/block:"):
            _ask_reverse(payment, principal)
    if not may(Permission.ARRANGE_ACCOUNTS):
        return
    if payment.book == "account" and payment.entry_id and payment.customer_id:
        if payment.open_minor:
            with st.expander(_("Use it for a bill"), icon=":material/receipt_long:"):
                _ask_apply(found, payment.customer_id, payment.entry_id, principal)
        if any(one.debit_kind in ("bill", "fee") for one in found.paid):
            with st.expander(_("Free it from the bills it paid"), icon=":material/link_off:"):
                _ask_unapply(payment.entry_id, principal)


def attempt(name: str, said: str, change: Callable[[], object]) -> None:
    """Do what a form asks and show the page again, or say in a sentence why not."""
    try:
        change()
    except AwaitsApproval as asked:
        form_done(name, say(asked))
        st.rerun()
    except _WRONG as error:
        st.error(escaped(say(error)), icon=":material/edit:")
    else:
        form_done(name, said)
        st.rerun()


def _ask_refund(payment: Payment, principal: Principal) -> None:
    name = f"refund-{payment.id}"
    form = form_id(name)
    left = escaped(money(payment.returnable_minor, payment.currency))
    st.markdown(_("The payer gets money back. At most **{left}** can still go back.", left=left))
    by_stripe = payment.method == "stripe" and services().refunds.stripe is not None
    ways: dict[PaymentMethod, str] = {"stripe": _("Stripe, to the card it came from")}
    ways = ways | dict(OFFICE_METHODS) if by_stripe else dict(OFFICE_METHODS)
    with st.form(f"form-{form}", border=False):
        amount = number_field(
            _("Amount ({currency})", currency=payment.currency),
            key=f"refund-amount-{form}",
            value=Money(payment.returnable_minor, payment.currency).text,
        )
        way = st.selectbox(
            _("It goes back by"), list(ways), format_func=ways.__getitem__, key=f"refund-way-{form}"
        )
        reference = st.text_input(
            _("Reference"),
            placeholder=_("Of the transfer or cheque"),
            key=f"refund-reference-{form}",
        )
        reason = st.text_input(_("Reason"), key=f"refund-reason-{form}")
        label = label_of(_("Refund"), asks=asks_first("refunds"))
        if not st.form_submit_button(label, type="primary"):
            return
    how: dict[str, Any] = {"by_stripe": way == "stripe", "method": way, "reference": reference}

    def refund() -> None:
        services().refunds.refund(
            payment_id=payment.id,
            amount=amount,
            reason=reason,
            principal=principal,
            now=now(),
            return_id=form,
            **how,
        )

    attempt(name, _("The refund is stored."), refund)


def _ask_reverse(payment: Payment, principal: Principal) -> None:
    name = f"reverse-{payment.id}"
    st.markdown(
        _(
            "For a cheque that bounced, or a payment entered wrongly. It is taken out of the "
            "account; what it paid is open again. No money is paid out."
        )
    )
    with st.form(f"form-{form_id(name)}", border=False):
        reason = st.text_input(
            _("Reason"),
            placeholder=_("Such as: cheque bounced"),
            key=f"reverse-reason-{payment.id}",
        )
        if not st.form_submit_button(_("Reverse the payment"), type="primary"):
            return
    attempt(
        name,
        _("The payment is reversed."),
        lambda: services().refunds.reverse(
            payment_id=payment.id, reason=reason, principal=principal, now=now()
        ),
    )


def _ask_apply(found: PaymentDetail, customer_id: str, entry_id: str, principal: Principal) -> None:
    payment, bills = found.payment, found.open_bills
    adjustments = services().account_adjustments
    left = escaped(money(payment.open_minor, payment.currency))
    st.markdown(_("**{left}** of it pays nothing yet.", left=left))
    if not bills:
        st.caption(_("There is no open bill: it pays the next one by itself."))
        return
    by_id = {bill.id: _open_bill(bill) for bill in bills}
    with st.form(f"apply-{payment.id}", border=False):
        chosen = st.selectbox(_("Bill"), list(by_id), format_func=by_id.__getitem__, key="apply-to")
        sent = st.form_submit_button(_("Pay this bill"), type="primary")
        oldest = st.form_submit_button(_("Pay the oldest first"))
    if sent:
        attempt(
            "apply",
            _("The bill is paid with it."),
            lambda: adjustments.apply_credit(
                entry_id=entry_id, bill_id=chosen, principal=principal
            ),
        )
    if oldest:
        attempt(
            "apply",
            _("It has paid what is open."),
            lambda: adjustments.settle(customer_id=customer_id, principal=principal),
        )


def _ask_unapply(entry_id: str, principal: Principal) -> None:
    st.markdown(
        _(
            "Its bills are open again, and the money lies on the account until it is put to a "
            "bill, or the next one comes."
        )
    )
    if st.button(_("Take it off"), key="unapply"):
        attempt(
            "unapply",
            _("It lies on the account, unapplied."),
            lambda: services().account_adjustments.leave_unapplied(
                entry_id=entry_id, principal=principal
            ),
        )


def _open_bill(bill: Bill) -> str:
    return _(
        "{reference}, {balance_minor} open",
        reference=bill.reference,
        balance_minor=money(bill.balance_minor, bill.currency),
    )
