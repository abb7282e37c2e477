"""Signed links to a customer's page: whose, of which generation, until when. None is kept.

A link is 24 bytes that say this and 16 that prove it. One more generation ends them all.
"""

import base64
import binascii
import hashlib
import hmac
import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from services.languages.sentence import N_
from services.people.secret_box import derived_key

# As long as somebody may look for a bill in their mail.
LINK_LIFETIME: Final = timedelta(days=60)
# The page's address on the site; below it a link says who comes by the query `k`.
PATH: Final = "/my"
OPEN_PATH: Final = "/my/open"
_SAYS: Final = struct.Struct(">16sII")
_PROOF_BYTES: Final = 16
_LENGTH: Final = -(-4 * (_SAYS.size + _PROOF_BYTES) // 3)


_TOO_OLD: Final = N_("This link is too old. Every new bill brings a new one.")
_NOT_OURS: Final = N_("This link is not one of ours. Open it as it stands in the message.")


class LinkNotGood(Exception):
    """This is no link of ours, or its time is over."""


@dataclass(frozen=True, slots=True)
class CustomerLink:
    """What a link that was verified says."""

    customer_id: str
    generation: int
    made_at: datetime


class CustomerLinks:
    """Makes and verifies links, codes and marks of known devices, under keys of their own."""

    def __init__(self, signing_key: bytes) -> None:
        self._links = derived_key(signing_key, "links to customers' pages")
        self._devices = derived_key(signing_key, "devices of customers")
        self._codes = derived_key(signing_key, "codes of customers")

    def make(self, *, customer_id: str, generation: int, now: datetime) -> str:
        """The text of a link that is good until some days after `now` (UTC)."""
        until = int((now + LINK_LIFETIME).timestamp())
        said = _SAYS.pack(UUID(customer_id).bytes, generation, until)
        return _text(said + _proof(self._links, said))

    def verify(self, text: str, now: datetime) -> CustomerLink:
        """What a link says; raises LinkNotGood. Whether it was ended the database knows."""
        customer, generation, until = self._opened(self._links, text)
        ends_at = datetime.fromtimestamp(until, UTC)
        if now >= ends_at:
            raise LinkNotGood(_TOO_OLD)
        return CustomerLink(customer, generation, ends_at - LINK_LIFETIME)

    def mark_device(self, *, customer_id: str, generation: int, number: int) -> str:
        """By what a browser is known to have been let in before; `number` tells devices apart."""
        said = _SAYS.pack(UUID(customer_id).bytes, generation, number)
        return _text(said + _proof(self._devices, said))

    def known_device(self, text: str, *, customer_id: str, generation: int) -> str | None:
        """Which device of this customer a mark is of; None for anything else."""
        try:
            whose, when, number = self._opened(self._devices, text)
        except LinkNotGood:
            return None
        return f"device {number}" if (whose, when) == (customer_id, generation) else None

    def hash_code(self, code: str, *, customer_id: str) -> str:
        """What is kept of a code: without the key nobody finds it out by trying all."""
        said = f"{customer_id}\n{code}".encode("utf-8", "surrogatepass")
        return hmac.new(self._codes, said, hashlib.sha256).hexdigest()

    def _opened(self, key: bytes, text: str) -> tuple[str, int, int]:
        raw = _bytes(text)
        said, proof = raw[: _SAYS.size], raw[_SAYS.size :]
        if not hmac.compare_digest(proof, _proof(key, said)):
            raise LinkNotGood(_NOT_OURS)
        customer, generation, number = _SAYS.unpack(said)
        return str(UUID(bytes=customer)), generation, number


def _proof(key: bytes, said: bytes) -> bytes:
    return hmac.new(key, said, hashlib.sha256).digest()[:_PROOF_BYTES]


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def _bytes(text: str) -> bytes:
    # What is no such text is compared all the same, with a proof that never fits.
    try:
        raw = base64.urlsafe_b64decode(text[:_LENGTH].encode("ascii") + b"==")
    except (ValueError, binascii.Error):
        raw = b""
    good = len(text) == _LENGTH and len(raw) == _SAYS.size + _PROOF_BYTES
    return raw if good else bytes(_SAYS.size + _PROOF_BYTES)
