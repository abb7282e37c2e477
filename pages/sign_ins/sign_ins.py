"""Sign-ins: every token that was used here, ended one by one or all of a person."""

import streamlit as st

from pages.languages.words import _
from pages.registry import SIGN_INS
from pages.shared.header import show_header
from pages.shared.permitted import page_link
from pages.shared.session import now, require_permission, services
from pages.sign_ins.session_cards import offer_for_person, show_session
from services.identity.permissions import Permission

PAGE_SIZE = 25

principal = require_permission(Permission.VIEW_SECURITY)
show_header(SIGN_INS.title)
st.caption(
    _(
        "Sign-ins in browsers and tokens for programs, from their first use here. An ended one is "
        "refused at once, however long it was made for."
    )
)
user = st.text_input(
    _("User id"), key="user", type="search", placeholder=_("Everybody"), bind="query-params"
).strip()
still_open = st.toggle(_("Only those that are still good"), value=True, key="still-open")
if user:
    offer_for_person(user, principal)
after = st.query_params.get("after")
found = services().sessions.listed(
    limit=PAGE_SIZE + 1, user=user, still_open=still_open, after=after, principal=principal
)
if not found:
    st.info(_("There are none."))
with st.container(gap="xsmall"):
    for session in found[:PAGE_SIZE]:
        show_session(session, principal, now())
if len(found) > PAGE_SIZE:
    page_link(
        SIGN_INS,
        label=_("Older ones"),
        icon=":material/arrow_forward:",
        query_params={"after": found[PAGE_SIZE - 1].id} | ({"user": user} if user else {}),
    )
