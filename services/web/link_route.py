"""The route behind the link of the terminal, and how the start shows that link."""

import os
import sys
import threading
import webbrowser
from collections.abc import Callable
from datetime import datetime
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from services.identity.passwordless import LINK_PATH, RENEWAL_LIFETIME

CHOICE_COOKIE: Final = "role_choice"
# The query by which the sign-in page learns that a link was of no use.
USED_LINK: Final = "used"

_SERVER_ANSWERS_AFTER_SECONDS: Final = 1.0


def link_route(
    *, redeem: Callable[[str, datetime], str | None], now: Callable[[], datetime]
) -> Route:
    """Return `GET /session/link?code=…`, which lets this browser choose a role.

    `redeem` uses the code up and answers the right to keep in the cookie, or None.
    """

    async def link(request: Request) -> Response:
        headers = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
        # Only a person's click counts: a preview would use the link up.
        purpose = request.headers.get("sec-purpose", request.headers.get("purpose", ""))
        if request.method != "GET" or "prefetch" in purpose:
            return Response(status_code=204, headers=headers)
        code = request.query_params.get("code", "")
        right = await run_in_threadpool(redeem, code, now())
        if right is None:
            return RedirectResponse(f"/?sign-in={USED_LINK}", status_code=303, headers=headers)
        response = RedirectResponse("/", status_code=303, headers=headers)
        set_choice(response, right, secure=request.url.scheme == "https")
        return response

    return Route(LINK_PATH, link, methods=["GET"])


def set_choice(response: Response, right: str, *, secure: bool) -> None:
    """Let a response keep the right to choose a role where no script can read it; "" ends it."""
    response.set_cookie(
        CHOICE_COOKIE,
        right,
        max_age=int(RENEWAL_LIFETIME.total_seconds()) if right else 0,
        path="/",
        secure=secure,
        httponly=True,
        samesite="lax",
    )


def show_link(make: Callable[[], str], *, headless: bool) -> None:
    """Print a sign-in link on a line of its own and, on a desktop, open another in the browser."""
    _say_last(
        f"  Sign in with this link (it works once): {make()}\n"
        "  Another one: .venv/bin/python -m services sign-in\n\n"
    )
    if not headless and _on_a_desktop():
        _later(webbrowser.open, make())


def tell_where_to_sign_in(address: str) -> None:
    """Print where people sign in, once they have passwords."""
    _say_last(
        f"  Sign in at {address}\n"
        "  Forgot the password of an administrator: "
        ".venv/bin/python -m services sign-in --recover NAME\n\n"
    )


def _say_last(text: str) -> None:
    """Print what people need below the server's own words, which it says once it answers."""
    _later(_print, text)


def _print(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _later(do: Callable[[str], object], what: str) -> None:
    # The server answers a moment after the start is over.
    timer = threading.Timer(_SERVER_ANSWERS_AFTER_SECONDS, do, [what])
    timer.daemon = True
    timer.start()


def _on_a_desktop() -> bool:
    """Whether a person sits at this terminal with a screen on which a browser can open."""
    if not sys.stdout.isatty() or "SSH_CONNECTION" in os.environ:
        return False
    screens = {"DISPLAY", "WAYLAND_DISPLAY"}
    return sys.platform == "darwin" or any(os.environ.get(name) for name in screens)
