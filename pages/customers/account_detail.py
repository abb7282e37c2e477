"""A customer's account: what is owed and held, and one view of it at a time."""

from typing import Final

import streamlit as st

from pages.customers.account_actions import show_changes
from pages.customers.account_plans import show_plans
from pages.customers.account_statement import show_statement
from pages.customers.account_timeline import show_timeline
from pages.customers.contact_form import show_contact
from pages.registry import BILL, CUSTOMERS, RECORD_PAYMENT
from pages.shared.components import description_list, status_badge
from pages.shared.detail import State, chosen_view, detail_header
from pages.shared.form_ids import show_done
from pages.shared.format import BILL_STATUS, day, escaped, money, period
from pages.shared.session import services
from services.identity.auth import Principal
from services.records.bills import Bill
from services.records.details import AccountHead
from services.records.ledger import Account

# The words people see are also what stands in the address.
_VIEWS: Final = ("Open", "Statement", "Timeline", "Plans", "Contact", "Change")


def show_account(customer_id: str, principal: Principal) -> None:
    """The account as it stands now; the database is asked for one view at a time."""
    head = services().customers.head(customer_id=customer_id, principal=principal)
    account = head.account
    with detail_header(account.name, back=CUSTOMERS, states=_states(account)):
        if st.button("Record a payment", type="primary", icon=":material/add_circle:"):
            st.switch_page(RECORD_PAYMENT.script, query_params={"customer": account.id})
    show_done()
    _show_head(head)
    view = chosen_view(_VIEWS)
    if view == "Statement":
        show_statement(account, principal)
    elif view == "Timeline":
        show_timeline(account, principal)
    elif view == "Plans":
        show_plans(account, principal)
    elif view == "Contact":
        show_contact(account.id, principal)
    elif view == "Change":
        show_changes(account, principal)
    else:
        _show_open(account, principal)


def _states(account: Account) -> list[State]:
    if account.overdue_minor:
        return [("Overdue", "red")]
    if account.balance_minor < 0:
        return [("In credit", "green")]
    return [("Owes", "blue")] if account.balance_minor else [("Nothing open", "gray")]


def _show_head(head: AccountHead) -> None:
    account = head.account
    known = (("Address", account.address), ("Phone", account.phone), ("Email", account.email))
    description_list(
        [("Account", account.account_no), *(fact for fact in known if fact[1])], least_width=160
    )
    currency = account.currency or services().settings.currency
    owes = account.balance_minor >= 0
    tiles = [
        ("Owes" if owes else "In credit", abs(account.balance_minor)),
        ("Overdue", account.overdue_minor),
        ("Deposit held", account.deposit_minor),
    ]
    with st.grid(3, min_column_width=150):
        for label, minor in tiles:
            with st.container(border=True, gap=None):
                st.metric(label, money(minor, currency))
    if head.overdue_as_of:
        st.caption(f"Overdue as of {day(head.overdue_as_of)}.")


def _show_open(account: Account, principal: Principal) -> None:
    found = services().customers.open_items(customer_id=account.id, principal=principal)
    left_over = found.credits_left
    if not found.bills and not found.fees:
        st.caption(":material/check_circle: Nothing is open.")
    with st.container(gap="xsmall"):
        for bill in found.bills:
            _show_bill(bill)
        for entry in found.fees:
            with st.container(border=True, gap="xxsmall"):
                left = escaped(money(entry.open_minor, entry.currency))
                st.markdown(f"**{escaped(entry.note)}** · {left} to pay")
                st.caption(f"Since {day(entry.on_date)}")
    if left_over:
        total = escaped(money(-sum(e.open_minor for e in left_over), left_over[0].currency))
        st.info(f"**{total}** of credit pays nothing yet.", icon=":material/savings:")


def _show_bill(bill: Bill) -> None:
    with st.container(border=True, gap="xsmall"):
        with st.container(horizontal=True, wrap=False, vertical_alignment="center"):
            with st.container(gap="xxsmall"):
                st.page_link(
                    BILL.script,
                    label=f"**{bill.reference}**",
                    icon=":material/receipt_long:",
                    query_params={"id": bill.id},
                )
                due = f" · due {day(bill.due_date)}" if bill.due_date else ""
                st.caption(f"{period(bill.period_start, bill.period_end)}{due}")
            with st.container(width="content", gap="xxsmall", horizontal_alignment="right"):
                st.markdown(f"**{escaped(money(bill.balance_minor, bill.currency))}**")
                status_badge(bill.status, BILL_STATUS)
        st.page_link(
            RECORD_PAYMENT.script,
            label="Record its payment",
            icon=":material/payments:",
            query_params={"bill": bill.id},
        )
