"""Each request of the API in the log and in the figures, under an id that its answer tells."""

import logging
import re
import time
from typing import Final
from uuid import uuid4

from flask import Flask, Response, g, request

from services.telemetry import context
from services.telemetry.measures import NO_ROUTE, count_request

log = logging.getLogger(__name__)

HEADER: Final = "X-Request-Id"
# Asked for every few seconds by those who watch; only its failures are of interest.
_WATCHED: Final = {"/api/health", "/api/metrics"}
_GIVEN: Final = re.compile(r"[A-Za-z0-9_-]{8,64}")


def new_request_id() -> str:
    """An id that no other request has."""
    return uuid4().hex


def log_requests(app: Flask) -> None:
    """Let every request of `app` have an id, a line in the log, and its place in the figures."""
    app.before_request(_begin)
    app.after_request(_end)


def log_refused(*, code: str, status: int, request_id: str) -> None:
    """Log a request that was turned away before the app saw it."""
    said = {"request_id": request_id, "status": status, "code": code}
    log.warning("a request was turned away: %s", code, extra=said)
    count_request(route=NO_ROUTE, method="other", status=status, seconds=0)


def _begin() -> None:
    given = request.headers.get(HEADER, "")
    # One of a proxy's is kept, so that its log and ours can be put side by side.
    context.begin(request_id=given if _GIVEN.fullmatch(given) else new_request_id())
    g.began = time.monotonic()


def _end(answer: Response) -> Response:
    seconds = time.monotonic() - g.began if "began" in g else 0.0
    route = str(request.url_rule.rule) if request.url_rule is not None else NO_ROUTE
    status, method = answer.status_code, request.method
    count_request(route=route, method=method, status=status, seconds=seconds)
    if "principal" in g:
        context.bind(actor=g.principal.user)
    said = {"method": method, "route": route, "status": status, "ms": round(seconds * 1000)}
    # A flood of one refusal must not hide the others.
    said["storm"] = f"{route} {status}"
    if status >= 500:
        log.error("%s %s failed: %s", method, route, _code(answer), extra=said)
    elif status >= 400:
        log.warning("%s %s refused: %s", method, route, _code(answer), extra=said)
    else:
        level = logging.DEBUG if route in _WATCHED else logging.INFO
        log.log(level, "%s %s %d", method, route, status, extra={**said, "every": True})
    answer.headers[HEADER] = context.current_ids()["request_id"]
    return answer


def _code(answer: Response) -> str:
    """The code that the answer gives programs; never its sentence, which may repeat what came."""
    body = answer.get_json(silent=True) if answer.is_json else None
    error = body.get("error") if isinstance(body, dict) else None
    code = error.get("code") if isinstance(error, dict) else None
    return f"{answer.status_code} {code}" if isinstance(code, str) else str(answer.status_code)
