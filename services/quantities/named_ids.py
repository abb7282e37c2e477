"""Ids made from what they are of: the same work makes the same id, so that a repeat is known.

Ids of rows that come by the million begin with a time (RFC 9562, versions 7 and 8), so that rows
stored together are together in the indexes by id.
"""

from datetime import UTC, datetime, timedelta
from hashlib import sha1
from os import urandom
from typing import Final
from uuid import UUID

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_VERSION_7, _VERSION_8, _VARIANT = 0x70, 0x80, 0x80


def ordered_named_id(at: datetime, namespace: UUID, name: str) -> str:
    """An id made from a name that begins with an instant, to the millisecond (version 8)."""
    return _text(_instant(at) + bytearray(_digest(namespace, name)[6:]), _VERSION_8)


def named_id_beside(row_id: str, namespace: UUID, name: str) -> str:
    """An id made from a name that begins as another row's does, to stand in the same order."""
    return _text(bytearray(UUID(row_id).bytes[:6] + _digest(namespace, name)[6:]), _VERSION_8)


def ordered_id(at: datetime) -> str:
    """A new id that begins with an instant, to the millisecond (version 7)."""
    return _text(_instant(at) + bytearray(urandom(10)), _VERSION_7)


def _digest(namespace: UUID, name: str) -> bytes:
    return sha1(namespace.bytes + name.encode(), usedforsecurity=False).digest()[:16]


def _instant(at: datetime) -> bytearray:
    # Before 1970, as of a meter that was opened long ago, all begin alike.
    return bytearray(max(0, (at - _EPOCH) // _MILLISECOND).to_bytes(6, "big"))


def _text(octets: bytearray, version: int) -> str:
    octets[6] = octets[6] & 0x0F | version
    octets[8] = octets[8] & 0x3F | _VARIANT
    text = octets.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
