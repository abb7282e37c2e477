"""The cookie's routes hand a token over once, and strangers are turned away."""

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from http.cookies import Morsel, SimpleCookie
from urllib.parse import urlencode

import pytest
from starlette.applications import Starlette
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.identity.auth import LocalTokens, SignInTickets
from services.identity.permissions import Role
from services.web.asgi import LoopbackOnly, session_routes

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
TOKENS = LocalTokens(b"k" * 48)


class Answer:
    """What an ASGI app sent: the status, the headers in lower case, the body."""

    def __init__(self, sent: list[Message]) -> None:
        self.sent = sent
        self.status: int = sent[0].get("status", 0)
        self.headers = {k.decode(): v.decode() for k, v in sent[0].get("headers", [])}
        self.body = b"".join(message.get("body", b"") for message in sent)

    @property
    def cookies(self) -> SimpleCookie:
        found = SimpleCookie()
        for name, value in self.sent[0]["headers"]:
            if name == b"set-cookie":
                found.load(value.decode())
        return found

    @property
    def cookie(self) -> Morsel[str]:
        return SimpleCookie(self.headers["set-cookie"])["session"]


def ask(
    app: ASGIApp,
    path: str = "/",
    *,
    kind: str = "http",
    method: str = "GET",
    scheme: str = "http",
    client: tuple[str, int] | None = ("127.0.0.1", 5000),
    query: dict[str, str] | None = None,
    headers: dict[str, str] | None = None,
) -> Answer:
    """Call an ASGI app once, as a server would."""
    scope: Scope = {
        "type": kind,
        "http_version": "1.1",
        "method": method,
        "scheme": scheme,
        "path": path,
        "root_path": "",
        "query_string": urlencode(query or {}).encode(),
        "headers": [(name.encode(), value.encode()) for name, value in (headers or {}).items()],
        "client": client,
        "server": ("localhost", 8501),
    }
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "websocket.connect" if kind == "websocket" else "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)

    async def call() -> None:
        await app(scope, receive, send)

    # In a thread of its own: a browser test may keep an event loop running in this one.
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, call()).result()
    return Answer(sent)


class TestSession:
    tickets: SignInTickets
    app: Starlette
    now: datetime

    @pytest.fixture(autouse=True)
    def _app(self) -> None:
        self.tickets, self.now = SignInTickets(), NOW
        self.ended: list[tuple[object, object, str]] = []
        self.app = Starlette(
            routes=session_routes(self.tickets, TOKENS.verify, lambda: self.now, self.sign_out)
        )

    def sign_out(
        self, token: object, right: object, now: datetime, *, address: str = ""
    ) -> str | None:
        assert now == self.now
        self.ended.append((token, right, address))
        return "another-right" if right else None

    def ticket(self) -> str:
        return self.tickets.issue(TOKENS.issue("user-7", Role.ADMIN, NOW), NOW)

    def test_a_good_ticket_becomes_a_cookie_that_scripts_cannot_read(self) -> None:
        token = TOKENS.issue("user-7", Role.ADMIN, NOW)
        ticket = self.tickets.issue(token, NOW)
        answer = ask(
            self.app, "/session/begin", query={"ticket": ticket, "next": "/bills?month=2026-02"}
        )
        assert (answer.status, answer.headers["location"]) == (303, "/bills?month=2026-02")
        assert answer.cookie.value == token
        assert answer.cookie["httponly"]
        assert (answer.cookie["samesite"], answer.cookie["path"]) == ("lax", "/")
        assert not answer.cookie["secure"]
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"

    def test_the_cookie_ends_with_the_token(self) -> None:
        ticket = self.ticket()
        self.now = NOW + timedelta(seconds=10)
        answer = ask(self.app, "/session/begin", query={"ticket": ticket})
        assert answer.cookie["max-age"] == str(12 * 3600 - 10)

    def test_over_https_the_cookie_stays_on_https(self) -> None:
        answer = ask(self.app, "/session/begin", scheme="https", query={"ticket": self.ticket()})
        assert answer.cookie["secure"]

    def test_the_second_use_of_a_ticket_sets_nothing(self) -> None:
        ticket = self.ticket()
        ask(self.app, "/session/begin", query={"ticket": ticket})
        self.assert_sent_home(
            ask(self.app, "/session/begin", query={"ticket": ticket, "next": "/bills"})
        )

    @pytest.mark.parametrize("query", [{}, {"ticket": ""}, {"ticket": "made-up", "next": "/bills"}])
    def test_a_bad_ticket_leads_home(self, query: dict[str, str]) -> None:
        self.assert_sent_home(ask(self.app, "/session/begin", query=query))

    def test_a_ticket_for_a_token_that_has_ended_leads_home(self) -> None:
        token = TOKENS.issue("user-7", Role.ADMIN, NOW, timedelta(seconds=5))
        ticket = self.tickets.issue(token, NOW)
        self.now = NOW + timedelta(seconds=6)
        self.assert_sent_home(
            ask(self.app, "/session/begin", query={"ticket": ticket, "next": "/bills"})
        )

    def test_a_foreign_address_to_go_on_to_is_left_out(self) -> None:
        query = {"ticket": self.ticket(), "next": "//example.org/session"}
        answer = ask(self.app, "/session/begin", query=query)
        assert answer.headers["location"] == "/"
        assert answer.cookie.value

    def test_signing_out_ends_the_sign_in_and_deletes_the_cookies(self) -> None:
        answer = ask(self.app, "/session/end", method="POST", headers={"cookie": "session=abc"})
        assert (answer.status, answer.headers["location"]) == (303, "/")
        assert self.ended == [("abc", None, "127.0.0.1")]
        for name in ("session", "role_choice"):
            assert (answer.cookies[name].value, answer.cookies[name]["max-age"]) == ("", "0")
            assert answer.cookies[name]["path"] == "/"

    def test_a_browser_that_could_choose_a_role_can_do_so_again_with_another_right(self) -> None:
        cookies = {"cookie": "session=abc; role_choice=old"}
        answer = ask(self.app, "/session/end", method="POST", headers=cookies)
        assert self.ended == [("abc", "old", "127.0.0.1")]
        right = answer.cookies["role_choice"]
        assert right.value == "another-right"
        assert right["httponly"]
        assert right["samesite"] == "lax"

    @pytest.mark.parametrize(
        "headers",
        [
            {"sec-fetch-site": "cross-site"},
            {"sec-fetch-site": "same-site"},
            {"origin": "https://elsewhere.example"},
            {"origin": "null"},
        ],
    )
    def test_another_site_signs_nobody_out(self, headers: dict[str, str]) -> None:
        answer = ask(
            self.app, "/session/end", method="POST", headers={"cookie": "session=abc"} | headers
        )
        assert answer.status == 403
        assert "set-cookie" not in answer.headers
        assert not self.ended

    def test_our_own_page_signs_out_also_in_a_browser_that_names_the_origin_alone(self) -> None:
        own = {"origin": "http://localhost:8501", "host": "localhost:8501"}
        assert ask(self.app, "/session/end", method="POST", headers=own).status == 303

    @pytest.mark.parametrize(
        ("path", "method"), [("/session/begin", "POST"), ("/session/end", "GET")]
    )
    def test_no_other_method_is_answered(self, path: str, method: str) -> None:
        assert ask(self.app, path, method=method).status == 405
        assert not self.ended

    def assert_sent_home(self, answer: Answer) -> None:
        assert (answer.status, answer.headers["location"]) == (303, "/")
        assert "set-cookie" not in answer.headers


async def inner(scope: Scope, receive: Receive, send: Send) -> None:
    """Stand for the app behind the guard: it answers whatever reaches it."""
    await receive()
    await send({"type": "reached", "status": 200, "kind": scope["type"]})


class TestLoopbackOnly:
    @pytest.mark.parametrize("kind", ["http", "websocket"])
    @pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"])
    def test_this_machine_gets_through(self, kind: str, address: str) -> None:
        answer = ask(LoopbackOnly(inner), kind=kind, client=(address, 5000))
        assert answer.sent == [{"type": "reached", "status": 200, "kind": kind}]

    STRANGERS = pytest.mark.parametrize(
        "client",
        [("192.168.1.5", 1), ("8.8.8.8", 1), ("::ffff:8.8.8.8", 1), ("", 0), ("proxy", 1), None],
    )

    @STRANGERS
    def test_a_stranger_gets_403_as_json(self, client: tuple[str, int] | None) -> None:
        answer = ask(LoopbackOnly(inner), client=client)
        assert answer.status == 403
        error = json.loads(answer.body)["error"]
        assert error["code"] == "forbidden"
        assert "only to the machine it runs on" in error["message"]

    @STRANGERS
    def test_a_stranger_gets_no_websocket(self, client: tuple[str, int] | None) -> None:
        answer = ask(LoopbackOnly(inner), kind="websocket", client=client)
        assert answer.sent == [{"type": "websocket.close", "code": 1008}]

    def test_the_start_and_stop_of_the_app_pass(self) -> None:
        answer = ask(LoopbackOnly(inner), kind="lifespan", client=None)
        assert answer.sent[0]["kind"] == "lifespan"
