"""The sign-in page: the only page there is for somebody who is not signed in."""

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlencode, urlsplit

import streamlit as st

from pages.languages.words import _, say
from pages.shared.format import escaped
from pages.shared.session import (
    address,
    address_with,
    go_to,
    keep_sign_in,
    load_again,
    now,
    services,
    sign_out,
)
from services.identity.auth import (
    NotAllowed,
    NotSignedIn,
    SignInUnavailable,
)
from services.identity.login_secrets import PROVIDER
from services.identity.permissions import ROLE_NAMES, Role
from services.languages.sentence import N_, sentence
from services.web.asgi import BEGIN_PATH, SESSION_COOKIE
from services.web.callers import from_this_machine
from services.web.link_route import CHOICE_COOKIE, USED_LINK
from services.web.people.routes import ENDED, FIRST_PATH, WHY, WITH_TOKEN
from services.web.people.routes import PATH as SIGN_IN_PATH
from services.web.sign_in import PROBLEM, REFUSED, UNREACHABLE

_PROBLEMS = {
    UNREACHABLE: N_("The sign-in service cannot be reached just now. Try again in a minute."),
    USED_LINK: N_("That sign-in link has been used already, or is too old."),
    REFUSED: N_("The sign-in service did not let you in. Try again, or ask an administrator."),
}
_ICONS = {
    Role.ENGINEER: ":material/engineering:",
    Role.CASHIER: ":material/point_of_sale:",
    Role.CLERK: ":material/receipt_long:",
    Role.MANAGER: ":material/approval:",
    Role.AUDITOR: ":material/policy:",
    Role.ADMIN: ":material/admin_panel_settings:",
}


def show_sign_in(reason: str) -> None:
    """Ask who is there; `reason` says why somebody who was signed in is asked again.

    Once people have passwords, this is the form for tokens, which is asked for; else they are led
    to the form for a name and a password. In the demo a role can be chosen all the same.
    """
    problem = st.query_params.get(PROBLEM, "")
    with_password = _address_of_password_form(problem, reason)
    if with_password and problem != WITH_TOKEN and not services().roles_can_be_chosen():
        go_to(with_password)
    reason = _(_PROBLEMS.get(problem, reason))
    with _at_the_door():
        if reason:
            st.warning(escaped(reason), icon=":material/schedule:")
            _offer_to_load_again()
        if with_password and st.button(
            _("Sign in with a password"),
            icon=":material/password:",
            width="stretch",
            key="password",
        ):
            go_to(with_password)
        _roles_or_the_way_to_them()
        _provider_button()
        _token_form()


def _address_of_password_form(problem: str, reason: str) -> str | None:
    """Where people sign in with a name and a password; None while nobody can."""
    if services().password_sign_in is None or not services().users.exist():
        return None
    why = problem if problem == USED_LINK else ENDED if reason else ""
    query = {"next": _asked_for()} | ({WHY: why} if why else {})
    return address_with(SIGN_IN_PATH, **query)


def show_no_role(reason: str) -> None:
    """Tell somebody who is known but has no role here, and let them sign in as somebody else."""
    with _at_the_door():
        st.error(_("Not allowed: {reason}", reason=escaped(reason)), icon=":material/lock:")
        if st.button(_("Sign out"), icon=":material/logout:", width="stretch", key="sign-out"):
            sign_out()


def show_unavailable(reason: str) -> None:
    """Tell somebody whose sign-in cannot be verified just now; it is kept for the next try."""
    with _at_the_door():
        st.warning(escaped(reason), icon=":material/cloud_off:")
        st.button(_("Try again"), icon=":material/refresh:", width="stretch", key="try-again")


@contextmanager
def _at_the_door() -> Iterator[None]:
    with st.container(width="stretch", horizontal_alignment="center"), st.container(width=440):
        st.title(escaped(services().settings.utility_name), anchor=False)
        st.caption(_("Meter readings, bills and payments."))
        yield


def _provider_button() -> None:
    settings = services().settings
    if not settings.openid:
        return
    account = _("Auth0") if settings.auth0_domain else _("your organisation's account")
    label, icon = _("Sign in with {account}", account=account), ":material/login:"
    if not _is_at(settings.public_url):
        # Streamlit believes a sign-in only at the address that the provider leads back to.
        there = f"{settings.public_url}{_asked_for()}"
        st.link_button(
            _("{label} at {public_url}", label=label, public_url=settings.public_url),
            there,
            icon=icon,
            width="stretch",
        )
    elif st.button(label, icon=icon, type="primary", width="stretch", key="provider"):
        st.login(PROVIDER)
    st.caption(_("Or with your user id and a token:"))


def _offer_to_load_again() -> None:
    """A tab goes on with the cookies with which it was opened, whatever happened in another."""
    if SESSION_COOKIE not in st.context.cookies.to_dict():
        return
    label = _("Signed in in another tab? Load this page again")
    if st.button(label, icon=":material/refresh:", width="stretch", key="load-again"):
        load_again()


def _token_form() -> None:
    with st.form("sign-in"):
        user = st.text_input(_("User id"), key="user-id", autocomplete="username")
        token = st.text_input(
            _("Token"),
            key="sign-in-token",
            type="password",
            autocomplete="current-password",
            help=_("The JWT that your administrator gave you."),
        )
        if st.form_submit_button(_("Sign in"), type="primary", width="stretch"):
            _sign_in(user.strip(), token.strip())


def _sign_in(user: str, token: str) -> None:
    if not user or not token:
        st.error(_("Fill in both: your user id and your token."))
        return
    try:
        principal = services().tokens.verify(token, now())
        if principal.user != user:
            raise NotSignedIn(sentence("This token belongs to another user id."))
    except (NotSignedIn, NotAllowed) as error:
        services().security_log.note("refused", who=user, address=address(), detail=str(error))
        st.error(escaped(say(error)))
        return
    except SignInUnavailable as error:
        st.error(escaped(say(error)))
        return
    _enter(token)


def _roles_or_the_way_to_them() -> None:
    """A choice of roles for a browser that opened the terminal's link; else what to do."""
    if services().https is not None:
        _first_account_or_the_way_to_it()
        return
    if not services().roles_can_be_chosen() or not from_this_machine(address()):
        return
    right = st.context.cookies.to_dict().get(CHOICE_COOKIE)
    if not services().may_choose_role(right, now(), address=address()):
        _say_where_the_link_is()
        return
    with st.container(border=True):
        st.markdown(_("**On this machine**"))
        _offer_first_administrator()
        st.caption(_("No password: this browser opened the link from the terminal."))
        for role in Role:
            label, icon = _(ROLE_NAMES[role]), _ICONS[role]
            if st.button(label, icon=icon, width="stretch", key=f"demo-{role}"):
                _enter(services().tokens.issue(f"demo.{role}", role, now(), via="demo"))
    st.caption(_("Or sign in with a token:"))


def _first_account_or_the_way_to_it() -> None:
    """Where others than this machine get in, the link is good for the first account alone."""
    if not services().awaits_first_user():
        return
    right = st.context.cookies.to_dict().get(CHOICE_COOKIE)
    if not services().may_create_first_user(right, now(), address=address()):
        _say_where_the_link_is(in_log=True)
        return
    with st.container(border=True):
        _offer_first_administrator()
    st.caption(_("Or sign in with a token:"))


def _offer_first_administrator() -> None:
    """What an own system begins with; the demo may try it as well."""
    if services().users.exist():
        return
    demo = services().settings.demo
    label = _("Create the first account")
    if st.button(
        label,
        icon=":material/person_add:",
        type="secondary" if demo else "primary",
        width="stretch",
        key="first-administrator",
    ):
        go_to(FIRST_PATH)
    if not demo:
        caption = _("Of an administrator, who invites everybody else.")
        if services().roles_can_be_chosen():
            caption += " " + _("Until then a role can be chosen here:")
        st.caption(caption)


def _say_where_the_link_is(*, in_log: bool = False) -> None:
    with st.container(border=True):
        st.markdown(_("**No accounts yet**") if in_log else _("**On this machine**"))
        st.markdown(
            _(
                "Open the sign-in link that the start wrote to its log. It works once; for "
                "another one, run this in the project's folder:"
            )
            if in_log
            else _(
                "Open the sign-in link that the start printed in the terminal. It works once; for "
                "another one, run this in the project's folder:"
            )
        )
        st.code(".venv/bin/python -m services sign-in", language=None, wrap_lines=True)
    st.caption(_("Or sign in with your user id and a token:"))


def _enter(token: str) -> None:
    """Keep the sign-in for this visit, and by way of the cookie's route for the next ones."""
    try:
        services().who(token, now(), address=address())
    except (NotSignedIn, NotAllowed) as error:
        st.error(escaped(say(error)))
        return
    keep_sign_in(token)
    ticket = services().tickets.issue(token, now())
    st.caption(_("Signing in …"))
    go_to(address_with(BEGIN_PATH, ticket=ticket, next=_asked_for()))


def _is_at(public_url: str) -> bool:
    """Whether the visitor's browser is at this site; True when it does not say."""
    here, there = urlsplit(st.context.url or public_url), urlsplit(public_url)
    return (here.scheme, here.netloc) == (there.scheme, there.netloc)


def _asked_for() -> str:
    """The path and query that the visitor came for."""
    path = urlsplit(st.context.url or "").path or "/"
    asked = {name: text for name, text in st.query_params.to_dict().items() if name != PROBLEM}
    query = urlencode(asked)
    return f"{path}?{query}" if query else path
