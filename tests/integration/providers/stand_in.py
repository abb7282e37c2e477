"""A server on loopback that plays a service outside: it keeps what it was asked, and can fail."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True)
class Seen:
    """One request as it arrived; header names are in lower case."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)


@dataclass(frozen=True)
class Reply:
    """What the server answers; `silence_seconds` before it, or nothing at all."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    silence_seconds: float = 0
    hang_up: bool = False


def reply(status: int, body: object, **headers: str) -> Reply:
    """A JSON answer."""
    return Reply(
        status, json.dumps(body).encode(), {n.replace("_", "-"): v for n, v in headers.items()}
    )


class NotAsPublished(Exception):
    """The request is not one that the published API takes."""


def must(condition: object, why: str) -> None:
    """Refuse the request as the real service would, and remember why."""
    if not condition:
        raise NotAsPublished(why)


@dataclass
class StandIn:
    """Answers by `behave`, after the `faults` that are queued; `problems` is what was wrong."""

    behave: Callable[[Seen], Reply]
    refusal: Callable[[str], Reply]
    port: int = 0
    seen: list[Seen] = field(default_factory=list)
    answered: list[tuple[Seen, Reply]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    faults: list[Reply] = field(default_factory=list)
    _running: tuple[ThreadingHTTPServer, threading.Thread] | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def accepted(self, method: str = "POST") -> list[Seen]:
        """The requests of a method that it carried out."""
        return [s for s, r in self.answered if s.method == method and 200 <= r.status < 300]

    def start(self) -> None:
        """Listen, on the same port as before if there was one."""
        server = ThreadingHTTPServer(("127.0.0.1", self.port), _handler(self))
        server.daemon_threads = True
        self.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        self._running = (server, thread)

    def stop(self) -> None:
        """Listen no longer; who connects is refused."""
        if self._running is not None:
            server, thread = self._running
            server.shutdown()
            thread.join()
            server.server_close()
            self._running = None

    @contextmanager
    def away(self) -> Iterator[None]:
        """Unreachable for a while."""
        self.stop()
        yield
        self.start()

    def answer(self, seen: Seen) -> Reply:
        """The answer to a request."""
        self.seen.append(seen)
        if self.faults:
            return self.faults.pop(0)
        try:
            answer = self.behave(seen)
        except NotAsPublished as wrong:
            self.problems.append(str(wrong))
            answer = self.refusal(str(wrong))
        self.answered.append((seen, answer))
        return answer


@contextmanager
def running(stand_in: StandIn) -> Iterator[StandIn]:
    """Listening until the end of the block, and asked nothing that is not published."""
    stand_in.start()
    try:
        yield stand_in
        assert stand_in.problems == []
    finally:
        stand_in.stop()


def _handler(stand_in: StandIn) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.respond()

        def do_POST(self) -> None:
            self.respond()

        def respond(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            seen = Seen(self.command, parts.path, parse_qs(parts.query), headers, body)
            answer = stand_in.answer(seen)
            time.sleep(answer.silence_seconds)
            # A client that lost patience is gone by now.
            with suppress(ConnectionError):
                self.send(answer)
            self.close_connection = True

        def send(self, answer: Reply) -> None:
            if answer.hang_up:
                return
            self.send_response(answer.status)
            self.send_header("Content-Type", "application/json")
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler
