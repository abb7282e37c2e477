"""The log of requests: what was asked for, and nothing that stood behind the question mark."""

import logging

import pytest
from flask import Flask, Response

from services.web.request_log import log_requests

TOKEN = "T0ken-of-a-link-that-lets-people-in"


def shown() -> Response:
    return Response("shown")


def failing() -> Response:
    raise RuntimeError("something of ours")


@pytest.mark.parametrize("path", ["/my/open?k=", "/nowhere?k=", "/nowhere/", "/failing?k="])
def test_no_line_has_the_token_of_a_link(path: str, caplog: pytest.LogCaptureFixture) -> None:
    app = Flask("a")
    log_requests(app)
    app.add_url_rule("/my/open", view_func=shown)
    app.add_url_rule("/failing", view_func=failing)
    with caplog.at_level(logging.DEBUG):
        app.test_client().get(path + TOKEN, headers={"Referer": f"https://a.example/?k={TOKEN}"})
    lines = [record for record in caplog.records if record.name.startswith("services")]
    assert lines
    assert not any(TOKEN in str(vars(record)) for record in lines)
