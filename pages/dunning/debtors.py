"""Who owes something overdue, since when, how much, and what was done about it."""

import streamlit as st

from pages.dunning.words import STEPS_IN_TEXT, customer_link, next_page, place_in
from pages.languages.words import _
from pages.shared.format import count, escaped, money
from pages.shared.session import now, services
from services.identity.auth import Principal
from services.records.dunning.policy import Debtor

_KEY = "debtors"


def show_debtors(principal: Principal) -> None:
    """Accounts with overdue bills, those that owe for the longest first, then with charges."""
    rows, after = services().dunning.debtors(principal=principal, now=now(), after=place_in(_KEY))
    st.caption(
        _(
            "Accounts with overdue bills, those that owe for the longest first, then those that "
            "owe fees and other charges alone."
        )
    )
    if not rows:
        st.info(_("Nobody owes anything overdue."), icon=":material/done_all:")
    with st.container(gap="small"):
        for row in rows:
            _show(row)
    next_page(_KEY, after)


def _show(debtor: Debtor) -> None:
    with st.container(border=True, gap="small"):
        with st.container(horizontal=True, vertical_alignment="center"):
            customer_link(debtor.customer_id, debtor.customer_name, debtor.account_no)
            if debtor.held:
                st.badge(_("On hold"), color="orange")
        if debtor.bills:
            st.markdown(
                _(
                    "**{amount}** of {bills} · since {day}",
                    amount=escaped(money(debtor.overdue_minor, debtor.currency)),
                    bills=count(debtor.bills, "bill"),
                    day=debtor.since,
                )
            )
        if debtor.charges_minor:
            charges = escaped(money(debtor.charges_minor, debtor.currency))
            st.markdown(
                _("**{amount}** of fees and other charges", amount=charges)
                if debtor.bills
                else _(
                    "**{amount}** of fees and other charges · since {day}",
                    amount=charges,
                    day=debtor.since,
                )
            )
        last = debtor.last
        st.caption(
            _("Last: {step}, {day}", step=STEPS_IN_TEXT[last.action], day=last.taken_on)
            if last
            else _("No step was taken yet.")
        )
