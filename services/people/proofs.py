"""What a browser shows beside its session: that it is known, or that the password was right."""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal
from uuid import uuid4

from jose import jwk, jws

from services.identity.auth import (
    ALGORITHM,
    ISSUER,
    NotSignedIn,
    good_until,
    signed_claims,
    user_of,
)
from services.people.secret_box import derived_key

Purpose = Literal["device", "second-step"]

DEVICE_LIFETIME: Final = timedelta(days=180)
SECOND_STEP_LIFETIME: Final = timedelta(minutes=5)
_LIFETIMES: Final = {"device": DEVICE_LIFETIME, "second-step": SECOND_STEP_LIFETIME}


@dataclass(frozen=True, slots=True)
class Proof:
    """Whose proof it is, and its id: of a device the same from sign-in to sign-in."""

    user: str
    id: str
    # The password with which it was earned: none is good after the next password.
    password: str


class Proofs:
    """Issues and verifies signed proofs, each for one purpose alone."""

    def __init__(self, signing_key: bytes) -> None:
        key = derived_key(signing_key, "proofs of browsers")
        self._key = jwk.construct(key, ALGORITHM)

    def issue(
        self,
        purpose: Purpose,
        *,
        user: str,
        password_set_at: datetime | None,
        now: datetime,
        id_: str | None = None,
    ) -> str:
        """A new proof for `user` from `now` on; it holds until the password is another."""
        issued_at = int(now.timestamp())
        claims: dict[str, object] = {"iss": ISSUER, "aud": purpose, "sub": user}
        claims |= {"jti": id_ or str(uuid4()), "pwd": _mark(password_set_at)}
        claims |= {"iat": issued_at, "nbf": issued_at}
        claims["exp"] = issued_at + int(_LIFETIMES[purpose].total_seconds())
        return jws.sign(claims, self._key, algorithm=ALGORITHM)

    def verify(self, purpose: Purpose, proof: object, now: datetime) -> Proof:
        """Whose it is; raises NotSignedIn for anything that is no such proof at `now`."""
        claims = signed_claims(proof, algorithm=ALGORITHM, key_of=lambda _: self._key)
        if claims.get("iss") != ISSUER or claims.get("aud") != purpose:
            raise NotSignedIn("This was made for something else.")
        good_until(claims, now)
        return Proof(user_of(claims), str(claims.get("jti")), str(claims.get("pwd")))


def holds(proof: Proof, *, user: str, password_set_at: datetime | None) -> bool:
    """Whether a verified proof is this user's, earned with the password of now."""
    return proof.user == user and proof.password == _mark(password_set_at)


def device_cookie(user: str) -> str:
    """The name of the cookie by which a browser is known to be a user's; several may share one."""
    return f"device_{hashlib.sha256(user.encode()).hexdigest()[:12]}"


def _mark(password_set_at: datetime | None) -> str:
    return password_set_at.isoformat() if password_set_at else ""
