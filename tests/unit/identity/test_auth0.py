"""Only what the tenant signed, for our API and for now, is believed."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jose import jwk
from jose.backends.base import Key

from services.identity.auth import NotAllowed, NotSignedIn, Principal, UnableToIssueToken
from services.identity.auth0 import Auth0Tokens, issuer_of
from services.identity.jwks import SigningKeys
from services.identity.login_secrets import PROVIDER, sign_in_secrets
from services.identity.permissions import Role
from services.settings import load_settings
from tests.oidc.keys import AUDIENCE, ROLES_CLAIM, Signer, Weak, bad_tokens, good_claims

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
ISSUER = "https://tenant.eu.auth0.com/"
GOOD = Signer("good")
BAD = bad_tokens(GOOD, Weak(), ISSUER, NOW)
AUTH0 = {
    "AUTH0_DOMAIN": "tenant.eu.auth0.com",
    "AUTH0_AUDIENCE": AUDIENCE,
    "AUTH0_CLIENT_ID": "billing-pages",
    "AUTH0_CLIENT_SECRET": "hush",
}


class Known(SigningKeys):
    """The keys of a tenant that need not be asked."""

    def key(self, key_id: str) -> Key | None:
        """The good key alone."""
        return jwk.construct(GOOD.jwk, "RS256") if key_id == GOOD.key_id else None


TOKENS = Auth0Tokens(
    "tenant.eu.auth0.com", AUDIENCE, ROLES_CLAIM, keys=Known("https://nowhere.invalid")
)


def verified(**changed: Any) -> Principal:
    return TOKENS.verify(GOOD.sign(good_claims(ISSUER, NOW, **changed)), NOW)


def test_an_access_token_says_who_with_which_role_and_until_when() -> None:
    ends_at = NOW + timedelta(minutes=59, seconds=60)
    assert verified() == Principal("auth0|user-7", frozenset({Role.ENGINEER}), ends_at, "token")


@pytest.mark.parametrize("how", sorted(BAD))
def test_a_bad_token_is_refused(how: str) -> None:
    with pytest.raises(NotSignedIn):
        TOKENS.verify(BAD[how], NOW)


def test_the_audience_may_be_a_text() -> None:
    assert verified(aud=AUDIENCE).roles == {Role.ENGINEER}


def test_the_expiry_has_a_minute_of_leeway_and_no_more() -> None:
    seconds = int(NOW.timestamp())
    assert verified(exp=seconds - 59).expires_at == NOW + SECOND
    with pytest.raises(NotSignedIn, match="expired"):
        verified(exp=seconds - 60)


@pytest.mark.parametrize("claim", ["iat", "nbf"])
def test_a_start_may_be_a_minute_ahead_of_our_clock_and_no_more(claim: str) -> None:
    seconds = int(NOW.timestamp())
    assert verified(**{claim: seconds + 60}).user == "auth0|user-7"
    with pytest.raises(NotSignedIn):
        verified(**{claim: seconds + 61})


@pytest.mark.parametrize(
    ("claim", "roles"),
    [
        *((role.value, {role}) for role in Role),
        *(([role.value], {role}) for role in Role),
        (["engineer", "cashier"], {Role.ENGINEER, Role.CASHIER}),
        (["accountant", "admin", 7, None, {"a": []}], {Role.ADMIN}),
    ],
)
def test_the_roles_are_those_of_ours_in_the_claim(claim: object, roles: set[Role]) -> None:
    assert verified(**{ROLES_CLAIM: claim}).roles == roles


@pytest.mark.parametrize(
    "claim", [None, "", [], "Admin", "administrator", "engineer admin", {"admin": True}, True, 1]
)
def test_whoever_has_no_role_of_ours_is_known_but_not_allowed(claim: object) -> None:
    with pytest.raises(NotAllowed, match="no role here"):
        verified(**{ROLES_CLAIM: claim})


def test_roles_in_another_claim_do_not_count() -> None:
    with pytest.raises(NotAllowed):
        verified(**{ROLES_CLAIM: None, "role": "admin", "roles": ["admin"]})


@pytest.mark.parametrize("claim", ["iss", "aud", "sub", "iat", "exp"])
def test_every_claim_is_needed(claim: str) -> None:
    claims = good_claims(ISSUER, NOW)
    del claims[claim]
    with pytest.raises(NotSignedIn):
        TOKENS.verify(GOOD.sign(claims), NOW)


def test_an_email_address_is_no_identity() -> None:
    assert verified(email="boss@example.org", email_verified=True).user == "auth0|user-7"


@given(
    st.dictionaries(
        st.sampled_from(["iss", "aud", "sub", "iat", "nbf", "exp", ROLES_CLAIM]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
            st.lists,
            max_leaves=3,
        ),
        min_size=1,
    )
)
def test_signed_claims_of_any_kind_give_a_principal_or_a_refusal(changed: dict[str, Any]) -> None:
    try:
        principal = verified(**changed)
    except (NotSignedIn, NotAllowed):
        return
    assert principal.expires_at is not None
    assert principal.expires_at > NOW


@given(st.one_of(st.text(), st.binary(), st.none(), st.from_regex(r"[\w-]*\.[\w-]*\.[\w-]*")))
def test_nothing_made_up_is_believed_or_breaks_it(junk: object) -> None:
    with pytest.raises(NotSignedIn):
        TOKENS.verify(junk, NOW)


def test_the_local_key_issues_nothing() -> None:
    with pytest.raises(UnableToIssueToken, match="api-key"):
        TOKENS.issue("user-7", Role.ADMIN, NOW)


@pytest.mark.parametrize(
    ("domain", "issuer"),
    [
        ("tenant.eu.auth0.com", "https://tenant.eu.auth0.com/"),
        ("Tenant.EU.auth0.com", "https://tenant.eu.auth0.com/"),
        ("tenant.example:8443", "https://tenant.example:8443/"),
        ("localhost:9000", "http://localhost:9000/"),
        ("127.0.0.1:9000", "http://127.0.0.1:9000/"),
        ("localhost", "https://localhost/"),
        ("localhost.example:9000", "https://localhost.example:9000/"),
        ("127.0.0.1.example:80", "https://127.0.0.1.example:80/"),
    ],
)
def test_only_a_loopback_host_with_a_port_is_spoken_to_without_tls(
    domain: str, issuer: str
) -> None:
    assert issuer_of(domain) == issuer


def test_st_login_gets_its_secrets_from_the_settings() -> None:
    settings = load_settings({**AUTH0, "PUBLIC_URL": "https://billing.example/"})
    auth = sign_in_secrets(settings, b"k" * 48)["auth"]
    assert auth["redirect_uri"] == "https://billing.example/oauth2callback"
    assert auth[PROVIDER]["authorize_params"] == {"audience": AUDIENCE}
    assert auth[PROVIDER]["client_secret"] == "hush"
    assert auth[PROVIDER]["server_metadata_url"] == f"{ISSUER}.well-known/openid-configuration"


def test_the_secret_of_the_cookies_depends_on_the_signing_key_and_is_not_it() -> None:
    settings = load_settings(AUTH0)
    one, other = (sign_in_secrets(settings, key)["auth"] for key in (b"k" * 48, b"o" * 48))
    assert one["cookie_secret"] != other["cookie_secret"]
    assert one == sign_in_secrets(settings, b"k" * 48)["auth"]
    assert len(one["cookie_secret"]) == 64
    assert (b"k" * 8).hex() not in one["cookie_secret"]


def test_without_auth0_st_login_gets_nothing() -> None:
    assert sign_in_secrets(load_settings({}), b"k" * 48) == {}
