"""No other site frames the pages or opens their WebSocket, and no request vouches for itself."""

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from services.web.page_guard import PageGuard


async def page(request: Request) -> Response:
    response = JSONResponse({"scheme": request.url.scheme})
    response.set_cookie("a", "1")
    response.set_cookie("b", "2", secure=request.url.scheme == "https")
    return response


async def own_policy(_: Request) -> Response:
    return Response(headers={"Content-Security-Policy": "default-src 'none'"})


async def talk(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_json({"scheme": socket.url.scheme})


def client(
    *, public_url: str = "http://localhost:8501", tls: bool = False, beyond: bool = False
) -> TestClient:
    routes = [Route("/", page), Route("/own", own_policy), Route("/_stcore/{rest:path}", page)]
    app = Starlette(routes=[*routes, WebSocketRoute("/_stcore/stream", talk)])
    guarded = PageGuard(app, public_url=public_url, tls=tls, beyond=beyond)
    return TestClient(guarded, base_url="http://localhost:8501")


def test_every_answer_says_what_browsers_may_do_with_it() -> None:
    headers = client().get("/").headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["content-security-policy"] == "frame-ancestors 'self'"
    assert headers["x-frame-options"] == "SAMEORIGIN"
    assert client().get("/nothing").headers["x-content-type-options"] == "nosniff"
    own = client().get("/own").headers.get_list("content-security-policy")
    assert own == ["default-src 'none'"]


def test_browsers_are_held_to_https_beyond_this_machine_alone() -> None:
    name = "strict-transport-security"
    public = client(public_url="https://billing.example", beyond=True).get("/").headers
    assert public[name] == "max-age=31536000"
    assert name not in client(public_url="https://billing.example").get("/").headers
    assert name not in client(tls=True).get("/").headers


@pytest.mark.parametrize(
    "path",
    ["/_stcore/metrics", "/_stcore/metrics/", "/_stcore/agent/interact", "/_stcore/agent/mcp"],
)
def test_the_metrics_and_the_way_for_agents_are_closed(path: str) -> None:
    assert client().get(path).status_code == 404


@pytest.mark.parametrize(
    "origin",
    [
        "http://localhost:9999",
        "http://127.0.0.1:8501",
        "http://localhost",
        "https://localhost.evil.example:8501",
        "null",
        "http://[",
    ],
)
def test_a_page_of_another_host_or_port_gets_no_websocket(origin: str) -> None:
    with (
        pytest.raises(WebSocketDisconnect) as refused,
        client().websocket_connect("/_stcore/stream", headers={"Origin": origin}),
    ):
        pass
    assert refused.value.code == 1008


@pytest.mark.parametrize(
    ("origin", "host", "public_url"),
    [
        ("http://localhost:8501", "localhost:8501", "http://localhost:8501"),
        ("http://LOCALHOST:8501", "localhost:8501", "http://localhost:8501"),
        ("http://127.0.0.1:9000", "127.0.0.1:9000", "http://localhost:8501"),
        # A proxy that passes on the visitor's host, and one that does not.
        ("https://billing.example", "billing.example", "https://billing.example"),
        ("https://billing.example", "127.0.0.1:8501", "https://billing.example"),
        (None, "localhost:8501", "http://localhost:8501"),
    ],
)
def test_our_own_page_gets_its_websocket(origin: str | None, host: str, public_url: str) -> None:
    headers = {"Host": host} | ({} if origin is None else {"Origin": origin})
    with client(public_url=public_url).websocket_connect(
        "/_stcore/stream", headers=headers
    ) as socket:
        expected = "wss" if public_url.startswith("https") else "ws"
        assert socket.receive_json() == {"scheme": expected}


@pytest.mark.parametrize(
    ("public_url", "tls", "scheme"),
    [
        ("http://localhost:8501", False, "http"),
        ("https://billing.example", False, "https"),
        ("http://localhost:8501", True, "https"),
    ],
)
def test_cookies_are_secure_by_the_setting_and_not_by_what_a_request_says(
    public_url: str, tls: bool, scheme: str
) -> None:
    asked = client(public_url=public_url, tls=tls)
    other = "http" if scheme == "https" else "https"
    answer = asked.get("/", headers={"X-Forwarded-Proto": other})
    assert answer.json() == {"scheme": scheme}
    cookies = answer.headers.get_list("set-cookie")
    assert len(cookies) == 2
    assert [cookie.lower().count("secure") for cookie in cookies] == [int(scheme == "https")] * 2
    plainly = asked.get(f"{other}://localhost:8501/")
    assert plainly.json() == {"scheme": scheme}
