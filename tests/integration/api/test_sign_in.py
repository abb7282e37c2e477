"""Who may ask the HTTP API what."""

from datetime import timedelta
from uuid import uuid4

import pytest
from flask.testing import FlaskClient

from services.identity.auth import hash_api_key, new_api_key
from services.identity.permissions import Permission, Role, roles_with
from tests.integration.api.talk import READING, UNKNOWN_ID, answer_of, bearer, error_of
from tests.integration.utility import Utility

PROTECTED = [
    ("POST", READING),
    ("GET", f"/api/bills/{UNKNOWN_ID}"),
    ("GET", "/api/bills/customer/A-1"),
    ("GET", "/api/scheduler/status"),
]


@pytest.mark.parametrize(("method", "path"), PROTECTED)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer not.a.token"},
        {"Authorization": "Basic dXNlcjpwYXNz"},
        {"X-API-Key": ""},
        {"X-API-Key": "ebk_unknown"},
        {"X-API-Key": "k" * 10_000},
    ],
)
def test_without_a_valid_sign_in_there_is_no_answer(
    client: FlaskClient, method: str, path: str, headers: dict[str, str]
) -> None:
    answer = client.open(path, method=method, json={}, headers=headers)
    assert error_of(answer, 401)
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_an_expired_token_is_refused(client: FlaskClient, utility: Utility) -> None:
    long_ago = utility.now - timedelta(days=2)
    token = utility.services.tokens.issue("engineer-1", Role.ENGINEER, long_ago)
    answer = client.post(READING, json={}, headers={"Authorization": f"Bearer {token}"})
    assert "expired" in error_of(answer, 401)


@pytest.mark.parametrize("role", roles_with(Permission.SUBMIT_READINGS))
def test_each_such_role_may_submit_and_read(
    client: FlaskClient, utility: Utility, role: Role
) -> None:
    serial = f"R-{role}"
    utility.add_meter(serial)
    body = {"meter_serial": serial, "reading_kwh": "1117", "read_at": utility.now.isoformat()}
    headers = bearer(utility, role)
    bill = answer_of(client.post(READING, json=body, headers=headers), 201)["bill"]
    assert answer_of(client.get(f"/api/bills/{bill['id']}", headers=headers), 200) == bill | {
        "overdue_as_of": None
    }
    assert answer_of(client.get("/api/scheduler/status", headers=headers), 200)["jobs"]


def test_an_api_key_may_submit_until_it_is_unknown(
    client: FlaskClient, utility: Utility, meter: str
) -> None:
    key, name = new_api_key(), f"head-end {meter}"
    utility.services.database.add_api_key(
        actor="test",
        key_id=str(uuid4()),
        name=name,
        key_hash=hash_api_key(key),
        role="engineer",
        scope="all",
        expires_at=utility.now + timedelta(days=1),
    )
    body = {"meter_serial": meter, "reading_kwh": "1117", "read_at": utility.now.isoformat()}
    found = answer_of(client.post(READING, json=body, headers={"X-API-Key": key}), 201)
    reading = utility.services.database.reading(found["reading"]["id"])
    assert reading.submitted_by == f"key:{name}"
    assert error_of(client.post(READING, json=body, headers={"X-API-Key": f"{key}x"}), 401)


def test_without_auth0_strangers_are_refused(client: FlaskClient) -> None:
    stranger = {"REMOTE_ADDR": "203.0.113.9"}
    assert error_of(client.get("/api/health", environ_overrides=stranger), 403)


def test_a_wrong_role_is_not_allowed(client: FlaskClient, utility: Utility) -> None:
    auditor = bearer(utility, Role.AUDITOR)
    assert "engineer" in error_of(client.post(READING, json={}, headers=auditor), 403)
