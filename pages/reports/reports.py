"""Reports: what there is, and what each of them answers."""

import streamlit as st

from pages.languages.words import _
from pages.registry import REPORT
from pages.registry import REPORTS as PAGE
from pages.shared.header import show_header
from pages.shared.session import require_permission
from services.identity.permissions import Permission
from services.reports.catalogue import REPORTS
from services.reports.definitions import Report


def _show(report: Report) -> None:
    with st.container(border=True, height="stretch"):
        st.page_link(REPORT.script, label=f"**{_(report.title)}**", query_params={"id": report.id})
        st.caption(_(report.answers))


require_permission(Permission.VIEW_BOOKS)
show_header(PAGE.title)
st.caption(
    _(
        "Amounts are those of the ledger, by the dates of its entries: a report of a month that is "
        "closed is the same whenever it is made."
    )
)
with st.grid(3, min_column_width=280) as grid:
    for one in REPORTS:
        with grid.cell():
            _show(one)
