"""What the REST transport does when the server fails it; here a server that fails on purpose."""

import io
import json
import logging
import socket
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from services.database.embedded.access import free_port
from services.database.transport import (
    DatabaseError,
    DatabaseRefused,
    Filter,
    TemporaryDatabaseError,
)
from services.database.transports import supabase as rest
from services.database.transports.supabase import RestTransport

KEY = "sb_secret_hush-hush-0123456789"
PAGE = "<html>Bad gateway</html>"


@dataclass
class Reply:
    """One answer; a status of 0 hangs up without one."""

    status: int = 200
    body: Any = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    after_seconds: float = 0.0


class FailingServer:
    """Answers with its replies in turn, the last one again and again, and notes who asked."""

    def __init__(self, port: int = 0) -> None:
        self.replies: list[Reply] = [Reply()]
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", "0")))
                outer.asked.append((self.command, self.path, dict(self.headers.items())))
                replies = outer.replies
                reply = replies.pop(0) if len(replies) > 1 else replies[0]
                time.sleep(reply.after_seconds)
                if not reply.status:
                    self.connection.shutdown(socket.SHUT_RDWR)
                    self.close_connection = True
                    return
                raw = reply.body if isinstance(reply.body, str) else json.dumps(reply.body)
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(raw.encode())))
                self.end_headers()
                self.wfile.write(raw.encode())

            do_GET = do_POST = answer  # noqa: N815

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """Answer nobody any more."""
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rest, "FIRST_PAUSE_SECONDS", 0.01)


@pytest.fixture
def server() -> Iterator[FailingServer]:
    server = FailingServer()
    yield server
    server.stop()


@pytest.fixture
def transport(server: FailingServer) -> Iterator[RestTransport]:
    transport = RestTransport(server.url, KEY, seconds=5)
    yield transport
    transport.close()


Ask = Callable[[RestTransport], Any]
ASKS: tuple[Ask, ...] = (lambda t: t.select("bills", limit=5), lambda t: t.call("echo", {}))
READ, WRITE = ASKS
BUSY = [
    Reply(503, {"code": "PGRST002", "message": "Could not query the database"}),
    Reply(429, PAGE),
    Reply(0),
]


@pytest.mark.parametrize("reply", BUSY)
def test_a_read_is_repeated_until_the_server_is_well(
    server: FailingServer, transport: RestTransport, reply: Reply
) -> None:
    server.replies = [reply, reply, Reply(body=[{"n": 1}])]
    assert READ(transport).rows == [{"n": 1}]
    assert len(server.asked) == 3


@pytest.mark.parametrize("reply", [*BUSY, Reply(500, PAGE), Reply(502, PAGE), Reply(522, PAGE)])
def test_what_may_pass_is_temporary_and_a_write_is_left_to_its_caller(
    server: FailingServer, transport: RestTransport, reply: Reply
) -> None:
    server.replies = [reply]
    for ask, times in ((READ, 3), (WRITE, 1)):
        server.asked.clear()
        with pytest.raises(TemporaryDatabaseError) as caught:
            ask(transport)
        assert len(server.asked) == times
        assert "html" not in f"{caught.value} {caught.value.detail}"


@pytest.mark.parametrize("ask", ASKS)
def test_an_answer_that_does_not_come_is_waited_for_once(server: FailingServer, ask: Ask) -> None:
    impatient = RestTransport(server.url, KEY, seconds=0.3)
    server.replies = [Reply(after_seconds=5)]
    start = time.monotonic()
    with pytest.raises(TemporaryDatabaseError, match="in time"):
        ask(impatient)
    assert time.monotonic() - start < 4
    assert len(server.asked) == 1
    impatient.close()


def test_a_call_that_may_take_longer_is_waited_for(server: FailingServer) -> None:
    impatient = RestTransport(server.url, KEY, seconds=0.3)
    server.replies = [Reply(after_seconds=1, body={"checked": True})]
    assert impatient.call("echo", {}, seconds=20) == {"checked": True}
    impatient.close()


def test_the_time_limit_is_ten_seconds() -> None:
    transport = RestTransport("http://127.0.0.1:1", KEY)
    limit = transport._session.timeout
    assert (limit.read, limit.write, limit.pool, limit.connect) == (10, 10, 10, 5)
    transport.close()


@pytest.mark.parametrize("ask", ASKS)
def test_a_server_that_is_away_is_tried_again_since_nothing_was_sent(
    ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rest, "FIRST_PAUSE_SECONDS", 0.5)
    port = free_port(0)
    transport = RestTransport(f"http://127.0.0.1:{port}", KEY)
    started: list[FailingServer] = []
    timer = threading.Timer(0.1, lambda: started.append(FailingServer(port)))
    timer.start()
    ask(transport)
    timer.join()
    transport.close()
    started[0].stop()


@pytest.mark.parametrize("ask", ASKS)
def test_a_server_that_stays_away_is_temporary(ask: Ask) -> None:
    transport = RestTransport(f"http://127.0.0.1:{free_port(0)}", KEY)
    with pytest.raises(TemporaryDatabaseError, match="cannot be reached"):
        ask(transport)
    transport.close()


@pytest.mark.parametrize("body", ["[{", "<html>", "nothing"])
def test_an_answer_that_cannot_be_read_is_temporary(
    server: FailingServer, transport: RestTransport, body: str
) -> None:
    server.replies = [Reply(body=body)]
    with pytest.raises(TemporaryDatabaseError, match="could not be read"):
        WRITE(transport)


@pytest.mark.parametrize(
    ("status", "said", "kind"),
    [
        (400, {"code": "EB001", "message": "Too late."}, DatabaseRefused),
        (409, {"code": "23505", "message": "Twice."}, DatabaseRefused),
        (500, {"code": "P0002", "message": "None."}, DatabaseRefused),
        (500, {"code": "XX000", "message": "Broken."}, DatabaseError),
        (404, {"code": "PGRST202", "message": "No function."}, DatabaseError),
        (400, {"code": "PGRST100", "message": "Unreadable."}, DatabaseError),
        (406, "no json", DatabaseError),
        (405, ["a", "list"], DatabaseError),
        (500, {"code": "57014", "message": "Too slow."}, TemporaryDatabaseError),
        (500, {"code": "40P01", "message": "Deadlock."}, TemporaryDatabaseError),
        (504, {"code": "PGRST003", "message": "No connection."}, TemporaryDatabaseError),
    ],
)
def test_each_answer_has_its_error(
    server: FailingServer, transport: RestTransport, status: int, said: Any, kind: type
) -> None:
    server.replies = [Reply(status, said)]
    for ask in ASKS:
        with pytest.raises(DatabaseError) as caught:
            ask(transport)
        assert type(caught.value) is kind
        expected = said if isinstance(said, dict) else {"code": str(status)}
        assert caught.value.code == expected["code"]
        if "message" in expected:
            assert caught.value.message == expected["message"]


def test_a_redirect_is_not_followed_with_the_key(
    server: FailingServer, transport: RestTransport
) -> None:
    other = FailingServer()
    server.replies = [Reply(302, "", {"Location": f"{other.url}/rest/v1/bills"})]
    with pytest.raises(DatabaseError):
        READ(transport)
    assert other.asked == []
    other.stop()


def test_the_key_is_sent_to_the_project(server: FailingServer, transport: RestTransport) -> None:
    READ(transport)
    WRITE(transport)
    for _, path, headers in server.asked:
        sent = {name.lower(): value for name, value in headers.items()}
        assert sent["apikey"] == KEY
        assert sent["authorization"] == f"Bearer {KEY}"
        assert path.startswith("/rest/v1/")


@pytest.mark.parametrize(
    "reply", [Reply(), Reply(401, {"message": "Invalid API key"}), Reply(403), *BUSY]
)
def test_the_key_is_shown_nowhere(
    server: FailingServer, transport: RestTransport, caplog: pytest.LogCaptureFixture, reply: Reply
) -> None:
    caplog.set_level(logging.DEBUG)
    server.replies = [reply]
    shown = io.StringIO()
    held: list[object] = []
    for ask in ASKS:
        try:
            ask(transport)
        except DatabaseError as error:
            traceback.print_exc(file=shown)
            shown.write(f"{error!r} {error.detail} {error.__dict__}")
            held += [error.__cause__, error.__context__]
    # Whoever prints an error prints what it came from.
    assert set(held) <= {None}
    shown.write(f"{transport!r} {transport}")
    assert KEY not in shown.getvalue() + caplog.text
    assert "hush" not in shown.getvalue() + caplog.text


def test_a_refused_key_is_told_in_a_sentence(
    server: FailingServer, transport: RestTransport
) -> None:
    for status in (401, 403):
        server.replies = [Reply(status, {"message": "Invalid API key", "hint": "?"})]
        with pytest.raises(DatabaseError, match="Check SUPABASE_SERVICE_KEY") as caught:
            READ(transport)
        assert type(caught.value) is DatabaseError


@pytest.mark.parametrize("key", ["", "two words", "line\nbreak", "clé", f"{KEY}\r\nX: y"])
def test_a_key_that_is_none_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(ValueError, match="SUPABASE_SERVICE_KEY") as caught:
        RestTransport("http://127.0.0.1:1", key)
    assert not key or key not in str(caught.value)


def test_no_address_is_longer_than_servers_take(
    server: FailingServer, transport: RestTransport
) -> None:
    values = [f'"{n}",' * 10 for n in range(500)]
    transport.select("bills", filters=[Filter("id", "in_", values)], limit=10)
    assert len(server.asked) > 1
    assert max(len(path) for _, path, _ in server.asked) < 6000
    with pytest.raises(ValueError, match="order"):
        transport.select("bills", filters=[Filter("id", "in_", values)], order=["id.asc"])
