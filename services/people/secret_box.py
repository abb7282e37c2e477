"""Keys derived from the installation's signing key, one a purpose, and what is kept under one."""

import base64
import binascii
import secrets
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_NONCE_BYTES: Final = 12


class UnableToOpen(Exception):
    """It was not sealed here for this owner: the signing key is another, or it was changed."""


def derived_key(signing_key: bytes, purpose: str) -> bytes:
    """A key of 32 bytes for one purpose; none says anything of another."""
    return HKDF(SHA256(), length=32, salt=None, info=purpose.encode()).derive(signing_key)


class SecretBox:
    """Encrypts short texts for the database (AES-256-GCM), each bound to its owner."""

    def __init__(self, signing_key: bytes) -> None:
        self._cipher = AESGCM(derived_key(signing_key, "secrets of users"))

    def seal(self, text: str, *, owner: str) -> str:
        """The text as it is kept; no two are alike."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = self._cipher.encrypt(nonce, text.encode(), owner.encode())
        return base64.b64encode(nonce + sealed).decode("ascii")

    def open(self, sealed: str, *, owner: str) -> str:
        """The text again; raises UnableToOpen."""
        try:
            raw = base64.b64decode(sealed, validate=True)
            return self._cipher.decrypt(
                raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], owner.encode()
            ).decode()
        except (InvalidTag, ValueError, binascii.Error):
            raise UnableToOpen("A secret cannot be read with this signing key.") from None
