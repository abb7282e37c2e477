"""What a form says where a second person must approve, and what waits for that person since."""

from collections.abc import Collection

import streamlit as st

from pages.languages.words import _, say
from pages.registry import APPROVALS
from pages.shared.format import escaped, moment
from pages.shared.permitted import page_link
from pages.shared.session import called, services, zone
from services.approvals.asking import Group
from services.identity.auth import Principal
from services.records.drafts import ApprovalKind


def asks_first(group: Group) -> bool:
    """Whether the settings want another person's approval; said above the form's button."""
    asks = group in services().settings.four_eyes
    if asks:
        st.caption(
            _(
                ":material/approval_delegation: Another person must approve this: it is done once "
                "somebody does, on *Approvals*."
            )
        )
    return asks


def label_of(label: str, *, asks: bool) -> str:
    """What the button says that does it, or asks for it."""
    return _("Ask for approval") if asks else label


def show_requests(
    kinds: Collection[ApprovalKind], things: Collection[str] | None, principal: Principal
) -> None:
    """The requests of these kinds that wait: those about these things, or all of them."""
    waiting = services().approvals.about(kinds, things, principal=principal)
    for request in waiting:
        with st.container(border=True, gap="xsmall"):
            st.markdown(f":material/approval_delegation: **{escaped(say(request.summary))}**")
            at, who = moment(request.asked_at, zone()), escaped(called(request.asked_by))
            if request.state == "approved":
                said = _(
                    "Asked for on {moment} by {who}; it is approved and not done yet.",
                    moment=at,
                    who=who,
                )
            else:
                said = _(
                    "Asked for on {moment} by {who}; it waits on *Approvals* until somebody else "
                    "approves it.",
                    moment=at,
                    who=who,
                )
            st.markdown(said)
            page_link(APPROVALS, _(APPROVALS.title), icon=":material/approval_delegation:")
