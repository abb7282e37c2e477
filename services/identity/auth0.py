"""Sign-in through an Auth0 tenant: verifying its tokens, and the settings of st.login."""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final, Never

from jose.backends.base import Key

from services.identity.auth import (
    NotAllowed,
    NotSignedIn,
    Principal,
    UnableToIssueToken,
    good_until,
    instant_of,
    session_of,
    signed_claims,
    user_of,
)
from services.identity.jwks import ALGORITHM, SigningKeys
from services.identity.permissions import Role
from services.settings import Settings

# What st.login calls the tenant; Streamlit allows no underscore in it.
PROVIDER: Final = "auth0"
CALLBACK_PATH: Final = "/oauth2callback"
EXPIRY_LEEWAY: Final = timedelta(seconds=60)

_LOOPBACK: Final = {"localhost", "127.0.0.1"}
_LONGEST_KEY_ID: Final = 200
_COOKIE_PURPOSE: Final = b"electricity-billing: the cookies of st.login"


class Auth0Tokens:
    """The access tokens that a tenant issued for our API, verified with the tenant's own keys.

    `domain` is the tenant's host; `audience` the API's identifier; `roles_claim` names the claim
    whose value, a text or a list, holds roles of ours; what else it holds is passed over. May be
    used by many threads.
    """

    def __init__(
        self, domain: str, audience: str, roles_claim: str, *, keys: SigningKeys | None = None
    ) -> None:
        self.issuer = issuer_of(domain)
        self.keys = keys or SigningKeys(f"{self.issuer}.well-known/jwks.json")
        self._audience = audience
        self._roles_claim = roles_claim

    def verify(self, token: object, now: datetime) -> Principal:
        """Return the principal of `token` at `now`, by the tenant's user id (the claim "sub").

        Raises NotSignedIn for anything but a good token, NotAllowed when a good one names no role
        of ours, SignInUnavailable when the tenant's keys are needed and cannot be had.
        """
        claims = signed_claims(token, algorithm=ALGORITHM, key_of=self._key_of)
        if claims.get("iss") != self.issuer or not self._is_for_us(claims.get("aud")):
            raise NotSignedIn("This token was made for another system.")
        # Auth0 leaves "nbf" out: a token begins when it is issued.
        expires_at = good_until({"nbf": claims.get("iat")} | claims, now, leeway=EXPIRY_LEEWAY)
        user = user_of(claims)
        roles = _roles(claims.get(self._roles_claim))
        return Principal(
            user,
            roles,
            expires_at=expires_at,
            via="token",
            session=session_of(claims),
            issued_at=instant_of(claims.get("iat")),
        )

    def issue(self, *_: object, **__: object) -> Never:
        """Raise UnableToIssueToken: only the tenant issues tokens."""
        raise UnableToIssueToken(
            "With AUTH0_DOMAIN set, people sign in through Auth0, and a token made here would not "
            "be believed. For a program, make a key: python -m services api-key NAME --role ROLE."
        )

    def _key_of(self, header: Mapping[str, object]) -> Key:
        key_id = header.get("kid")
        if not isinstance(key_id, str) or len(key_id) > _LONGEST_KEY_ID:
            raise NotSignedIn("This token does not say which key signed it.")
        key = self.keys.key(key_id)
        if key is None:
            raise NotSignedIn("This token is signed with a key that the sign-in service lacks.")
        return key

    def _is_for_us(self, audience: object) -> bool:
        return (
            self._audience in audience if isinstance(audience, list) else audience == self._audience
        )


def issuer_of(domain: str) -> str:
    """The issuer of a tenant, which is also its address: https://<domain>/.

    The one exception is a loopback host with a port, such as localhost:9000, where tests run a
    tenant of their own: that is spoken to over http.
    """
    host, _, port = domain.lower().partition(":")
    scheme = "http" if host in _LOOPBACK and port else "https"
    return f"{scheme}://{domain.lower()}/"


def sign_in_secrets(settings: Settings, signing_key: bytes) -> dict[str, Any]:
    """What `st.App(secrets=…)` needs for `st.login(PROVIDER)`; empty without Auth0.

    The cookies that Streamlit signs get a secret of their own, derived from `signing_key`.
    """
    if settings.auth0_domain is None or settings.auth0_client_secret is None:
        return {}
    issuer = issuer_of(settings.auth0_domain)
    tenant = {
        "client_id": settings.auth0_client_id,
        "client_secret": settings.auth0_client_secret.get_secret_value(),
        "server_metadata_url": f"{issuer}.well-known/openid-configuration",
        "client_kwargs": {"scope": "openid profile email"},
        # Without an audience Auth0 gives an opaque access token, which says nothing of roles.
        "authorize_params": {"audience": settings.auth0_audience},
    }
    return {
        "auth": {
            "redirect_uri": f"{settings.public_url}{CALLBACK_PATH}",
            "cookie_secret": hmac.new(signing_key, _COOKIE_PURPOSE, hashlib.sha256).hexdigest(),
            # Of the two, only the access token is for our API; the pages verify it on every run.
            "expose_tokens": ["access"],
            PROVIDER: tenant,
        }
    }


def _roles(claim: object) -> frozenset[Role]:
    given = claim if isinstance(claim, list) else [claim]
    roles = frozenset(role for role in Role if role.value in given)
    if roles:
        return roles
    raise NotAllowed("You are signed in, but have no role here yet. Ask an administrator for one.")
