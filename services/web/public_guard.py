"""Requests from beyond this machine: over HTTPS, under the public address, from the named proxy."""

import ipaddress
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from services.web.listening import is_loopback

_POLICY_VIOLATION: Final = 1008  # The WebSocket close code for "you may not".
_PORTS: Final = {"http": 80, "https": 443}
_MORE_THAN_A_HOST: Final = set("@/?#\\ \t")


@dataclass(frozen=True, slots=True)
class _Refused:
    status: int
    code: str
    message: str
    # Whether a browser that only reads is led to the right address.
    led_on: bool = True


class PublicGuard:
    """ASGI middleware around everything that a process answers to others than its own machine.

    Only `proxies` (addresses and networks, by commas) say for whom they ask, and the rightmost
    address that is not a proxy's own is believed; without a `certificate` of our own nobody else
    but this machine gets in. The server must not have taken forwarded headers up already.
    """

    def __init__(
        self, app: ASGIApp, *, public_url: str, proxies: str | None, certificate: bool
    ) -> None:
        self._app = app
        self._public_url = public_url
        self._public = _place(public_url)
        self._certificate = certificate
        self._forwarding = ProxyHeadersMiddleware(
            self._pass_on,  # type: ignore[arg-type]
            proxies or "",
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what is allowed, with the client that the proxy names."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        # A copy: the client is changed in place.
        scope = {**scope, "client": _unmapped(scope.get("client"))}
        refused = self._refusal(scope["client"][0], Headers(scope=scope))
        if refused is None:
            scope["peer"] = scope["client"]
            await self._forwarding(scope, receive, send)  # type: ignore[arg-type]
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION})
        else:
            await self._answer(refused, scope)(scope, receive, send)

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not _is_address(scope["client"][0]):
            scope["client"] = scope["peer"]
        await self._app(scope, receive, send)

    def _refusal(self, peer: str, headers: Headers) -> _Refused | None:
        by_proxy = peer in self._forwarding.trusted_hosts
        if not (by_proxy or self._certificate or is_loopback(peer)):
            message = "This system answers to its proxy alone (TRUSTED_PROXY)."
            return _Refused(403, "forbidden", message, led_on=False)
        schemes = {scheme.strip().lower() for scheme in headers.getlist("x-forwarded-proto")}
        if by_proxy and not schemes <= {"https", "wss"}:
            return _Refused(403, "https_only", f"Use {self._public_url}, which is encrypted.")
        hosts = headers.getlist("host")
        local = is_loopback(peer) and "x-forwarded-for" not in headers
        if len(hosts) == 1 and self._fits(hosts[0], local=local):
            return None
        return _Refused(421, "wrong_address", f"This system is reached at {self._public_url}.")

    def _fits(self, host: str, *, local: bool) -> bool:
        """Whether a Host header is the public address; a local program may name this machine."""
        # What urlsplit would read as a user, a path or a query is none of a host's.
        place = None if _MORE_THAN_A_HOST & set(host) else _place(f"https://{host}")
        return place is not None and (place == self._public or (local and is_loopback(place[0])))

    def _answer(self, refused: _Refused, scope: Scope) -> Response:
        if refused.led_on and scope["method"] in {"GET", "HEAD"}:
            path, query = Request(scope).url.path, scope["query_string"].decode("latin-1")
            there = f"{self._public_url}{path}{f'?{query}' if query else ''}"
            return RedirectResponse(there, status_code=307, headers={"Cache-Control": "no-store"})
        body = {"error": {"code": refused.code, "message": refused.message}}
        return JSONResponse(body, status_code=refused.status)


def _unmapped(client: tuple[str, int] | None) -> tuple[str, int]:
    """A client whose IPv4 address does not look like IPv6, as on a socket that is for both."""
    host, port = client or ("", 0)
    if host.startswith("::ffff:") and _is_address(host.removeprefix("::ffff:")):
        host = host.removeprefix("::ffff:")
    return host, port


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _place(address: str) -> tuple[str, int] | None:
    try:
        parts = urlsplit(address)
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return None
    return None if not parts.hostname or port is None else (parts.hostname, port)
