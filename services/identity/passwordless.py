"""Signing in without a password: a one-time link from the terminal, then the choice of a role."""

import hashlib
import os
import secrets
import stat
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from uuid import uuid4

from jose import jwk, jws

from services.identity.auth import (
    ALGORITHM,
    ISSUER,
    NotSignedIn,
    good_until,
    instant_of,
    session_of,
    signed_claims,
)

LINK_LIFETIME: Final = timedelta(hours=12)
# After the link was opened, and again after each sign-out, a role may be chosen for so long.
CHOICE_LIFETIME: Final = timedelta(hours=1)
# For so long a sign-out in the same browser allows the choice again.
RENEWAL_LIFETIME: Final = timedelta(hours=13)
LINK_PATH: Final = "/session/link"

_FOLDER: Final = "sign-in-links"
_ADDRESS: Final = "address"
_DEFAULT_ADDRESS: Final = "http://localhost:8501"
_AUDIENCE: Final = "electricity-billing-role-choice"
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_LONGEST_CODE: Final = 200


class UnableToKeepLinks(Exception):
    """The folder for the links cannot be made, read or trusted."""


@dataclass(frozen=True, slots=True)
class RoleChoice:
    """A browser's right to choose a role: its id, and whether the choice is open at the moment."""

    id: str
    open: bool
    issued_at: datetime
    renewable_until: datetime


class SignInLinks:
    """One-time codes, each kept as a file named by its hash that only the owner can reach.

    Files, so that the command line can make one beside the running app, whichever the database is.
    """

    def __init__(self, data_dir: Path) -> None:
        self._folder = data_dir / _FOLDER

    def make(self, now: datetime) -> str:
        """Keep a new code for LINK_LIFETIME and return its link.

        Raises UnableToKeepLinks.
        """
        code = secrets.token_urlsafe(32)
        try:
            self._prepare()
            self._remove_old(now)
            self._write(self._file_of(code), (now + LINK_LIFETIME).isoformat())
            return f"{self.address()}{LINK_PATH}?code={code}"
        except OSError as error:
            raise UnableToKeepLinks(
                f"No sign-in link can be kept in {self._folder}: {error.strerror or error}."
            ) from error

    def redeem(self, code: str, now: datetime) -> bool:
        """Say whether `code` is good, and use it up: of many who try at once, one succeeds."""
        if not 0 < len(code) <= _LONGEST_CODE:
            return False
        file = self._file_of(code)
        try:
            ends_at = datetime.fromisoformat(file.read_text(encoding="ascii"))
            file.unlink()
        except (OSError, ValueError):
            return False
        return now < ends_at

    def note_address(self, address: str) -> None:
        """Keep where the app listens, for links that are made by another process."""
        try:
            self._prepare()
            file = self._folder / _ADDRESS
            file.unlink(missing_ok=True)
            self._write(file, address)
        except OSError as error:
            raise UnableToKeepLinks(
                f"No sign-in link can be kept in {self._folder}: {error.strerror or error}."
            ) from error

    def address(self) -> str:
        """Where the app listens, as its start noted it."""
        file = self._folder / _ADDRESS
        return file.read_text(encoding="utf-8") if file.exists() else _DEFAULT_ADDRESS

    def _prepare(self) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.name == "posix" and self._folder.stat().st_mode & _OTHERS:
            raise UnableToKeepLinks(
                f"The folder {self._folder} is open to others. Run `chmod 700 {self._folder}`."
            )

    def _remove_old(self, now: datetime) -> None:
        for file in self._folder.iterdir():
            # Another process may have used it up meanwhile.
            with suppress(FileNotFoundError):
                written = datetime.fromtimestamp(file.stat().st_mtime, UTC)
                if file.name != _ADDRESS and written < now - 2 * LINK_LIFETIME:
                    file.unlink()

    def _file_of(self, code: str) -> Path:
        # A plain hash is enough for 256 random bits.
        return self._folder / hashlib.sha256(code.encode("utf-8", "surrogatepass")).hexdigest()

    @staticmethod
    def _write(file: Path, text: str) -> None:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
            opened.write(text)


class RoleChoices:
    """What a browser shows after it opened a link: signed, and kept in a cookie."""

    def __init__(self, key: bytes) -> None:
        self._key = jwk.construct(key, ALGORITHM)

    def issue(self, now: datetime) -> str:
        """A new right to choose a role, from `now` on."""
        claims: dict[str, object] = {"iss": ISSUER, "aud": _AUDIENCE, "jti": str(uuid4())}
        issued_at = int(now.timestamp())
        ends_at = issued_at + int(RENEWAL_LIFETIME.total_seconds())
        claims |= {"iat": issued_at, "nbf": issued_at, "exp": ends_at}
        return jws.sign(claims, self._key, algorithm=ALGORITHM)

    def verify(self, right: object, now: datetime) -> RoleChoice:
        """What `right` allows at `now`; raises NotSignedIn for anything that is no such right."""
        claims = signed_claims(right, algorithm=ALGORITHM, key_of=lambda _: self._key)
        if claims.get("iss") != ISSUER or claims.get("aud") != _AUDIENCE:
            raise NotSignedIn("This is not a right to choose a role.")
        ends_at = good_until(claims, now)
        issued_at = instant_of(claims.get("iat"))
        return RoleChoice(
            session_of(claims),
            open=now < issued_at + CHOICE_LIFETIME,
            issued_at=issued_at,
            renewable_until=ends_at,
        )


@dataclass(frozen=True, slots=True)
class Passwordless:
    """Sign-in without a password, for an installation without Auth0."""

    links: SignInLinks
    choices: RoleChoices

    def redeem(self, code: str, now: datetime) -> str | None:
        """Use a link's code up; the right to choose a role, or None."""
        return self.choices.issue(now) if self.links.redeem(code, now) else None
