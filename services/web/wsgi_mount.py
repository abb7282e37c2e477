"""How the HTTP API hangs in the one process: a WSGI app on a worker pool of its own.

A body is read before a worker is taken, so slow senders cannot keep the workers busy; requests
beyond what may wait are turned away instead of filling the memory.
"""

import asyncio
from typing import TYPE_CHECKING, Any, cast

from a2wsgi import WSGIMiddleware
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.web.body import LARGEST_BODY

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

BODY_SECONDS = 20.0
MOST_WAITING = 200
_MOST_DISCARDED = 32 * 1024 * 1024
_OWN_HEADERS = frozenset({b"content-length", b"transfer-encoding"})


class _BodyTooLarge(Exception):
    """More came than is allowed."""


class _SenderGone(Exception):
    """The client hung up before its body was complete."""


class WsgiMount:
    """An ASGI app around a WSGI app that sees full paths, whatever it is mounted under."""

    def __init__(self, app: "WSGIApplication", *, workers: int) -> None:
        # a2wsgi has types of its own for the same protocols.
        self._app = cast(ASGIApp, WSGIMiddleware(cast(Any, app), workers=workers))
        self._waiting = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; a WebSocket is closed."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif self._waiting >= MOST_WAITING:
            await _refuse(429, "too_many_requests", "Too many requests wait. Try again shortly.")(
                scope, receive, send
            )
        else:
            self._waiting += 1
            try:
                await self._serve(scope, receive, send)
            finally:
                self._waiting -= 1

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await _read_body(receive)
        except _BodyTooLarge:
            answer = _refuse(413, "too_large", "The body is larger than 1 MB.")
        except TimeoutError:
            answer = _refuse(400, "bad_request", "The body did not arrive in time.")
        except _SenderGone:
            return
        else:
            await self._app(_as_wsgi_likes_it(scope, body), _once(body), send)
            return
        await answer(scope, receive, send)


async def _read_body(receive: Receive) -> bytes:
    body = bytearray()
    discarded = 0
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _SenderGone
        chunk: bytes = message.get("body", b"")
        more = message.get("more_body", False)
        if discarded or len(body) + len(chunk) > LARGEST_BODY:
            # Most clients read the answer only after they sent all, so some more is listened to.
            discarded += len(chunk)
            if not more or discarded > _MOST_DISCARDED:
                raise _BodyTooLarge
        else:
            body += chunk
    return bytes(body)


def _as_wsgi_likes_it(scope: Scope, body: bytes) -> Scope:
    """The scope with the body's true length, the full path, and a query of ASCII."""
    headers = [(name, value) for name, value in scope["headers"] if name not in _OWN_HEADERS]
    headers.append((b"content-length", str(len(body)).encode("ascii")))
    query = scope["query_string"].decode("ascii", "replace").encode("ascii", "replace")
    return {**scope, "headers": headers, "query_string": query, "root_path": ""}


def _once(body: bytes) -> Receive:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


def _refuse(status: int, code: str, message: str) -> JSONResponse:
    headers = {"Connection": "close", "Cache-Control": "no-store"}
    headers["X-Content-Type-Options"] = "nosniff"
    if status == 429:
        headers["Retry-After"] = "1"
    body = {"error": {"code": code, "message": message}}
    return JSONResponse(body, status_code=status, headers=headers)
