"""Who sends an HTTP request: a bearer token or an API key, turned into a Principal."""

import ipaddress
from datetime import datetime

from services.auth import NotSignedIn, Principal, Role, TokenVerifier, hash_api_key
from services.database.service import DatabaseService

_LONGEST_KEY = 200


def principal_of(
    *,
    authorization: str | None,
    api_key: str | None,
    tokens: TokenVerifier,
    database: DatabaseService,
    now: datetime,
) -> Principal:
    """Whom the headers `Authorization: Bearer …` or `X-API-Key` stand for; raises NotSignedIn.

    The Authorization header wins when both are there.
    """
    if authorization is not None:
        return tokens.verify(_bearer_token(authorization), now)
    if api_key is not None:
        return _holder_of(api_key, database)
    raise NotSignedIn("Send a token (Authorization: Bearer …) or an API key (X-API-Key).")


def from_this_machine(address: str | None) -> bool:
    """Say whether a client's address is loopback; a Unix socket has no address and counts too."""
    if not address:
        return True
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return (mapped or ip).is_loopback


def _bearer_token(authorization: str) -> str:
    scheme, _, token = authorization.strip().partition(" ")
    if scheme.lower() != "bearer":
        raise NotSignedIn("The Authorization header must be: Bearer, a space, the token.")
    return token.strip()


def _holder_of(key: str, database: DatabaseService) -> Principal:
    row = database.api_key(key_hash=hash_api_key(key)) if len(key) <= _LONGEST_KEY else None
    if row is None:
        raise NotSignedIn("This API key is not known, or was revoked.")
    return Principal(f"key:{row['name']}", Role(row["role"]), expires_at=None, via="api_key")
