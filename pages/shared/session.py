"""What every page stands in: who is signed in, which role it needs, and words for failures."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import date, datetime
from typing import TYPE_CHECKING, Final, Never
from urllib.parse import urlencode, urlsplit
from zoneinfo import ZoneInfo

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from pages.languages.words import _, language, say
from pages.registry import HOME
from pages.shared.format import escaped
from services import bootstrap
from services.container import Services
from services.database.errors import (
    DatabaseError,
    DatabaseRefused,
    IllegalChange,
    NotFound,
    TemporaryDatabaseError,
)
from services.health.checks import Checks
from services.history.people import name_of
from services.identity.auth import (
    NotAllowed,
    NotSignedIn,
    Principal,
    SignInUnavailable,
    require,
)
from services.identity.openid import is_of_our_own
from services.identity.permissions import ROLE_NAMES, Permission, roles_with
from services.languages.sentence import N_
from services.languages.writing import ENGLISH
from services.quantities.period import local_date
from services.telemetry.context import begin
from services.web.asgi import BEGIN_PATH, END_PATH, SESSION_COOKIE, utc_now
from services.web.round.files_served import PATH as ROUND_PATH

if TYPE_CHECKING:
    from scheduler import Scheduler

log = logging.getLogger(__name__)

_TOKEN: Final = "token"  # noqa: S105 - the name under which the session keeps it
_DATABASE_AWAY: Final = N_(
    "The database cannot be reached just now. Nothing is lost; it usually takes a moment."
)
_SIGNED_OUT: Final = "signed_out"


def services() -> Services:
    """The services of this process."""
    return bootstrap.running()


def scheduler() -> "Scheduler":
    """The scheduler of this process."""
    return bootstrap.running_scheduler()


def checks() -> Checks:
    """The checks of this process's systems, and what they found."""
    return bootstrap.running_checks()


def zone() -> ZoneInfo:
    """The utility's time zone."""
    return services().settings.timezone


def now() -> datetime:
    """The present moment, in UTC."""
    return utc_now()


def today() -> date:
    """The utility's local date."""
    return local_date(now(), zone())


def who_is_signed_in() -> Principal:
    """Whom one of the tokens that this visit shows stands for now.

    Asked on every run, so a sign-in that has expired or was ended ends with the next click. Raises
    NotSignedIn, with the reason if there was a token; NotAllowed; SignInUnavailable, also when
    the database cannot be asked.
    """
    return _shown()[1]


def _shown() -> tuple[object, Principal]:
    problem = NotSignedIn("")
    for token in _tokens_shown():
        try:
            principal = services().who(token, now(), address=address())
            # Of this run: Streamlit gives the thread to the same visit again and again.
            begin(actor=principal.user)
            return token, principal
        except NotSignedIn as error:
            problem = problem if str(problem) else error
        except TemporaryDatabaseError:
            raise SignInUnavailable(_DATABASE_AWAY) from None
    raise problem


def while_signed_in(make: Callable[[], bytes]) -> Callable[[], bytes]:
    """`make` for as long as the sign-in of this run holds; then it raises as `who` does.

    Streamlit asks for the file of a download button without a run of the page, which would see.
    """
    try:
        token, at = _shown()[0], address()
    except (NotSignedIn, NotAllowed, SignInUnavailable):
        # A part of the page ran alone, by which the sign-in had ended: the whole says so.
        st.rerun()

    def made() -> bytes:
        services().who(token, now(), address=at)
        return make()

    return made


def allow_upload() -> None:
    """Let this visit upload files, for as long as its sign-in holds."""
    run = get_script_run_ctx()
    if run is not None:
        services().uploads.allow(run.session_id, str(_shown()[0]))


def address() -> str:
    """Where the visitor's browser is, for the security log."""
    found: object = st.context.ip_address
    # Streamlit leaves the address of this machine out.
    return found if isinstance(found, str) else "127.0.0.1"


def _tokens_shown() -> Iterator[object]:
    """The token of this visit's form, the cookie's, and the access token behind st.login."""
    if _TOKEN in st.session_state:
        yield st.session_state[_TOKEN]
    if st.session_state.get(_SIGNED_OUT):
        return
    if SESSION_COOKIE in (cookies := st.context.cookies.to_dict()):
        yield cookies[SESSION_COOKIE]
    # Streamlit keeps what st.login brought for 30 days and never looks at its expiry; we do.
    if signed_in_by_button():
        yield _token_of_button()


def signed_in_by_button() -> bool:
    """Whether this visit holds what st.login brought, be it expired or not."""
    return services().settings.openid and st.user.get("is_logged_in") is True


def _token_of_button() -> object:
    """The one that st.login keeps: of Auth0 that for our API, else that on who came."""
    return st.user.tokens.get("id" if services().settings.oidc_issuer else "access")


def exchange_sign_in() -> None:
    """Go on with a token of ours where this visit holds a provider's alone; raises as who()."""
    token = _shown()[0]
    if services().settings.oidc_issuer is None or is_of_our_own(token):
        return
    ours = services().exchange(token, now(), address=address())
    keep_sign_in(ours)
    ticket = services().tickets.issue(ours, now())
    path = urlsplit(st.context.url or "").path or "/"
    query = urlencode(st.query_params.to_dict())
    go_to(address_with(BEGIN_PATH, ticket=ticket, next=f"{path}?{query}" if query else path))


def keep_sign_in(token: str) -> None:
    """Keep a verified token for this visit."""
    st.session_state[_TOKEN] = token
    st.session_state.pop(_SIGNED_OUT, None)


def forget_sign_in() -> None:
    """Leave nothing of the person behind in this visit."""
    st.session_state.clear()
    # The cookie goes with the next request; this run's context still shows it.
    st.session_state[_SIGNED_OUT] = True


def sign_out() -> Never:
    """End the sign-in in every tab, in the cookies and, after st.login, at the service too."""
    by_button = signed_in_by_button()
    for token in _tokens_shown():
        with suppress(NotSignedIn, NotAllowed, SignInUnavailable):
            principal = services().tokens.verify(token, now())
            services().sessions.sign_out(principal, address=address())
    forget_sign_in()
    if by_button:
        st.logout()
        st.stop()
    _post_to(END_PATH)


def may(*permissions: Permission) -> bool:
    """Whether whoever is signed in has one of `permissions`."""
    return who_is_signed_in().may(*permissions)


def require_permission(*permissions: Permission) -> Principal:
    """Whoever is signed in, if they have one of `permissions`; else a sentence, and the end.

    Without any, everybody who is signed in may.
    """
    try:
        principal = who_is_signed_in()
    except NotSignedIn as error:
        st.warning(escaped(say(error)) or _("Sign in first."))
        st.stop()
    except (NotAllowed, SignInUnavailable) as error:
        st.warning(escaped(say(error)))
        st.stop()
    try:
        return require(principal, *permissions)
    except NotAllowed:
        reason = _(
            "Not allowed: this page is for {people_with}.", people_with=people_with(*permissions)
        )
        note_denied(principal, reason)
        st.error(reason, icon=":material/lock:")
        st.page_link(HOME.script, label=_("Go to my pages"), icon=":material/arrow_back:")
        st.stop()


def called(actor: str) -> str:
    """What people call whoever did something: a user by their name, a program by what it does."""
    return services().users.names().get(actor) or say(name_of(actor))


def people_with(*permissions: Permission) -> str:
    """Those whose role has one of `permissions`, such as: managers and administrators."""
    names = [ROLE_NAMES[role] for role in roles_with(*permissions)]
    if language().tag != ENGLISH:
        return ", ".join(_(name) for name in names)
    *others, last = (f"{name.lower()}s" for name in names)
    return f"{', '.join(others)} and {last}" if others else last


def note_denied(principal: Principal, reason: str) -> None:
    """Tell the security log that somebody was not allowed what they asked for."""
    path = urlsplit(st.context.url or "").path
    services().security_log.note(
        "denied", who=principal.user, address=address(), detail=f"{path}: {reason}"
    )


@contextmanager
def error_boundary() -> Iterator[None]:
    """Turn a failure that nobody on the page expected into a sentence and "try again"."""
    try:
        yield
    except NotFound as error:
        st.warning(_("{error} Look for it in the list.", error=escaped(say(error))))
    except IllegalChange as error:
        st.warning(_("{error} Nothing was changed.", error=escaped(say(error))))
        _try_again(_("Show it as it is now"))
    except DatabaseRefused as error:
        log.warning("the database refused (%s): %s", error.code, error)
        st.error(_("That could not be stored as it stands. Nothing was changed."))
        _try_again(_("Try again"))
    except DatabaseError as error:
        log.warning("the database could not be asked (%s): %s", error.code, error)
        st.error(
            _(
                "The database cannot be reached just now. Nothing is lost; it usually takes a "
                "moment."
            ),
            icon=":material/cloud_off:",
        )
        _try_again(_("Try again"))
    except Exception:
        log.exception("a page failed unexpectedly")
        st.error(_("Something went wrong on our side. What was stored before is safe."))
        _try_again(_("Try again"))


def _try_again(label: str) -> None:
    st.button(label, icon=":material/refresh:", key="try-again")


def address_with(path: str, **query: str) -> str:
    """A path of this site with a query, everything encoded."""
    return f"{path}?{urlencode(query)}"


def open_round() -> Never:
    """Lead the browser to the round, with a cookie that holds this visit's sign-in."""
    ticket = services().tickets.issue(str(_shown()[0]), now())
    go_to(address_with(BEGIN_PATH, ticket=ticket, next=ROUND_PATH))


def go_to(address: str) -> Never:
    """Send the browser to an address of this site that is not a page; nothing after it is shown."""
    # urlencode left nothing in `address` that could end the string or the script.
    st.html(f'<script>window.location.replace("{address}")</script>', unsafe_allow_javascript=True)
    st.stop()


def load_again() -> Never:
    """Let the browser load the page again, with the cookies that it has by now."""
    st.html("<script>window.location.reload()</script>", unsafe_allow_javascript=True)
    st.stop()


def _post_to(path: str) -> Never:
    """Send the browser to a fixed address of this site by POST, which no other site can do."""
    st.html(
        "<script>const form = document.createElement('form'); form.method = 'post'; "
        f"form.action = '{path}'; document.body.append(form); form.submit()</script>",
        unsafe_allow_javascript=True,
    )
    st.stop()
