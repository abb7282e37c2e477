"""What Streamlit's own sign-in routes leave out: the way back, a word on failures, one sign-out."""

from typing import Final
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.identity.auth import safe_return_path
from services.identity.login_secrets import CALLBACK_PATH
from services.web.asgi import forget_session

LOGIN_PATH: Final = "/auth/login"
LOGOUT_PATH: Final = "/auth/logout"
# The query by which a page learns that signing in failed, and its values.
PROBLEM: Final = "sign-in"
UNREACHABLE: Final = "unreachable"
REFUSED: Final = "refused"

_WAY_BACK: Final = "way_back"
_WAY_BACK_SECONDS: Final = 15 * 60
_LONGEST_WAY_BACK: Final = 1_000
_USER_COOKIE: Final = "_streamlit_user="


class AroundSignIn:
    """ASGI middleware around the three routes of st.login and st.logout.

    Streamlit sends everybody to the first page after a sign-in, and says nothing when one fails.
    This keeps the page that the visitor left (by the Referer, if it is one of `public_url`) in a
    cookie and leads back to it, with the problem if there was one.
    """

    def __init__(self, app: ASGIApp, *, public_url: str) -> None:
        self._app = app
        self._origin = _origin(public_url)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on; only the heads of the three routes' answers are changed."""
        handlers = {
            LOGIN_PATH: self._login,
            CALLBACK_PATH: self._callback,
            LOGOUT_PATH: self._logout,
        }
        handle = handlers.get(scope["path"]) if scope["type"] == "http" else None
        if handle is None:
            await self._app(scope, receive, send)
            return
        request, replaced = Request(scope), False
        if scope["path"] == LOGOUT_PATH and _from_another_site(request):
            refusal = Response("Sign out with the button on the page.", status_code=403)
            await refusal(scope, receive, send)
            return

        async def change(message: Message) -> None:
            nonlocal replaced
            if message["type"] == "http.response.start":
                other = handle(request, message["status"], MutableHeaders(scope=message))
                if other is not None:
                    replaced = True
                    await other(scope, receive, send)
            if not replaced:
                await send(message)

        await self._app(scope, receive, change)

    def _login(self, request: Request, status: int, headers: MutableHeaders) -> Response | None:
        path = self._page_left(request)
        if status >= 400:
            return RedirectResponse(_with_problem(path, UNREACHABLE), status_code=303)
        _set_way_back(headers, path, secure=_is_secure(request))
        return None

    def _callback(self, request: Request, _: int, headers: MutableHeaders) -> None:
        path = safe_return_path(unquote(request.cookies.get(_WAY_BACK, "")))
        if _signed_in(headers):
            headers["location"] = quote(path, safe="/?&=%+:,;@-._~!$'()*")
        elif {"error", "code"} & request.query_params.keys():
            problem = REFUSED if "error" in request.query_params else UNREACHABLE
            headers["location"] = _with_problem(path, problem)
        # Else somebody comes back from signing out.
        _forget_way_back(headers, secure=_is_secure(request))

    def _logout(self, request: Request, _: int, headers: MutableHeaders) -> None:
        response = Response()
        forget_session(response, secure=_is_secure(request))
        headers.append("set-cookie", response.headers["set-cookie"])

    def _page_left(self, request: Request) -> str:
        referer = request.headers.get("referer", "")
        if _origin(referer) != self._origin:
            return "/"
        parts = urlsplit(referer)
        query = urlencode([pair for pair in parse_qsl(parts.query) if pair[0] != PROBLEM])
        path = f"{parts.path}?{query}" if query else parts.path
        return safe_return_path(path) if len(path) <= _LONGEST_WAY_BACK else "/"


def _from_another_site(request: Request) -> bool:
    return request.headers.get("sec-fetch-site", "same-origin") in {"cross-site", "same-site"}


def _origin(address: str) -> tuple[str, str]:
    try:
        parts = urlsplit(address)
    except ValueError:
        return ("", "")
    return (parts.scheme, parts.netloc.lower())


def _with_problem(path: str, problem: str) -> str:
    return f"{path}{'&' if '?' in path else '?'}{urlencode({PROBLEM: problem})}"


def _signed_in(headers: MutableHeaders) -> bool:
    """Whether the answer sets Streamlit's cookie; after a failure it may delete an old one."""
    cookies = headers.getlist("set-cookie")
    return any(c.startswith(_USER_COOKIE) and "max-age=0" not in c.lower() for c in cookies)


def _set_way_back(headers: MutableHeaders, path: str, *, secure: bool) -> None:
    response = Response()
    response.set_cookie(
        _WAY_BACK,
        quote(path, safe=""),
        max_age=_WAY_BACK_SECONDS,
        secure=secure,
        httponly=True,
        samesite="lax",
    )
    headers.append("set-cookie", response.headers["set-cookie"])


def _forget_way_back(headers: MutableHeaders, *, secure: bool) -> None:
    response = Response()
    response.delete_cookie(_WAY_BACK, secure=secure, httponly=True, samesite="lax")
    headers.append("set-cookie", response.headers["set-cookie"])


def _is_secure(request: Request) -> bool:
    return request.url.scheme == "https"
