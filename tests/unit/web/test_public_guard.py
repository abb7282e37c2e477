"""Who gets in from beyond this machine, under which address, and as which client."""

import json
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from services.web.public_guard import PublicGuard
from tests.unit.web.test_asgi import Answer, ask

URL = "https://billing.example.org"
PROXY = ("10.1.0.7", 4000)
STRANGER = ("203.0.113.9", 4000)
HERE = ("127.0.0.1", 4000)


class Inner:
    """Stand for the app: remember the client of what came through."""

    def __init__(self) -> None:
        self.clients: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        message: Message = await receive()
        assert message
        self.clients.append(scope["client"][0])
        await send({"type": "reached", "status": 200})


def tell(
    client: tuple[str, int] | None,
    headers: dict[str, str],
    *,
    proxies: str | None = "10.1.0.0/24",
    certificate: bool = False,
    **more: Any,
) -> tuple[Answer, list[str]]:
    """Ask through a guard; the answer, and whom the app took for its client."""
    inner = Inner()
    guard = PublicGuard(inner, public_url=URL, proxies=proxies, certificate=certificate)
    path = more.pop("path", "/bills")
    answer = ask(guard, path, client=client, headers=headers, **more)
    return answer, inner.clients


def forwarded(chain: str, **more: str) -> dict[str, str]:
    return {"host": "billing.example.org", "x-forwarded-for": chain} | more


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize(
    ("chain", "client"),
    [
        ("198.51.100.4", "198.51.100.4"),
        ("2001:db8::7", "2001:db8::7"),
        # What a client writes itself stands on the left.
        ("127.0.0.1, 198.51.100.4", "198.51.100.4"),
        ("::1,10.1.0.9, 198.51.100.4,10.1.0.8", "198.51.100.4"),
        ("made up", PROXY[0]),
        ("", PROXY[0]),
    ],
)
def test_the_rightmost_address_that_is_no_proxys_is_the_client(
    chain: str, client: str, kind: str
) -> None:
    assert tell(PROXY, forwarded(chain), kind=kind)[1] == [client]


@pytest.mark.parametrize("peer", [HERE, ("::1", 1)])
def test_this_machine_is_not_believed_when_it_is_no_proxy(peer: tuple[str, int]) -> None:
    assert tell(peer, forwarded("198.51.100.4"))[1] == [peer[0]]


def test_a_proxy_on_a_socket_for_both_kinds_of_addresses_is_known() -> None:
    assert tell(("::ffff:10.1.0.7", 1), forwarded("198.51.100.4"))[1] == ["198.51.100.4"]


@pytest.mark.parametrize("peer", [STRANGER, ("10.1.1.7", 1), ("", 0), None])
@pytest.mark.parametrize("proxies", ["10.1.0.0/24", None])
def test_without_a_certificate_nobody_goes_past_the_proxy(
    peer: tuple[str, int] | None, proxies: str | None
) -> None:
    answer, clients = tell(peer, forwarded("10.1.0.7"), proxies=proxies)
    assert (answer.status, clients) == (403, [])
    assert "TRUSTED_PROXY" in json.loads(answer.body)["error"]["message"]
    socket, clients = tell(peer, forwarded("10.1.0.7"), proxies=proxies, kind="websocket")
    assert (socket.sent, clients) == ([{"type": "websocket.close", "code": 1008}], [])


def test_with_a_certificate_everybody_gets_in_as_who_they_are() -> None:
    assert tell(STRANGER, forwarded("127.0.0.1"), certificate=True)[1] == [STRANGER[0]]


@pytest.mark.parametrize("scheme", ["http", "ws", "HTTP", "https, http"])
def test_what_came_to_the_proxy_without_https_is_led_to_https(scheme: str) -> None:
    headers = forwarded("198.51.100.4", **{"x-forwarded-proto": scheme})
    answer, clients = tell(PROXY, headers, query={"month": "2026-02"})
    assert (answer.status, clients) == (307, [])
    assert answer.headers["location"] == f"{URL}/bills?month=2026-02"
    assert tell(PROXY, headers, method="POST")[0].status == 403
    assert tell(PROXY, headers, kind="websocket")[1] == []


@pytest.mark.parametrize(
    "host",
    [
        "a@billing.example.org",
        "billing.example.org/a",
        "billing.example.org?a",
        "localhost",
        "127.0.0.1:8501",
        "evil.example",
        "billing.example.org:8501",
        "",
        "a:b",
    ],
)
@pytest.mark.parametrize("peer", [PROXY, STRANGER])
def test_another_address_leads_to_the_public_one(host: str, peer: tuple[str, int]) -> None:
    headers = forwarded("198.51.100.4", host=host)
    answer, clients = tell(peer, headers, certificate=True)
    assert (answer.status, answer.headers["location"], clients) == (307, f"{URL}/bills", [])
    assert tell(peer, headers, certificate=True, method="POST")[0].status == 421
    assert tell(peer, headers, certificate=True, kind="websocket")[1] == []


@pytest.mark.parametrize("host", ["billing.example.org", "BILLING.example.org:443"])
def test_the_public_address_may_name_its_port(host: str) -> None:
    assert tell(PROXY, forwarded("198.51.100.4", host=host))[1] == ["198.51.100.4"]


def test_a_program_on_this_machine_may_name_this_machine() -> None:
    assert tell(HERE, {"host": "localhost:8501"})[1] == ["127.0.0.1"]
    # A proxy on this machine passes on what a client wrote.
    through = forwarded("198.51.100.4", host="localhost:8501")
    assert tell(HERE, through, proxies="127.0.0.1")[1] == []
    assert tell(HERE, {"host": "evil.example"})[1] == []


def test_a_path_leads_to_no_other_site() -> None:
    answer, _ = tell(PROXY, forwarded("1.2.3.4", host="x"), path="//evil.example/a")
    assert answer.headers["location"].startswith(f"{URL}/")
