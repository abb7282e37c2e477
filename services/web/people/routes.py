"""The addresses below /sign-in: name and password, a code, a link to set a password, the first."""

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from flask import Flask, Response, request

from services.container import Services
from services.database.errors import DatabaseError, IllegalChange
from services.identity.auth import (
    TOKEN_LIFETIME,
    NotAllowed,
    NotSignedIn,
    Principal,
    SignInUnavailable,
    safe_return_path,
)
from services.identity.permissions import Permission
from services.languages.sentence import N_, sentence, sentence_of
from services.people.hashing import TooBusyToVerify
from services.people.limits import TooManyTries
from services.people.links import PATH as NEW_PASSWORD_PATH
from services.people.password_rules import UnusablePassword
from services.people.proofs import DEVICE_LIFETIME, SECOND_STEP_LIFETIME, device_cookie
from services.people.sign_in import (
    BeginAgain,
    CodeWanted,
    PasswordSignIn,
    Place,
    SignedIn,
    SignInRefused,
    folded_name,
)
from services.people.users import LinkRefused, UnusableUser
from services.records.sessions import UserToSignIn
from services.web.asgi import SESSION_COOKIE
from services.web.callers import address_of, origin_of
from services.web.link_route import CHOICE_COOKIE, USED_LINK
from services.web.own_page import is_from_this_site
from services.web.people.pages import Said, file, page

log = logging.getLogger(__name__)

PATH: Final = "/sign-in"
FIRST_PATH: Final = "/sign-in/first"
# The query by which the page says why somebody is asked again.
WHY: Final = "why"
ENDED: Final = "ended"
# What the page is asked for to show the form for tokens: /?sign-in=token.
WITH_TOKEN: Final = "token"  # noqa: S105 - what stands in the address

_CODE_PATH: Final = "/sign-in/code"
_SECOND_STEP_COOKIE: Final = "second_step"
_STRANGE: Final = Said(sentence("This did not come from a form of this site. Try again here."), 403)
_AWAY: Final = Said(
    sentence("The system cannot be reached just now. Try again in a minute."), 503, 10
)
_WHY: Final = {
    ENDED: Said(sentence("Your sign-in has ended. Sign in again to go on.")),
    USED_LINK: Said(
        sentence("People sign in with their passwords here; that link is of no use any more.")
    ),
}
_NOTHING: Final = Said()


@dataclass(frozen=True)
class SignInRoutes:
    """The forms; each is answered with a page, whatever goes wrong."""

    services: Services
    clock: Callable[[], datetime]

    def add_to(self, app: Flask) -> None:
        """Add the addresses to the app."""
        for path, shown, sent in (
            (PATH, self.show, self.sign_in),
            (_CODE_PATH, self.show_code, self.enter_code),
            (NEW_PASSWORD_PATH, self.show_new_password, self.set_password),
            (FIRST_PATH, self.show_first, self.create_first),
        ):
            app.add_url_rule(path, endpoint=f"GET {path}", view_func=self._answering(shown))
            app.add_url_rule(
                path,
                endpoint=f"POST {path}",
                view_func=self._answering(sent),
                methods=["POST"],
            )
        app.add_url_rule(f"{PATH}/<name>", endpoint="sign-in file", view_func=file)

    def show(self, said: Said = _NOTHING, *, name: str = "") -> Response:
        """GET /sign-in?next: the form, or straight on for who is signed in."""
        next_path = safe_return_path(request.values.get("next"))
        if not self.services.users.exist():
            # A role is chosen, or a token shown, on the pages' own sign-in.
            return _to("/" if next_path.startswith("/round") else next_path)
        if said == _NOTHING and request.method == "GET":
            if self._signed_in() is not None:
                return _to(next_path)
            said = _WHY.get(request.args.get(WHY, ""), said)
        demo = self.services.settings.demo
        return self._page(
            "sign_in.html", N_("Sign in"), said, next=next_path, name=name[:200], demo=demo
        )

    def sign_in(self) -> Response:
        """POST /sign-in {name, password, next}."""
        name, password = request.form.get("name", ""), request.form.get("password", "")
        if not is_from_this_site(request):
            return self.show(_STRANGE, name=name)
        if not name.strip() or not password:
            return self.show(
                Said(sentence("Fill in both: your sign-in name and your password."), 422)
            )
        try:
            done = self._desk.with_password(
                name, password, place=self._place(folded_name(name)), now=self.clock()
            )
        except (SignInRefused, TooManyTries, TooBusyToVerify) as error:
            return self.show(_said(error), name=name)
        if isinstance(done, SignedIn):
            return self._enter(done)
        return self._ask_code(done)

    def show_code(self, said: Said = _NOTHING) -> Response:
        """GET /sign-in/code?next: the form for the code of somebody who showed the password."""
        next_path = safe_return_path(request.values.get("next"))
        if _SECOND_STEP_COOKIE not in request.cookies:
            return _to(PATH)
        return self._page("code.html", N_("One more step"), said, next=next_path)

    def enter_code(self) -> Response:
        """POST /sign-in/code {code, next}."""
        if not is_from_this_site(request):
            return self.show_code(_STRANGE)
        proof = request.cookies.get(_SECOND_STEP_COOKIE, "")
        try:
            user = self._desk.user_of(proof, self.clock())
            done = self._desk.with_code(
                proof, request.form.get("code", ""), place=self._place(user), now=self.clock()
            )
        except BeginAgain as error:
            answer = self.show(Said(sentence_of(error), 401))
            _forget_second_step(answer)
            return answer
        except (SignInRefused, TooManyTries) as error:
            return self.show_code(_said(error))
        return self._enter(done)

    def show_new_password(self, said: Said = _NOTHING) -> Response:
        """GET /sign-in/new-password?code: the form of a link; looking at it uses nothing up."""
        code = request.values.get("code", "")
        try:
            link = self.services.users.link(code, self.clock())
        except LinkRefused as error:
            self.services.security_log.note("link_refused", address=address_of(request))
            return self._page(
                "message.html", N_("This link is no longer good"), Said(sentence_of(error), 410)
            )
        return self._page(
            "new_password.html",
            N_("Set your password"),
            said,
            code=code,
            kind=link.kind,
            name=link.sign_in_name,
            display_name=link.display_name,
        )

    def set_password(self) -> Response:
        """POST /sign-in/new-password {code, password, again}."""
        if not is_from_this_site(request):
            return self.show_new_password(_STRANGE)
        if (differs := _differs()) is not None:
            return self.show_new_password(differs)
        now = self.clock()
        try:
            user = self.services.users.set_password(
                request.form.get("code", ""), request.form["password"], now
            )
        except (UnusablePassword, TooBusyToVerify) as error:
            return self.show_new_password(_said(error))
        except (LinkRefused, IllegalChange):
            # Used meanwhile, in another tab: the page says so.
            return self.show_new_password()
        if user.totp_secret is not None:
            return self.show(
                Said(sentence("Your new password is set. Sign in with it, and with a code."))
            )
        return self._let_in(user, now)

    def show_first(self, said: Said = _NOTHING) -> Response:
        """GET /sign-in/first: the form for who opened the link of the terminal."""
        if not self._may_be_first():
            return _to("/")
        return self._page(
            "first.html",
            N_("Create the first administrator"),
            said,
            demo=self.services.settings.demo,
            name=request.form.get("name", "")[:100],
            display_name=request.form.get("display_name", "")[:100],
        )

    def create_first(self) -> Response:
        """POST /sign-in/first {name, display_name, password, again}."""
        if not is_from_this_site(request):
            return self.show_first(_STRANGE)
        if not self._may_be_first():
            return _to("/")
        if (differs := _differs()) is not None:
            return self.show_first(differs)
        now = self.clock()
        try:
            user = self.services.users.create_first_administrator(
                sign_in_name=request.form.get("name", ""),
                display_name=request.form.get("display_name", ""),
                password=request.form["password"],
                now=now,
            )
        except (UnusablePassword, UnusableUser, IllegalChange, TooBusyToVerify) as error:
            return self.show_first(_said(error))
        return self._let_in(user, now)

    @property
    def _desk(self) -> PasswordSignIn:
        desk = self.services.password_sign_in
        if desk is None:
            raise NotAllowed(sentence("People sign in through the sign-in service."))
        return desk

    def _answering(self, view: Callable[[], Response]) -> Callable[[], Response]:
        """A view that always answers with a page; without passwords there is none."""

        def answer() -> Response:
            if self.services.password_sign_in is None:
                return _to("/")
            try:
                return view()
            except DatabaseError as error:
                log.warning("a sign-in could not be served (%s)", error.code)
            except Exception:
                log.exception("a sign-in failed unexpectedly")
            return self._page("message.html", N_("Try again"), _AWAY)

        return answer

    def _page(self, template: str, title: str, said: Said, **values: object) -> Response:
        utility = self.services.settings.utility_name
        language = self.services.user_languages.of_browser(
            request.headers.get("Accept-Language", "")
        )
        return page(template, language, title=title, utility=utility, said=said, **values)

    def _place(self, user: str) -> Place:
        return Place(
            origin_of(address_of(request)), request.cookies.get(device_cookie(user)) or None
        )

    def _signed_in(self) -> Principal | None:
        """Whoever is signed in by the session's cookie."""
        token = request.cookies.get(SESSION_COOKIE)
        try:
            return self.services.who(token, self.clock()) if token else None
        except (NotSignedIn, NotAllowed, SignInUnavailable):
            return None

    def _may_be_first(self) -> bool:
        """Whether this browser opened the terminal's link, or an administrator is signed in."""
        if self.services.users.exist():
            return False
        who = self._signed_in()
        if who is not None and who.may(Permission.MANAGE_USERS):
            return True
        right = request.cookies.get(CHOICE_COOKIE)
        return self.services.may_create_first_user(right, self.clock(), address=address_of(request))

    def _let_in(self, user: UserToSignIn, now: datetime) -> Response:
        return self._enter(self._desk.let_in(user, place=self._place(user.sign_in_name), now=now))

    def _enter(self, done: SignedIn) -> Response:
        """A new session in place of whatever the browser had."""
        now = self.clock()
        right = request.cookies.get(CHOICE_COOKIE) if not self.services.settings.demo else None
        self.services.sign_out(
            request.cookies.get(SESSION_COOKIE), right, now, address=address_of(request)
        )
        answer = _to(safe_return_path(request.form.get("next")))
        _set_cookie(answer, SESSION_COOKIE, done.token, TOKEN_LIFETIME.total_seconds(), "/")
        lifetime = DEVICE_LIFETIME.total_seconds()
        _set_cookie(answer, device_cookie(done.user), done.device, lifetime, PATH)
        if right is not None:
            _set_cookie(answer, CHOICE_COOKIE, "", 0, "/")
        _forget_second_step(answer)
        return answer

    def _ask_code(self, wanted: CodeWanted) -> Response:
        answer = self._page(
            "code.html",
            N_("One more step"),
            _NOTHING,
            next=safe_return_path(request.form.get("next")),
        )
        lifetime = SECOND_STEP_LIFETIME.total_seconds()
        _set_cookie(answer, _SECOND_STEP_COOKIE, wanted.proof, lifetime, PATH)
        return answer


def _said(error: Exception) -> Said:
    """A refusal as it is shown."""
    if isinstance(error, TooManyTries):
        return Said(sentence_of(error), 429, math.ceil(error.wait.total_seconds()))
    if isinstance(error, TooBusyToVerify):
        return Said(sentence_of(error), 503, 10)
    return Said(sentence_of(error), 401 if isinstance(error, SignInRefused) else 422)


def _differs() -> Said | None:
    """What is wrong with a new password that is typed twice, before anything looks at it."""
    first, again = request.form.get("password", ""), request.form.get("again", "")
    return (
        None
        if first == again
        else Said(sentence("The two passwords differ. Type both again."), 422)
    )


def _to(path: str) -> Response:
    answer = Response(status=303, headers={"Location": path, "Cache-Control": "no-store"})
    answer.autocorrect_location_header = False
    return answer


def _set_cookie(answer: Response, name: str, value: str, seconds: float, path: str) -> None:
    answer.set_cookie(
        name,
        value,
        max_age=int(seconds),
        path=path,
        secure=request.is_secure,
        httponly=True,
        samesite="Lax",
    )


def _forget_second_step(answer: Response) -> None:
    if _SECOND_STEP_COOKIE in request.cookies:
        _set_cookie(answer, _SECOND_STEP_COOKIE, "", 0, PATH)
