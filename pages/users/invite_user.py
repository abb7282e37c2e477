"""Invite a user: their names and roles; then the one-time link by which they set a password."""

import streamlit as st

from pages.languages.words import _, say
from pages.registry import INVITE_USER, USER, USERS
from pages.shared.detail import detail_header
from pages.shared.form_ids import form_id
from pages.shared.format import escaped
from pages.shared.session import now, require_permission, services
from pages.users.user_words import show_link
from services.database.errors import IllegalChange
from services.identity.permissions import ROLE_NAMES, Role
from services.people.users import UnusableUser

principal = require_permission(*INVITE_USER.needs)
with detail_header(_(INVITE_USER.title), back=USERS):
    pass
form = form_id("invite-user")
space = st.empty()
with space, st.form(f"invite-{form}"):
    display_name = st.text_input(_("Name"), key=f"name-{form}", autocomplete="off", max_chars=100)
    sign_in_name = st.text_input(
        _("Sign-in name"),
        key=f"sign-in-name-{form}",
        autocomplete="off",
        max_chars=100,
        help=_(
            "Such as their e-mail address. The audit trail names them by it, so it never changes."
        ),
    )
    roles = st.multiselect(
        _("Roles"),
        list(Role),
        format_func=lambda role: _(ROLE_NAMES[role]),
        placeholder=_("Choose"),
        key=f"roles-{form}",
    )
    sent = st.form_submit_button(_("Invite"), type="primary")
if sent:
    try:
        invited = services().users.invite(
            sign_in_name=sign_in_name,
            display_name=display_name,
            roles=roles,
            principal=principal,
            now=now(),
        )
    except (UnusableUser, IllegalChange) as error:
        st.error(escaped(say(error)), icon=":material/edit:")
    else:
        # The next one is a new form, which what was typed into this one would not reach. The link
        # is in no session and gone with the next click.
        st.session_state.pop("form-invite-user", None)
        space.empty()
        show_link(invited.code, "invitation", name=display_name)
        st.page_link(
            USER.script,
            label=_("To {name}", name=escaped(display_name)),
            icon=":material/arrow_forward:",
            query_params={"id": invited.user_id},
        )
        st.button(_("Invite another"), icon=":material/person_add:")
