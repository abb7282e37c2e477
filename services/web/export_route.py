"""The route by which an administrator's browser fetches a full export, straight from the disk."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

from services.identity.auth import (
    NotAllowed,
    NotSignedIn,
    Principal,
    SignInUnavailable,
)
from services.web.asgi import SESSION_COOKIE

EXPORT_PATH: Final = "/export-file"


class PathOf(Protocol):
    """Where an export lies, or None; raises NotAllowed for who is no administrator."""

    def __call__(self, name: str, *, principal: Principal) -> Path | None:
        """The path of the export of this name."""
        ...


def export_route(
    *,
    verify: Callable[[str, datetime], Principal],
    now: Callable[[], datetime],
    path_of: PathOf,
) -> Route:
    """Return `GET /export-file/NAME`, which sends an export without holding it in memory."""

    async def download(request: Request) -> Response:
        headers = {"Cache-Control": "no-store"}
        name = request.path_params["name"]
        token = request.cookies.get(SESSION_COOKIE, "")
        try:
            principal = await run_in_threadpool(verify, token, now())
            path = await run_in_threadpool(path_of, name, principal=principal)
        except (NotSignedIn, SignInUnavailable):
            return _said("Sign in first, then download the export again.", 401)
        except NotAllowed:
            return _said("Only an administrator may download an export.", 403)
        if path is None:
            return _said("There is no such export any more: make another on the page Export.", 404)
        return FileResponse(path, filename=name, media_type="application/zip", headers=headers)

    return Route(f"{EXPORT_PATH}/{{name}}", download, methods=["GET"])


def _said(sentence: str, status: int) -> Response:
    return PlainTextResponse(sentence, status_code=status, headers={"Cache-Control": "no-store"})
