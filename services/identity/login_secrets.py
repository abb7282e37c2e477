"""What st.login gets to know of the provider through which people sign in."""

import hashlib
import hmac
from typing import Any, Final

from services.identity.auth0 import issuer_of
from services.settings import Settings

CALLBACK_PATH: Final = "/oauth2callback"
# What st.login calls the provider; Streamlit allows no underscore in it.
PROVIDER: Final = "provider"

_COOKIE_PURPOSE: Final = b"electricity-billing: the cookies of st.login"


def discovery_address(issuer: str) -> str:
    """Where a provider describes itself."""
    return f"{issuer.rstrip('/')}/.well-known/openid-configuration"


def sign_in_secrets(settings: Settings, signing_key: bytes) -> dict[str, Any]:
    """What `st.App(secrets=…)` needs for `st.login(PROVIDER)`; empty without a provider.

    The cookies that Streamlit signs get a secret of their own, derived from `signing_key`.
    """
    if settings.auth0_domain is not None:
        issuer, client_id, secret = (
            issuer_of(settings.auth0_domain),
            settings.auth0_client_id,
            settings.auth0_client_secret,
        )
        # Without an audience Auth0 gives an opaque access token, which says nothing of roles.
        more: dict[str, Any] = {"authorize_params": {"audience": settings.auth0_audience}}
        # Of the two, only the access token is for our API; the pages verify it on every run.
        token = "access"  # noqa: S105 - which of the tokens
    elif settings.oidc_issuer is not None:
        issuer, client_id, secret = (
            settings.oidc_issuer,
            settings.oidc_client_id,
            settings.oidc_client_secret,
        )
        more, token = {}, "id"
    else:
        return {}
    provider = {
        "client_id": client_id,
        "client_secret": "" if secret is None else secret.get_secret_value(),
        "server_metadata_url": discovery_address(issuer),
        "client_kwargs": {"scope": "openid profile email"},
        **more,
    }
    return {
        "auth": {
            "redirect_uri": f"{settings.public_url}{CALLBACK_PATH}",
            "cookie_secret": hmac.new(signing_key, _COOKIE_PURPOSE, hashlib.sha256).hexdigest(),
            "expose_tokens": [token],
            PROVIDER: provider,
        }
    }
