"""Strangers who begin requests and never end them hold up nobody else, in the real process."""

import resource
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from services.web import connections
from tests.ui.app_process import AppProcess, start_app

AUTH0 = {
    "AUTH0_DOMAIN": "tenant.example",
    "AUTH0_AUDIENCE": "https://billing.example/api",
    "AUTH0_CLIENT_ID": "pages",
    "AUTH0_CLIENT_SECRET": "hush-hush",
}
HALF_BODY = b"POST %s HTTP/1.1\r\nHost: x\r\n%sContent-Length: 99\r\n\r\n{"
HALF_HEAD = b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: "
CHUNKS = b"POST /webhook/stripe HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    """The app as it listens for strangers, started with the usual limit of 1,024 open files."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    # The app inherits it; this process needs more, for all the strangers.
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, before[1]))
    folder: Path = tmp_path_factory.mktemp("strangers")
    folder.parent.chmod(0o711)
    try:
        running = start_app(folder=folder, environment={"DEMO": "off", **AUTH0})
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    yield running
    assert running.stop()


@contextmanager
def strangers(app: AppProcess, number: int, sent: bytes) -> Iterator[list[socket.socket]]:
    """Connections that each sent this much and then wait."""
    port = urlsplit(app.url).port
    assert port is not None
    with ExitStack() as stack:
        found = []
        for _ in range(number):
            one = socket.create_connection(("127.0.0.1", port), timeout=10)
            found.append(stack.enter_context(one))
            one.sendall(sent)
        yield found


def _answers(app: AppProcess) -> None:
    assert requests.get(f"{app.url}/api/health", timeout=5).status_code == 200
    assert requests.get(f"{app.url}/api/scheduler/status", timeout=5).status_code == 401
    assert requests.post(f"{app.url}/webhook/stripe", data=b"{}", timeout=5).status_code == 503


def test_half_sent_bodies_turn_nobody_else_away(app: AppProcess) -> None:
    reading, stripe = (
        HALF_BODY % (p, b"") for p in (b"/webhook/meter-reading", b"/webhook/stripe")
    )
    with strangers(app, 205, reading), strangers(app, 205, stripe):
        time.sleep(0.5)
        _answers(app)


def test_an_address_may_let_only_so_many_bodies_arrive(app: AppProcess) -> None:
    named = b"X-Forwarded-For: 203.0.113.9\r\n"
    with strangers(app, 80, HALF_BODY % (b"/webhook/stripe", named)) as open_ones:
        refused = [one for one in open_ones[64:] if one.recv(12) == b"HTTP/1.1 429"]
        assert len(refused) == 16
        other = {"X-Forwarded-For": "203.0.113.10"}
        answer = requests.post(f"{app.url}/webhook/stripe", data=b"{}", headers=other, timeout=5)
        assert answer.status_code == 503


def test_half_sent_headers_neither_fill_the_process_nor_stay(app: AppProcess) -> None:
    began = time.monotonic()
    with strangers(app, 1100, HALF_HEAD) as open_ones:
        _answers(app)
        # They go on now and then, as a patient stranger would.
        for one in (open_ones[0], open_ones[-1]):
            one.sendall(b"a")
        for one in (open_ones[0], open_ones[-1]):
            one.settimeout(connections.HEADER_SECONDS + 10)
            with suppress(ConnectionResetError):
                assert one.recv(1) == b""
    assert time.monotonic() - began < connections.HEADER_SECONDS + 15
    _answers(app)
    assert "Too many open files" not in app.log()


@pytest.mark.parametrize(
    ("begun", "more"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: ", b"a" * 1_000),
        (b"GET / HTTP/1.1\r\nHost: x\r\n", b"X-A: b\r\n" * 100),
        (b"GET /", b"a" * 1_000),
        (CHUNKS, b"X-A: b\r\n" * 100),
        (CHUNKS + b"X: ", b"a" * 1_000),
    ],
)
def test_a_head_without_end_is_not_kept(app: AppProcess, begun: bytes, more: bytes) -> None:
    with strangers(app, 1, begun) as (one,):
        sent = 0
        with suppress(OSError):
            while sent < 20_000_000:
                one.sendall(more)
                sent += len(more)
        # What the sockets of both sides hold comes on top.
        assert sent < 20_000_000
    _answers(app)


def test_usual_heads_and_bodies_pass(app: AppProcess) -> None:
    cookies = {f"c{n}": "x" * 500 for n in range(80)}
    with requests.Session() as visitor:
        for _ in range(3):
            answer = visitor.get(f"{app.url}/api/scheduler/status", cookies=cookies, timeout=9)
            assert answer.status_code == 401
            # In chunks of one byte, nearly all that comes is not of the body.
            answer = visitor.post(
                f"{app.url}/webhook/stripe", data=(b"x" for _ in range(30_000)), timeout=30
            )
            assert answer.status_code == 503
            answer = visitor.post(f"{app.url}/webhook/stripe", data=b"x" * 5_000_000, timeout=30)
            assert answer.status_code == 413


def _visit(app: AppProcess) -> ClientConnection:
    """A visit of somebody who is not signed in, as a browser begins it."""
    address = app.url.replace("http://", "ws://") + "/_stcore/stream"
    visit = connect(
        address,
        subprotocols=["streamlit"],  # type: ignore[list-item]
        max_size=None,
        close_timeout=0.2,
    )
    visit.send(_run_again())
    return visit


def _run_again() -> bytes:
    message = BackMsg()
    message.rerun_script.query_string = ""
    return bytes(message.SerializeToString())


def test_who_is_not_signed_in_uploads_nothing(app: AppProcess) -> None:
    with _visit(app) as visit:
        first = ForwardMsg()
        while first.WhichOneof("type") != "new_session":
            message = visit.recv(timeout=10)
            assert isinstance(message, bytes)
            first.ParseFromString(message)
        session = first.new_session.initialize.session_id
        cookie = requests.get(f"{app.url}/_stcore/health", timeout=5).cookies["_streamlit_xsrf"]
        answer = requests.put(
            f"{app.url}/_stcore/upload_file/{session}/any",
            files={"file": ("a.csv", b"a" * 1_000_000)},
            headers={"X-Xsrftoken": cookie},
            cookies={"_streamlit_xsrf": cookie},
            timeout=5,
        )
        assert answer.status_code == 403


def test_a_visit_sends_no_message_that_fills_the_memory(app: AppProcess) -> None:
    with _visit(app) as visit:
        # In pieces, none of which is too large by itself. Nothing follows the byte that is too
        # much: what the server leaves unread would tear down the connection before its reason.
        pieces, rest = divmod(connections.LARGEST_MESSAGE, 500_000)
        whole = [*[b"x" * 500_000] * pieces, b"x" * rest, b"x"]
        with suppress(ConnectionClosed):
            visit.send(iter(whole))
        with suppress(ConnectionClosed):
            while True:
                visit.recv(timeout=10)
        assert visit.close_code == 1009  # Too large.
    _answers(app)


def test_visits_that_click_without_end_stop_nobody_else(app: AppProcess) -> None:
    with ExitStack() as stack:
        visits = [stack.enter_context(_visit(app)) for _ in range(8)]
        for _ in range(60):
            for visit in visits:
                visit.send(_run_again())
        _answers(app)
    _answers(app)
