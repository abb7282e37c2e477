"""Drafts: bills that wait to be issued, reviewed together and issued together."""

from datetime import date

import streamlit as st

from pages.drafts.draft_cards import ALL, SOME, forget_choice, left_out, show_draft, ticked
from pages.drafts.draft_issue import issue_if_pressed, offer_issue
from pages.drafts.draft_totals import months_to_compare, show_totals
from pages.languages.addresses import month_slug, select, select_name
from pages.languages.words import _
from pages.registry import DRAFTS
from pages.shared.components import chosen_page, page_number
from pages.shared.format import counted
from pages.shared.header import show_header
from pages.shared.session import may, require_permission, services
from services.identity.auth import Principal
from services.identity.permissions import Permission
from services.languages.language import Language
from services.records.drafts import DraftChoice, DraftFilter, Waiting

PAGE_SIZE = 12


def ask_filters(waiting: tuple[Waiting, ...]) -> DraftFilter:
    """What to look at; each filter is part of the address, so a list can be linked to."""
    with st.grid(5, min_column_width=150, vertical_alignment="bottom") as grid:
        with grid.cell(column_span=2):
            text = st.text_input(
                _("Search"),
                key="q",
                type="search",
                placeholder=_("Customer, account or meter"),
                live=True,
                bind="query-params",
            )
        with grid.cell():
            month_asked = select(
                _("Month"),
                list(dict.fromkeys(one.month for one in waiting)),
                said=Language.month,
                slug_of=month_slug,
                key="month",
                placeholder=_("Every month"),
            )
        with grid.cell():
            tariffs = sorted({one.tariff_code for one in waiting})
            tariff = select_name(_("Tariff"), tariffs, key="tariff", placeholder=_("Every tariff"))
        with grid.cell():
            currencies = sorted({one.currency for one in waiting})
            currency = select_name(
                _("Currency"), currencies, key="currency", placeholder=_("Every currency")
            )
    with st.container(horizontal=True):
        only = st.toggle(_("Only outliers"), key="outliers", bind="query-params")
        of_run = st.toggle(_("Of the last bill run"), key="last-run", bind="query-params")
        free = st.toggle(_("Without those held"), key="without-held", bind="query-params")
    return DraftFilter(text or "", month_asked, tariff, currency, only, of_run, free)


def ask_choice(fitting: DraftFilter) -> tuple[str, DraftChoice]:
    """Everything that fits but what was left out, or only what was ticked.

    Who may issue none has nothing to choose.
    """
    if not may(Permission.APPROVE_BILLS):
        return ALL, DraftChoice(fitting)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        mode = st.segmented_control(
            _("To issue"), (ALL, SOME), format_func=_, default=ALL, required=True, key="drafts-mode"
        )
        if (left_out() if mode == ALL else ticked()) and st.button(_("Choose again")):
            forget_choice()
            st.rerun()
    if mode == SOME:
        return SOME, DraftChoice(only=frozenset(ticked()))
    return ALL, DraftChoice(fitting, without=frozenset(left_out()))


def month_of(fitting: DraftFilter, waiting: tuple[Waiting, ...]) -> date | None:
    """The month that is looked at: the chosen one, or the only one there is."""
    there = {one.month for one in waiting}
    return fitting.month or (there.pop() if len(there) == 1 else None)


def show_review(principal: Principal, *, may_issue: bool) -> None:
    """Filters, what would be issued, and the drafts themselves, a page at a time."""
    waiting = services().bill_approval.waiting(principal=principal)
    if not waiting:
        st.info(_("No draft waits to be issued."), icon=":material/check_circle:")
        return
    fitting = ask_filters(waiting)
    mode, choice = ask_choice(fitting)
    of = month_of(fitting, waiting)
    # Another question starts at its own first page.
    key = f"drafts-page-{fitting}"
    review = services().bill_approval.review(
        fitting=fitting,
        choice=choice,
        compare=months_to_compare(of),
        principal=principal,
        page=chosen_page(key),
        page_size=PAGE_SIZE,
    )
    totals, found = review.totals, review.drafts
    show_totals(totals, of, whole=choice == DraftChoice(DraftFilter(month=fitting.month)))
    if may_issue and may(Permission.APPROVE_BILLS):
        offer_issue(choice, totals)
    st.caption(counted(found.total, "draft") if found.total else _("No draft fits."))
    with st.container(gap="xsmall"):
        for draft in found.items:
            show_draft(draft, mode, principal)
    page_number(total=found.total, page_size=PAGE_SIZE, key=key)


admin = require_permission(Permission.VIEW_BILLS)
show_header(DRAFTS.title)
st.caption(
    _("Every bill waits here until somebody issues it.")
    if services().settings.bill_approval
    else _("Bills are issued at once; here are those that were held.")
)
under_way = issue_if_pressed(admin)
show_review(admin, may_issue=not under_way)
