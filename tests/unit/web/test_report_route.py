"""The route of reports: who gets which file, and that nothing is left lying about."""

import tempfile
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from services.database.errors import DatabaseError, StillWorkingOut
from services.identity.auth import NotSignedIn, Principal
from services.identity.permissions import Role
from services.reports.definitions import Asked
from services.reports.reports import UnknownReport
from services.web.asgi import SESSION_COOKIE
from services.web.report_route import report_address, report_route

NOW = datetime(2026, 3, 15, 12, tzinfo=UTC)
OCTOBER = Asked(date(2025, 10, 1), date(2025, 11, 1))
SPOKEN = "sw, en;q=0.5"
ADDRESS = report_address("register", OCTOBER, "csv")


def verify(token: str, _: datetime) -> Principal:
    if not token:
        raise NotSignedIn("Sign in first.")
    return Principal(token, frozenset({Role(token)}), None, "token")


def write(
    path: Path, *, name: str, asked: Asked, principal: Principal, accept_language: str
) -> None:
    given: dict[str, Any] = {"name": name, "asked": asked, "principal": principal}
    path.write_bytes(b"".join(pieces(**given, accept_language=accept_language)))


def pieces(
    *, name: str, asked: Asked, principal: Principal, accept_language: str
) -> Iterator[bytes]:
    assert accept_language == SPOKEN
    assert principal.user == "auditor"
    if name == "receivables":
        raise StillWorkingOut("October is being worked out.")
    if name not in ("register", "broken"):
        raise UnknownReport(name)
    yield f"{name} {asked.start} ".encode()
    if name == "broken":
        raise DatabaseError("08006", "The database went away.")
    yield str(asked.until).encode()


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    route = report_route(verify=verify, now=lambda: NOW, write=write, pieces=pieces)
    return TestClient(Starlette(routes=[route]), headers={"Accept-Language": SPOKEN})


@pytest.mark.parametrize(
    ("token", "address", "status", "said"),
    [
        ("auditor", ADDRESS, 200, "register 2025-10-01 2025-11-01"),
        ("auditor", ADDRESS.replace("csv", "xlsx"), 200, "2025-11-01"),
        ("auditor", ADDRESS.replace("csv", "exe"), 404, "no such report"),
        ("auditor", ADDRESS.replace("register", "gossip"), 404, "no such report"),
        ("auditor", ADDRESS.replace("10-01", "10-41"), 400, "from which day"),
        ("auditor", "/report-file/register.csv", 400, "from which day"),
        ("auditor", ADDRESS.replace("register", "receivables"), 503, "being worked out"),
        ("auditor", ADDRESS.replace("register.csv", "receivables.xlsx"), 503, "worked out"),
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


def test_a_part_is_never_taken_for_the_whole(client: TestClient) -> None:
    client.cookies.set(SESSION_COOKIE, "auditor")
    with pytest.raises(DatabaseError):
        client.get(ADDRESS.replace("register", "broken"))
    with pytest.raises(DatabaseError):
        client.get(ADDRESS.replace("register.csv", "broken.xlsx"))
    assert list(Path(tempfile.gettempdir()).iterdir()) == []
