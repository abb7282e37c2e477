"""Changes of an account beside payments: credits, fees, the deposit, paying credit out."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import streamlit as st

from pages.approvals.asking import asks_first, label_of, show_requests
from pages.languages.words import Said, _
from pages.payments.payment_actions import attempt
from pages.payments.payment_form import ask_payment
from pages.shared.form_ids import form_id
from pages.shared.format import day, escaped, money
from pages.shared.money_format import FEE_NAMES, OFFICE_METHODS, entry_kind
from pages.shared.number_field import number_field
from pages.shared.session import called, may, now, services
from services.identity.auth import Principal
from services.identity.permissions import Permission
from services.languages.sentence import N_
from services.quantities.money import Money
from services.records.ledger import Account, Book, LedgerEntry
from services.utility_settings.model import FEE_KINDS, FeeKind

_NOTE: Final = Said(
    {
        "credit": N_("Such as: goodwill for the outage of 3 May"),
        "fee": N_("Such as: reconnection"),
    }
)
_TAKEN_BACK: Final = Said(
    {
        "credit": N_("The credit is taken back."),
        "fee": N_("The fee is taken back."),
        "opening_balance": N_("The opening balance is taken back."),
    }
)


def show_changes(account: Account, principal: Principal) -> None:
    """What can be changed now, each behind its own heading."""
    show_requests(["credit", "waiver", "payout"], [account.id], principal)
    if may(Permission.ADJUST_ACCOUNTS):
        with st.expander(_("Give a credit"), icon=":material/add_circle:"):
            st.markdown(_("The customer owes less. It pays the oldest open bill, or lies open."))
            _ask_adjustment(account, "credit", principal)
        with st.expander(_("Charge a fee"), icon=":material/remove_circle:"):
            st.markdown(_("The customer owes more. It is paid like a bill."))
            _ask_adjustment(account, "fee", principal)
    takes_money = may(Permission.RECORD_PAYMENTS)
    if takes_money:
        with st.expander(_("Take a deposit"), icon=":material/savings:"):
            st.markdown(_("It is held, and pays no bill until it is used."))
            ask_payment(account, principal, deposit=True)
    if takes_money and account.deposit_minor and account.balance_minor > 0:
        with st.expander(_("Use the deposit for bills"), icon=":material/receipt_long:"):
            _ask_use_deposit(account, principal)
    if account.deposit_minor and may(Permission.REFUND_PAYMENTS):
        with st.expander(_("Give the deposit back"), icon=":material/undo:"):
            _ask_pay_out(account, "deposit", account.deposit_minor, principal)
    found = services().customers.changeable(customer_id=account.id, principal=principal)
    open_credit = found.open_credit_minor
    if open_credit and may(Permission.REFUND_PAYMENTS):
        with st.expander(_("Pay credit out"), icon=":material/outbound:"):
            _ask_pay_out(account, "account", open_credit, principal)
    if open_credit and account.open_bills and may(Permission.ARRANGE_ACCOUNTS):
        with st.expander(_("Let credit pay what is open"), icon=":material/done_all:"):
            _ask_settle(account, open_credit, principal)
    _show_adjustments(found.adjustments, principal)


def _ask_adjustment(account: Account, kind: str, principal: Principal) -> None:
    name = f"{kind}-{account.id}"
    form = form_id(name)
    usual = _ask_usual_fee(account, form) if kind == "fee" else None
    minor = services().settings.fees[_currency(account)][usual] if usual else 0
    with st.form(f"form-{form}", border=False):
        amount = _ask_amount(account, f"{form}-{usual}", minor)
        note = st.text_input(
            _("What for"),
            FEE_NAMES[usual] if usual else "",
            placeholder=_NOTE[kind],
            key=f"note-{form}-{usual}",
        )
        st.caption(_("It appears on the customer's statement."))
        label = _("Charge the fee")
        if kind == "credit":
            label = label_of(_("Give the credit"), asks=asks_first("voids"))
        if not st.form_submit_button(label, type="primary"):
            return
    body = {"kind": kind, "amount": amount, "note": note}
    said = _("The credit is given.") if kind == "credit" else _("The fee is charged.")
    attempt(
        name,
        said,
        _with_body(services().account_adjustments.adjust, form, account, body, principal),
    )


def _ask_usual_fee(account: Account, form: str) -> FeeKind | None:
    """One of the fees of the Settings page, if there are any in the account's currency."""
    fees = services().settings.fees.get(_currency(account), {})
    if not fees:
        return None
    return st.selectbox(
        _("Fee"),
        [kind for kind in FEE_KINDS if kind in fees],
        index=None,
        format_func=FEE_NAMES.__getitem__,
        placeholder=_("Another fee"),
        key=f"usual-{form}",
    )


def _ask_use_deposit(account: Account, principal: Principal) -> None:
    name = f"use-deposit-{account.id}"
    form = form_id(name)
    with st.form(f"form-{form}", border=False):
        amount = _ask_amount(account, form, min(account.deposit_minor, account.balance_minor))
        note = st.text_input(_("Why"), placeholder=_("Such as: moved out"), key=f"note-{form}")
        if not st.form_submit_button(_("Use it"), type="primary"):
            return
    body = {"amount": amount, "note": note}
    use = _with_body(services().office_payments.use_deposit, form, account, body, principal)
    attempt(name, _("The deposit has paid what is open."), use)


def _ask_pay_out(account: Account, book: Book, most: int, principal: Principal) -> None:
    name = f"pay-out-{book}-{account.id}"
    form = form_id(name)
    with st.form(f"form-{form}", border=False):
        amount = _ask_amount(account, form, most)
        method = st.selectbox(
            _("By"),
            list(OFFICE_METHODS),
            format_func=OFFICE_METHODS.__getitem__,
            key=f"method-{form}",
        )
        reference = st.text_input(
            _("Reference"), placeholder=_("Of the transfer or cheque"), key=f"reference-{form}"
        )
        reason = st.text_input(_("Why"), key=f"reason-{form}")
        label = label_of(_("Pay it out"), asks=asks_first("refunds"))
        if not st.form_submit_button(label, type="primary"):
            return

    def pay_out() -> None:
        services().refunds.pay_out(
            customer_id=account.id,
            amount=amount,
            method=method,
            reference=reference,
            reason=reason,
            book=book,
            principal=principal,
            now=now(),
            return_id=form,
        )

    attempt(name, _("It is paid out."), pay_out)


def _ask_settle(account: Account, open_credit: int, principal: Principal) -> None:
    credit = escaped(money(open_credit, _currency(account)))
    st.markdown(_("**{credit}** pays the oldest open bills first.", credit=credit))
    if st.button(_("Let it pay"), type="primary", key="settle"):
        attempt(
            "settle",
            _("The credit has paid what is open."),
            lambda: services().account_adjustments.settle(
                customer_id=account.id, principal=principal
            ),
        )


def _show_adjustments(standing: Sequence[LedgerEntry], principal: Principal) -> None:
    if not standing:
        return
    st.markdown(_("**Credits, fees, opening balances**"))
    for entry in standing:
        with st.container(border=True, gap="xsmall"):
            amount = escaped(money(abs(entry.amount_minor), entry.currency))
            st.markdown(
                _(
                    "{kind} of **{amount}** · {note}",
                    kind=entry_kind(entry.kind),
                    amount=amount,
                    note=escaped(entry.note),
                )
            )
            st.caption(
                escaped(_("{day} · by {user}", day=day(entry.on_date), user=called(entry.actor)))
            )
            if not may(Permission.ADJUST_ACCOUNTS):
                continue
            with st.popover(_("Take it back"), icon=":material/undo:", key=f"undo-{entry.id}"):
                _ask_undo(entry, principal)


def _ask_undo(entry: LedgerEntry, principal: Principal) -> None:
    with st.form(f"undo-form-{entry.id}", border=False):
        reason = st.text_input(_("Why"), key=f"undo-reason-{entry.id}")
        # Only what the customer then owes less by.
        asks = entry.amount_minor > 0 and asks_first("voids")
        if not st.form_submit_button(label_of(_("Take it back"), asks=asks), type="primary"):
            return
    attempt(
        f"undo-{entry.id}",
        _TAKEN_BACK[entry.kind],
        lambda: services().account_adjustments.undo_adjustment(
            entry_id=entry.id, reason=reason, principal=principal, now=now()
        ),
    )


def _with_body(
    change: Callable[..., None],
    form: str,
    account: Account,
    body: dict[str, Any],
    principal: Principal,
) -> Callable[[], None]:
    return lambda: change(
        entry_id=form, customer_id=account.id, body=body, principal=principal, now=now()
    )


def _ask_amount(account: Account, form: str, suggested: int = 0) -> str:
    currency = _currency(account)
    return number_field(
        _("Amount ({currency})", currency=currency),
        key=f"amount-{form}",
        value=Money(suggested, currency).text if suggested else "",
        placeholder=_("Such as 50.00"),
    )


def _currency(account: Account) -> str:
    return account.currency or services().settings.currency
