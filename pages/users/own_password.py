"""Changing one's own password, which asks for the old one."""

import streamlit as st

from pages.languages.words import _, say
from pages.shared.form_ids import form_done, form_id
from pages.shared.format import escaped, moment
from pages.shared.session import now, zone
from services.database.errors import IllegalChange
from services.identity.auth import Principal
from services.people.hashing import TooBusyToVerify
from services.people.limits import TooManyTries
from services.people.own_account import OwnAccount, WrongPassword
from services.people.password_rules import LONGEST, SHORTEST, UnusablePassword
from services.records.sessions import User

REFUSALS = (IllegalChange, TooBusyToVerify, TooManyTries, UnusablePassword, WrongPassword)


def ask_password(label: str, key: str, *, new: bool = False) -> str:
    """A field for a password, as browsers' password managers know it."""
    typed: str = st.text_input(
        label,
        key=key,
        type="password",
        autocomplete="new-password" if new else "current-password",
    )
    return typed


def show_password(account: OwnAccount, user: User, principal: Principal) -> None:
    """When it was set, and a form for another one."""
    st.subheader(_("Password"), anchor=False)
    if user.password_set_at:
        st.caption(_("Set {password_set_at}", password_set_at=moment(user.password_set_at, zone())))
    form = form_id("own-password")
    with st.expander(_("Change it")), st.form(f"form-{form}", border=False, clear_on_submit=True):
        old = ask_password(_("Old password"), f"old-{form}")
        new = ask_password(_("New password"), f"new-{form}", new=True)
        again = ask_password(_("The new one once more"), f"again-{form}", new=True)
        st.caption(
            _(
                "{SHORTEST} to {LONGEST} characters; not your name, and no common password. A "
                "few words that do not belong together do well. You are then signed out "
                "everywhere else.",
                SHORTEST=SHORTEST,
                LONGEST=LONGEST,
            )
        )
        if not st.form_submit_button(_("Change the password"), type="primary"):
            return
        if new != again:
            st.error(_("The two new passwords differ. Type both again."))
            return
        try:
            account.change_password(old=old, new=new, principal=principal, now=now())
        except REFUSALS as error:
            st.error(escaped(say(error)))
            return
    form_done("own-password", _("Your password is changed."))
    st.rerun()
