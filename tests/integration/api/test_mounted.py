"""The HTTP API over a real server, mounted as in the one process."""

import http.client
import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from app import create_app
from services.web import wsgi_mount
from tests.integration.api.serving import serving
from tests.integration.api.talk import READING
from tests.integration.utility import Utility


@pytest.fixture
def server(utility: Utility) -> Iterator[int]:
    """The port of a real server with the API mounted on it."""
    with serving(create_app(utility.services, clock=lambda: utility.now)) as port:
        yield port


def _ask(
    port: int, method: str, path: str, body: Any = None, **headers: str
) -> tuple[int, dict[str, Any]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(
            method,
            path,
            body=body,
            headers={name.replace("_", "-"): value for name, value in headers.items()},
            encode_chunked=True,
        )
        answer = connection.getresponse()
        assert answer.headers.get_content_type() == "application/json"
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def test_fifty_identical_readings_at_once_are_one_reading_and_one_bill(
    server: int, engineer: dict[str, str], meter: str, utility: Utility
) -> None:
    body = {"meter_serial": meter, "reading_kwh": "1117", "read_at": utility.now.isoformat()}
    text = json.dumps(body)
    with ThreadPoolExecutor(50) as pool:
        posts = [
            pool.submit(
                _ask, server, "POST", READING, text, Content_Type="application/json", **engineer
            )
            for _ in range(50)
        ]
        answers = [post.result() for post in posts]
    assert sorted(status for status, _ in answers) == [200] * 49 + [201]
    assert len({found["reading"]["id"] for _, found in answers}) == 1
    assert len({found["bill"]["id"] for _, found in answers}) == 1
    assert len(utility.bills_of(meter)) == 1


def test_mounted_endpoints_keep_their_full_paths(server: int) -> None:
    assert _ask(server, "GET", "/api/health")[0] == 200
    assert _ask(server, "POST", "/webhook/meter-reading", b"{}")[0] == 401
    status, found = _ask(server, "POST", "/webhook/stripe", b"{}")
    assert (status, found["error"]["code"]) == (503, "payments_not_configured")
    assert _ask(server, "GET", "/webhook/stripe")[0] == 405
    assert _ask(server, "GET", "/api/nothing?q=%ff")[0] == 404


def test_a_chunked_reading_is_billed(
    server: int, engineer: dict[str, str], meter: str, utility: Utility
) -> None:
    body = {"meter_serial": meter, "reading_kwh": "1117", "read_at": utility.now.isoformat()}
    text = json.dumps(body).encode()
    status, _ = _ask(
        server, "POST", READING, iter([text[:10], text[10:]]),
        Transfer_Encoding="chunked", Content_Type="application/json", **engineer,
    )  # fmt: skip
    assert status == 201


@pytest.mark.parametrize("how", ["chunked", "declared"])
def test_a_body_over_one_megabyte_is_refused_however_it_is_sent(
    server: int, engineer: dict[str, str], how: str
) -> None:
    pieces = [b" " * 65_536] * 40
    if how == "chunked":
        status, found = _ask(
            server, "POST", READING, iter(pieces), Transfer_Encoding="chunked", **engineer
        )
    else:
        status, found = _ask(server, "POST", READING, b"".join(pieces), **engineer)
    assert status == 413
    assert "1 MB" in found["error"]["message"]


def test_a_body_that_is_shorter_than_declared_takes_no_worker_for_long(
    server: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wsgi_mount, "BODY_SECONDS", 0.5)
    with socket.create_connection(("127.0.0.1", server), timeout=10) as slow:
        slow.sendall(b"POST /webhook/stripe HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n{")
        # The one worker of that pool answers others meanwhile.
        began = time.monotonic()
        assert _ask(server, "POST", "/webhook/stripe", b"{}")[0] == 503
        assert time.monotonic() - began < 0.4
        assert slow.recv(100).startswith(b"HTTP/1.1 400")


def test_too_many_requests_at_once_are_turned_away(
    server: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wsgi_mount, "MOST_WAITING", 0)
    status, found = _ask(server, "GET", "/api/scheduler/status")
    assert (status, found["error"]["code"]) == (429, "too_many_requests")
    # Whoever asks whether the system is well still learns it.
    assert _ask(server, "GET", "/api/health")[0] == 200
