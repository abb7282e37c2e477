"""Customers: find one by name, account or address, and see who owes how much."""

import streamlit as st

from pages.customers.account_cards import show_accounts
from pages.shared.session import require_role
from services.identity.auth import Role

require_role(Role.ADMIN)
st.title("Customers", anchor=False)
with st.container(horizontal=True, vertical_alignment="bottom"):
    text = st.text_input(
        "Search",
        key="q",
        type="search",
        placeholder="Name, account, address or phone",
        live=True,
        bind="query-params",
    )
    owing = st.toggle("Who owes", key="owing", bind="query-params")
show_accounts(text or "", owing_only=owing)
