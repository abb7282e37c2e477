"""Codes of an authenticator app (TOTP, RFC 6238), and recovery codes for when it is lost."""

import base64
import hashlib
import hmac
import secrets
import struct
from collections.abc import Iterator
from datetime import datetime
from typing import Final
from urllib.parse import quote, urlencode

STEP_SECONDS: Final = 30
DIGITS: Final = 6
# The code before and after the present one are accepted too: clocks differ.
STEPS_AROUND: Final = 1
RECOVERY_CODES: Final = 10

_SECRET_BYTES: Final = 20
_RECOVERY_BYTES: Final = 10


def new_secret() -> str:
    """A new secret, in the letters that an app takes."""
    return base64.b32encode(secrets.token_bytes(_SECRET_BYTES)).decode("ascii")


def code_at(secret: str, step: int) -> str:
    """The code of a time step."""
    digest = hmac.new(base64.b32decode(secret), struct.pack(">Q", step), hashlib.sha1).digest()
    at = digest[-1] & 0x0F
    number = int.from_bytes(digest[at : at + 4], "big") & 0x7FFF_FFFF
    return str(number % 10**DIGITS).zfill(DIGITS)


def step_of(code: str, *, secret: str, now: datetime) -> int | None:
    """The time step around `now` whose code this is; None when it is none's."""
    typed = "".join(code.split())
    if not (typed.isascii() and typed.isdecimal()):
        return None
    found = None
    for step in _steps_around(now):
        # Each is compared, so that the time taken says nothing.
        if hmac.compare_digest(code_at(secret, step), typed):
            found = step
    return found


def address_of(secret: str, *, user: str, issuer: str) -> str:
    """The address that a QR code hands to an app (otpauth)."""
    query = urlencode({"secret": secret, "issuer": issuer}, quote_via=quote)
    return f"otpauth://totp/{quote(issuer, safe='')}:{quote(user, safe='')}?{query}"


def new_recovery_codes() -> list[str]:
    """Ten new codes of 80 random bits each, in groups of four letters."""
    return [_grouped(secrets.token_bytes(_RECOVERY_BYTES)) for _ in range(RECOVERY_CODES)]


def hash_recovery_code(code: str) -> str:
    """What is kept of a recovery code; spaces, dashes and capitals do not matter."""
    # A plain hash is enough for 80 random bits.
    plain = "".join(c for c in code.lower() if c.isalnum())
    return hashlib.sha256(plain.encode("utf-8", "surrogatepass")).hexdigest()


def _steps_around(now: datetime) -> Iterator[int]:
    present = int(now.timestamp()) // STEP_SECONDS
    yield from range(present - STEPS_AROUND, present + STEPS_AROUND + 1)


def _grouped(drawn: bytes) -> str:
    text = base64.b32encode(drawn).decode("ascii").lower()
    return "-".join(text[at : at + 4] for at in range(0, len(text), 4))
