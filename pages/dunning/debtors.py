"""Who owes something overdue, since when, how much, and what was done about it."""

import streamlit as st

from pages.dunning.words import customer_link, next_page, place_in
from pages.shared.format import count, day, escaped
from pages.shared.session import now, services
from services.dunning.rules import STEP_NAMES
from services.identity.auth import Principal
from services.records.dunning.policy import Debtor

_KEY = "debtors"


def show_debtors(principal: Principal) -> None:
    """Accounts with overdue bills, those that owe for the longest first."""
    rows, after = services().dunning.debtors(principal=principal, now=now(), after=place_in(_KEY))
    st.caption("Accounts with overdue bills, those that owe for the longest first.")
    if not rows:
        st.info("Nobody owes anything overdue.", icon=":material/done_all:")
    with st.container(gap="small"):
        for row in rows:
            _show(row)
    next_page(_KEY, after)


def _show(debtor: Debtor) -> None:
    with st.container(border=True, gap="small"):
        with st.container(horizontal=True, vertical_alignment="center"):
            customer_link(debtor.customer_id, debtor.customer_name, debtor.account_no)
            if debtor.held:
                st.badge("On hold", color="orange")
        owes = escaped(debtor.money(debtor.overdue_minor).display())
        st.markdown(f"**{owes}** of {count(debtor.bills, 'bill')} · since {day(debtor.since)}")
        last = debtor.last
        st.caption(
            f"Last: {STEP_NAMES[last.action].lower()}, {day(last.taken_on)}"
            if last
            else "No step was taken yet."
        )
