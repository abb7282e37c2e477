"""Sign-in through an OpenID provider: verifying its tokens, and what is given for them here."""

import unicodedata
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Never

from jose import jws
from jose.backends.base import Key

from services.identity.auth import (
    ALGORITHM,
    TOKEN_LIFETIME,
    LocalTokens,
    NotAllowed,
    NotSignedIn,
    Principal,
    TokenVia,
    UnableToIssueToken,
    good_until,
    instant_of,
    session_of,
    signed_claims,
    user_of,
)
from services.identity.jwks import ALGORITHMS, ELLIPTIC, SigningKeys
from services.identity.permissions import Role
from services.languages.sentence import sentence
from services.records.sessions import UserToSignIn

EXPIRY_LEEWAY: Final = timedelta(seconds=60)
_LONGEST_KEY_ID: Final = 200
_NO_ROLE: Final = sentence(
    "You are signed in, but have no role here yet. Ask an administrator for one."
)
_NOT_INVITED: Final = sentence(
    "You are signed in, but nobody invited you here. Ask an administrator to."
)

# The user who was invited under an e-mail address, in lower case.
UserOf = Callable[[str], UserToSignIn | None]


@dataclass(frozen=True)
class Provider:
    """Whose tokens are believed, made for whom, and where they say which roles somebody has.

    `roles_claim` is the name of a claim, or a path of names with dots into one; its value is a
    text or a list. What else it holds is passed over. None: the user invited under the token's
    verified e-mail address. `party` is our client id where tokens must have been asked for by us.
    """

    issuer: str
    audience: str
    roles_claim: str | None
    role_names: Mapping[str, Role] = field(
        default_factory=lambda: {role.value: role for role in Role}
    )
    party: str | None = None


class OpenIdTokens:
    """A provider's signed tokens, verified with its own keys. May be used by many threads."""

    def __init__(
        self, provider: Provider, keys: SigningKeys, *, user_of_email: UserOf = lambda _: None
    ) -> None:
        self.issuer = provider.issuer
        self.keys = keys
        self._provider = provider
        self._user_of_email = user_of_email

    def verify(self, token: object, now: datetime) -> Principal:
        """Return the principal of `token` at `now`, by the provider's user id (the claim "sub").

        Raises NotSignedIn for anything but a good token, NotAllowed when a good one names no role
        of ours, SignInUnavailable when the provider's keys are needed and cannot be had.
        """
        claims = signed_claims(token, algorithm=ALGORITHMS, key_of=self._key_of)
        if claims.get("iss") != self.issuer or not self._is_for_us(claims):
            raise NotSignedIn(sentence("This token was made for another system."))
        # Some leave "nbf" out: a token begins when it is issued.
        expires_at = good_until({"nbf": claims.get("iat")} | claims, now, leeway=EXPIRY_LEEWAY)
        user, roles = self._known_as(claims)
        return Principal(
            user,
            roles,
            expires_at=expires_at,
            via="token",
            session=session_of(claims),
            issued_at=instant_of(claims.get("iat")),
        )

    def issue(self, *_: object, **__: object) -> Never:
        """Raise UnableToIssueToken: only the provider issues tokens."""
        raise UnableToIssueToken(
            "With AUTH0_DOMAIN set, people sign in through Auth0, and a token made here would not "
            "be believed. For a program, make a key: "
            ".venv/bin/python -m services api-key NAME --role ROLE."
        )

    def _known_as(self, claims: Mapping[str, object]) -> tuple[str, frozenset[Role]]:
        user, claim = user_of(claims), self._provider.roles_claim
        if claim is not None:
            return user, self._roles(_value_at(claims, claim))
        email = claims.get("email")
        # Only True: some providers write "false", which is a text and not empty.
        if not isinstance(email, str) or claims.get("email_verified") is not True:
            raise NotAllowed(
                sentence("Your account has no e-mail address that its provider verified.")
            )
        invited = self._user_of_email(email.lower()) if _is_plain(email) else None
        if invited is None or invited.disabled:
            raise NotAllowed(_NOT_INVITED)
        return invited.sign_in_name, frozenset(map(Role, invited.roles))

    def _roles(self, value: object) -> frozenset[Role]:
        given = value if isinstance(value, list) else [value]
        names = [name for name in given if isinstance(name, str)]
        roles = {self._provider.role_names.get(name) for name in names} - {None}
        if not roles:
            raise NotAllowed(_NO_ROLE)
        return frozenset(role for role in Role if role in roles)

    def _key_of(self, header: Mapping[str, object]) -> Key:
        key_id = header.get("kid")
        if not isinstance(key_id, str) or len(key_id) > _LONGEST_KEY_ID:
            raise NotSignedIn(sentence("This token does not say which key signed it."))
        key = self.keys.key(key_id)
        if key is None or (header.get("alg") == ELLIPTIC) != (key.to_dict()["kty"] == "EC"):
            raise NotSignedIn(
                sentence("This token is signed with a key that the sign-in service lacks.")
            )
        return key

    def _is_for_us(self, claims: Mapping[str, object]) -> bool:
        audience, party = claims.get("aud"), self._provider.party
        audiences = audience if isinstance(audience, list) else [audience]
        if self._provider.audience not in audiences:
            return False
        # OpenID Connect Core 3.1.3.7: with several audiences it says who asked for it.
        wanted = {party} if len(audiences) > 1 else {party, None}
        return party is None or claims.get("azp") in wanted


class ExchangedTokens:
    """Tokens of our own, which people get for a good one of the provider's.

    A provider's ID token may last five minutes, and says who came, not how long they may stay.
    """

    def __init__(self, own: LocalTokens, provider: OpenIdTokens) -> None:
        self._own = own
        self.provider = provider

    def verify(self, token: object, now: datetime) -> Principal:
        """Whom a token of ours, or of the provider's, stands for; raises as `OpenIdTokens`."""
        tokens = self._own if is_of_our_own(token) else self.provider
        return tokens.verify(token, now)

    def issue(
        self,
        user: str,
        roles: Role | Collection[Role],
        now: datetime,
        lifetime: timedelta = TOKEN_LIFETIME,
        *,
        via: TokenVia = "token",
    ) -> str:
        """Return a token of ours, or raise UnableToIssueToken with the reason."""
        return self._own.issue(user, roles, now, lifetime, via=via)


def is_of_our_own(token: object) -> bool:
    """Whether a token says that it is signed as ours are; nothing of it is verified."""
    try:
        return bool(jws.get_unverified_header(str(token)).get("alg") == ALGORITHM)
    except Exception:  # A stranger's text may break the parsers in any way there is.
        return False


def _is_plain(email: str) -> bool:
    """Whether an address is written in letters that stand for nothing but themselves.

    Names are kept folded, and straße or a long s would fold to somebody else's address.
    """
    return email == unicodedata.normalize("NFKC", email).strip()


def _value_at(claims: Mapping[str, Any], path: str) -> object:
    """What a claim holds; a name that is no claim itself is a path into one."""
    if path in claims:
        return claims[path]
    value: object = claims
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value
