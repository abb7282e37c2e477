"""Who sends an HTTP request: a bearer token or an API key, turned into a Principal."""

import ipaddress
from datetime import datetime

from flask import Request

from services.container import Services
from services.identity.auth import NotSignedIn, Principal, hash_api_key
from services.identity.permissions import Role
from services.web.connections import address_group

_LONGEST_KEY = 200


def principal_of(
    services: Services,
    *,
    authorization: str | None,
    api_key: str | None,
    now: datetime,
    address: str,
    session: str | None = None,
) -> Principal:
    """Whom the headers `Authorization: Bearer …` or `X-API-Key` stand for; raises NotSignedIn.

    The Authorization header wins when both are there. `session` is the token of a cookie, given
    only where a request has shown that it comes from a page of our own.
    """
    if authorization is not None:
        return services.who(_bearer_token(authorization), now, address=address)
    if api_key is not None:
        return _holder_of(api_key, services, now=now, address=address)
    if session is not None:
        return services.who(session, now, address=address)
    raise NotSignedIn("Send a token (Authorization: Bearer …) or an API key (X-API-Key).")


def address_of(request: Request) -> str:
    """The address that a request comes from, for limits and the security log."""
    return request.remote_addr or ""


def origin_of(address: str) -> str:
    """What counts as one place: an IPv4 address, or the /64 of an IPv6 one."""
    return address_group(address) or address


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


def _holder_of(key: str, services: Services, *, now: datetime, address: str) -> Principal:
    database = services.database
    holder = database.api_key(key_hash=hash_api_key(key)) if len(key) <= _LONGEST_KEY else None
    if holder is None:
        raise NotSignedIn("This API key is not known, or was revoked.")
    ends_at = holder.expires_at
    if ends_at is not None and now >= ends_at:
        raise NotSignedIn("This API key has expired. Ask an administrator for a new one.")
    user = f"key:{holder.name}"
    if services.sessions.is_first_use_of_key(holder.id):
        services.security_log.note("key_first_used", who=user, address=address)
    roles = frozenset({Role(holder.role)})
    return Principal(user, roles, expires_at=ends_at, via="api_key", scope=holder.scope)
