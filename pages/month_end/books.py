"""The month's books: what came in and went out, what is open, and closing the month."""

from datetime import date, timedelta
from typing import Final

import streamlit as st

from pages.month_end.closing import offer_check, offer_closing, show_closings, show_state
from pages.month_end.figures import show_books, show_methods, show_receivables
from pages.shared.format import month
from pages.shared.header import show_header
from pages.shared.session import require_permission, services, today
from services.identity.permissions import Permission
from services.quantities.period import first_of_month, next_month
from services.reports.catalogue import LEDGER, RECEIVABLES
from services.reports.definitions import Asked
from services.reports.reports import FileKind
from services.web.report_route import report_address

MONTHS_BACK = 24
_KINDS: Final[tuple[tuple[FileKind, str], ...]] = (("csv", "CSV"), ("xlsx", "Excel"))


def months() -> dict[str, date]:
    """The months as people write them, newest first, each with its 1st."""
    first, found = first_of_month(today()), {}
    for _ in range(MONTHS_BACK):
        found[month(first)] = first
        first = first_of_month(first - timedelta(days=1))
    return found


def ask_month() -> date:
    """The month to look at, by default the last one that is over."""
    by_name = months()
    name = st.selectbox("Month", list(by_name), index=1, key="of", bind="query-params", width=220)
    return by_name[name]


def offer_downloads(of: date) -> None:
    """The month as files for a spreadsheet, sent as they are made."""
    asked = Asked(of, next_month(of))
    with st.container(horizontal=True):
        for label, report in (("Ledger entries", LEDGER), ("Receivables", RECEIVABLES)):
            for kind, named in _KINDS:
                address = report_address(report.id, asked, kind)
                st.link_button(f"{label} ({named})", address, icon=":material/download:")


principal = require_permission(Permission.VIEW_BOOKS)
show_header("Month's books")
chosen = ask_month()
found = services().books.of_month(chosen)
closings = services().books.closings(principal=principal)
show_state(chosen, found, closings)
show_books(found)
show_methods(found)
st.subheader("Receivables", anchor=False)
show_receivables(chosen, found)
offer_downloads(chosen)
st.subheader("Closing", anchor=False)
with st.container(horizontal=True):
    offer_closing(chosen, found, principal)
    offer_check(principal)
show_closings(closings)
