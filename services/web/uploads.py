"""Who may upload a file: Streamlit's route takes one from any visit, signed in or not."""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from services.database.transport import DatabaseError
from services.identity.auth import NotAllowed, NotSignedIn, Principal, SignInUnavailable

UPLOAD_PATH: Final = "/_stcore/upload_file/"


class UploadGuard:
    """ASGI middleware that turns uploads of strangers away before their bytes are read.

    `token_of` says under which token a visit may upload, `verify` whether it still holds.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        token_of: Callable[[str], str | None],
        verify: Callable[[str, datetime], Principal],
        now: Callable[[], datetime],
    ) -> None:
        self._app = app
        self._token_of = token_of
        self._verify = verify
        self._now = now

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on but the uploads of those who are not signed in."""
        _, is_upload, rest = scope.get("path", "").partition(UPLOAD_PATH)
        if scope["type"] == "http" and is_upload and scope["method"] != "OPTIONS":
            visit = rest.split("/")[0]
            if not await run_in_threadpool(self._may_upload, visit):
                headers = {"Connection": "close", "Cache-Control": "no-store"}
                refusal = PlainTextResponse("Sign in first.", status_code=403, headers=headers)
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _may_upload(self, visit: str) -> bool:
        token = self._token_of(visit)
        if token is None:
            return False
        try:
            self._verify(token, self._now())
        except (NotSignedIn, NotAllowed, SignInUnavailable, DatabaseError):
            return False
        return True
