"""Requests of a page of our own: the session's cookie counts only with proof of where they began.

A browser sends the cookie whoever made it ask. So a request must come from a page of this site, and
name a token that only a page of this site could read.
"""

import hashlib
import hmac
from typing import Final
from urllib.parse import urlsplit

from flask import Request

from services.identity.auth import NotAllowed
from services.web.asgi import SESSION_COOKIE

TOKEN_HEADER: Final = "X-Page-Token"  # noqa: S105 - the header's name
_PURPOSE: Final = b"requests of a page of our own"
_STRANGE: Final = "This request does not come from a page of this system. Load the page again."


def page_token(session: str) -> str:
    """The token that the pages of a session send along; who does not know the session has none."""
    return hmac.new(session.encode(), _PURPOSE, hashlib.sha256).hexdigest()


def session_asking(request: Request) -> str | None:
    """The session whose page reads something; None without a cookie.

    Another site may make a browser ask, but never sees the answer. Raises NotAllowed when it does.
    """
    session = request.cookies.get(SESSION_COOKIE)
    if session and not is_from_this_site(request):
        raise NotAllowed(_STRANGE)
    return session or None


def session_changing(request: Request) -> str | None:
    """The session whose page changes something; None without a cookie.

    Raises NotAllowed unless the request comes from this site and has the page's token.
    """
    session = session_asking(request)
    if session is None:
        return None
    shown = request.headers.get(TOKEN_HEADER, "")
    if not hmac.compare_digest(shown.encode(), page_token(session).encode()):
        raise NotAllowed(_STRANGE)
    return session


def is_from_this_site(request: Request) -> bool:
    """Whether a page of this site makes the request; without a word on that only a GET may be."""
    if (site := request.headers.get("Sec-Fetch-Site")) is not None:
        return site == "same-origin"
    # Browsers too old to say so name the origin of whatever changes something.
    origin = request.headers.get("Origin")
    if origin is None:
        return request.method == "GET"
    return urlsplit(origin).netloc == request.host
