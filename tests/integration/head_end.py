"""A head-end over real HTTP on loopback, for tests: what it answers is theirs to say."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

SUNDAY = datetime(2026, 11, 1, 2, 30, tzinfo=UTC)  # 08:00 in Kolkata

Answer = tuple[int, str]


@dataclass
class StandIn:
    """A head-end over real HTTP; `answers` gives the status and body for a serial."""

    url: str = ""
    answers: Callable[[str], Answer] = lambda serial: reading(serial, 1117)
    headers: dict[str, str] = field(default_factory=dict)
    answer_headers: dict[str, str] = field(default_factory=dict)
    paths: list[str] = field(default_factory=list)
    silence_seconds: float = 0
    drip_seconds: float = 0

    def times_asked(self, serial: str) -> int:
        return self.paths.count(f"/meters/{serial}/reading")


def reading(serial: str, kwh: object, at: datetime = SUNDAY) -> Answer:
    return 200, json.dumps({"serial": serial, "reading_kwh": kwh, "read_at": at.isoformat()})


@contextmanager
def standing_in() -> Iterator[StandIn]:
    stand_in = StandIn()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            stand_in.paths.append(self.path)
            stand_in.headers |= dict(self.headers)
            status, text = stand_in.answers(unquote(self.path.split("/")[2]))
            time.sleep(stand_in.silence_seconds)
            # A client that lost patience is gone by now.
            with suppress(ConnectionError):
                self.answer(status, text.encode())

        def answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            for name, value in stand_in.answer_headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            for start in range(0, len(body), step := 1 if stand_in.drip_seconds else 1 << 20):
                self.wfile.write(body[start : start + step])
                time.sleep(stand_in.drip_seconds)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        stand_in.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield stand_in
        finally:
            server.shutdown()
            thread.join()
