"""The route of reports: who gets which file, and that nothing is left lying about."""

import tempfile
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from services.identity.auth import NotSignedIn, Principal
from services.identity.permissions import Role
from services.reports.definitions import Asked
from services.reports.reports import FileKind, UnknownReport
from services.web.asgi import SESSION_COOKIE
from services.web.report_route import report_address, report_route

NOW = datetime(2026, 3, 15, 12, tzinfo=UTC)
OCTOBER = Asked(date(2025, 10, 1), date(2025, 11, 1))
ADDRESS = report_address("register", OCTOBER, "csv")


def verify(token: str, _: datetime) -> Principal:
    if not token:
        raise NotSignedIn("Sign in first.")
    return Principal(token, frozenset({Role(token)}), None, "token")


def write(path: Path, *, name: str, asked: Asked, kind: FileKind, principal: Principal) -> None:
    assert principal.user == "auditor"
    if name != "register":
        raise UnknownReport(name)
    path.write_text(f"{name} {asked.start} {asked.until} {kind}")


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return TestClient(Starlette(routes=[report_route(verify=verify, now=lambda: NOW, write=write)]))


@pytest.mark.parametrize(
    ("token", "address", "status", "said"),
    [
        ("auditor", ADDRESS, 200, "register 2025-10-01 2025-11-01 csv"),
        ("auditor", ADDRESS.replace("csv", "xlsx"), 200, "2025-11-01 xlsx"),
        ("auditor", ADDRESS.replace("csv", "exe"), 404, "no such report"),
        ("auditor", ADDRESS.replace("register", "gossip"), 404, "no such report"),
        ("auditor", ADDRESS.replace("10-01", "10-41"), 400, "from which day"),
        ("auditor", "/report-file/register.csv", 400, "from which day"),
        ("engineer", ADDRESS, 403, "Only who may see the books"),
        ("", ADDRESS, 401, "Sign in first"),
    ],
)
def test_who_gets_what(
    client: TestClient, token: str, address: str, status: int, said: str
) -> None:
    client.cookies.set(SESSION_COOKIE, token)
    answer = client.get(address)
    assert answer.status_code == status
    assert said in answer.text
    assert answer.headers["cache-control"] == "no-store"
    if status == 200:
        assert "register-2025-10-01-2025-11-01" in answer.headers["content-disposition"]
    assert list(Path(tempfile.gettempdir()).iterdir()) == []
