"""An address of several parts leads to a page only where a route of its own takes it."""

from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient
from streamlit import file_util
from streamlit.web.server.starlette.starlette_static_routes import (
    create_streamlit_static_assets_routes,
)

from services.web.nowhere import Nowhere

SCRIPT = next(Path(file_util.get_static_dir()).glob("static/js/index.*.js"))


async def own(_: Request) -> Response:
    return HTMLResponse("<p>Ours</p>")


def client() -> TestClient:
    routes = [Route("/sign-in/{name}", own), *create_streamlit_static_assets_routes(None)]
    return TestClient(Starlette(routes=routes, middleware=[Middleware(Nowhere)]))


@pytest.mark.parametrize("path", ["/a/b", "/bills/12", "/a/b/c", "/a/b.html", "/static/none.js"])
def test_there_is_no_page_under_an_address_of_several_parts(path: str) -> None:
    answer = client().get(path)
    assert answer.status_code == 404
    assert "This page does not exist" in answer.text
    assert client().head(path).status_code == 404


@pytest.mark.parametrize("path", ["/", "/bills", "/a"])
def test_streamlit_answers_where_a_page_may_be(path: str) -> None:
    answer = client().get(path)
    assert answer.status_code == 200
    assert "prerenderReady" in answer.text


def test_what_has_a_route_of_its_own_is_passed_on() -> None:
    assert client().get("/sign-in/first").text == "<p>Ours</p>"
    script = client().get(f"/static/js/{SCRIPT.name}")
    assert (script.status_code, script.content) == (200, SCRIPT.read_bytes())
    assert client().post("/a/b").status_code == 405
