"""Who pays: looked for by bill, account or name, and shown with what is open."""

import streamlit as st

from pages.languages.words import _
from pages.registry import CUSTOMER, RECORD_PAYMENT
from pages.shared.components import description_list
from pages.shared.format import count, day, escaped, money
from pages.shared.history import go_on_to
from pages.shared.permitted import page_link
from pages.shared.session import services
from services.database.errors import NotFound
from services.identity.auth import Principal
from services.payments.entry_forms import InvalidEntry
from services.records.bills import Bill
from services.records.ledger import Account


def ask_payer(principal: Principal) -> None:
    """Look for who pays; one that is certain is taken, several are offered."""
    with (
        st.form("find-payer", border=False),
        st.container(horizontal=True, vertical_alignment="bottom"),
    ):
        text = st.text_input(
            _("Who pays?"),
            placeholder=_("Bill (INV-000117), account number or name"),
            autocomplete="off",
            key="payer",
        )
        sent = st.form_submit_button(_("Find"), type="primary", icon=":material/search:")
    if not sent:
        return
    try:
        found = services().office_payments.find(text, principal=principal)
    except (InvalidEntry, NotFound) as error:
        st.warning(escaped(error), icon=":material/search_off:")
        return
    if found.bill:
        go_on_to(RECORD_PAYMENT, bill=found.bill.id)
    if len(found.accounts) == 1:
        go_on_to(RECORD_PAYMENT, customer=found.accounts[0].id)
    st.caption(_("Several fit: choose one, or type more of the name."))
    with st.container(gap="xsmall"):
        for account in found.accounts:
            with st.container(border=True, gap="xxsmall"):
                page_link(
                    RECORD_PAYMENT,
                    label=_(
                        "**{name}** · account {account_no}",
                        name=escaped(account.name),
                        account_no=escaped(account.account_no),
                    ),
                    icon=":material/person:",
                    query_params={"customer": account.id},
                )
                st.caption(f"{escaped(account.address)} · {balance_words(account)}")


def show_payer(account: Account, bill: Bill | None) -> None:
    """Whose payment it will be, and what is open."""
    page_link(
        CUSTOMER,
        label=_(
            "**{name}** · account {account_no}",
            name=escaped(account.name),
            account_no=escaped(account.account_no),
        ),
        icon=":material/person:",
        query_params={"id": account.id},
    )
    of_bill = [(_("Bill"), bill.reference), (_("Left to pay"), _left(bill))] if bill else []
    if bill and bill.due_date:
        of_bill.append((_("Due"), day(bill.due_date)))
    description_list([*of_bill, (_("Account"), balance_words(account))], least_width=130)


def balance_words(account: Account) -> str:
    """What an account owes, as a phrase, as it is: owes ₹540.35 on 2 bills."""
    currency = account.currency or services().settings.currency
    if account.balance_minor > 0:
        on = (
            _(" on {counted}", counted=count(account.open_bills, "bill"))
            if account.open_bills
            else ""
        )
        return _(
            "owes {balance_minor}{on}", balance_minor=money(account.balance_minor, currency), on=on
        )
    if account.balance_minor < 0:
        return _("has {money} in credit", money=money(-account.balance_minor, currency))
    return _("owes nothing")


def _left(bill: Bill) -> str:
    return money(bill.balance_minor, bill.currency)
