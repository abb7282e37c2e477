"""The public keys that a provider signs with: fetched, kept, and asked for again sparingly."""

import base64
import json
import logging
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

import requests
from jose import jwk
from jose.backends.base import Key
from urllib3.exceptions import HTTPError

from services.identity.auth import SignInUnavailable
from services.languages.sentence import sentence
from services.telemetry.outside_calls import AUTH0, outside_calls

log = logging.getLogger(__name__)

RSA: Final = "RS256"
ELLIPTIC: Final = "ES256"
ALGORITHMS: Final = (RSA, ELLIPTIC)
TIMEOUT_SECONDS: Final = 10.0
# Keys older than this are asked for again; when nobody answers they do for a day.
FRESH_SECONDS: Final = 3600.0
TRUSTED_SECONDS: Final = 24 * 3600.0
# Anybody can make up a key id, and must not be able to make us call the tenant with it.
UNKNOWN_PAUSE_SECONDS: Final = 60.0
FAILED_PAUSE_SECONDS: Final = 5.0
LEAST_BITS: Final = 2048
LARGEST_ANSWER: Final = 256 * 1024
MOST_TRIES: Final = 2

_AWAY: Final = sentence("The sign-in service cannot be reached just now. Try again in a minute.")
_LOOPBACK: Final = {"localhost", "127.0.0.1"}


class KeysNotServed(Exception):
    """The tenant did not give its keys; the message says why, to an administrator."""


@dataclass(frozen=True)
class _Kept:
    keys: Mapping[str, Key] = field(default_factory=dict)
    fetched_at: float = float("-inf")


class SigningKeys:
    """The keys at a JWKS address, by key id; may be asked by many threads.

    With `issuer`, the address is that of a provider's discovery document, which names the keys'.
    `monotonic` gives seconds of a clock that never goes back.
    """

    def __init__(
        self,
        url: str,
        *,
        issuer: str | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.url = url
        self._issuer = issuer
        self._monotonic = monotonic
        self._kept = _Kept()
        self._fetching = threading.Lock()
        self._ask_after = self._ask_for_unknown_after = float("-inf")
        self._failed = False

    def key(self, key_id: str) -> Key | None:
        """The public key with this id, or None when the tenant has none.

        An unknown id makes us ask the tenant again, at most once a minute. Raises
        SignInUnavailable when the tenant would have to be asked and does not answer.
        """
        seen = self._kept
        usable = key_id in seen.keys and self._age(seen) < TRUSTED_SECONDS
        if usable and self._age(seen) < FRESH_SECONDS:
            return seen.keys[key_id]
        # Whoever has an older key to go on with does not wait for the thread that asks.
        if self._fetching.acquire(blocking=not usable):
            try:
                if self._may_ask(key_id, seen):
                    self._ask()
            finally:
                self._fetching.release()
        kept = self._kept
        if self._age(kept) >= TRUSTED_SECONDS or (key_id not in kept.keys and self._failed):
            raise SignInUnavailable(_AWAY)
        return kept.keys.get(key_id)

    def refresh(self) -> int:
        """Ask for the keys now; how many there are. Raises KeysNotServed with the reason."""
        with self._fetching:
            keys = fetch_keys(self.url, issuer=self._issuer)
            self._kept, self._failed = _Kept(keys, self._monotonic()), False
        return len(keys)

    def _age(self, kept: _Kept) -> float:
        return self._monotonic() - kept.fetched_at

    def _may_ask(self, key_id: str, seen: _Kept) -> bool:
        now = self._monotonic()
        if self._kept is not seen or now < self._ask_after:
            return False  # Another thread asked while this one waited, or just before.
        if key_id in seen.keys or self._age(seen) >= TRUSTED_SECONDS:
            return True
        if now < self._ask_for_unknown_after:
            return False
        self._ask_for_unknown_after = now + UNKNOWN_PAUSE_SECONDS
        return True

    def _ask(self) -> None:
        try:
            keys = fetch_keys(self.url, issuer=self._issuer)
            self._kept, self._failed = _Kept(keys, self._monotonic()), False
        except KeysNotServed as error:
            log.warning("the signing keys could not be fetched: %s", error)
            self._failed = True
            pause = UNKNOWN_PAUSE_SECONDS if self._kept.keys else FAILED_PAUSE_SECONDS
            self._ask_after = self._monotonic() + pause


def fetch_keys(url: str, *, issuer: str | None = None) -> Mapping[str, Key]:
    """The RSA keys of at least 2,048 bits and those on P-256 in a JWKS, by their ids.

    It stands at `url`, or at the address that the discovery document of `issuer` there names.

    Connection errors, 429 and 5xx are tried twice, within ten seconds in all. Raises KeysNotServed.
    """
    deadline = time.monotonic() + TIMEOUT_SECONDS
    for tried in range(1, MOST_TRIES + 1):
        try:
            with outside_calls.watched(AUTH0, attempt=tried):
                place = url if issuer is None else _place_of_keys(_body(url, deadline), issuer)
                return _usable_keys(_body(place, deadline))
        except _Again as error:
            if tried == MOST_TRIES or time.monotonic() + 1 > deadline:
                raise KeysNotServed(str(error)) from None
        time.sleep(random.uniform(0.2, 0.6))  # noqa: S311 - only spreads the tries
    raise AssertionError("unreachable")


def _place_of_keys(body: bytes, issuer: str) -> str:
    """The address of the keys in a discovery document, if it is of this issuer."""
    try:
        found = json.loads(body)
        named, address = found["issuer"], str(found["jwks_uri"])
        place = urlsplit(address)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise KeysNotServed("There is no OpenID provider at OIDC_ISSUER.") from None
    if named != issuer:
        raise KeysNotServed(f"The provider calls itself {named!s:.200}: set OIDC_ISSUER to that.")
    # Keys that come without encryption could be anybody's.
    if place.scheme != "https" and place.hostname not in _LOOPBACK:
        raise KeysNotServed("The provider's keys do not come over https.")
    return address


class _Again(Exception):
    """This try failed in a way that the next may not."""


def _body(url: str, deadline: float) -> bytes:
    with requests.Session() as session:
        # A proxy of the environment cannot reach this machine's own loopback.
        session.trust_env = urlsplit(url).hostname not in _LOOPBACK
        # Without an encoding, 256 kB on the wire are 256 kB in memory.
        session.headers.update({"Accept": "application/json", "Accept-Encoding": "identity"})
        left = max(0.5, deadline - time.monotonic())
        try:
            with session.get(url, timeout=left, allow_redirects=False, stream=True) as answer:
                _check_status(answer.status_code)
                return _read(answer, deadline)
        except (requests.ConnectionError, requests.Timeout, HTTPError):
            raise _Again("The tenant cannot be reached, or does not answer in time.") from None
        except (requests.RequestException, ValueError):
            raise KeysNotServed(
                "The tenant cannot be asked: check its address in the settings."
            ) from None


def _check_status(status: int) -> None:
    if status == 429 or status >= 500:
        raise _Again(f"The tenant answered {status}.")
    if status != 200:
        raise KeysNotServed(
            f"The tenant answered {status} instead of its keys: check its address in the settings."
        )


def _read(answer: requests.Response, deadline: float) -> bytes:
    body = bytearray()
    # read1 gives what is there: a byte every few seconds would never run into a read's timeout.
    while chunk := answer.raw.read1(8192, decode_content=False):
        body += chunk
        if len(body) > LARGEST_ANSWER:
            raise KeysNotServed("The tenant's answer is far too long to be its keys.")
        if time.monotonic() > deadline:
            raise KeysNotServed("The tenant did not answer in time.")
    return bytes(body)


def _usable_keys(body: bytes) -> Mapping[str, Key]:
    try:
        found = json.loads(body)["keys"]
        given = [key for key in found if isinstance(key, dict)]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise KeysNotServed("The tenant's answer is no set of keys.") from None
    usable = [(key["kid"], made) for key in given if (made := _public_key(key)) is not None]
    if len(usable) < len(given):
        log.info("%d of %d signing keys are of no use here", len(given) - len(usable), len(given))
    return dict(usable)


def _public_key(given: Mapping[str, Any]) -> Key | None:
    """The key, or None unless it is one for signatures that are taken here, and long enough."""
    if given.get("use", "sig") != "sig" or not isinstance(given.get("kid"), str):
        return None
    try:
        if given.get("kty") == "EC" and given.get("crv") == "P-256":
            return _constructed(given, ("kty", "crv", "x", "y"), ELLIPTIC)
        modulus = base64.urlsafe_b64decode(given["n"] + "==")
        if given.get("kty") != "RSA" or int.from_bytes(modulus).bit_length() < LEAST_BITS:
            return None
        return _constructed(given, ("kty", "n", "e"), RSA)
    except Exception:  # A stranger's numbers may break the parsers in any way there is.
        return None


def _constructed(given: Mapping[str, Any], public: tuple[str, ...], algorithm: str) -> Key | None:
    if given.get("alg", algorithm) != algorithm:
        return None
    # Only what is public: whatever else the entry holds has no say.
    return jwk.construct({name: given[name] for name in public}, algorithm)
