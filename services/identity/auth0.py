"""Auth0: a provider that is asked for access tokens of our API, with a claim for roles."""

from typing import Final

from services.identity.jwks import SigningKeys
from services.identity.openid import OpenIdTokens, Provider

_LOOPBACK: Final = {"localhost", "127.0.0.1"}


class Auth0Tokens(OpenIdTokens):
    """The access tokens that a tenant issued for our API, verified with the tenant's own keys.

    `domain` is the tenant's host; `audience` the API's identifier; `roles_claim` names the claim
    whose value, a text or a list, holds roles of ours.
    """

    def __init__(
        self, domain: str, audience: str, roles_claim: str, *, keys: SigningKeys | None = None
    ) -> None:
        issuer = issuer_of(domain)
        super().__init__(
            Provider(issuer, audience, roles_claim),
            keys or SigningKeys(f"{issuer}.well-known/jwks.json"),
        )


def issuer_of(domain: str) -> str:
    """The issuer of a tenant, which is also its address: https://<domain>/.

    The one exception is a loopback host with a port, such as localhost:9000, where tests run a
    tenant of their own: that is spoken to over http.
    """
    host, _, port = domain.lower().partition(":")
    scheme = "http" if host in _LOOPBACK and port else "https"
    return f"{scheme}://{domain.lower()}/"
