"""My account: one's own password, the code of an app, and one's own sign-ins."""

import streamlit as st

from pages.languages.words import _
from pages.registry import MY_ACCOUNT
from pages.shared.form_ids import show_done
from pages.shared.format import count, escaped, moment
from pages.shared.header import show_header
from pages.shared.session import require_permission, services, zone
from pages.users.own_code import show_code
from pages.users.own_language import show_language
from pages.users.own_password import show_password
from pages.users.security_events import show_events
from pages.users.user_words import roles_in_words
from services.identity.auth import Principal
from services.people.own_account import OwnAccount

_SHOWN = 50


def show_sessions(account: OwnAccount, principal: Principal) -> None:
    """Where one is signed in, each to be ended."""
    st.subheader(_("Where you are signed in"), anchor=False)
    found = account.open_sessions(principal=principal, limit=_SHOWN)
    st.caption(count(len(found), "sign-in"))
    with st.container(gap="xsmall"):
        for session in found:
            here = session.id == principal.session
            with st.container(border=True, horizontal=True, vertical_alignment="center"):
                where = (
                    _(" from {address}", address=escaped(session.address))
                    if session.address
                    else ""
                )
                st.markdown(
                    _(
                        "Since {first_used_at}{where}  \n:small[Last used {last_used_at}]",
                        first_used_at=moment(session.first_used_at, zone()),
                        where=where,
                        last_used_at=moment(session.last_used_at, zone()),
                    ),
                    width="stretch",
                )
                if here:
                    st.badge(_("This browser"), color="green")
                elif st.button(_("End"), icon=":material/logout:", key=f"end-{session.id}"):
                    account.end_session(session, principal=principal)
                    st.rerun()


principal = require_permission(*MY_ACCOUNT.needs)
show_header(MY_ACCOUNT.title)
show_done()
show_language(principal)
account = services().own_account
user = account.of(principal) if account else None
if account is None:
    st.info(_("Your account is kept in Auth0: change your password there."))
elif user is None:
    st.info(
        _(
            "You are signed in as {user}, without a password of this system.",
            user=escaped(principal.user),
        )
    )
    show_sessions(account, principal)
else:
    st.markdown(
        _(
            "**{display_name}**, signed in as {sign_in_name}  \n{roles}",
            display_name=escaped(user.display_name),
            sign_in_name=escaped(user.sign_in_name),
            roles=roles_in_words(user.roles),
        )
    )
    show_password(account, user, principal)
    show_code(account, user, principal)
    show_sessions(account, principal)
    show_events(account.events(principal=principal, limit=10))
