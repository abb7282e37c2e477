"""An export is sent to an administrator's browser, and to nobody else."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from services.identity.auth import NotSignedIn, Principal, require
from services.identity.permissions import Permission, Role
from services.web.asgi import SESSION_COOKIE
from services.web.export_route import export_route

NOW = datetime(2026, 3, 15, 12, tzinfo=UTC)
NAME = "export-20260315-120000.zip"


def verify(token: str, now: datetime) -> Principal:
    assert now == NOW
    if not token:
        raise NotSignedIn("Sign in first.")
    return Principal(
        "somebody",
        frozenset({Role.ADMIN if token == "an admin's" else Role.ENGINEER}),
        None,
        "token",
    )


@pytest.fixture
def client(tmp_path: Path) -> TestClient:
    (tmp_path / NAME).write_bytes(b"PK")

    def path_of(name: str, *, principal: Principal) -> Path | None:
        require(principal, Permission.EXPORT_FILES)
        return tmp_path / name if name == NAME else None

    return TestClient(
        Starlette(routes=[export_route(verify=verify, now=lambda: NOW, path_of=path_of)])
    )


@pytest.mark.parametrize(
    ("token", "name", "status", "said"),
    [
        ("an admin's", NAME, 200, "PK"),
        ("an admin's", "export-20260315-120001.zip", 404, "no such export any more"),
        ("an admin's", "..%2fsigning-key", 404, ""),
        ("an engineer's", NAME, 403, "Only an administrator"),
        ("", NAME, 401, "Sign in first"),
    ],
)
def test_who_gets_what(client: TestClient, token: str, name: str, status: int, said: str) -> None:
    client.cookies.set(SESSION_COOKIE, token)
    answer = client.get(f"/export-file/{name}")
    assert answer.status_code == status
    assert said in answer.text
    if status == 200:
        assert answer.headers["content-disposition"] == f'attachment; filename="{NAME}"'
        assert answer.headers["cache-control"] == "no-store"
