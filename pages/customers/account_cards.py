"""Customers as rows, each with what they owe, what is overdue and what is held."""

from typing import Final

import streamlit as st

from pages.registry import CUSTOMER
from pages.shared.components import chosen_page, page_number
from pages.shared.format import count, day, escaped, money
from pages.shared.session import services
from services.records.ledger import Account

_PAGE_SIZE: Final = 12


def show_accounts(text: str, *, owing_only: bool) -> None:
    """A page of the customers that fit; the database searches, counts and cuts."""
    key = f"customers-page-{text}-{owing_only}"
    found = services().database.accounts(
        text=text, owing_only=owing_only, page=chosen_page(key), page_size=_PAGE_SIZE
    )
    said = count(found.total, "customer") if found.total else "No customer fits."
    late = any(account.overdue_minor for account in found.items)
    as_of = services().database.overdue_as_of() if late else None
    st.caption(f"{said}, overdue as of {day(as_of)}" if as_of else said)
    with st.container(gap="xsmall"):
        for account in found.items:
            _show_row(account)
    page_number(total=found.total, page_size=_PAGE_SIZE, key=key)


def _show_row(account: Account) -> None:
    with (
        st.container(border=True),
        st.container(horizontal=True, wrap=False, vertical_alignment="center"),
    ):
        with st.container(gap="xxsmall"):
            st.page_link(
                CUSTOMER.script,
                label=f"**{escaped(account.name)}**",
                icon=":material/person:",
                query_params={"id": account.id},
            )
            st.caption(escaped(f"Account {account.account_no} · {account.address}"))
        with st.container(width="content", gap="xxsmall", horizontal_alignment="right"):
            st.markdown(f"**{balance(account)}**", text_alignment="right")
            _show_more(account)


def balance(account: Account) -> str:
    """The balance as Markdown: an amount that is owed, or one in credit."""
    currency = account.currency or services().settings.currency
    amount = escaped(money(abs(account.balance_minor), currency))
    return f"{amount} in credit" if account.balance_minor < 0 else amount


def _show_more(account: Account) -> None:
    if account.currency and account.overdue_minor:
        overdue = escaped(money(account.overdue_minor, account.currency))
        st.badge(f"{overdue} overdue", color="red")
    elif account.open_bills:
        st.badge(count(account.open_bills, "open bill"), color="blue")
    if account.currency and account.deposit_minor:
        held = escaped(money(account.deposit_minor, account.currency))
        st.badge(f"{held} deposit", color="gray")
