"""One report: what it is of, its figures page by page, a chart, and the whole as a file."""

from datetime import date, timedelta
from typing import Final

import streamlit as st

from pages.languages.words import _, say
from pages.registry import REPORTS
from pages.reports.report_chart import show_chart
from pages.reports.report_table import show_rows, show_totals
from pages.shared.detail import detail_header
from pages.shared.format import escaped
from pages.shared.session import require_permission, services, today
from services.database.errors import StillWorkingOut
from services.identity.permissions import Permission
from services.integrations.http import ServiceUnavailable
from services.quantities.period import first_of_month, months_before
from services.reports.definitions import Asked, Report
from services.reports.reports import FILE_KINDS, UnknownReport
from services.web.report_route import report_address

_ROWS: Final = 50
_FILES: Final = {"csv": "CSV", "xlsx": "Excel (XLSX)"}


def _asked_for(report: Report) -> Asked | None:
    """The days that are chosen; None while only the first of them is."""
    if report.asks == "as_of":
        day = st.date_input(
            _("As of the end of"),
            value=today(),
            format="DD/MM/YYYY",
            key="on",
            bind="query-params",
            width=220,
        )
        return Asked(date.min, day + timedelta(days=1))
    days = st.date_input(
        _("From and to"),
        value=_first_span(report),
        format="DD/MM/YYYY",
        key="days",
        bind="query-params",
        width=280,
    )
    if len(days) != 2:
        st.info(_("Choose the last day too."), icon=":material/date_range:")
        return None
    return Asked(days[0], days[1] + timedelta(days=1))


def _first_span(report: Report) -> tuple[date, date]:
    month = first_of_month(today())
    if report.span == "year":
        return months_before(month, 12), today()
    return months_before(month, 1), month - timedelta(days=1)


def _page_token(asked: Asked) -> str | None:
    """Where the page begins, if the address says it for these days."""
    days, _mark, token = st.query_params.get("page", "").partition("!")
    return token if token and days == _days(asked) else None


def _days(asked: Asked) -> str:
    return f"{asked.start}_{asked.until}"


def _offer_pages(asked: Asked, following: str | None, *, is_first: bool) -> None:
    if following is None and is_first:
        return
    with st.container(horizontal=True, horizontal_alignment="right"):
        if not is_first and st.button(_("First page"), icon=":material/first_page:"):
            st.query_params.pop("page", None)
            st.rerun()
        if following and st.button(_("Next page"), icon=":material/chevron_right:"):
            st.query_params["page"] = f"{_days(asked)}!{following}"
            st.rerun()


def _show(report: Report) -> None:
    asked = _asked_for(report)
    if asked is None:
        return
    with st.container(horizontal=True):
        for kind in FILE_KINDS:
            address = report_address(report.id, asked, kind)
            st.link_button(_FILES[kind], address, icon=":material/download:")
    token = _page_token(asked)
    try:
        found = services().reports.page(
            report, asked, after=token, limit=_ROWS, principal=principal
        )
    except ServiceUnavailable as error:
        away = _("The graph is away: {error} Try again later.", error=escaped(say(error)))
        st.warning(away, icon=":material/hub:")
        return
    except StillWorkingOut as error:
        st.info(escaped(say(error)), icon=":material/hourglass_top:")
        return
    is_whole = token is None and found.following is None
    if not found.rows and is_whole:
        st.info(_("There is nothing of this in these days."))
        return
    if report.chart and is_whole:
        show_chart(report, report.chart, found.rows)
    show_rows(report, found.rows)
    _offer_pages(asked, found.following, is_first=token is None)
    if is_whole:
        show_totals(report, found.rows)


principal = require_permission(Permission.VIEW_BOOKS)
try:
    chosen = services().reports.report(st.query_params.get("id", ""))
except UnknownReport:
    with detail_header(_("There is no such report"), back=REPORTS):
        pass
    st.stop()
with detail_header(_(chosen.title), back=REPORTS):
    pass
st.caption(_(chosen.answers))
_show(chosen)
