"""What PostgREST, or a server before it, says when it refuses, as the transport's errors."""

import re
from typing import Any

import httpx

from services.database.transport import (
    DISK_FULL,
    DatabaseError,
    DatabaseRefused,
    DiskFull,
    TemporaryDatabaseError,
)
from services.database.transports.postgres import REFUSED_STATES, TEMPORARY_STATES

SQLSTATE = re.compile(r"[0-9A-Z]{5}")
# Nothing was sent, so nothing was done.
UNREACHABLE = "unreachable"
UNKNOWN_NAME = "42P01"
NO_SUCH_FUNCTION = "PGRST202"
NO_PERMISSION = "42501"
BUSY = {httpx.codes.REQUEST_TIMEOUT, httpx.codes.TOO_EARLY, httpx.codes.TOO_MANY_REQUESTS}
SHUT_OUT = {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}

WRONG_KEY = (
    "Supabase does not let the billing system in. Check SUPABASE_SERVICE_KEY: it must be the "
    "secret service_role key of the project in SUPABASE_URL, not the anon or publishable one."
)


def as_database_error(response: httpx.Response) -> DatabaseError:
    """The transport's error for an answer that is no success; it never holds what was sent."""
    said = _said(response)
    code = str(said.get("code") or response.status_code)
    message = said.get("message") or f"The database answered with status {response.status_code}."
    detail = said.get("details") or None
    state = code if SQLSTATE.fullmatch(code) and not code.startswith("PGRST") else ""
    if state == DISK_FULL:
        return DiskFull()
    if state.startswith(TEMPORARY_STATES):
        return TemporaryDatabaseError(code, message, detail=detail)
    if state.startswith(REFUSED_STATES):
        return DatabaseRefused(code, message, detail=detail)
    if response.status_code in SHUT_OUT or state == NO_PERMISSION:
        return DatabaseError(code, WRONG_KEY, detail=message)
    if state or not _may_pass(response.status_code):
        return DatabaseError(code, message, detail=detail)
    return TemporaryDatabaseError(code, message, detail=detail)


def unknown_name(name: str) -> DatabaseError:
    """The error for what cannot be the name of a view, a column or a function."""
    return DatabaseError(UNKNOWN_NAME, f"The database has nothing by the name {name!r}.")


def _may_pass(status: int) -> bool:
    return status >= 500 or status in BUSY


def _said(response: httpx.Response) -> dict[str, Any]:
    """PostgREST's own words; a page of a server before it has none for people."""
    try:
        said = response.json()
    except ValueError:
        return {}
    if not isinstance(said, dict):
        return {}
    return {name: str(said[name]) for name in ("code", "message", "details") if said.get(name)}
