"""How the HTTP API hangs in the one process: a WSGI app on a worker pool of its own.

A body is read before the request counts as waiting or takes a worker, so slow senders can hold up
nobody else; requests beyond what may wait are turned away instead of filling the memory. An answer
goes back whole: each turn between a worker and the event loop waits for both, and under load that
is most of the time.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING, Any, cast

from a2wsgi.wsgi import build_environ
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send
from werkzeug.datastructures import Headers
from werkzeug.test import run_wsgi_app

from services.web.body import LARGEST_BODY
from services.web.connections import address_group
from services.web.request_log import HEADER, log_refused, new_request_id

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

Answer = tuple[Iterable[bytes], str, Headers]

BODY_SECONDS = 20.0
MOST_WAITING = 200
# Of one address, where it is known: half of what may wait, and bodies that are still arriving.
MOST_WAITING_PER_ADDRESS = 100
MOST_ARRIVING_PER_ADDRESS = 64
# Hardly any body is larger than this; those that are may fill only so much memory at a time.
_SMALL_BODY = 64 * 1024
MOST_LARGE_ARRIVING = 64
HEALTH_SECONDS = 1.0
_MOST_DISCARDED = 32 * 1024 * 1024
_OWN_HEADERS = frozenset({b"content-length", b"transfer-encoding"})


class _BodyTooLarge(Exception):
    """More came than is allowed."""


class _SenderGone(Exception):
    """The client hung up before its body was complete."""


class _TooManyLarge(Exception):
    """As many large bodies arrive as the memory is meant to hold."""


class WsgiMount:
    """An ASGI app around a WSGI app of small answers; it sees full paths, wherever mounted."""

    def __init__(
        self,
        app: "WSGIApplication",
        *,
        workers: int,
        largest_body: int = LARGEST_BODY,
        body_seconds: float | None = None,
        most_large: int = MOST_LARGE_ARRIVING,
        most_large_per_address: int = MOST_LARGE_ARRIVING,
    ) -> None:
        self._app = app
        self._largest_body = largest_body
        self._body_seconds = body_seconds
        self._most_large = most_large
        self._most_large_per_address = most_large_per_address
        self._large_of: Counter[str] = Counter()
        self._workers = ThreadPoolExecutor(workers, thread_name_prefix="api")
        self._waiting = 0
        self._waiting_of: Counter[str] = Counter()
        self._arriving_of: Counter[str] = Counter()
        self._large = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; a WebSocket is closed."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})
            return
        client = scope.get("client")
        group = address_group(client[0]) if client else None
        body = await self._receive(group, receive)
        if isinstance(body, JSONResponse):
            await body(scope, receive, send)
        elif body is not None:
            await self._serve(group, body, scope, receive, send)

    async def _receive(self, group: str | None, receive: Receive) -> bytes | JSONResponse | None:
        """The whole body, what to answer instead, or None when the sender went away."""
        if group is not None and self._arriving_of[group] >= MOST_ARRIVING_PER_ADDRESS:
            return _too_many("Too many requests of this address are still arriving.")
        try:
            with _counted(self._arriving_of, group):
                async with asyncio.timeout(self._body_seconds or BODY_SECONDS):
                    return await self._read_body(receive, group)
        except _BodyTooLarge:
            megabytes = self._largest_body // LARGEST_BODY
            return _refuse(413, "too_large", f"The body is larger than {megabytes} MB.")
        except _TooManyLarge:
            return _too_many("Too many large requests are arriving. Try again shortly.")
        except TimeoutError:
            return _refuse(400, "bad_request", "The body did not arrive in time.")
        except _SenderGone:
            return None

    async def _serve(
        self, group: str | None, body: bytes, scope: Scope, receive: Receive, send: Send
    ) -> None:
        if self._waiting >= MOST_WAITING:
            refusal = _too_many("Too many requests wait. Try again shortly.")
            await refusal(scope, receive, send)
        elif group is not None and self._waiting_of[group] >= MOST_WAITING_PER_ADDRESS:
            refusal = _too_many("Too many requests of this address wait. Try again shortly.")
            await refusal(scope, receive, send)
        else:
            self._waiting += 1
            try:
                with _counted(self._waiting_of, group):
                    await self._answer(_environ(scope, body), send)
            finally:
                self._waiting -= 1

    async def _read_body(self, receive: Receive, group: str | None) -> bytes:
        body = bytearray()
        discarded = 0
        more = True
        large = False
        try:
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise _SenderGone
                chunk: bytes = message.get("body", b"")
                more = message.get("more_body", False)
                if discarded or len(body) + len(chunk) > self._largest_body:
                    # Most clients read the answer only after they sent all: listen some more.
                    discarded += len(chunk)
                    if not more or discarded > _MOST_DISCARDED:
                        raise _BodyTooLarge
                    continue
                body += chunk
                if len(body) > _SMALL_BODY and not large:
                    self._begin_large(group)
                    large = True
        finally:
            if large:
                self._end_large(group)
        return bytes(body)

    def _begin_large(self, group: str | None) -> None:
        """Count a large body that arrives; raises _TooManyLarge, uncounted."""
        of_address = self._large_of[group] if group is not None else 0
        if self._large >= self._most_large or of_address >= self._most_large_per_address:
            raise _TooManyLarge
        self._large += 1
        if group is not None:
            self._large_of[group] += 1

    def _end_large(self, group: str | None) -> None:
        self._large -= 1
        if group is not None:
            self._large_of[group] -= 1
            self._large_of += Counter()  # Without those that are at 0.

    async def _answer(self, environ: "WSGIEnvironment", send: Send) -> None:
        loop = asyncio.get_running_loop()
        answer = await loop.run_in_executor(self._workers, run_wsgi_app, self._app, environ, True)
        await _send(answer, send)


class HealthMount:
    """An ASGI app for one WSGI endpoint without parameters, outside every queue.

    All who ask within HEALTH_SECONDS get the same answer, so that no crowd can keep it busy.
    """

    def __init__(self, app: "WSGIApplication") -> None:
        self._app = app
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="health")
        self._asked_at = 0.0
        self._asked: asyncio.Future[Answer] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with the state of the last second."""
        if scope["method"] not in {"GET", "HEAD"}:
            refusal = _refuse(405, "method_not_allowed", "Ask with GET.", Allow="GET, HEAD")
            await refusal(scope, receive, send)
            return
        await _send(await asyncio.shield(self._shared(scope)), send)

    def _shared(self, scope: Scope) -> "asyncio.Future[Answer]":
        now = time.monotonic()
        fresh = now - self._asked_at < HEALTH_SECONDS
        if self._asked is None or (self._asked.done() and not fresh):
            self._asked_at = now
            self._asked = asyncio.ensure_future(self._ask({**scope, "method": "GET"}))
        return self._asked

    async def _ask(self, scope: Scope) -> Answer:
        loop = asyncio.get_running_loop()
        environ = _environ({**scope, "query_string": b""}, b"")
        return await loop.run_in_executor(self._worker, run_wsgi_app, self._app, environ, True)


def _environ(scope: Scope, body: bytes) -> "WSGIEnvironment":
    """The environment for WSGI: the body's true length, the full path, and a query of ASCII."""
    headers = [(name, value) for name, value in scope["headers"] if name not in _OWN_HEADERS]
    headers.append((b"content-length", str(len(body)).encode("ascii")))
    query = scope["query_string"].decode("ascii", "replace").encode("ascii", "replace")
    plain = {**scope, "headers": headers, "query_string": query, "root_path": ""}
    # a2wsgi has types of its own for the same protocols.
    return cast("WSGIEnvironment", build_environ(cast(Any, plain), cast(Any, BytesIO(body))))


@contextmanager
def _counted(counts: Counter[str], group: str | None) -> Iterator[None]:
    if group is None:
        yield
        return
    counts[group] += 1
    try:
        yield
    finally:
        counts[group] -= 1
        if not counts[group]:
            del counts[group]


async def _send(answer: Answer, send: Send) -> None:
    chunks, status, headers = answer
    code, sent = int(status.split(" ", 1)[0]), headers.to_wsgi_list()
    raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in sent]
    await send({"type": "http.response.start", "status": code, "headers": raw})
    await send({"type": "http.response.body", "body": b"".join(chunks)})


def _too_many(message: str) -> JSONResponse:
    return _refuse(429, "too_many_requests", message)


def _refuse(status: int, code: str, message: str, **more: str) -> JSONResponse:
    headers = {"Connection": "close", "Cache-Control": "no-store", **more}
    headers["X-Content-Type-Options"] = "nosniff"
    if status == 429:
        headers["Retry-After"] = "1"
    request_id = headers[HEADER] = new_request_id()
    log_refused(code=code, status=status, request_id=request_id)
    body = {"error": {"code": code, "message": message, "request_id": request_id}}
    return JSONResponse(body, status_code=status, headers=headers)
