"""A user: their name and roles, links to set a password, their sign-ins, and disabling them."""

import streamlit as st

from pages.languages.words import _
from pages.registry import USER, USERS
from pages.shared.components import description_list
from pages.shared.detail import detail_header
from pages.shared.form_ids import show_done
from pages.shared.format import moment
from pages.shared.session import may, require_permission, services, zone
from pages.users.security_events import show_events
from pages.users.user_actions import offer_actions, show_user_form
from pages.users.user_words import STATES, roles_in_words
from services.identity.permissions import Permission
from services.records.sessions import User


def _of_password(user: User) -> str:
    if user.activated_at and not user.has_password:
        return _("reset; a new one is not set yet")
    if user.password_set_at is None:
        return _("not set")
    return _("set {at}", at=moment(user.password_set_at, zone()))


def show_facts(user: User) -> None:
    """What is known of a user."""
    code = _("on since {at}", at=moment(user.totp_on_at, zone())) if user.totp_on_at else _("off")
    link = (
        _("good until {at}", at=moment(user.link_expires_at, zone()))
        if user.link_expires_at
        else _("none")
    )
    active = moment(user.last_active_at, zone()) if user.last_active_at else _("never")
    description_list(
        (
            (_("Sign-in name"), user.sign_in_name),
            (_("Roles"), roles_in_words(user.roles)),
            (_("Last active"), active),
            (_("Password"), _of_password(user)),
            (_("Authenticator app"), code),
            *([(_("Open link"), link)] if may(Permission.MANAGE_USERS) else []),
        ),
        least_width=200,
    )


principal = require_permission(*USER.needs)
user = services().users.user(user_id=st.query_params.get("id", ""), principal=principal)
with detail_header(user.display_name, back=USERS, states=[STATES[user.state]]):
    pass
show_done()
facts = st.container()
if may(Permission.MANAGE_USERS):
    if offer_actions(user, principal):
        # The link is shown this once, so that the page cannot be run again for what it changed.
        user = services().users.user(user_id=user.id, principal=principal)
    show_user_form(user, principal)
with facts:
    show_facts(user)
show_events(
    services().security_log.events(
        limit=10, event=None, who=user.sign_in_name, before=None, principal=principal
    )
)
