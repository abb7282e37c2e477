"""Only a visit whose page offered it, and whose sign-in still holds, may upload a file."""

from datetime import UTC, datetime

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.testclient import TestClient

from services.identity.auth import NotSignedIn, Principal
from services.identity.permissions import Role
from services.identity.upload_rights import UploadRights
from services.web.uploads import UploadGuard

NOW = datetime(2026, 11, 28, tzinfo=UTC)


def verify(token: str, _: datetime) -> Principal:
    if token != "good":
        raise NotSignedIn("This sign-in was ended.")
    return Principal("ada", frozenset({Role.ADMIN}), expires_at=None, via="token")


@pytest.fixture
def rights() -> UploadRights:
    return UploadRights()


@pytest.fixture
def client(rights: UploadRights) -> TestClient:
    async def take(request: Request) -> Response:
        await request.body()
        return Response(status_code=204)

    path = "/{base}/_stcore/upload_file/{visit}/{file}"
    methods = ["PUT", "DELETE", "OPTIONS"]
    routes = [Route(path, take, methods=methods), Route(path.removeprefix("/{base}"), take)]
    routes[1].methods = set(methods)
    guard = Middleware(UploadGuard, token_of=rights.token_of, verify=verify, now=lambda: NOW)
    return TestClient(Starlette(routes=routes, middleware=[guard]))


@pytest.mark.parametrize("base", ["", "/billing"])
def test_a_visit_uploads_only_while_its_sign_in_holds(
    client: TestClient, rights: UploadRights, base: str
) -> None:
    address = f"{base}/_stcore/upload_file/visit-1/file-1"
    assert client.put(address, content=b"x").status_code == 403
    rights.allow("visit-1", "good")
    assert client.put(address, content=b"x").status_code == 204
    assert client.put(address.replace("visit-1", "visit-2"), content=b"x").status_code == 403
    rights.allow("visit-1", "ended")
    assert client.put(address, content=b"x").status_code == 403
    assert client.delete(address).status_code == 403
    assert client.options(address).status_code == 204


def test_of_very_many_visits_the_latest_count(rights: UploadRights) -> None:
    for number in range(1_001):
        rights.allow(f"visit-{number}", "good")
    assert rights.token_of("visit-0") is None
    assert rights.token_of("visit-1000") == "good"
