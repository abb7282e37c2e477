"""What a customer asks on their page: what about, since when, and the answer that closes it."""

from typing import Final

import streamlit as st

from pages.languages.words import _, say
from pages.registry import BILL, CHANGE_SUPPLY, CUSTOMER
from pages.shared.components import status_badge
from pages.shared.form_ids import form_done
from pages.shared.format import Color, apart, escaped, moment
from pages.shared.permitted import page_link, submit_button
from pages.shared.session import called, now, services, zone
from services.customer_page.requests import LONGEST_ANSWER, AnswerMissing
from services.database.errors import IllegalChange, NotFound
from services.identity.auth import Principal
from services.identity.permissions import Permission
from services.languages.sentence import N_
from services.records.customers.pages import CustomerRequest

_STATES: Final[dict[str, tuple[str, Color]]] = {
    "open": (N_("Waits"), "orange"),
    "accepted": (N_("Done"), "green"),
    "declined": (N_("Declined"), "red"),
    "withdrawn": (N_("Taken back"), "gray"),
}


def title_of(request: CustomerRequest) -> str:
    """What is asked, in a few words."""
    if request.kind == "dispute":
        return _("Disputes bill {reference}", reference=request.reference)
    if request.wanted_on:
        return _("Moves out on {day}", day=request.wanted_on)
    return _("Moves out")


def show_request(request: CustomerRequest, principal: Principal, *, named: bool = True) -> None:
    """A request and, while it waits, the form that answers it; `named`: with whose it is."""
    with st.container(border=True, gap="small"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{escaped(title_of(request))}**", width="content")
            status_badge(request.state, _STATES)
        asked = moment(request.asked_at, zone())
        if named:
            asked = _(
                "{customer}, account {account}, {moment}",
                customer=request.customer_name,
                account=request.account_no,
                moment=asked,
            )
        st.caption(escaped(asked))
        if request.service_address:
            st.markdown(escaped(request.service_address))
        if request.note:
            st.text(request.note)
        _links(request, named=named)
        if request.state == "open":
            _ask_answer(request, principal)
        elif request.closed_at and request.closed_by:
            closed = f"{apart(called(request.closed_by))}, {moment(request.closed_at, zone())}"
            said = f"{closed}: {request.answer}" if request.answer else closed
            st.caption(escaped(said))


def _links(request: CustomerRequest, *, named: bool) -> None:
    with st.container(horizontal=True):
        if named:
            page_link(
                CUSTOMER,
                label=_("The customer"),
                icon=":material/person:",
                query_params={"id": request.customer_id},
            )
        if request.bill_id:
            page_link(
                BILL,
                label=_("The bill"),
                icon=":material/receipt_long:",
                query_params={"id": request.bill_id},
            )
        if request.service_point_id and request.state == "open":
            page_link(
                CHANGE_SUPPLY,
                label=_("Move out"),
                icon=":material/logout:",
                query_params={"id": request.service_point_id, "what": "move-out"},
            )


def _ask_answer(request: CustomerRequest, principal: Principal) -> None:
    name = f"request-{request.id}"
    if request.kind == "dispute":
        st.caption(_("Dunning of the account waits until this is closed."))
    with st.form(f"form-{name}", border=False):
        answer = st.text_input(
            _("Answer, as the customer reads it"), key=f"answer-{name}", max_chars=LONGEST_ANSWER
        )
        with st.container(horizontal=True):
            done = submit_button(_("Done"), Permission.CHANGE_CUSTOMERS, type="primary")
            declined = submit_button(_("Decline"), Permission.CHANGE_CUSTOMERS)
    if not (done or declined):
        return
    try:
        services().customer_page.requests.close(
            request_id=request.id,
            state="accepted" if done else "declined",
            answer=answer or "",
            principal=principal,
            now=now(),
        )
    except (AnswerMissing, IllegalChange, NotFound) as error:
        st.error(escaped(say(error)), icon=":material/edit:")
        return
    form_done(name, _("It is closed, and the customer reads the answer on their page."))
    st.rerun()
