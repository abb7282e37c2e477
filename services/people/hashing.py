"""Passwords as argon2id hashes, a few at a time, so that guesses fill neither memory nor cores."""

import os
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Final

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from services.integrations.failures import TemporaryFailure
from services.languages.sentence import N_
from services.people.password_rules import LONGEST, normalized

# OWASP's recommendation (19 MiB, 2 passes, 1 lane); a hash made with others is made again.
MEMORY_KIB: Final = 19 * 1024
PASSES: Final = 2
LANES: Final = 1
BUSY: Final = N_("Too many people sign in just now. Try again in a minute.")
WAIT_SECONDS: Final = 5.0


class TooBusyToVerify(TemporaryFailure):
    """So many passwords are being verified that this one would wait too long."""


class PasswordHashing:
    """Makes and verifies hashes, for strangers with half of the cores at most.

    A known device has a place of its own, so that no crowd of guesses keeps it waiting.
    May be used by many threads; the hashing itself lets other threads run.
    """

    def __init__(
        self,
        *,
        memory_kib: int = MEMORY_KIB,
        passes: int = PASSES,
        at_once: int | None = None,
        wait_seconds: float = WAIT_SECONDS,
    ) -> None:
        self._argon2 = PasswordHasher(
            time_cost=passes, memory_cost=memory_kib, parallelism=LANES, type=Type.ID
        )
        places = at_once or max(1, (os.cpu_count() or 2) // 2)
        self._places = {False: threading.Semaphore(places), True: threading.Semaphore(1)}
        self._wait_seconds = wait_seconds

    def hash(self, password: str) -> str:
        """A new hash of a password that was checked; raises TooBusyToVerify."""
        with self._place(known=True):
            return self._argon2.hash(_bytes(password))

    def verify(self, hashed: str | None, password: str, *, known: bool = False) -> bool:
        """Whether the hash is of this password; without one, False after the same time.

        `known` is a device that signed in before. Raises TooBusyToVerify.
        """
        with self._place(known=known):
            try:
                self._argon2.verify(hashed or self._nobodys, _bytes(password))
            except (VerificationError, InvalidHashError):
                return False
        return hashed is not None and len(password) <= LONGEST

    def is_outdated(self, hashed: str) -> bool:
        """Whether a hash was made with other parameters than those of today."""
        return self._argon2.check_needs_rehash(hashed)

    @cached_property
    def _nobodys(self) -> str:
        return self._argon2.hash(secrets.token_bytes(32))

    @contextmanager
    def _place(self, *, known: bool) -> Iterator[None]:
        place = self._places[known]
        if not place.acquire(timeout=self._wait_seconds):
            raise TooBusyToVerify(BUSY)
        try:
            yield
        finally:
            place.release()


def _bytes(password: str) -> bytes:
    return normalized(password).encode("utf-8", "surrogatepass")
