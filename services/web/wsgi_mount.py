"""How the HTTP API hangs in the one process: a WSGI app on a worker pool of its own.

A body is read before a worker is taken, so slow senders cannot keep the workers busy; requests
beyond what may wait are turned away instead of filling the memory. An answer goes back whole: each
turn between a worker and the event loop waits for both, and under load that is most of the time.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import TYPE_CHECKING, Any, cast

from a2wsgi.wsgi import build_environ
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send
from werkzeug.test import run_wsgi_app

from services.web.body import LARGEST_BODY

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

BODY_SECONDS = 20.0
MOST_WAITING = 200
_MOST_DISCARDED = 32 * 1024 * 1024
_OWN_HEADERS = frozenset({b"content-length", b"transfer-encoding"})


class _BodyTooLarge(Exception):
    """More came than is allowed."""


class _SenderGone(Exception):
    """The client hung up before its body was complete."""


class WsgiMount:
    """An ASGI app around a WSGI app of small answers; it sees full paths, wherever mounted."""

    def __init__(self, app: "WSGIApplication", *, workers: int) -> None:
        self._app = app
        self._workers = ThreadPoolExecutor(workers, thread_name_prefix="api")
        self._waiting = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; a WebSocket is closed."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})
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
            await self._answer(_environ(scope, body), send)
            return
        await answer(scope, receive, send)

    async def _answer(self, environ: "WSGIEnvironment", send: Send) -> None:
        loop = asyncio.get_running_loop()
        chunks, status, headers = await loop.run_in_executor(
            self._workers, run_wsgi_app, self._app, environ, True
        )
        code, sent = int(status.split(" ", 1)[0]), headers.to_wsgi_list()
        raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in sent]
        await send({"type": "http.response.start", "status": code, "headers": raw})
        await send({"type": "http.response.body", "body": b"".join(chunks)})


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


def _environ(scope: Scope, body: bytes) -> "WSGIEnvironment":
    """What WSGI is told: the body's true length, the full path, and a query of ASCII."""
    headers = [(name, value) for name, value in scope["headers"] if name not in _OWN_HEADERS]
    headers.append((b"content-length", str(len(body)).encode("ascii")))
    query = scope["query_string"].decode("ascii", "replace").encode("ascii", "replace")
    plain = {**scope, "headers": headers, "query_string": query, "root_path": ""}
    # a2wsgi has types of its own for the same protocols.
    return cast("WSGIEnvironment", build_environ(cast(Any, plain), cast(Any, BytesIO(body))))


def _refuse(status: int, code: str, message: str) -> JSONResponse:
    headers = {"Connection": "close", "Cache-Control": "no-store"}
    headers["X-Content-Type-Options"] = "nosniff"
    if status == 429:
        headers["Retry-After"] = "1"
    body = {"error": {"code": code, "message": message}}
    return JSONResponse(body, status_code=status, headers=headers)
