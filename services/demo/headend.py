"""The demo's head-end: a small HTTP server on loopback that reads the demo's smart meters."""

import json
import re
import threading
from datetime import datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit
from zoneinfo import ZoneInfo

from services.database.service import DatabaseService
from services.database.transport import DatabaseError
from services.demo.premises import all_premises
from services.demo.profile import Clock, Register, utc_now
from services.quantities.energy import format_kwh

_PATH = re.compile(r"/meters/([^/]+)/reading")


class DemoHeadEnd:
    """Answers GET /meters/<serial>/reading with {"serial", "reading_kwh", "read_at"}; else 404.

    `reading_kwh` is decimal text and never goes down; `read_at` is the present moment in UTC.
    """

    def __init__(
        self, database: DatabaseService, zone: ZoneInfo, *, clock: Clock = utc_now
    ) -> None:
        self._database = database
        self._zone = zone
        self._clock = clock
        self._registers: dict[str, Register] = {}
        self._last: dict[str, tuple[datetime, int]] = {}
        self._lock = threading.Lock()
        self._server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        """Where it listens; raises RuntimeError before start()."""
        if self._server is None:
            raise RuntimeError("The demo's head-end is not running.")
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def start(self) -> None:
        """Listen on a free port of loopback, on a thread of its own."""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        threading.Thread(
            target=self._server.serve_forever, name="demo-head-end", daemon=True
        ).start()

    def stop(self) -> None:
        """Stop listening; harmless if not started."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def reading(self, serial: str) -> dict[str, str] | None:
        """The meter's register now; None when it is not a smart meter of the demo."""
        with self._lock:
            register = self._register_of(serial)
            if register is None:
                return None
            now = self._clock().replace(microsecond=0)
            at, register_wh = max(self._last.get(serial, (now, 0)), (now, register.at(now)))
            self._last[serial] = (at, register_wh)
        return {
            "serial": serial,
            "reading_kwh": format_kwh(register_wh),
            "read_at": at.isoformat(),
        }

    def _register_of(self, serial: str) -> Register | None:
        if serial not in self._registers:
            # Where a register stands depends on the day it was opened, which the database knows.
            meters = self._database.smart_meters()
            opened = {m.serial: m.opened_on for m in meters if m.opened_on}
            self._registers = {
                p.serial: Register(p, opened[p.serial], self._zone)
                for p in all_premises()
                if p.kind == "smart" and p.serial in opened
            }
        return self._registers.get(serial)


def _handler_of(head_end: DemoHeadEnd) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """One request to the head-end."""

        def do_GET(self) -> None:
            """Answer with the reading of one meter."""
            wanted = _PATH.fullmatch(urlsplit(self.path).path)
            try:
                found = head_end.reading(unquote(wanted[1])) if wanted else None
            except DatabaseError:
                self._answer(HTTPStatus.SERVICE_UNAVAILABLE, {"error": "try again shortly"})
                return
            if found is None:
                self._answer(HTTPStatus.NOT_FOUND, {"error": "no such meter"})
            else:
                self._answer(HTTPStatus.OK, found)

        def _answer(self, status: HTTPStatus, body: dict[str, str]) -> None:
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as inherited
            """Say nothing: a request a meter would fill the log."""

    return Handler
