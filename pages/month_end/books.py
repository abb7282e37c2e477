"""The month's books: what came in and went out, what is open, and closing the month."""

from datetime import date, timedelta
from typing import Final

import streamlit as st

from pages.languages.addresses import month_slug, select
from pages.languages.words import _
from pages.month_end.closing import offer_check, offer_closing, show_closings, show_state
from pages.month_end.figures import show_books, show_methods, show_receivables
from pages.registry import BOOKS
from pages.shared.header import show_header
from pages.shared.session import require_permission, services, today
from services.identity.permissions import Permission
from services.languages.language import Language
from services.languages.sentence import N_
from services.quantities.period import first_of_month, next_month
from services.reports.catalogue import LEDGER, RECEIVABLES
from services.reports.definitions import Asked
from services.reports.reports import FileKind
from services.web.report_route import report_address

MONTHS_BACK = 24
_KINDS: Final[tuple[tuple[FileKind, str], ...]] = (("csv", "CSV"), ("xlsx", N_("Excel")))


def months() -> list[date]:
    """The months by their 1st, newest first."""
    found = [first_of_month(today())]
    while len(found) < MONTHS_BACK:
        found.append(first_of_month(found[-1] - timedelta(days=1)))
    return found


def ask_month() -> date:
    """The month to look at, by default the last one that is over."""
    found = list(months())
    chosen = select(
        _("Month"),
        found,
        default=found[1],
        said=Language.month,
        slug_of=month_slug,
        key="of",
        width=220,
    )
    return chosen or found[1]


def offer_downloads(of: date) -> None:
    """The month as files for a spreadsheet, sent as they are made."""
    asked = Asked(of, next_month(of))
    with st.container(horizontal=True):
        for report in (LEDGER, RECEIVABLES):
            for kind, named in _KINDS:
                label = _(
                    "{report} ({kind_of_file})", report=_(report.title), kind_of_file=_(named)
                )
                address = report_address(report.id, asked, kind)
                st.link_button(label, address, icon=":material/download:")


principal = require_permission(Permission.VIEW_BOOKS)
show_header(BOOKS.title)
chosen = ask_month()
found = services().books.of_month(chosen)
closings = services().books.closings(principal=principal)
show_state(chosen, found, closings)
show_books(found)
show_methods(found)
st.subheader(_("Receivables"), anchor=False)
show_receivables(chosen, found)
offer_downloads(chosen)
st.subheader(_("Closing"), anchor=False)
with st.container(horizontal=True):
    offer_closing(chosen, found, principal)
    offer_check(principal)
show_closings(closings)
