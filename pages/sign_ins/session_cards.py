"""The pieces of the Sign-ins page: one sign-in with its end, and what to do about a person."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import streamlit as st

from pages.languages.words import Said, _
from pages.shared.format import escaped, moment
from pages.shared.session import may, services, zone
from services.identity.auth import Principal
from services.identity.permissions import ROLE_NAMES, Permission, Role
from services.languages.sentence import N_
from services.records.sessions import Session

_HOW: Final = Said(
    {
        "token": N_("with a token"),
        "demo": N_("without a password"),
        "link": N_("by a sign-in link"),
        "password": N_("with a password"),
    }
)
_DISMISS: Final = N_(
    "Every sign-in and token of **{user}** ends now, also those that were never used here, and new "
    "ones are refused."
)
_END_ALL: Final = N_(
    "Every sign-in and token of **{user}** ends now, also those that were never used here, a new "
    "one can be made."
)


def show_session(session: Session, principal: Principal, now: datetime) -> None:
    """One sign-in: whose, since when, last used, and whether it still opens anything."""
    with st.container(border=True, gap="xsmall"):
        with st.container(horizontal=True, vertical_alignment="center"):
            whose = session.user_id or _("A browser on this machine")
            st.markdown(f"**{escaped(whose)}**", width="content")
            for role in session.role.split(",") if session.role else ():
                st.badge(_(ROLE_NAMES[Role(role)]), color="blue")
            if session.role is None:
                st.badge(_("May choose a role"), color="blue")
            if session.id == principal.session:
                st.badge(_("This browser"), color="green")
            if session.dismissed_at:
                st.badge(_("May not sign in"), color="red")
        values = {
            "first": moment(session.first_used_at, zone()),
            "how": _HOW[session.via],
            "last": moment(session.last_used_at, zone()),
            "until": moment(session.expires_at, zone()),
        }
        st.caption(
            _(
                "First used {first} from {address}, {how} · last used {last} · made until {until}",
                address=escaped(session.address),
                **values,
            )
            if session.address
            else _("First used {first}, {how} · last used {last} · made until {until}", **values)
        )
        if session.ended_at:
            by = escaped(session.ended_by or "")
            st.caption(_("Ended {at} by {user}", at=moment(session.ended_at, zone()), user=by))
        elif (
            session.expires_at > now
            and may(Permission.MANAGE_USERS)
            and st.button(_("End"), icon=":material/logout:", key=f"end-{session.id}")
        ):
            _end(session, principal)


def _end(session: Session, principal: Principal) -> None:
    services().sessions.end_one(session, principal=principal)
    st.toast(_("The sign-in is ended."), icon=":material/logout:")
    st.rerun()


def offer_for_person(user: str, principal: Principal) -> None:
    """End all sign-ins of a person, dismiss them, or let them sign in again."""
    standing = services().sessions.standing_of(user, principal=principal)
    if standing.dismissed_at:
        st.warning(
            _(
                "{user} may not sign in since {at}.",
                user=escaped(user),
                at=moment(standing.dismissed_at, zone()),
            )
        )
        may_manage = may(Permission.MANAGE_USERS)
        if may_manage and st.button(
            _("Let them sign in again"), icon=":material/login:", key="readmit"
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
    what = _("Dismiss") if dismiss else _("End all")
    yes = _("Yes, dismiss") if dismiss else _("Yes, end all")
    key = "dismiss" if dismiss else "end-all"
    with st.popover(what, icon=":material/person_off:" if dismiss else ":material/logout:"):
        st.markdown(_(_DISMISS if dismiss else _END_ALL, user=escaped(user)))
        if keys:
            # They may be known to them: each is revoked on its own page.
            st.markdown(
                _(
                    "Keys that they made stay good: {keys}. See *API keys*.",
                    keys=escaped(", ".join(keys)),
                )
            )
        if st.button(yes, type="primary", key=key):
            services().sessions.end_all_of(
                user,
                principal=principal,
                now=datetime.now(zone()),
                dismiss=dismiss,
            )
            st.rerun()
