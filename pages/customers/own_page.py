"""The customer's own page, as the office helps with it: a link, the end of all, requests."""

from typing import Final

import streamlit as st

from pages.autopay.charge_cards import show_charge
from pages.customers.request_cards import show_request
from pages.languages.words import _, ngettext, say
from pages.shared.form_ids import form_done
from pages.shared.format import day, escaped
from pages.shared.session import may, now, services
from services.customer_page.codes import NoWayToCustomer
from services.identity.audit_reason import ReasonMissing
from services.identity.auth import Principal
from services.identity.permissions import Permission
from services.languages.sentence import N_
from services.messages.direct import WAY_WORDS
from services.people.customer_links import LINK_LIFETIME
from services.records.customers.autopay import Mandate

_CHARGES: Final = 5
_NO_WAY: Final = N_(
    "The customer cannot be reached by e-mail, SMS or Discord. Enter how on *Details*, or make a "
    "link to hand over."
)


def show_own_page(customer_id: str, principal: Principal) -> None:
    """What they asked there, and the links that lead there."""
    pages = services().customer_page
    if not pages.on:
        st.caption(_("Customers have no pages of their own here (CUSTOMER_PAGE)."))
        return
    said = ngettext(
        "A link is good for {count} day and shows bills alone; for the rest a code is sent.",
        "A link is good for {count} days and shows bills alone; for the rest a code is sent.",
        LINK_LIFETIME.days,
    )
    st.caption(
        said if pages.linked else _("{said} Messages carry one once PUBLIC_URL is set.", said=said)
    )
    with st.container(horizontal=True):
        sends = may(Permission.SEND_MESSAGES) and not services().settings.demo
        if sends and st.button(_("Send a link"), icon=":material/send:"):
            _send(customer_id, principal)
        if may(Permission.CHANGE_CUSTOMERS):
            if st.button(_("Make a link to hand over"), icon=":material/link:"):
                _make(customer_id, principal)
            with st.popover(_("End all links"), icon=":material/link_off:"):
                st.markdown(
                    _("Every link in their messages ends, and every browser is signed out.")
                )
                if st.button(_("End them"), type="primary"):
                    _end(customer_id, principal)
    _show_autopay(customer_id, principal)
    st.subheader(_("Asked on the page"), anchor=False)
    found = pages.requests.of_customer(customer_id=customer_id, principal=principal)
    if not found:
        st.caption(_("Nothing yet."))
    for request in found:
        show_request(request, principal, named=False)


def _show_autopay(customer_id: str, principal: Principal) -> None:
    """How autopay stands, its charges, and its end."""
    office = services().autopay.office
    found = office.of_customer(customer_id=customer_id, principal=principal)
    st.subheader(_("Autopay"), anchor=False)
    mandate = found.mandate
    if mandate is None or not mandate.runs:
        has_ended = mandate is not None and mandate.status == "ended"
        st.caption(_("It has ended.") if has_ended else _("It is not set up."))
    else:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{escaped(mandate.method)}**", width="content")
            paused = mandate.status == "paused"
            st.badge(_("Paused") if paused else _("On"), color="orange" if paused else "green")
            if may(Permission.CHANGE_CUSTOMERS):
                with st.popover(_("End autopay"), icon=":material/credit_card_off:"):
                    _ask_end(mandate, principal)
        said = [_("Agreed on {day}.", day=day(mandate.consented_at))]
        if mandate.limit:
            said.append(_("Never more than {amount} at once.", amount=mandate.limit))
        st.caption(escaped(" ".join([*said, say(mandate.paused_because)])))
    for charge in found.charges[:_CHARGES]:
        show_charge(charge, named=False)


def _ask_end(mandate: Mandate, principal: Principal) -> None:
    with st.form(f"end-{mandate.id}", border=False):
        reason = st.text_input(_("Why"), key=f"why-{mandate.id}")
        if not st.form_submit_button(_("End it"), type="primary"):
            return
    try:
        services().autopay.office.end(
            mandate_id=mandate.id,
            customer_id=mandate.customer_id,
            reason=reason,
            principal=principal,
        )
    except ReasonMissing as error:
        st.error(escaped(say(error)), icon=":material/edit:")
    else:
        form_done("own-page", _("Autopay has ended."))
        st.rerun()


def _send(customer_id: str, principal: Principal) -> None:
    try:
        way = services().customer_page.send_link(
            customer_id=customer_id, principal=principal, now=now()
        )
    except NoWayToCustomer:
        st.warning(_(_NO_WAY), icon=":material/edit:")
        return
    form_done("own-page", _("A link is on its way {way}.", way=_(WAY_WORDS[way])))
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
    form_done("own-page", _("All links are ended."))
    st.rerun()
