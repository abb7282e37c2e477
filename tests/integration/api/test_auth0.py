"""The HTTP API behind a tenant: its tokens open it, every bad one is 401, its absence is 503."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from flask.testing import FlaskClient

from app import create_app
from services.identity.auth import LocalTokens
from services.identity.auth0 import Auth0Tokens
from services.identity.permissions import Role
from services.utility_settings.current import CurrentSettings
from tests.integration.api.talk import READING, answer_of, error_of
from tests.integration.utility import Utility
from tests.oidc.keys import (
    AUDIENCE,
    ROLES_CLAIM,
    KeyServer,
    Signer,
    Weak,
    bad_tokens,
    good_claims,
    key_server,
    published,
)

GOOD, WEAK = Signer("good"), Weak()
STATUS = "/api/scheduler/status"
HOW = sorted(bad_tokens(GOOD, WEAK, "https://tenant.example/", datetime.now(UTC)))
AUTH0_SETTINGS = {
    "auth0_domain": "tenant.example",
    "auth0_audience": AUDIENCE,
    "auth0_client_id": "billing-pages",
}


@pytest.fixture(scope="module")
def tenant() -> Iterator[KeyServer]:
    with key_server() as served:
        served.keys = [GOOD.jwk, published("weak", WEAK.modulus)]
        yield served


@pytest.fixture
def client(utility: Utility, tenant: KeyServer) -> FlaskClient:
    deployed = utility.services.current_settings.deployed.model_copy(update=AUTH0_SETTINGS)
    services = replace(
        utility.services,
        current_settings=CurrentSettings(deployed, utility.services.database),
        tokens=Auth0Tokens(tenant.domain, AUDIENCE, ROLES_CLAIM),
    )
    return create_app(services, clock=lambda: utility.now).test_client()


def bearing(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize("how", HOW)
def test_a_bad_token_is_401(
    client: FlaskClient, tenant: KeyServer, utility: Utility, how: str
) -> None:
    token = bad_tokens(GOOD, WEAK, tenant.issuer, utility.now)[how]
    for answer in (
        client.get(STATUS, headers=bearing(token)),
        client.post(READING, json={}, headers=bearing(token)),
    ):
        said = error_of(answer, 401)
        assert token not in said
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_token_of_the_local_key_is_401(client: FlaskClient, utility: Utility) -> None:
    assert isinstance(utility.services.tokens, LocalTokens)
    token = utility.services.tokens.issue("user-7", Role.ADMIN, utility.now)
    assert error_of(client.get(STATUS, headers=bearing(token)), 401)


def test_a_good_token_submits_in_the_name_of_the_tenants_user(
    client: FlaskClient, tenant: KeyServer, utility: Utility, meter: str
) -> None:
    token = GOOD.sign(good_claims(tenant.issuer, utility.now))
    body = {"meter_serial": meter, "reading_kwh": "1117", "read_at": utility.now.isoformat()}
    found = answer_of(client.post(READING, json=body, headers=bearing(token)), 201)
    stored = utility.services.database.reading(found["reading"]["id"])
    assert stored.submitted_by == "auth0|user-7"


def test_a_token_without_a_role_is_not_allowed(
    client: FlaskClient, tenant: KeyServer, utility: Utility
) -> None:
    token = GOOD.sign(good_claims(tenant.issuer, utility.now, **{ROLES_CLAIM: []}))
    assert "no role here" in error_of(client.get(STATUS, headers=bearing(token)), 403)


def test_a_tenant_that_is_away_is_a_503_with_a_sentence(
    client: FlaskClient, tenant: KeyServer, utility: Utility
) -> None:
    token = GOOD.sign(good_claims(tenant.issuer, utility.now))
    tenant.answer = lambda handler: handler.send_error(500)
    try:
        answer = client.get(STATUS, headers=bearing(token))
    finally:
        tenant.answer = None
    assert "cannot be reached just now" in error_of(answer, 503)
    assert answer.headers["Retry-After"]


def test_behind_auth0_the_api_answers_beyond_this_machine(client: FlaskClient) -> None:
    stranger = {"REMOTE_ADDR": "203.0.113.9"}
    found = answer_of(client.get("/api/health", environ_overrides=stranger), 200)
    assert found["services"]["auth0"] == "configured"
    assert error_of(client.get(STATUS, environ_overrides=stranger), 401)
