"""The answer under an address of several parts, such as /a/b, where no page can be.

Streamlit sends its page for every address. Under one of several parts the page would look for its
scripts beside it and stay empty.
"""

from typing import Final

from starlette.datastructures import Headers
from starlette.responses import HTMLResponse
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# The route that takes whatever no other does.
_FALLBACK: Final = "static-assets"
_TEXT: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>This page does not exist</title>
<link rel="stylesheet" href="/sign-in/sign-in.css">
</head>
<body>
<main>
<h1>This page does not exist</h1>
<p>Its address may be mistyped, or the page has moved.</p>
<p><a href="/">Go to my pages</a></p>
</main>
</body>
</html>
"""


class Nowhere:
    """ASGI middleware: says that there is no such page, with the status 404."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on all that leads somewhere."""
        if scope["type"] != "http" or not _may_be_nowhere(scope):
            await self._app(scope, receive, send)
            return
        is_page = False

        async def unless_page(message: Message) -> None:
            nonlocal is_page
            if message["type"] == "http.response.start":
                # Streamlit's own files have as many parts, and none of them is a page.
                is_page = (
                    Headers(raw=message["headers"]).get("content-type", "").startswith("text/html")
                )
            if not is_page:
                await send(message)

        await self._app(scope, receive, unless_page)
        if is_page:
            await HTMLResponse(_TEXT, status_code=404)(scope, receive, send)


def _may_be_nowhere(scope: Scope) -> bool:
    """Whether an address has several parts, and nothing but the fallback takes it."""
    if "/" not in scope["path"].strip("/"):
        return False
    takes = [route for route in scope["app"].routes if route.matches(scope)[0] is not Match.NONE]
    return [getattr(route, "name", None) for route in takes] == [_FALLBACK]
