"""What a person says of a line of a bank statement: who paid, or why it is nobody's payment."""

from collections.abc import Callable
from functools import partial
from typing import Final

import streamlit as st

from pages.languages.words import _, say
from pages.payments.payment_payer import balance_words
from pages.shared.form_ids import form_done
from pages.shared.format import escaped, money
from pages.shared.session import services
from services.database.errors import IllegalChange, NotFound
from services.identity.auth import Principal
from services.payments.entry_forms import InvalidEntry
from services.records.reconciliation import BankLine

_DECIDED: Final = "bank-line"


def ask_payer(line: BankLine, principal: Principal) -> None:
    """Look for who paid: a bill, an account or a name; whoever is found is chosen by a button."""
    with st.popover(
        _("Choose the customer"), icon=":material/person_search:", key=f"who-{line.id}"
    ):
        with (
            st.form(f"find-{line.id}", border=False),
            st.container(horizontal=True, vertical_alignment="bottom"),
        ):
            text = st.text_input(
                _("Who paid?"),
                placeholder=_("Bill (INV-000117), account number or name"),
                autocomplete="off",
                key=f"payer-{line.id}",
            )
            st.form_submit_button(_("Find"), icon=":material/search:")
        if text:
            _offer_found(line, text, principal)


def _offer_found(line: BankLine, text: str, principal: Principal) -> None:
    try:
        found = services().office_payments.find(text, principal=principal)
    except (InvalidEntry, NotFound) as error:
        st.warning(escaped(say(error)), icon=":material/search_off:")
        return
    desk = services().bank_lines
    for account in found.accounts:
        bill_id = found.bill.id if found.bill else None
        known = _(
            "**{name}** · account {account_no}",
            name=escaped(account.name),
            account_no=escaped(account.account_no),
        )
        on = _("bill {reference}", reference=found.bill.reference) if found.bill else ""
        st.markdown(f"{known} · {on}" if on else known)
        st.caption(f"{escaped(account.address)} · {balance_words(account)}")
        amount = money(line.amount_minor, line.currency)
        if st.button(
            _(
                "Count {amount} for account {account_no}",
                amount=escaped(amount),
                account_no=escaped(account.account_no),
            ),
            type="primary",
            key=f"choose-{line.id}-{account.id}",
        ):
            _decide(
                partial(
                    desk.choose_payer,
                    line.id,
                    customer_id=None if bill_id else account.id,
                    bill_id=bill_id,
                    principal=principal,
                ),
                _("{amount} is counted for {name}.", amount=amount, name=account.name),
            )


def ask_aside(line: BankLine, principal: Principal) -> None:
    """Set the line aside with a reason."""
    with (
        st.popover(_("Set aside"), icon=":material/inventory_2:", key=f"aside-{line.id}"),
        st.form(f"aside-form-{line.id}", border=False),
    ):
        reason = st.text_input(
            _("Why is it nobody's payment?"),
            placeholder=_("A transfer between our own accounts"),
            key=f"reason-{line.id}",
        )
        if st.form_submit_button(_("Set aside"), type="primary"):
            _decide(
                lambda: services().bank_lines.set_aside(
                    line.id, reason=reason, principal=principal
                ),
                _("The line is set aside."),
            )


def _decide(decide: Callable[[], object], done: str) -> None:
    try:
        decide()
    except (InvalidEntry, IllegalChange, NotFound) as error:
        st.error(escaped(say(error)), icon=":material/error:")
        return
    form_done(_DECIDED, done)
    st.rerun()
