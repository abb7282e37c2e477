"""What every answer says to browsers, and what no request may claim of itself."""

from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.web.pace import MessagePace

METRICS_PATH: Final = "/_stcore/metrics"
# By which programs would drive the pages, were it switched on.
AGENT_PATH: Final = "/_stcore/agent/"
_POLICY_VIOLATION: Final = 1008  # The WebSocket close code for "you may not".
_PORTS: Final = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_HTTPS_ONLY: Final = {"Strict-Transport-Security": "max-age=31536000"}
_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    # The sign-in finds the way back by the Referer, which stays on this site.
    "Referrer-Policy": "same-origin",
    # 'self': Streamlit shows its components in frames of its own.
    "Content-Security-Policy": "frame-ancestors 'self'",
    "X-Frame-Options": "SAMEORIGIN",
}


class PageGuard:
    """ASGI middleware around everything that this process answers.

    Pages cannot be framed by other sites, WebSockets are only for pages of this site and keep to a
    person's pace, Streamlit's metrics and its way for agents are closed, and the scheme is the one
    that is set (`https`), not the one that a request names: X-Forwarded-Proto is anybody's to
    write. `beyond` this machine, browsers must use nothing but https.
    """

    def __init__(self, app: ASGIApp, *, public_url: str, tls: bool, beyond: bool = False) -> None:
        self._app = app
        # Not on this machine alone: browsers would hold it against everything else on localhost.
        self._headers = _HEADERS | (_HTTPS_ONLY if beyond else {})
        self._pace = MessagePace()
        self._public = _place(public_url)
        self._secure = tls or urlsplit(public_url).scheme == "https"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what is allowed, with the headers that its answer lacks."""
        if scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._from_this_site(Headers(scope=scope)):
            scheme = "wss" if self._secure else "ws"
            client = scope.get("client")
            with self._pace.visit(client[0] if client else None, receive) as paced:
                await self._app({**scope, "scheme": scheme}, paced, send)
            return
        await receive()
        await send({"type": "websocket.close", "code": _POLICY_VIOLATION})

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._complete(MutableHeaders(scope=message))
            await send(message)

        app = self._app
        path = f"{scope['path'].rstrip('/')}/"
        if path.endswith(f"{METRICS_PATH}/") or AGENT_PATH in path:
            app = PlainTextResponse("Not found", status_code=404)
        scheme = "https" if self._secure else "http"
        await app({**scope, "scheme": scheme}, receive, with_headers)

    def _complete(self, headers: MutableHeaders) -> None:
        for name, value in self._headers.items():
            headers.setdefault(name, value)
        if self._secure:
            cookies = headers.getlist("set-cookie")
            if any(not _is_secure(cookie) for cookie in cookies):
                del headers["set-cookie"]
                for cookie in cookies:
                    whole = cookie if _is_secure(cookie) else f"{cookie}; Secure"
                    headers.append("set-cookie", whole)

    def _from_this_site(self, headers: Headers) -> bool:
        """Whether no page of another site asks; programs that are no browser name no origin."""
        origins = headers.getlist("origin")
        if not origins:
            return True
        if len(origins) > 1:
            return False
        place = _place(origins[0])
        if place is None:
            return False
        scheme = urlsplit(origins[0]).scheme
        return place in {self._public, _place(f"{scheme}://{headers.get('host', '')}")}


def _place(address: str) -> tuple[str, int] | None:
    """The host and port of an address, or None where it names none."""
    try:
        parts = urlsplit(address)
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return None
    return None if not parts.hostname or port is None else (parts.hostname, port)


def _is_secure(cookie: str) -> bool:
    return "secure" in {part.strip().lower() for part in cookie.split(";")[1:]}
