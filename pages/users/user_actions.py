"""What an administrator does with a user: name and roles, links, the code, sign-ins, disabling."""

from collections.abc import Callable
from typing import Final

import streamlit as st

from pages.languages.words import _, ngettext, say
from pages.shared.form_ids import form_done, form_id
from pages.shared.format import escaped
from pages.shared.session import now, services
from pages.users.user_words import show_link
from services.database.errors import IllegalChange
from services.identity.auth import Principal
from services.identity.permissions import ROLE_NAMES, Role, in_order
from services.languages.sentence import N_
from services.people.users import UnusableUser
from services.records.sessions import User

_RESET: Final = N_(
    "Their password and every sign-in end now. With the link they set a new password, within a day."
)


def show_user_form(user: User, principal: Principal) -> None:
    """Their name and roles, to be changed; other roles end their sign-ins."""
    form = form_id(f"user-{user.id}")
    with st.form(f"form-{form}"):
        display_name = st.text_input(
            _("Name"), user.display_name, key=f"name-{form}", autocomplete="off", max_chars=100
        )
        roles = st.multiselect(
            _("Roles"),
            list(Role),
            default=in_order([Role(role) for role in user.roles]),
            format_func=lambda role: _(ROLE_NAMES[role]),
            placeholder=_("Choose"),
            key=f"roles-{form}",
        )
        st.caption(_("With other roles they sign in again."))
        if not st.form_submit_button(_("Save"), type="primary"):
            return

    def save() -> None:
        services().users.change(
            user, display_name=display_name, roles=roles, principal=principal, now=now()
        )

    _do(save, f"user-{user.id}", _("The user is changed."))


def offer_actions(user: User, principal: Principal) -> bool:
    """Everything else, each asked once more; whether a new link is shown below, this once."""
    users, myself = services().users, user.sign_in_name == principal.user
    shown, linked = st.container(), False
    with st.container(horizontal=True):
        if user.state != "disabled" and not myself:
            linked = _offer_link(user, principal, shown)
        if user.totp_on_at:
            _ask(
                "remove-app",
                label=_("Remove the app"),
                yes=_("Yes, remove the app"),
                icon=":material/phonelink_erase:",
                said=_("For a lost phone: from now on their password alone signs them in."),
                do=lambda: users.reset_code(user, principal=principal),
                done=_("No code is asked for any more."),
            )
        if user.state == "active":
            _ask(
                "end-sign-ins",
                label=_("End sign-ins"),
                yes=_("Yes, end sign-ins"),
                icon=":material/logout:",
                said=_("They are signed out everywhere at once, and may sign in again."),
                do=lambda: users.end_sessions(user, principal=principal, now=now()),
                done=_("Every sign-in is ended."),
            )
        if user.state == "disabled":
            _ask(
                "enable",
                label=_("Enable"),
                yes=_("Yes, enable"),
                icon=":material/login:",
                said=_("They may sign in again with their password."),
                do=lambda: users.enable(user, principal=principal),
                done=_("They may sign in again."),
            )
        else:
            _offer_disable(user, principal)
    return linked


def _offer_disable(user: User, principal: Principal) -> None:
    keys = services().sessions.standing_of(user.sign_in_name, principal=principal).keys
    said = _("They are signed out everywhere at once and may not sign in again.")
    if keys:
        said += " " + ngettext(
            "Keys that they made stay good ({count} key): see *API keys*.",
            "Keys that they made stay good ({count} keys): see *API keys*.",
            len(keys),
        )
    _ask(
        "disable",
        label=_("Disable"),
        yes=_("Yes, disable"),
        icon=":material/person_off:",
        said=said,
        do=lambda: services().users.disable(user, principal=principal, now=now()),
        done=_("They may not sign in any more."),
    )


def _offer_link(user: User, principal: Principal, shown: st.delta_generator.DeltaGenerator) -> bool:
    label = _("Reset the password") if user.activated_at else _("New invitation link")
    with st.popover(label, icon=":material/link:"):
        st.markdown(
            _(_RESET) if user.activated_at else _("The link before is no longer good then.")
        )
        if not st.button(_("Yes, make a link"), type="primary", key="make-link"):
            return False
    try:
        code = services().users.new_link(user, principal=principal, now=now())
    except IllegalChange as error:
        shown.error(escaped(say(error)), icon=":material/block:")
        return False
    with shown:
        show_link(code, "reset" if user.activated_at else "invitation", name=user.display_name)
    return True


def _ask(
    key: str,
    *,
    label: str,
    yes: str,
    icon: str,
    said: str,
    do: Callable[[], object],
    done: str,
) -> None:
    with st.popover(label, icon=icon):
        st.markdown(said)
        if st.button(yes, type="primary", key=f"do-{key}"):
            _do(do, "", done)


def _do(do: Callable[[], object], form: str, done: str) -> None:
    """Do it and say so, or say why not."""
    try:
        do()
    except (UnusableUser, IllegalChange) as error:
        st.error(escaped(say(error)), icon=":material/block:")
        return
    form_done(form, done)
    st.rerun()
