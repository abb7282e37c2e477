"""Keys for programs: kept as a hash, listed without it, revoked for good."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from app import create_app
from services.database.errors import IllegalChange, NotFound
from services.database.service import DatabaseService
from services.identity.api_keys import UnusableName, make_api_key
from services.identity.permissions import Role
from tests.integration.utility import Utility, make_utility

LATER = datetime.now(UTC) + timedelta(days=30)


@pytest.fixture(scope="module")
def utility(
    fresh_database: Callable[[], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Utility]:
    made = make_utility(fresh_database(), tmp_path_factory.mktemp("data"))
    yield made
    made.services.close()


@pytest.fixture
def database(utility: Utility) -> DatabaseService:
    return utility.services.database


def _make(database: DatabaseService, name: str = "") -> tuple[str, str]:
    """A new key: its id and itself."""
    name = name or f"program {uuid4()}"
    key = make_api_key(database, actor="boss", name=name, role=Role.ENGINEER, expires_at=LATER)
    return next(k.id for k in database.api_keys() if k.name == name), key


def test_a_key_is_listed_with_who_made_it_and_without_its_hash(database: DatabaseService) -> None:
    key_id, key = _make(database, "handheld app")
    found = next(k for k in database.api_keys() if k.id == key_id)
    assert (found.name, found.role, found.created_by) == ("handheld app", "engineer", "boss")
    assert (found.revoked_at, found.revoked_by) == (None, None)
    assert "hash" not in found.model_dump_json()
    assert key not in found.model_dump_json()


def test_a_revoked_key_is_refused_from_the_next_request_on(
    database: DatabaseService, utility: Utility
) -> None:
    key_id, key = _make(database)
    client = create_app(utility.services).test_client()
    headers = {"X-API-Key": key}
    assert client.get("/api/scheduler/status", headers=headers).status_code == 200
    database.revoke_api_key(actor="boss", key_id=key_id)
    assert client.get("/api/scheduler/status", headers=headers).status_code == 401


def test_revoking_twice_keeps_the_first_time_and_name(database: DatabaseService) -> None:
    key_id, _ = _make(database)
    database.revoke_api_key(actor="boss", key_id=key_id)
    first = next(k for k in database.api_keys() if k.id == key_id)
    database.revoke_api_key(actor="another", key_id=key_id)
    again = next(k for k in database.api_keys() if k.id == key_id)
    assert again == first
    assert again.revoked_by == "boss"
    assert again.revoked_at is not None


def test_a_key_that_is_not_there_cannot_be_revoked(database: DatabaseService) -> None:
    with pytest.raises(NotFound):
        database.revoke_api_key(actor="boss", key_id=str(uuid4()))


def test_revoked_keys_come_last(database: DatabaseService) -> None:
    first, _ = _make(database, "aaa")
    second, _ = _make(database, "zzz")
    database.revoke_api_key(actor="boss", key_id=first)
    ids = [key.id for key in database.api_keys()]
    assert ids.index(second) < ids.index(first)


def test_a_name_is_used_once_even_after_revoking(database: DatabaseService) -> None:
    key_id, _ = _make(database, "once")
    database.revoke_api_key(actor="boss", key_id=key_id)
    with pytest.raises(IllegalChange, match="already a key named once"):
        make_api_key(database, actor="boss", name="once", role=Role.ADMIN, expires_at=LATER)


@pytest.mark.parametrize("name", ["", "  ", "a\tb", "x" * 101])
def test_a_name_by_which_nobody_could_tell_it_is_refused(
    database: DatabaseService, name: str
) -> None:
    with pytest.raises(UnusableName):
        make_api_key(database, actor="boss", name=name, role=Role.ENGINEER, expires_at=LATER)
