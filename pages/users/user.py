"""A user: their name and roles, links to set a password, their sign-ins, and disabling them."""

import streamlit as st

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
        return "reset; a new one is not set yet"
    return f"set {moment(user.password_set_at, zone())}" if user.password_set_at else "not set"


def show_facts(user: User) -> None:
    """What is known of a user."""
    code = f"on since {moment(user.totp_on_at, zone())}" if user.totp_on_at else "off"
    link = f"good until {moment(user.link_expires_at, zone())}" if user.link_expires_at else "none"
    active = moment(user.last_active_at, zone()) if user.last_active_at else "never"
    description_list(
        (
            ("Sign-in name", user.sign_in_name),
            ("Roles", roles_in_words(user.roles)),
            ("Last active", active),
            ("Password", _of_password(user)),
            ("Authenticator app", code),
            *([("Open link", link)] if may(Permission.MANAGE_USERS) else []),
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
