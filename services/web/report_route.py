"""The route by which a browser fetches a report as a file, which is sent as it is made."""

import logging
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import Final, Protocol, get_args

from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from services.database.errors import StillWorkingOut
from services.identity.auth import (
    NotAllowed,
    NotSignedIn,
    Principal,
    SignInUnavailable,
    require,
)
from services.identity.permissions import Permission
from services.integrations.http import ServiceUnavailable
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
    ServiceUnavailable: (503, "The graph that knows of losses is away. Try again later."),
    KeyError: (400, "Say from which day to which: from=2026-10-01&until=2026-11-01."),
    ValueError: (400, "Say from which day to which: from=2026-10-01&until=2026-11-01."),
}
log = logging.getLogger(__name__)


class WriteReport(Protocol):
    """Writes a report to a path; raises NotAllowed, UnknownReport, StillWorkingOut.

    `accept_language` is what the browser sent: who chose no language reads that one.
    """

    def __call__(
        self, path: Path, *, name: str, asked: Asked, principal: Principal, accept_language: str
    ) -> None:
        """Write the report of this name as a workbook."""
        ...


class ReportPieces(Protocol):
    """A report as CSV in pieces; raises NotAllowed, UnknownReport, StillWorkingOut."""

    def __call__(
        self, *, name: str, asked: Asked, principal: Principal, accept_language: str
    ) -> Iterator[bytes]:
        """The pieces of the report of this name, each made when it is asked for."""
        ...


def report_address(name: str, asked: Asked, kind: FileKind) -> str:
    """Where a report lies as a file."""
    return f"{REPORT_PATH}/{name}.{kind}?from={asked.start}&until={asked.until}"


def report_route(
    *,
    verify: Callable[[str, datetime], Principal],
    now: Callable[[], datetime],
    write: WriteReport,
    pieces: ReportPieces,
) -> Route:
    """Return `GET /report-file/NAME.KIND?from&until`, which makes and sends a report.

    A CSV is sent as it is made. Its first piece is made before anything is sent, so that what is
    refused is refused with a sentence; where a later one fails the connection is broken off, and
    the browser says that the file is not whole. A workbook is made on the disk first.
    """

    def made(request: Request) -> Response:
        principal = verify(request.cookies.get(SESSION_COOKIE, ""), now())
        require(principal, Permission.VIEW_BOOKS)
        name, _, ending = request.path_params["name"].rpartition(".")
        kind = next((k for k in get_args(FileKind) if k == ending), None)
        if kind is None:
            raise UnknownReport("A report is a .csv or an .xlsx.")
        asked = Asked(*(date.fromisoformat(request.query_params[d]) for d in ("from", "until")))
        headers = {"Cache-Control": "no-store"}
        file_name = f"{name}-{asked.start}-{asked.until}.{kind}"
        spoken = request.headers.get("Accept-Language", "")
        if kind == "csv":
            some = pieces(name=name, asked=asked, principal=principal, accept_language=spoken)
            first = next(some)
            headers["Content-Disposition"] = f'attachment; filename="{file_name}"'
            return StreamingResponse(
                _whole(first, some, name), media_type=MIME[kind], headers=headers
            )
        path = _written(
            partial(write, name=name, asked=asked, principal=principal, accept_language=spoken)
        )
        return FileResponse(
            path,
            filename=file_name,
            media_type=MIME[kind],
            headers=headers,
            background=BackgroundTask(path.unlink, missing_ok=True),
        )

    async def download(request: Request) -> Response:
        try:
            return await run_in_threadpool(made, request)
        except StillWorkingOut as error:
            return _said(503, str(error))
        except tuple(_REFUSALS) as error:
            return _said(*next(said for kind, said in _REFUSALS.items() if isinstance(error, kind)))

    return Route(f"{REPORT_PATH}/{{name}}", download, methods=["GET"])


def _whole(first: bytes, others: Iterator[bytes], name: str) -> Iterator[bytes]:
    yield first
    try:
        yield from others
    except Exception:
        # The status is sent already: what is left is to let nobody take a part for the whole.
        log.exception("the report %s broke off", name)
        raise


def _written(write: Callable[[Path], None]) -> Path:
    handle, path = tempfile.mkstemp(prefix="report-", suffix=".xlsx")
    os.close(handle)
    try:
        write(Path(path))
    except BaseException:
        Path(path).unlink()
        raise
    return Path(path)


def _said(status: int, sentence: str) -> Response:
    headers = {"Cache-Control": "no-store"}
    return PlainTextResponse(sentence, status_code=status, headers=headers)
