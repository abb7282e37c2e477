"""The pieces of the Sign-ins page: one sign-in with its end, and what to do about a person."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import streamlit as st

from pages.shared.format import escaped, moment
from pages.shared.session import may, services, zone
from services.identity.auth import Principal
from services.identity.permissions import ROLE_NAMES, Permission, Role
from services.records.sessions import Session

_HOW: Final = {
    "token": "with a token",
    "demo": "without a password",
    "link": "by a sign-in link",
    "password": "with a password",
}


def show_session(session: Session, principal: Principal, now: datetime) -> None:
    """One sign-in: whose, since when, last used, and whether it still opens anything."""
    with st.container(border=True, gap="xsmall"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(
                f"**{escaped(session.user_id or 'A browser on this machine')}**", width="content"
            )
            for role in session.role.split(",") if session.role else ():
                st.badge(ROLE_NAMES[Role(role)], color="blue")
            if session.role is None:
                st.badge("May choose a role", color="blue")
            if session.id == principal.session:
                st.badge("This browser", color="green")
            if session.dismissed_at:
                st.badge("May not sign in", color="red")
        from_where = f" from {escaped(session.address)}" if session.address else ""
        st.caption(
            f"First used {moment(session.first_used_at, zone())}{from_where}, "
            f"{_HOW[session.via]} · "
            f"last used {moment(session.last_used_at, zone())} · "
            f"made until {moment(session.expires_at, zone())}"
        )
        if session.ended_at:
            by = escaped(session.ended_by or "")
            st.caption(f"Ended {moment(session.ended_at, zone())} by {by}")
        elif (
            session.expires_at > now
            and may(Permission.MANAGE_USERS)
            and st.button("End", icon=":material/logout:", key=f"end-{session.id}")
        ):
            _end(session, principal)


def _end(session: Session, principal: Principal) -> None:
    services().sessions.end_one(session, principal=principal)
    st.toast("The sign-in is ended.", icon=":material/logout:")
    st.rerun()


def offer_for_person(user: str, principal: Principal) -> None:
    """End all sign-ins of a person, dismiss them, or let them sign in again."""
    standing = services().sessions.standing_of(user, principal=principal)
    if standing.dismissed_at:
        st.warning(
            f"{escaped(user)} may not sign in since {moment(standing.dismissed_at, zone())}."
        )
        may_manage = may(Permission.MANAGE_USERS)
        if may_manage and st.button(
            "Let them sign in again", icon=":material/login:", key="readmit"
        ):
            services().sessions.readmit(user, principal=principal)
            st.rerun()
        return
    if not may(Permission.MANAGE_USERS):
        return
    with st.container(horizontal=True):
        _ask_end_all(user, principal)
        if user != principal.user:
            _ask_end_all(user, principal, dismiss=True, keys=standing.keys)


def _ask_end_all(
    user: str, principal: Principal, *, dismiss: bool = False, keys: Sequence[str] = ()
) -> None:
    what = "Dismiss" if dismiss else "End all"
    key = "dismiss" if dismiss else "end-all"
    with st.popover(what, icon=":material/person_off:" if dismiss else ":material/logout:"):
        later = "and new ones are refused" if dismiss else "a new one can be made"
        st.markdown(
            f"Every sign-in and token of **{escaped(user)}** ends now, also those that were never "
            f"used here, {later}."
        )
        if keys:
            # They may be known to them: each is revoked on its own page.
            st.markdown(
                f"Keys that they made stay good: {escaped(', '.join(keys))}. See *API keys*."
            )
        if st.button(f"Yes, {what.lower()}", type="primary", key=key):
            services().sessions.end_all_of(
                user,
                principal=principal,
                now=datetime.now(zone()),
                dismiss=dismiss,
            )
            st.rerun()
