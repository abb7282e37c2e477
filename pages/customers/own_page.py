"""The customer's own page, as the office helps with it: a link, the end of all, requests."""

from typing import Final

import streamlit as st

from pages.customers.request_cards import show_request
from pages.shared.form_ids import form_done
from pages.shared.session import may, now, services
from services.customer_page.codes import NoWayToCustomer
from services.identity.auth import Principal
from services.identity.permissions import Permission
from services.messages.direct import WAY_WORDS
from services.people.customer_links import LINK_LIFETIME
from services.quantities.counting import count

_OFF: Final = "Customers have no pages of their own here (CUSTOMER_PAGE)."
_NO_WAY: Final = (
    "The customer cannot be reached by e-mail, SMS or Discord. Enter how on *Details*, or make a "
    "link to hand over."
)


def show_own_page(customer_id: str, principal: Principal) -> None:
    """What they asked there, and the links that lead there."""
    pages = services().customer_page
    if not pages.on:
        st.caption(_OFF)
        return
    days = count(LINK_LIFETIME.days, "day")
    said = f"A link is good for {days} and shows bills alone; for the rest a code is sent."
    st.caption(said if pages.linked else f"{said} Messages carry one once PUBLIC_URL is set.")
    with st.container(horizontal=True):
        sends = may(Permission.SEND_MESSAGES) and not services().settings.demo
        if sends and st.button("Send a link", icon=":material/send:"):
            _send(customer_id, principal)
        if may(Permission.CHANGE_CUSTOMERS):
            if st.button("Make a link to hand over", icon=":material/link:"):
                _make(customer_id, principal)
            with st.popover("End all links", icon=":material/link_off:"):
                st.markdown("Every link in their messages ends, and every browser is signed out.")
                if st.button("End them", type="primary"):
                    _end(customer_id, principal)
    st.subheader("Asked on the page", anchor=False)
    found = pages.requests.of_customer(customer_id=customer_id, principal=principal)
    if not found:
        st.caption("Nothing yet.")
    for request in found:
        show_request(request, principal, named=False)


def _send(customer_id: str, principal: Principal) -> None:
    try:
        way = services().customer_page.send_link(
            customer_id=customer_id, principal=principal, now=now()
        )
    except NoWayToCustomer:
        st.warning(_NO_WAY, icon=":material/edit:")
        return
    form_done("own-page", f"A link is on its way {WAY_WORDS[way]}.")
    st.rerun()


def _make(customer_id: str, principal: Principal) -> None:
    link = services().customer_page.make_link(
        customer_id=customer_id, principal=principal, now=now()
    )
    st.code(link, language=None, wrap_lines=True)


def _end(customer_id: str, principal: Principal) -> None:
    services().customer_page.visits.end_all_of(
        customer_id=customer_id, principal=principal, now=now()
    )
    form_done("own-page", "All links are ended.")
    st.rerun()
