"""Around st.login: the way back to the page that was left, a word on failures, one sign-out."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from http.cookies import SimpleCookie
from urllib.parse import quote

import pytest
from starlette.types import Message, Receive, Scope, Send

from services.web.sign_in import AroundSignIn

PUBLIC = "https://billing.example"
USER = "_streamlit_user=signed; HttpOnly; Max-Age=2592000; Path=/; SameSite=lax"
NO_USER = '_streamlit_user=""; expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; Path=/'


class Answer:
    """What came through the middleware."""

    def __init__(self, sent: list[Message]) -> None:
        (head,) = [message for message in sent if message["type"] == "http.response.start"]
        self.status: int = head["status"]
        headers = [(name.decode(), value.decode()) for name, value in head["headers"]]
        self.location = dict(headers).get("location")
        self.cookies = SimpleCookie()
        for name, value in headers:
            if name == "set-cookie":
                self.cookies.load(value)
        self.body = b"".join(message.get("body", b"") for message in sent)


def ask(
    path: str,
    *,
    status: int = 302,
    location: str = "/",
    set_cookie: str | None = None,
    query: str = "",
    **headers: str,
) -> Answer:
    """Ask for a path behind which Streamlit answers in this way."""
    inside = [(b"location", location.encode())] if status < 400 else []
    inside += [(b"set-cookie", set_cookie.encode())] if set_cookie else []
    scope: Scope = {
        "type": "http",
        "method": "GET",
        "scheme": "https",
        "path": path,
        "query_string": query.encode(),
        "headers": [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()],
        "server": ("billing.example", 443),
    }
    sent: list[Message] = []

    async def streamlit(_: Scope, __: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": status, "headers": list(inside)})
        await send({"type": "http.response.body", "body": b"Authentication error"})

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)

    async def call() -> None:
        await AroundSignIn(streamlit, public_url=PUBLIC)(scope, receive, send)

    # In a thread of its own: a browser test may keep an event loop running in this one.
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, call()).result()
    return Answer(sent)


def way_back(path: str) -> str:
    return f"way_back={quote(path, safe='')}"


@pytest.mark.parametrize("path", ["/bills?month=2026-02&q=a%20b", "/bill?id=7", "/", "/jobs"])
def test_whoever_leaves_a_page_to_sign_in_comes_back_to_it(path: str) -> None:
    left = ask("/auth/login", location="https://tenant.example/", referer=f"{PUBLIC}{path}")
    kept = left.cookies["way_back"]
    assert left.location == "https://tenant.example/"
    assert kept["httponly"]
    assert kept["secure"]
    assert kept["samesite"] == "lax"
    back = ask("/oauth2callback", set_cookie=USER, cookie=f"way_back={kept.value}")
    assert back.location is not None
    assert back.location.replace("+", "%20") == path
    assert back.cookies["way_back"]["max-age"] == "0"
    assert back.cookies["_streamlit_user"].value == "signed"


@pytest.mark.parametrize(
    "referer",
    ["", "https://elsewhere.example/bills", "http://billing.example/bills", "https://[", "bills"],
)
def test_another_sites_page_is_no_way_back(referer: str) -> None:
    assert ask("/auth/login", referer=referer).cookies["way_back"].value == quote("/", safe="")


@pytest.mark.parametrize(
    "path", ["//elsewhere.example", "https://elsewhere.example", "/\\elsewhere.example", "/a\r\nb"]
)
def test_a_way_back_that_somebody_made_up_leads_nowhere_else(path: str) -> None:
    assert ask("/oauth2callback", set_cookie=USER, cookie=way_back(path)).location == "/"


def test_without_a_way_back_the_first_page_opens() -> None:
    assert ask("/oauth2callback", set_cookie=USER).location == "/"


@pytest.mark.parametrize(
    ("query", "problem"), [("error=access_denied", "refused"), ("code=abc", "unreachable")]
)
def test_a_sign_in_that_failed_leads_back_with_the_problem(query: str, problem: str) -> None:
    answer = ask("/oauth2callback", query=query, set_cookie=NO_USER, cookie=way_back("/bills?a=1"))
    assert answer.location == f"/bills?a=1&sign-in={problem}"


def test_the_problem_is_not_part_of_the_next_way_back() -> None:
    answer = ask("/auth/login", referer=f"{PUBLIC}/bills?sign-in=refused")
    assert answer.cookies["way_back"].value == quote("/bills", safe="")


def test_a_tenant_that_is_away_is_told_on_the_page_that_was_left() -> None:
    answer = ask("/auth/login", status=400, referer=f"{PUBLIC}/bills")
    assert (answer.status, answer.location) == (303, "/bills?sign-in=unreachable")
    assert answer.body == b""


def test_coming_back_from_signing_out_is_no_problem() -> None:
    assert ask("/oauth2callback").location == "/"


def test_signing_out_ends_the_sign_in_of_the_form_too() -> None:
    answer = ask("/auth/logout", location="https://tenant.example/logout", set_cookie=NO_USER)
    assert answer.location == "https://tenant.example/logout"
    assert answer.cookies["session"]["max-age"] == "0"
    assert answer.cookies["_streamlit_user"]["max-age"] == "0"


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_another_site_signs_nobody_out(site: str) -> None:
    answer = ask("/auth/logout", location="https://tenant.example/logout", sec_fetch_site=site)
    assert answer.status == 403
    assert not answer.cookies


def test_every_other_path_passes_untouched() -> None:
    answer = ask("/bills", set_cookie=USER, referer=f"{PUBLIC}/bills")
    assert set(answer.cookies) == {"_streamlit_user"}
    assert answer.body == b"Authentication error"
