"""The sign-in page: the only page there is for somebody who is not signed in."""

from urllib.parse import urlencode, urlsplit

import streamlit as st

from pages.shell import address_with, go_to, keep_sign_in, now, services
from pages.words import plain
from services.auth import NotSignedIn, Role, demo_sign_in_allowed
from services.web.asgi import BEGIN_PATH

_DEMO_USERS = {Role.ENGINEER: "demo.engineer", Role.ADMIN: "demo.admin"}


def show_sign_in(reason: str) -> None:
    """Ask who is there; `reason` says why somebody who was signed in is asked again."""
    with st.container(width="stretch", horizontal_alignment="center"), st.container(width=440):
        st.title(plain(services().settings.utility_name), anchor=False)
        st.caption("Meter readings, bills and payments.")
        if reason:
            st.warning(plain(reason), icon=":material/schedule:")
        _demo_buttons()
        _token_form()


def _token_form() -> None:
    with st.form("sign-in"):
        user = st.text_input("User id", key="user-id", autocomplete="username")
        token = st.text_input(
            "Token",
            key="sign-in-token",
            type="password",
            autocomplete="current-password",
            help="The JWT that your administrator gave you.",
        )
        if st.form_submit_button("Sign in", type="primary", width="stretch"):
            _sign_in(user.strip(), token.strip())


def _sign_in(user: str, token: str) -> None:
    if not user or not token:
        st.error("Fill in both: your user id and your token.")
        return
    try:
        principal = services().tokens.verify(token, now())
    except NotSignedIn as error:
        st.error(plain(error))
        return
    if principal.user != user:
        st.error("This token belongs to another user id.")
        return
    _enter(token)


def _demo_buttons() -> None:
    headers = {name.lower(): value for name, value in st.context.headers.to_dict().items()}
    if not demo_sign_in_allowed(
        settings=services().settings, host=headers.get("host"), headers=headers
    ):
        return
    with st.container(border=True):
        st.markdown("**On this machine**")
        st.caption("No password: this works only where the system runs, and never with Auth0.")
        for role, label, icon in (
            (Role.ENGINEER, "Field engineer", ":material/engineering:"),
            (Role.ADMIN, "Administrator", ":material/admin_panel_settings:"),
        ):
            if st.button(label, icon=icon, width="stretch", key=f"demo-{role}"):
                user = _DEMO_USERS[role]
                _enter(services().tokens.issue(user, role, now(), demo=True))
    st.caption("Or sign in with a token:")


def _enter(token: str) -> None:
    """Keep the sign-in for this visit, and by way of the cookie's route for the next ones."""
    keep_sign_in(token)
    ticket = services().tickets.issue(token, now())
    st.caption("Signing in …")
    go_to(address_with(BEGIN_PATH, ticket=ticket, next=_asked_for()))


def _asked_for() -> str:
    """The path and query that the visitor came for."""
    path = urlsplit(st.context.url or "").path or "/"
    query = urlencode(st.query_params.to_dict())
    return f"{path}?{query}" if query else path
