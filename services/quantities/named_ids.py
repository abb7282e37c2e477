"""Ids made from what they are of: the same work makes the same id, so that a repeat is known."""

from hashlib import sha1
from uuid import UUID

_VERSION_5, _VARIANT = 0x50, 0x80


def named_id(namespace: UUID, name: str) -> str:
    """The text of `uuid.uuid5(namespace, name)`, in less than half its time: a bill needs two."""
    digest = bytearray(sha1(namespace.bytes + name.encode(), usedforsecurity=False).digest()[:16])
    digest[6] = digest[6] & 0x0F | _VERSION_5
    digest[8] = digest[8] & 0x3F | _VARIANT
    text = digest.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
