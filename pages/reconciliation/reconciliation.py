"""Reconciliation: our payments held against Stripe's, differences first; and whether the ledger
adds up.
"""

from datetime import date, timedelta

import streamlit as st

from pages.languages.words import _, ngettext, say
from pages.reconciliation.reconciliation_cards import show_comparison, show_ledger, show_runs
from pages.registry import RECONCILIATION, STRIPE_EVENTS
from pages.shared.format import escaped
from pages.shared.header import show_header
from pages.shared.permitted import page_link
from pages.shared.session import may, now, require_permission, services, today
from services.identity.auth import Principal
from services.identity.permissions import Permission
from services.integrations.failures import FinalFailure, TemporaryFailure
from services.payments.reconciliation import RangeTooLong, Reconciliation

WEEK = timedelta(days=7)


def ask_dates() -> tuple[date, date] | None:
    """The first and the last local day to compare, once both are chosen."""
    # Between the two clicks there is only the first.
    chosen: tuple[date, ...] = st.date_input(
        _("Payments of"),
        (today() - WEEK, today()),
        max_value=today(),
        key="dates",
        format="DD/MM/YYYY",
    )
    if len(chosen) != 2:
        st.caption(_("Choose the last day too."))
        return None
    return chosen[0], chosen[1]


def show_actions(reconciliation: Reconciliation, principal: Principal) -> None:
    """The days to compare, and what can be done about them."""
    dates = ask_dates()
    with st.container(horizontal=True):
        compare = st.button(_("Compare now"), type="primary", icon=":material/compare_arrows:")
        if compare and dates:
            run(reconciliation, "compare", dates, principal)
        if st.button(_("Bring in what only Stripe has"), icon=":material/download:") and dates:
            run(reconciliation, "apply", dates, principal)
        if st.button(_("Read Stripe's events"), icon=":material/sync:"):
            run(reconciliation, "events", dates, principal)


def run(
    reconciliation: Reconciliation,
    what: str,
    dates: tuple[date, date] | None,
    principal: Principal,
) -> None:
    """Do it, and say what came of it on the page that is drawn next."""
    try:
        with st.spinner(_("Asking Stripe…")):
            if what == "events" or dates is None:
                done = reconciliation.read_events(principal=principal, now=now())
            else:
                ask = reconciliation.apply_missed if what == "apply" else reconciliation.look
                done = ask(first=dates[0], last=dates[1], principal=principal, now=now())
    except (RangeTooLong, TemporaryFailure, FinalFailure) as error:
        st.error(escaped(say(error)))
        return
    if done.error:
        st.error(escaped(say(done.error)))
        return
    if what != "compare":
        taken = (
            ngettext("{count} taken up.", "{count} taken up.", done.applied)
            if done.applied
            else _("Nothing was missed.")
        )
        st.toast(taken, icon=":material/check_circle:")
    st.rerun()


principal = require_permission(Permission.VIEW_PAYMENTS)
show_header(RECONCILIATION.title)
if (found := services().reconciliation) is None:
    st.info(
        _("Stripe is not configured, so there is nothing to compare with."),
        icon=":material/credit_card_off:",
    )
else:
    if may(Permission.RECORD_PAYMENTS):
        show_actions(found, principal)
    show_comparison(principal)
    page_link(
        STRIPE_EVENTS,
        label=_("Stripe's events, and what became of them"),
        icon=":material/list_alt:",
    )
show_ledger(principal)
show_runs(principal)
