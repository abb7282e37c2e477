"""Users: who signs in with a password of their own, their roles, when they were last here."""

from dataclasses import replace

import streamlit as st

from pages.languages.addresses import select
from pages.languages.words import _
from pages.registry import INVITE_USER, USER, USERS
from pages.shared.form_ids import show_done
from pages.shared.format import moment
from pages.shared.header import header
from pages.shared.list_columns import Column, Listing
from pages.shared.list_filters import ask_status, ask_text
from pages.shared.listing import show_list
from pages.shared.permitted import page_link
from pages.shared.session import (
    go_to,
    may,
    people_with,
    require_permission,
    services,
    zone,
)
from pages.users.user_words import STATES, roles_in_words
from services.identity.permissions import ROLE_NAMES, Permission, Role
from services.languages.sentence import N_
from services.records.sessions import User, UserFilter
from services.web.people.routes import FIRST_PATH


def last_active(user: User) -> str:
    """When they last did anything here."""
    return moment(user.last_active_at, zone()) if user.last_active_at else _("never")


COLUMNS: tuple[Column[User], ...] = (
    Column(
        label=N_("Name"), text=lambda user: user.display_name, sort="display_name", place="title"
    ),
    Column(
        label=N_("Sign-in name"),
        text=lambda user: user.sign_in_name,
        sort="sign_in_name",
        place="text",
    ),
    Column(label=N_("Roles"), text=lambda user: roles_in_words(user.roles)),
    Column(
        label=N_("State"),
        text=lambda user: _(STATES[user.state][0]),
        color=lambda user: STATES[user.state][1],
        place="status",
    ),
    Column(label=N_("Last active"), text=last_active),
    Column(label=N_("App"), text=lambda user: _("on") if user.totp_on_at else "–"),
)


def summary(user: User) -> tuple[str, ...]:
    """What a card says of a user."""
    return (
        user.sign_in_name,
        roles_in_words(user.roles),
        _("Last active: {at}", at=last_active(user)),
    )


def show_users() -> None:
    """The list, with what to look for."""
    with st.grid(4, min_column_width=150, vertical_alignment="bottom") as grid:
        with grid.cell(column_span=2):
            text = ask_text(_("Name or sign-in name"))
        state = ask_status({words: state for state, (words, __) in STATES.items()})
        role = select(
            _("Role"),
            list(Role),
            said=lambda spoken, role: spoken.gettext(ROLE_NAMES[role]),
            slug_of=lambda role: role.value,
            key="role",
            placeholder=_("Every role"),
        )
    wanted = UserFilter(text=text, state=state, role=role.value if role else None)
    lists = services().lists
    show_list(
        Listing(
            noun="user",
            page=USER,
            columns=COLUMNS,
            summary=summary,
            sort="display_name",
            descending=False,
            asked=wanted,
            fetch=lambda page: lists.users(wanted=wanted, page=page, principal=principal),
            file=lambda page, kind, ids: lists.users_file(
                wanted=replace(wanted, ids=ids), page=page, kind=kind, principal=principal
            ),
        )
    )


def offer_first() -> None:
    """Nobody is here yet: what to begin with, and what it changes."""
    if not may(Permission.MANAGE_USERS):
        st.info(
            _(
                "Nobody has an account here yet. The first one is for {people} to create.",
                people=people_with(Permission.MANAGE_USERS),
            )
        )
        return
    st.info(
        _(
            "Nobody has an account here yet. Create the first administrator, who then invites "
            "everybody else. From then on people sign in with their passwords."
        )
    )
    if st.button(_("Create the first administrator"), type="primary", icon=":material/person_add:"):
        go_to(FIRST_PATH)


principal = require_permission(*USERS.needs)
with header(USERS.title):
    if services().keeps_users() and services().users.exist():
        page_link(INVITE_USER, _("Invite a user"), icon=":material/person_add:")
show_done()
if not services().keeps_users():
    st.info(_("People are kept by the sign-in service here: add them and their roles there."))
elif services().users.exist():
    show_users()
else:
    offer_first()
