"""A server for what no stand-in of OpenAI does: odd bodies, lost connections, headers kept."""

import json
import socket
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Handle = Callable[["Request"], None]


class Request(BaseHTTPRequestHandler):
    """One request, kept with its headers and body before it is answered."""

    server: "OddServer"

    def do_POST(self) -> None:
        """Keep the request and answer as the test says."""
        length = int(self.headers["Content-Length"])
        body = json.loads(self.rfile.read(length))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.received.append((self.path, headers, body))
        handle = self.server.answers.pop(0) if self.server.answers else answer(body_of("{}"))
        handle(self)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class OddServer(ThreadingHTTPServer):
    """Answers one after the other what it was given."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Request)
        self.received: list[tuple[str, dict[str, str], Any]] = []
        self.answers: list[Handle] = []
        self.stopping = threading.Event()
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        """As OPENAI_BASE_URL."""
        return f"http://127.0.0.1:{self.server_port}/v1"

    def stop(self) -> None:
        """End, with whatever is under way."""
        self.stopping.set()
        self.shutdown()
        self.server_close()


def body_of(content: str | None, **how: Any) -> dict[str, Any]:
    """A chat completion as OpenAI gives it."""
    message = {"role": "assistant", "content": content, "refusal": how.pop("refusal", None)}
    choice = {"index": 0, "message": message, "finish_reason": how.pop("finish_reason", "stop")}
    usage = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}
    whole = {"id": "x", "object": "chat.completion", "created": 1, "model": "model-1"}
    return whole | {"choices": [choice], "usage": usage} | how


def answer(body: Any, *, status: int = 200, kind: str = "application/json") -> Handle:
    """A whole answer of JSON, or of bytes as they are."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()

    def handle(request: Request) -> None:
        request.send_response(status)
        request.send_header("Content-Type", kind)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        request.wfile.write(content)

    return handle


def error(status: int, code: str | None = None, **headers: str) -> Handle:
    """An error in OpenAI's form."""
    content = json.dumps({"error": {"message": "no", "type": code, "code": code}}).encode()

    def handle(request: Request) -> None:
        request.send_response(status)
        request.send_header("Content-Type", "application/json")
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        request.wfile.write(content)

    return handle


def hang_up(request: Request) -> None:
    """Close the connection without a word."""
    request.connection.shutdown(socket.SHUT_RDWR)
    request.close_connection = True


def say_nothing(request: Request) -> None:
    """Keep the caller waiting."""
    request.server.stopping.wait(30)


def trickle(request: Request) -> None:
    """An answer that never ends: a byte now and then, as some gateways keep a line open."""
    request.send_response(200)
    request.send_header("Content-Type", "application/json")
    request.send_header("Content-Length", "1000000")
    request.end_headers()
    ends_at = time.monotonic() + 30
    while not request.server.stopping.wait(0.2) and time.monotonic() < ends_at:
        try:
            request.wfile.write(b" ")
        except OSError:
            return
