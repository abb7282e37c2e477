"""Who is asking: tokens, API keys, and the refusal of what somebody may not do."""

import hashlib
import json
import secrets
import threading
import unicodedata
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal, Protocol
from uuid import uuid4

from jose import jwk, jws
from jose.backends.base import Key

from services.identity.permissions import (
    PERMISSIONS_OF,
    Permission,
    Role,
    in_order,
    roles_with,
)
from services.integrations.failures import TemporaryFailure
from services.languages.sentence import sentence

ISSUER = "electricity-billing"
AUDIENCE = "electricity-billing-api"
ALGORITHM = "HS256"
TOKEN_LIFETIME = timedelta(hours=12)
NOT_BEFORE_LEEWAY = timedelta(seconds=60)
TICKET_LIFETIME = timedelta(seconds=30)
API_KEY_PREFIX = "ebk_"

_LONGEST_TOKEN = 8_192
_LONGEST_USER_ID = 200
_LONGEST_TOKEN_ID = 100
_RESERVED_PREFIXES = ("system:", "job:", "key:", "cli:", "customer:")
_RESERVED_NAME = sentence(
    "Names such as system: or job: are the system's own; nobody signs in as one."
)
_LAST_SECOND = int(datetime(9999, 12, 30, tzinfo=UTC).timestamp())
_NO_TOKEN = sentence("This is not a token of ours.")


class NotSignedIn(Exception):
    """Nobody is signed in, or what they showed does not prove who they are."""


class NotAllowed(Exception):
    """Somebody is signed in whose role, or the lack of one, does not allow this."""


class SignInUnavailable(TemporaryFailure):
    """Who somebody is cannot be found out just now: the sign-in service is away."""


class UnableToIssueToken(ValueError):
    """A token was asked for that could never be verified."""


# How somebody came by a token: made by a command, without a password, by name and password.
TokenVia = Literal["token", "demo", "password"]
# What a program's key is for; "all" is whatever its role may do.
Scope = Literal["all", "submit_readings", "read_bills", "read_metrics"]


@dataclass(frozen=True)
class Principal:
    """Somebody whose identity was verified; `expires_at` is UTC, or None when it never ends."""

    user: str
    roles: frozenset[Role]
    expires_at: datetime | None
    via: TokenVia | Literal["api_key"]
    # What an API key is for.
    scope: Scope = "all"
    # Of a token: its id, by which it can be ended, and when it was issued.
    session: str | None = field(default=None, compare=False)
    issued_at: datetime | None = field(default=None, compare=False)

    def may(self, *permissions: Permission) -> bool:
        """Whether a role of theirs has one of `permissions`, or none is named.

        A key's scope is not looked at.
        """
        return not permissions or any(
            not PERMISSIONS_OF[role].isdisjoint(permissions) for role in self.roles
        )


class TokenVerifier(Protocol):
    """Anything that verifies tokens."""

    def verify(self, token: object, now: datetime) -> Principal:
        """Return the principal of a token at `now`.

        Raises NotSignedIn; NotAllowed for somebody who is known but has no role here; and
        SignInUnavailable when nobody can tell just now.
        """
        ...


class Tokens(TokenVerifier, Protocol):
    """The tokens of people: verified here, and issued here where that is ours to do."""

    def issue(
        self,
        user: str,
        roles: Role | Collection[Role],
        now: datetime,
        lifetime: timedelta = TOKEN_LIFETIME,
        *,
        via: TokenVia = "token",
    ) -> str:
        """Return a token for `user`, or raise UnableToIssueToken with the reason."""
        ...


class LocalTokens:
    """Tokens signed and verified with this installation's own key."""

    def __init__(self, key: bytes) -> None:
        # A key object, because python-jose tries to read plain bytes as JSON first.
        self._key = jwk.construct(key, ALGORITHM)

    def issue(
        self,
        user: str,
        roles: Role | Collection[Role],
        now: datetime,
        lifetime: timedelta = TOKEN_LIFETIME,
        *,
        via: TokenVia = "token",
    ) -> str:
        """Return a signed JWT for `user` with these roles, good from `now` for `lifetime`.

        Raises UnableToIssueToken for a user id that is
        empty, too long or not printable, without a role, and for a lifetime under a second.
        """
        held = in_order([roles] if isinstance(roles, Role) else roles)
        if not held:
            raise UnableToIssueToken("A token needs a role.")
        if not _is_user_id(user):
            raise UnableToIssueToken("A user id is 1 to 200 printable characters.")
        if is_reserved(user):
            raise UnableToIssueToken(_RESERVED_NAME)
        issued_at = int(_seconds(now))
        expires_at = int(_seconds(now + lifetime))
        if expires_at <= issued_at:
            raise UnableToIssueToken("A token must be good for at least a second.")
        claims: dict[str, object] = {"iss": ISSUER, "aud": AUDIENCE, "sub": user}
        claims |= {
            "jti": str(uuid4()),
            "roles": [role.value for role in held],
            "iat": issued_at,
            "nbf": issued_at,
            "exp": expires_at,
        }
        if via != "token":
            claims["via"] = via
        return jws.sign(claims, self._key, algorithm=ALGORITHM)

    def verify(self, token: object, now: datetime) -> Principal:
        """Return the principal of `token` at `now`; raises NotSignedIn for anything else."""
        claims = signed_claims(token, algorithm=ALGORITHM, key_of=lambda _: self._key)
        if claims.get("iss") != ISSUER or claims.get("aud") != AUDIENCE:
            raise NotSignedIn(sentence("This token was made for another system."))
        expires_at = good_until(claims, now)
        via = claims.get("via")
        return Principal(
            user_of(claims),
            _roles(claims),
            expires_at=expires_at,
            via=via if via in {"demo", "password"} else "token",
            session=session_of(claims),
            issued_at=instant_of(claims.get("iat")),
        )


def signed_claims(
    token: object,
    *,
    algorithm: str | tuple[str, ...],
    key_of: Callable[[Mapping[str, object]], Key],
) -> dict[str, object]:
    """The claims of a JWT whose signature holds; raises NotSignedIn for anything else at all.

    Only `algorithm` (or one of several) will do, whatever the token says of itself. `key_of` finds
    the key by the header, which nobody has verified yet; what it raises comes through.
    """
    algorithms = (algorithm,) if isinstance(algorithm, str) else algorithm
    header = _header_of(token, algorithms)
    key = key_of(header)
    try:
        claims = json.loads(jws.verify(str(token), key, list(algorithms)))
    except Exception:  # A stranger's text may break the parsers in any way there is.
        raise NotSignedIn(_NO_TOKEN) from None
    if not isinstance(claims, dict):
        raise NotSignedIn(_NO_TOKEN)
    return claims


def good_until(
    claims: Mapping[str, object], now: datetime, *, leeway: timedelta = timedelta(0)
) -> datetime:
    """The instant (UTC) from which the claims hold no longer; raises NotSignedIn unless they do.

    `leeway` is added to the expiry; a start may always be a minute ahead of our clock.
    """
    if instant_of(claims.get("nbf")) > now + NOT_BEFORE_LEEWAY:
        raise NotSignedIn(
            sentence("This token is not valid yet; check the clocks of both machines.")
        )
    if instant_of(claims.get("iat")) > now + NOT_BEFORE_LEEWAY:
        raise NotSignedIn(sentence("This token was issued in the future; check the clocks."))
    ends_at = instant_of(claims.get("exp")) + leeway
    if now >= ends_at:
        raise NotSignedIn(sentence("This sign-in has expired. Sign in again."))
    return ends_at


def user_of(claims: Mapping[str, object]) -> str:
    """The user id in the claim "sub"; raises NotSignedIn when there is no usable one."""
    user = claims.get("sub")
    if not _is_user_id(user):
        raise NotSignedIn(sentence("This token does not say who you are."))
    if is_reserved(str(user)):
        raise NotSignedIn(_RESERVED_NAME)
    return str(user)


def session_of(claims: Mapping[str, object]) -> str:
    """The id by which a verified token can be ended: its own (jti), or one made of whose it is."""
    jti = claims.get("jti")
    if claims.get("iss") == ISSUER and isinstance(jti, str) and 0 < len(jti) <= _LONGEST_TOKEN_ID:
        return jti
    # Another issuer's ids must not meet ours, and tokens without one still need a name.
    parts = [claims.get(name) for name in ("iss", "jti", "sub", "iat", "exp")]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def is_reserved(user: str) -> bool:
    """Whether a user id is one under which the system itself, its jobs or programs act."""
    name = unicodedata.normalize("NFKC", user).casefold()
    return name == "system" or name.startswith(_RESERVED_PREFIXES)


class SignInTickets:
    """One-time tickets that hand a verified token from a page to the route that sets the cookie.

    They live in this process's memory, for 30 seconds, and each can be redeemed once.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, tuple[str, datetime]] = {}
        self._lock = threading.Lock()

    def issue(self, token: str, now: datetime) -> str:
        """Keep `token` and return the ticket for it."""
        ticket = secrets.token_urlsafe(32)
        with self._lock:
            self._waiting = {k: v for k, v in self._waiting.items() if v[1] > now}
            self._waiting[ticket] = (token, now + TICKET_LIFETIME)
        return ticket

    def redeem(self, ticket: str, now: datetime) -> str | None:
        """Return the token behind `ticket`; None when unknown, used before or too old."""
        with self._lock:
            token, ends_at = self._waiting.pop(ticket, (None, now))
        return token if now < ends_at else None


def require(
    principal: Principal | None, *permissions: Permission, scope: Scope = "all"
) -> Principal:
    """Return `principal` when it has one of `permissions` (whoever it is when none is named).

    A key made for one thing alone is enough only where that is the `scope`. Raises NotSignedIn
    when there is nobody, NotAllowed when its roles or its scope do not allow it.
    """
    if principal is None:
        raise NotSignedIn(sentence("Sign in first."))
    if not principal.may(*permissions):
        wanted, held = " or ".join(roles_with(*permissions)), ", ".join(in_order(principal.roles))
        raise NotAllowed(
            sentence(
                "This needs the role {wanted}; you are signed in as {held}.",
                wanted=wanted,
                held=held,
            )
        )
    if principal.scope not in {"all", scope}:
        raise NotAllowed(
            sentence("This key is for one thing alone: {scope}.", scope=principal.scope)
        )
    return principal


def new_api_key() -> str:
    """Return a fresh API key, to be shown once to the person who asked for it."""
    return API_KEY_PREFIX + secrets.token_urlsafe(32)


def hash_api_key(key: str) -> str:
    """Return the hex digest under which a key is stored and found."""
    # A plain hash is enough: the key is 256 random bits, not something a person made up.
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def safe_return_path(path: str | None) -> str:
    """Return `path` when it leads to a page of our own, else "/"."""
    if not path or not path.startswith("/") or path.startswith("//"):
        return "/"
    # Browsers read a backslash as a slash and leave out tabs and line breaks.
    return path if path.isprintable() and "\\" not in path else "/"


def _header_of(token: object, algorithms: tuple[str, ...]) -> Mapping[str, object]:
    if not isinstance(token, str) or not token.isascii() or len(token) > _LONGEST_TOKEN:
        raise NotSignedIn(_NO_TOKEN)
    try:
        header = jws.get_unverified_header(token)
        if header.get("alg") not in algorithms or "crit" in header:
            raise ValueError("another algorithm")
    except Exception:  # As in signed_claims.
        raise NotSignedIn(_NO_TOKEN) from None
    return dict(header)


def _is_user_id(user: object) -> bool:
    if not isinstance(user, str):
        return False
    return user == user.strip() and 0 < len(user) <= _LONGEST_USER_ID and user.isprintable()


def _roles(claims: Mapping[str, object]) -> frozenset[Role]:
    """The roles in the claim "roles", a list of texts, or the one in "role", a text."""
    named = claims.get("roles", [claims.get("role")])
    try:
        roles = frozenset(Role(name) for name in named) if isinstance(named, list) else frozenset()
    except ValueError:
        roles = frozenset()
    if not roles:
        raise NotSignedIn(sentence("This token does not name a role of this system."))
    return roles


def _seconds(moment: datetime) -> float:
    if moment.tzinfo is None:
        raise ValueError("A moment needs a time zone.")
    return moment.timestamp()


def instant_of(claim: object) -> datetime:
    """A claim's seconds since 1970 as an instant; raises NotSignedIn for what is no such."""
    # A bool is an int to Python, and NaN fails every comparison.
    if isinstance(claim, bool) or not isinstance(claim, int | float):
        raise NotSignedIn(sentence("This token does not say when it is valid."))
    if not 0 <= claim <= _LAST_SECOND:
        raise NotSignedIn(sentence("This token does not say when it is valid."))
    return datetime.fromtimestamp(claim, UTC)
