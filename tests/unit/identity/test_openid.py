"""Whoever the provider, only what it signed for us and for now is believed."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from jose import jwk
from jose.backends.base import Key

from services.identity.auth import LocalTokens, NotAllowed, NotSignedIn, Principal
from services.identity.jwks import SigningKeys
from services.identity.openid import ExchangedTokens, OpenIdTokens, Provider
from services.identity.permissions import Role
from services.people.sign_in import folded_name
from services.records.sessions import UserToSignIn
from services.settings import ROLES, SettingsError, load_settings
from tests.oidc.keys import Signer, encoded, unsigned

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
ISSUER = "https://login.example.org/realms/utility"
CLIENT = "billing"
GOOD = Signer("good")
OIDC = {"OIDC_ISSUER": ISSUER, "OIDC_CLIENT_ID": CLIENT, "OIDC_CLIENT_SECRET": "hush"}


@dataclass(frozen=True)
class Elliptic:
    """A key on P-256."""

    private: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )

    @property
    def jwk(self) -> dict[str, str]:
        numbers = self.private.public_key().public_numbers()
        x, y = (encoded(number.to_bytes(32)) for number in (numbers.x, numbers.y))
        return {"kty": "EC", "crv": "P-256", "x": x, "y": y}

    def sign(self, claims: dict[str, Any], **header: Any) -> str:
        text = unsigned(claims, **{"alg": "ES256", "kid": "elliptic"} | header)
        pair = decode_dss_signature(self.private.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{text}.{encoded(b''.join(number.to_bytes(32) for number in pair))}"


CURVED = Elliptic()


class Known(SigningKeys):
    """The keys of a provider that need not be asked."""

    def key(self, key_id: str) -> Key | None:
        """One of each kind."""
        keys = {"good": (GOOD.jwk, "RS256"), "elliptic": (CURVED.jwk, "ES256")}
        return jwk.construct(*keys[key_id]) if key_id in keys else None


def invited(email: str) -> UserToSignIn | None:
    email = folded_name(email)
    if email not in {"asha@example.org", "gone@example.org"}:
        return None
    return UserToSignIn(
        id="1",
        sign_in_name=email,
        display_name="Asha",
        roles=("engineer", "cashier"),
        disabled=email.startswith("gone"),
        password_hash=None,
        password_set_at=None,
        totp_secret=None,
        recovery_codes_left=0,
    )


def tokens(roles_claim: str | None, **names: Role) -> OpenIdTokens:
    more = {"role_names": names} if names else {}
    provider = Provider(ISSUER, CLIENT, roles_claim, party=CLIENT, **more)
    return OpenIdTokens(provider, Known("https://nowhere.invalid"), user_of_email=invited)


KEYCLOAK = tokens("realm_access.roles")
GOOGLE = tokens(None)


def claims(**changed: Any) -> dict[str, Any]:
    issued_at = int(NOW.timestamp()) - 60
    usual: dict[str, Any] = {"iss": ISSUER, "sub": "f00d-1", "aud": CLIENT, "iat": issued_at}
    usual |= {"exp": issued_at + 300, "realm_access": {"roles": ["offline_access", "engineer"]}}
    return usual | {"email": "Asha@Example.org", "email_verified": True} | changed


def verified(by: OpenIdTokens, **changed: Any) -> Principal:
    return by.verify(GOOD.sign(claims(**changed)), NOW)


def test_roles_stand_at_a_path_into_a_claim() -> None:
    principal = verified(KEYCLOAK)
    assert (principal.user, principal.roles) == ("f00d-1", frozenset({Role.ENGINEER}))
    dotted = tokens("https://example.org/roles")
    assert verified(dotted, **{"https://example.org/roles": "admin"}).roles == {Role.ADMIN}


@pytest.mark.parametrize(
    "value",
    [None, "engineer", {"roles": None}, {"roles": {"engineer": True}}, {"roles": [["admin"]]}],
)
def test_whoever_has_no_role_at_the_path_is_known_but_not_allowed(value: object) -> None:
    with pytest.raises(NotAllowed, match="no role here"):
        verified(KEYCLOAK, realm_access=value)


def test_the_providers_own_names_of_roles_are_translated() -> None:
    by = tokens("groups", Billing=Role.CLERK, Field=Role.ENGINEER)
    assert verified(by, groups=["Billing", "Field", "Sales"]).roles == {Role.CLERK, Role.ENGINEER}


def test_an_invited_user_is_known_by_a_verified_address() -> None:
    principal = verified(GOOGLE)
    assert principal.user == "asha@example.org"
    assert principal.roles == {Role.ENGINEER, Role.CASHIER}


@pytest.mark.parametrize(
    "changed",
    [
        {"email_verified": False},
        {"email_verified": "true"},
        {"email_verified": None},
        {"email": None},
        {"email": ["asha@example.org"]},
        {"email": "stranger@example.org"},
        {"email": "gone@example.org"},
        # Letters that would fold to hers.
        {"email": "a\u017fha@example.org"},
        {"email": "\uff41sha@example.org"},
        {"email": " asha@example.org"},
    ],
)
def test_nobody_else_is_let_in_by_an_address(changed: dict[str, object]) -> None:
    with pytest.raises(NotAllowed):
        verified(GOOGLE, **changed)


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": f"{ISSUER}/"},
        {"aud": "another"},
        {"aud": [CLIENT, "another"]},
        {"aud": [CLIENT, "another"], "azp": "another"},
        {"azp": "another"},
        {"exp": int(NOW.timestamp()) - 61},
        {"iat": int(NOW.timestamp()) + 61},
    ],
)
def test_a_token_for_somebody_else_or_another_time_is_refused(changed: dict[str, object]) -> None:
    with pytest.raises(NotSignedIn):
        verified(KEYCLOAK, **changed)


def test_several_audiences_will_do_when_we_asked() -> None:
    assert verified(KEYCLOAK, aud=[CLIENT, "another"], azp=CLIENT).user == "f00d-1"


def test_elliptic_signatures_are_taken_and_no_other_kind_under_their_name() -> None:
    assert KEYCLOAK.verify(CURVED.sign(claims()), NOW).user == "f00d-1"
    for wrong in (
        CURVED.sign(claims(), alg="RS256"),
        CURVED.sign(claims(), kid="good"),
        GOOD.sign(claims(), kid="elliptic"),
        GOOD.sign(claims(), alg="ES256"),
        GOOD.sign(claims(), alg="RS512"),
    ):
        with pytest.raises(NotSignedIn):
            KEYCLOAK.verify(wrong, NOW)


def test_a_token_of_ours_outlasts_the_providers() -> None:
    exchanged = ExchangedTokens(LocalTokens(b"k" * 48), KEYCLOAK)
    ours = exchanged.issue("f00d-1", exchanged.verify(GOOD.sign(claims()), NOW).roles, NOW)
    later = NOW + timedelta(hours=11)
    assert exchanged.verify(ours, later).roles == {Role.ENGINEER}
    with pytest.raises(NotSignedIn):
        exchanged.verify(GOOD.sign(claims()), later)
    for junk in ("", "a.b.c", None, 7):
        with pytest.raises(NotSignedIn):
            exchanged.verify(junk, NOW)


def test_the_settings_know_our_roles() -> None:
    assert tuple(Role) == ROLES
    names = "Billing=clerk, Field crew = engineer"
    settings = load_settings(OIDC | {"OIDC_ROLES_CLAIM": "groups", "OIDC_ROLE_NAMES": names})
    assert settings.oidc_role_names == {"Billing": "clerk", "Field crew": "engineer"}
    assert settings.oidc_issuer == ISSUER


@pytest.mark.parametrize(
    "changed",
    [
        {"OIDC_ISSUER": "http://login.example.org"},
        {"OIDC_ISSUER": ""},
        {"OIDC_CLIENT_SECRET": ""},
        {"OIDC_ROLE_NAMES": "Billing=clerk"},
        {"OIDC_ROLES_CLAIM": "groups", "OIDC_ROLE_NAMES": "Billing=boss"},
        {"OIDC_ROLES_CLAIM": "groups", "OIDC_ROLE_NAMES": "clerk"},
        {"AUTH0_DOMAIN": "a.b", "AUTH0_AUDIENCE": "c", "AUTH0_CLIENT_ID": "d"}
        | {"AUTH0_CLIENT_SECRET": "e"},
    ],
)
def test_settings_that_do_not_fit_together_are_named(changed: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match="OIDC_"):
        load_settings(OIDC | changed)
