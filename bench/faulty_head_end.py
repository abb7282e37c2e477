"""A head-end in a process of its own: of 100 meters it fails five, delays five, and lies of one.

Run: python -m bench.faulty_head_end KWH READ_AT DELAY_SECONDS; it prints its port. Which meter is
wronged how follows from the number in its serial, so that whoever asks knows what to expect. With
a negative delay it is honest.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final, Literal

from services.settings import PROJECT_FOLDER

Fault = Literal[
    "",
    "busy",
    "hangs_up",
    "no_json",
    "unknown",
    "slow",
    "other_meter",
    "unit",
    "old",
    "digits",
    "absurd",
]
FAILURES: Final[tuple[Fault, ...]] = ("busy", "hangs_up", "no_json", "unknown")
LIES: Final[tuple[Fault, ...]] = ("other_meter", "unit", "old", "digits", "absurd")
_FAIL, _DELAY, _LIE = 5, 5, 1


def fault_of(serial: str) -> Fault:
    """What the head-end does wrong for a meter."""
    hundreds, place = divmod(int(serial[1:]), 100)
    if place < _FAIL:
        return FAILURES[(hundreds + place) % len(FAILURES)]
    if place < _FAIL + _DELAY:
        return "slow"
    return LIES[hundreds % len(LIES)] if place < _FAIL + _DELAY + _LIE else ""


@contextmanager
def faulty_head_end(*, kwh: int, read_at: datetime, delay_seconds: float) -> Iterator[str]:
    """Its address, while it runs; each meter shows `kwh` at `read_at`."""
    command = [sys.executable, "-m", "bench.faulty_head_end", str(kwh), read_at.isoformat()]
    with subprocess.Popen(
        [*command, str(delay_seconds)], stdout=subprocess.PIPE, cwd=PROJECT_FOLDER
    ) as process:
        try:
            assert process.stdout is not None
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()


def main(kwh: int, read_at: datetime, delay_seconds: float) -> None:
    """Serve until killed."""

    def answer_of(serial: str, fault: Fault) -> str:
        said: dict[str, object] = {"serial": serial, "reading_kwh": kwh}
        said["read_at"] = read_at.isoformat()
        lies: dict[Fault, dict[str, object]] = {
            "other_meter": {"serial": f"{serial}X"},
            "unit": {"unit": "MWh"},
            "old": {"read_at": (read_at - timedelta(days=10)).isoformat()},
            "digits": {"reading_kwh": kwh + 1_000_000},
            "absurd": {"reading_kwh": kwh + 60_000},
        }
        return "<html>" if fault == "no_json" else json.dumps(said | lies.get(fault, {}))

    class Handler(BaseHTTPRequestHandler):
        """One connection, kept for many requests."""

        protocol_version = "HTTP/1.1"
        # The head and the body of an answer leave at once.
        wbufsize = -1

        def do_GET(self) -> None:
            """Answer for one meter."""
            serial = self.path.split("/")[2]
            fault = fault_of(serial) if delay_seconds >= 0 else ""
            if fault == "hangs_up":
                self.close_connection = True
                return
            if fault == "slow":
                time.sleep(delay_seconds)
            body = answer_of(serial, fault).encode()
            self.send_response({"busy": 503, "unknown": 404}.get(fault, 200))
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with suppress(ConnectionError):
                self.wfile.write(body)
                self.wfile.flush()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    ThreadingHTTPServer.request_queue_size = 200
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        sys.stdout.write(f"{server.server_port}\n")
        sys.stdout.flush()
        server.serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]), datetime.fromisoformat(sys.argv[2]), float(sys.argv[3]))
