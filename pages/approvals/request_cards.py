"""One request for approval: what it would do, who asked and why, and the decision on it."""

from typing import Final

import streamlit as st

from pages.languages.words import _, say
from pages.registry import BILL, CUSTOMER, PAYMENT, SERVICE_POINT, PageEntry
from pages.shared.components import description_list
from pages.shared.form_ids import form_done
from pages.shared.format import Color, apart, escaped, moment
from pages.shared.permitted import page_link
from pages.shared.session import called, now, people_with, services, zone
from services.approvals.deciding import permission_to_decide
from services.database.errors import IllegalChange, NotFound
from services.identity.audit_reason import ReasonMissing
from services.identity.auth import NotAllowed, Principal
from services.integrations.failures import TemporaryFailure
from services.languages.sentence import N_
from services.records.drafts import ApprovalRequest, ApprovalState

_STATES: Final[dict[ApprovalState, tuple[str, Color]]] = {
    "pending": (N_("Waits"), "orange"),
    "approved": (N_("Approved, not done yet"), "orange"),
    "rejected": (N_("Rejected"), "red"),
    "done": (N_("Done"), "green"),
    "failed": (N_("Not done"), "red"),
    "expired": (N_("Expired"), "gray"),
}


def show_request(request: ApprovalRequest, principal: Principal) -> None:
    """What it is about, and how it stands."""
    with st.container(border=True, gap="small"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{escaped(say(request.summary))}**", width="content")
            label, color = _STATES[request.state]
            st.badge(_(label), color=color)
        asked = f"{apart(called(request.asked_by))}, {moment(request.asked_at, zone())}"
        facts = [(_("Asked for by"), asked), (_("Why"), request.reason)]
        if request.decided_by and request.decided_at:
            decided = f"{apart(called(request.decided_by))}, {moment(request.decided_at, zone())}"
            facts += [(_("Decided by"), decided), (_("Their reason"), request.decision_reason)]
        elif request.state == "pending":
            facts.append((_("Until"), moment(request.expires_at, zone())))
        description_list([fact for fact in facts if fact[1]], least_width=150)
        if request.outcome:
            st.warning(escaped(say(request.outcome)), icon=":material/block:")
        _link_to_it(request)
        if services().approvals.may_decide(request, principal=principal):
            _ask(request, principal)
        elif request.state in {"pending", "approved"}:
            st.caption(
                _(
                    "To be decided by {people_with}, by somebody else than who asked.",
                    people_with=people_with(permission_to_decide(request)),
                )
            )


def _link_to_it(request: ApprovalRequest) -> None:
    payload = request.payload
    places: tuple[tuple[PageEntry, str, str | None], ...] = (
        (PAYMENT, _("The payment"), payload.get("payment_id")),
        (CUSTOMER, _("The customer"), payload.get("customer_id")),
        (BILL, _("The bill"), payload.get("wrong", {}).get("bill_id")),
        (
            SERVICE_POINT,
            _("The service point"),
            payload.get("change", {}).get("service_point_id"),
        ),
    )
    for page, label, thing in places:
        if thing:
            page_link(page, label, icon=":material/link:", query_params={"id": thing})
    if "tariff" in payload:
        with st.expander(_("The tariff as JSON"), type="compact"):
            st.json(payload["tariff"])


def _ask(request: ApprovalRequest, principal: Principal) -> None:
    with st.form(f"decide-{request.id}", border=False):
        reason = st.text_input(_("Reason"), key=f"reason-{request.id}")
        with st.container(horizontal=True):
            approved = st.form_submit_button(
                _("Approve and do it") if request.state == "pending" else _("Do it now"),
                type="primary",
            )
            rejected = request.state == "pending" and st.form_submit_button(_("Reject"))
    if not (approved or rejected):
        return
    approvals = services().approvals
    try:
        if rejected:
            approvals.reject(request_id=request.id, reason=reason, principal=principal)
            said = _("It is rejected.")
        else:
            ended = approvals.approve(
                request_id=request.id, reason=reason, principal=principal, now=now()
            )
            said = (
                _("It is done.")
                if ended.state == "done"
                else _("Not done: {outcome}", outcome=say(ended.outcome))
            )
    except (IllegalChange, NotFound, NotAllowed, ReasonMissing, TemporaryFailure) as error:
        st.error(escaped(say(error)), icon=":material/edit:")
        return
    form_done(f"decide-{request.id}", escaped(said))
    st.rerun()
