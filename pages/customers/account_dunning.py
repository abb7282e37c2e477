"""Dunning of one account: what it owes, what comes next, holds, orders, and what was done."""

import streamlit as st

from pages.dunning.hold_forms import offer_hold, show_hold
from pages.dunning.orders import show_order_cards
from pages.dunning.taken import show_actions
from pages.dunning.words import WAITS, about, amounts, next_page, place_in, step_badge
from pages.languages.words import _
from pages.shared.format import count, day, escaped, money
from pages.shared.session import may, now, services
from services.identity.auth import Principal
from services.identity.permissions import Permission
from services.records.dunning.policy import DunningOfAccount


def show_dunning(customer_id: str, principal: Principal) -> None:
    """How it stands, and holding or releasing it for who may."""
    if not may(Permission.VIEW_DUNNING):
        return
    dunning = services().dunning
    stands = dunning.of_account(customer_id=customer_id, principal=principal, now=now())
    _show_state(stands)
    offer_hold(customer_id, principal, label=_("Hold dunning"))
    for hold in services().dunning_holds.of(customer_id=customer_id, principal=principal):
        show_hold(hold, principal)
    orders = dunning.work_orders(principal=principal, customer_id=customer_id)
    if orders:
        st.subheader(_("Work orders"), anchor=False)
        show_order_cards(orders, with_customer=False)
    st.subheader(_("Steps taken"), anchor=False)
    key = f"taken-of-{customer_id}"
    rows, after = dunning.history(principal=principal, customer_id=customer_id, after=place_in(key))
    if not rows:
        st.caption(_("No step was taken yet."))
    show_actions(rows, principal, with_customer=False)
    next_page(key, after)


def _show_state(stands: DunningOfAccount) -> None:
    if not stands.arrears:
        st.caption(_("Nothing is overdue."))
    for owed in stands.arrears:
        amount = escaped(money(owed.overdue_minor, owed.currency))
        said: dict[str, str] = {"amount": amount, "bills": count(owed.bills, "bill")}
        st.markdown(
            _("**{amount}** overdue of {bills} · since {day}", **said, day=day(owed.since))
            if owed.since
            else _("**{amount}** overdue of {bills}", **said)
        )
    for step in stands.due:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(_("Next run:"), width="content")
            step_badge(step)
            if step.wait:
                st.badge(WAITS[step.wait], color="gray")
            st.caption(f"{amounts(step)} · {about(step)}")
