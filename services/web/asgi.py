"""The small web parts beside the pages: the session cookie's routes and the loopback-only guard."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from services.identity.auth import (
    NotAllowed,
    NotSignedIn,
    Principal,
    SignInTickets,
    SignInUnavailable,
    safe_return_path,
)
from services.web.link_route import CHOICE_COOKIE, set_choice
from services.web.listening import is_loopback

SESSION_COOKIE = "session"
BEGIN_PATH = "/session/begin"
END_PATH = "/session/end"

_POLICY_VIOLATION = 1008  # The WebSocket close code for "you may not".


class SignOut(Protocol):
    """Ends a browser's sign-in, as `Services.sign_out`."""

    def __call__(
        self, token: object, right: object, now: datetime, *, address: str = ""
    ) -> str | None:
        """A new right to choose a role for a browser that had one, else None."""
        ...


def session_routes(
    tickets: SignInTickets,
    verify: Callable[[str, datetime], Principal],
    now: Callable[[], datetime],
    sign_out: SignOut,
) -> list[Route]:
    """Return `GET /session/begin?ticket=…&next=…` and `POST /session/end`.

    A page cannot set an HttpOnly cookie; it sends the browser to the first route with a ticket for
    the token that it verified. `verify` is asked once more, at `now`, for the token's end.
    `sign_out` ends what the cookies hold; its answer is the new right to choose a role, if any.
    """

    async def begin(request: Request) -> Response:
        if not _from_our_own_page(request):
            return _redirect("/")
        moment = now()
        token = tickets.redeem(request.query_params.get("ticket", ""), moment)
        try:
            # On a thread: it may have to ask the sign-in service for its keys.
            principal = None if token is None else await run_in_threadpool(verify, token, moment)
        except (NotSignedIn, NotAllowed, SignInUnavailable):
            principal = None
        if token is None or principal is None:
            return _redirect("/")
        response = _redirect(safe_return_path(request.query_params.get("next")))
        response.set_cookie(
            SESSION_COOKIE,
            token,
            max_age=_seconds_left(principal, moment),
            path="/",
            secure=request.url.scheme == "https",
            httponly=True,
            samesite="lax",
        )
        return response

    async def end(request: Request) -> Response:
        if not _from_our_own_page(request):
            return Response("Sign out with the button on the page.", status_code=403)
        secure = request.url.scheme == "https"
        token, right = (request.cookies.get(name) for name in (SESSION_COOKIE, CHOICE_COOKIE))
        address = request.client.host if request.client else ""
        right = await run_in_threadpool(sign_out, token, right, now(), address=address)
        response = _redirect("/")
        forget_session(response, secure=secure)
        set_choice(response, right or "", secure=secure)
        return response

    return [Route(BEGIN_PATH, begin, methods=["GET"]), Route(END_PATH, end, methods=["POST"])]


def forget_session(response: Response, *, secure: bool) -> None:
    """Let a response delete the session cookie; `secure` as when it was set, over https."""
    response.delete_cookie(SESSION_COOKIE, path="/", secure=secure, httponly=True, samesite="lax")


def utc_now() -> datetime:
    """Return the present moment in UTC, for the places where requests come in."""
    return datetime.now(UTC)


class LoopbackOnly:
    """ASGI middleware that turns away every client that is not on this machine.

    The server listens on loopback anyway; this holds when it is started in another way. Uvicorn
    takes the visitor that a local proxy names in X-Forwarded-For for the client, so the visitors of
    an app that somebody published are refused too.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass `scope` on, or answer 403 (HTTP) or close the connection (WebSocket)."""
        if scope["type"] not in {"http", "websocket"} or _from_this_machine(scope):
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION})
        else:
            message = "This system is set to answer only to the machine it runs on."
            body = {"error": {"code": "forbidden", "message": message}}
            await JSONResponse(body, status_code=403)(scope, receive, send)


def _from_our_own_page(request: Request) -> bool:
    """Another site's page must not sign somebody in as somebody else, nor out."""
    if "sec-fetch-site" in request.headers:
        return request.headers["sec-fetch-site"] == "same-origin"
    # Browsers too old to say so name the page's origin with a form, and nothing with a link.
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host")


def _redirect(path: str) -> RedirectResponse:
    # The ticket stands in the address: neither a cache nor the next site may learn it.
    headers = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
    return RedirectResponse(path, status_code=303, headers=headers)


def _seconds_left(principal: Principal, moment: datetime) -> int | None:
    if principal.expires_at is None:
        return None
    return max(0, int((principal.expires_at - moment).total_seconds()))


def _from_this_machine(scope: Scope) -> bool:
    client = scope.get("client")
    return client is not None and is_loopback(client[0])
