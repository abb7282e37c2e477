"""Signing in with a name and a password, and with a code where the user wants one."""

import logging
import threading
import time
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from services.database.service import DatabaseService
from services.identity.auth import NotSignedIn, Tokens
from services.identity.permissions import Role
from services.identity.security_log import SecurityLog
from services.identity.sessions import Sessions
from services.languages.sentence import nsentence, sentence
from services.people.hashing import BUSY, PasswordHashing, TooBusyToVerify
from services.people.limits import OF_NAME, OF_NAME_FOR_CODES, Try, TryLimits
from services.people.proofs import Proof, Proofs, holds
from services.people.secret_box import SecretBox, UnableToOpen
from services.people.totp import hash_recovery_code, step_of
from services.records.sessions import UserToSignIn

log = logging.getLogger(__name__)

# Whatever was wrong is answered after at least so long: the work differs by some milliseconds.
LEAST_SECONDS: Final = 0.25
# Tries from devices that are not known, from the first look to the answer.
STRANGERS_AT_ONCE: Final = 8
_LONGEST_NAME: Final = 200
_LONGEST_CODE: Final = 6
_WRONG: Final = sentence("That name and password do not fit together.")
_WRONG_CODE: Final = sentence("That code is not right, or was used before. Wait for the next one.")
_BEGIN_AGAIN: Final = sentence("That took too long. Sign in again.")


class SignInRefused(Exception):
    """What was typed does not let anybody in; the reason names neither user nor state."""


class BeginAgain(SignInRefused):
    """The password has to be shown again before a code counts."""


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Somebody who is in: the token of the session, and by what this device is known from now."""

    user: str
    token: str
    device: str


@dataclass(frozen=True, slots=True)
class CodeWanted:
    """The password is right; with this proof a code is awaited for five minutes."""

    proof: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where a try comes from: its address, and what the browser shows for a known device."""

    address: str
    device: str | None = None


class PasswordSignIn:
    """Lets people in. Unknown names, disabled users and wrong passwords are answered alike."""

    def __init__(
        self,
        database: DatabaseService,
        tokens: Tokens,
        sessions: Sessions,
        security_log: SecurityLog,
        *,
        hashing: PasswordHashing,
        signing_key: bytes,
        least_seconds: float = LEAST_SECONDS,
    ) -> None:
        self._database = database
        self._tokens = tokens
        self._sessions = sessions
        self._security_log = security_log
        self._hashing = hashing
        self._proofs = Proofs(signing_key)
        self._box = SecretBox(signing_key)
        self._least_seconds = least_seconds
        self._strangers = threading.Semaphore(STRANGERS_AT_ONCE)
        self.passwords = TryLimits()
        self.codes = TryLimits(of_name=OF_NAME_FOR_CODES)

    def with_password(
        self, name: str, password: str, *, place: Place, now: datetime
    ) -> SignedIn | CodeWanted:
        """Let somebody in, or ask for a code.

        Raises SignInRefused, TooManyTries, TooBusyToVerify.
        """
        began = time.monotonic()
        user, device, tried = self._begin(folded_name(name), place, now)
        with self._room(tried, device):
            hashed = user.password_hash if user else None
            right = self._hashing.verify(hashed, password, known=device is not None)
            if user is None or hashed is None or not right or user.disabled:
                self._note_failure(user, place, sentence("Wrong name or password."))
                self._note_guesses(user, tried)
                self._wait_since(began)
                raise SignInRefused(_WRONG)
        self.passwords.succeeded(tried)
        if self._hashing.is_outdated(hashed):
            self._hash_again(user.id, hashed, password)
        if user.totp_secret is not None:
            proof = self._proofs.issue(
                "second-step",
                user=user.sign_in_name,
                password_set_at=user.password_set_at,
                now=now,
            )
            return CodeWanted(proof)
        return self.let_in(user, place=place, now=now)

    def with_code(self, proof: str, code: str, *, place: Place, now: datetime) -> SignedIn:
        """Let somebody in who showed the password, with an app's code or a recovery code.

        Raises BeginAgain, SignInRefused, TooManyTries.
        """
        began = time.monotonic()
        user = self._who_showed_password(proof, now)
        device = self._known_device(user, place, now)
        tried = self.codes.begin(
            name=user.sign_in_name, address=place.address, device=device, now=now
        )
        if not self._uses_up(user, code, now):
            self._note_failure(user, place, sentence("Right password, wrong code."))
            self._wait_since(began)
            raise SignInRefused(_WRONG_CODE)
        self.codes.succeeded(tried)
        return self.let_in(user, place=place, now=now)

    def user_of(self, proof: str, now: datetime) -> str:
        """The sign-in name of who showed the password; raises BeginAgain."""
        return self._who_showed_password(proof, now).sign_in_name

    def let_in(self, user: UserToSignIn, *, place: Place, now: datetime) -> SignedIn:
        """A new session for somebody who proved who they are."""
        roles = [Role(role) for role in user.roles]
        token = self._tokens.issue(user.sign_in_name, roles, now, via="password")
        # Noted at once, so that it can be ended from now on.
        self._sessions.admit(self._tokens.verify(token, now), address=place.address)
        device = self._proofs.issue(
            "device",
            user=user.sign_in_name,
            password_set_at=user.password_set_at,
            now=now,
            id_=self._known_device(user, place, now),
        )
        return SignedIn(user.sign_in_name, token, device)

    def verify_own(self, user: UserToSignIn, password: str, *, session: str, now: datetime) -> bool:
        """Whether somebody who is signed in knows their password; raises TooManyTries."""
        tried = self.passwords.begin(
            name=user.sign_in_name, address="", device=f"session {session}", now=now
        )
        if not self._hashing.verify(user.password_hash, password, known=True):
            return False
        self.passwords.succeeded(tried)
        return True

    def _begin(
        self, name: str, place: Place, now: datetime
    ) -> tuple[UserToSignIn | None, str | None, Try]:
        """Who has the name, their known device, and the try that is counted."""
        proof = self._device_of(name, place, now)
        if proof is None:
            # Who has to wait costs the database nothing, and learns nothing from how long it took.
            tried = self.passwords.begin(name=name, address=place.address, device=None, now=now)
            return self._database.user_to_sign_in(sign_in_name=name), None, tried
        user = self._database.user_to_sign_in(sign_in_name=name)
        device = proof.id if user is not None and _is_of(proof, user) else None
        tried = self.passwords.begin(name=name, address=place.address, device=device, now=now)
        return user, device, tried

    @contextmanager
    def _room(self, tried: Try, device: str | None) -> Iterator[None]:
        """Room for a try: strangers beyond some at once are sent away, uncounted, and at once.

        So those who wait for an answer never take all workers that answer known devices too.
        """
        stranger = device is None
        if stranger and not self._strangers.acquire(blocking=False):
            self.passwords.undo(tried)
            raise TooBusyToVerify(BUSY)
        try:
            yield
        except TooBusyToVerify:
            self.passwords.undo(tried)
            raise
        finally:
            if stranger:
                self._strangers.release()

    def _known_device(self, user: UserToSignIn, place: Place, now: datetime) -> str | None:
        """The id of the device, if this user signed in on it with the password of now."""
        proof = self._device_of(user.sign_in_name, place, now)
        return proof.id if proof is not None and _is_of(proof, user) else None

    def _device_of(self, name: str, place: Place, now: datetime) -> Proof | None:
        """What the browser shows of a device on which somebody with this name signed in."""
        with suppress(NotSignedIn):
            proof = self._proofs.verify("device", place.device, now)
            return proof if proof.user == name else None
        return None

    def _who_showed_password(self, proof: str, now: datetime) -> UserToSignIn:
        try:
            shown = self._proofs.verify("second-step", proof, now)
        except NotSignedIn:
            raise BeginAgain(_BEGIN_AGAIN) from None
        user = self._database.user_to_sign_in(sign_in_name=shown.user)
        if user is None or user.disabled or user.totp_secret is None or not _is_of(shown, user):
            raise BeginAgain(_BEGIN_AGAIN)
        return user

    def _uses_up(self, user: UserToSignIn, code: str, now: datetime) -> bool:
        if len("".join(code.split())) > _LONGEST_CODE:
            used = self._database.use_recovery_code(
                actor=user.sign_in_name, user_id=user.id, code_hash=hash_recovery_code(code)
            )
            if used:
                left = user.recovery_codes_left - 1
                self._security_log.note(
                    "recovery_code_used",
                    who=user.sign_in_name,
                    detail=nsentence(
                        "{count} recovery code left.", "{count} recovery codes left.", left
                    ),
                )
            return used
        try:
            secret = self._box.open(user.totp_secret or "", owner=user.id)
        except UnableToOpen as error:
            log.warning("the codes of %s cannot be checked: %s", user.sign_in_name, error)
            return False
        step = step_of(code, secret=secret, now=now)
        return step is not None and self._database.use_totp_step(user_id=user.id, step=step)

    def _hash_again(self, user_id: str, old_hash: str, password: str) -> None:
        with suppress(TooBusyToVerify):
            self._database.rehash_password(
                user_id=user_id, old_hash=old_hash, password_hash=self._hashing.hash(password)
            )

    def _note_failure(self, user: UserToSignIn | None, place: Place, detail: str) -> None:
        # What is no user's name may be a password in the wrong field: it is not written down.
        who = user.sign_in_name if user else ""
        self._security_log.note("refused", who=who, address=place.address, detail=detail)

    def _note_guesses(self, user: UserToSignIn | None, tried: Try) -> None:
        """Say that a name is guessed, when it gets slow and at each tenfold of that."""
        guesses = OF_NAME.free
        while guesses < tried.failures_of_name:
            guesses *= 10
        if user is not None and tried.failures_of_name == guesses:
            detail = sentence(
                "{guesses} wrong passwords from devices that are not known. New devices wait.",
                guesses=str(guesses),
            )
            self._security_log.note("name_guessed", who=user.sign_in_name, detail=detail)

    def _wait_since(self, began: float) -> None:
        time.sleep(max(0.0, began + self._least_seconds - time.monotonic()))


def folded_name(typed: str) -> str:
    """A sign-in name as it is kept; empty for what can be nobody's."""
    name = unicodedata.normalize("NFKC", typed[:_LONGEST_NAME]).strip().lower()
    return name if name.isprintable() else ""


def _is_of(proof: Proof, user: UserToSignIn) -> bool:
    # Without a password it was reset, and what was earned with the old one ended with it.
    return user.password_hash is not None and holds(
        proof, user=user.sign_in_name, password_set_at=user.password_set_at
    )
