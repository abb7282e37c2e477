"""The route by which a browser fetches a report as a file, which is made on the disk."""

import os
import tempfile
from collections.abc import Callable, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Final, Protocol, get_args

from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

from services.identity.auth import (
    NotAllowed,
    NotSignedIn,
    Principal,
    SignInUnavailable,
    require,
)
from services.identity.permissions import Permission
from services.reports.definitions import Asked
from services.reports.reports import FileKind, UnknownReport
from services.web.asgi import SESSION_COOKIE

REPORT_PATH: Final = "/report-file"
MIME: Final[dict[FileKind, str]] = {
    "csv": "text/csv",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


_REFUSALS: Final[Mapping[type[Exception], tuple[int, str]]] = {
    NotSignedIn: (401, "Sign in first, then download the report again."),
    SignInUnavailable: (401, "Sign in first, then download the report again."),
    NotAllowed: (403, "Only who may see the books may download a report."),
    UnknownReport: (404, "There is no such report."),
    KeyError: (400, "Say from which day to which: from=2026-10-01&until=2026-11-01."),
    ValueError: (400, "Say from which day to which: from=2026-10-01&until=2026-11-01."),
}


class WriteReport(Protocol):
    """Writes a report to a path; raises NotAllowed, UnknownReport."""

    def __call__(
        self, path: Path, *, name: str, asked: Asked, kind: FileKind, principal: Principal
    ) -> None:
        """Write the report of this name."""
        ...


def report_address(name: str, asked: Asked, kind: FileKind) -> str:
    """Where a report lies as a file."""
    return f"{REPORT_PATH}/{name}.{kind}?from={asked.start}&until={asked.until}"


def report_route(
    *,
    verify: Callable[[str, datetime], Principal],
    now: Callable[[], datetime],
    write: WriteReport,
) -> Route:
    """Return `GET /report-file/NAME.KIND?from&until`, which makes and sends a report.

    The whole file is made first: one that cannot be finished is not sent.
    """

    def made(request: Request) -> tuple[Path, str, FileKind]:
        principal = verify(request.cookies.get(SESSION_COOKIE, ""), now())
        require(principal, Permission.VIEW_BOOKS)
        name, _, ending = request.path_params["name"].rpartition(".")
        kind = next((k for k in get_args(FileKind) if k == ending), None)
        if kind is None:
            raise UnknownReport("A report is a .csv or an .xlsx.")
        asked = Asked(*(date.fromisoformat(request.query_params[d]) for d in ("from", "until")))
        handle, path = tempfile.mkstemp(prefix="report-", suffix=f".{kind}")
        os.close(handle)
        try:
            write(Path(path), name=name, asked=asked, kind=kind, principal=principal)
        except BaseException:
            Path(path).unlink()
            raise
        return Path(path), f"{name}-{asked.start}-{asked.until}.{kind}", kind

    async def download(request: Request) -> Response:
        try:
            path, name, kind = await run_in_threadpool(made, request)
        except tuple(_REFUSALS) as error:
            return _refused(error)
        return FileResponse(
            path,
            filename=name,
            media_type=MIME[kind],
            headers={"Cache-Control": "no-store"},
            background=BackgroundTask(path.unlink, missing_ok=True),
        )

    return Route(f"{REPORT_PATH}/{{name}}", download, methods=["GET"])


def _refused(error: Exception) -> Response:
    status, sentence = next(said for kind, said in _REFUSALS.items() if isinstance(error, kind))
    headers = {"Cache-Control": "no-store"}
    return PlainTextResponse(sentence, status_code=status, headers=headers)
