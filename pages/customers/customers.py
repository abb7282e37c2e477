"""Customers: find them by name, account or address, see who owes how much, sort, choose, export."""

from dataclasses import replace

import streamlit as st

from pages.customers.account_columns import COLUMNS, summary
from pages.languages.words import _
from pages.registry import CUSTOMER, CUSTOMERS
from pages.shared.format import day
from pages.shared.header import show_header
from pages.shared.list_columns import Listing
from pages.shared.list_filters import ask_text
from pages.shared.listing import show_list
from pages.shared.session import require_permission, services
from services.identity.permissions import Permission
from services.records.lists import AccountFilter

principal = require_permission(Permission.VIEW_CUSTOMERS)
show_header(CUSTOMERS.title)
with st.grid(4, min_column_width=150, vertical_alignment="bottom") as grid:
    with grid.cell(column_span=3):
        text = ask_text(_("Name, account, address or phone"))
    owing = st.toggle(_("Who owes"), key="owing", bind="query-params")
wanted = AccountFilter(text=text, owing_only=owing)
lists = services().lists
as_of = lists.overdue_as_of(principal=principal)
show_list(
    Listing(
        noun="customer",
        page=CUSTOMER,
        columns=COLUMNS,
        summary=summary,
        sort="balance" if owing else "account",
        descending=owing,
        asked=wanted,
        fetch=lambda page: lists.customers(wanted=wanted, page=page, principal=principal),
        file=lambda page, kind, ids: lists.customers_file(
            wanted=replace(wanted, ids=ids), page=page, kind=kind, principal=principal
        ),
    ),
    note=_(", overdue as of {as_of}", as_of=day(as_of)) if as_of else "",
)
