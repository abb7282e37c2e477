"""One-time links by which a user sets a password; only the hash of the code is kept."""

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import Final
from uuid import uuid4

from services.records.sessions import LinkKind, NewLink

PATH: Final = "/sign-in/new-password"
LIFETIMES: Final[dict[LinkKind, timedelta]] = {
    "invitation": timedelta(days=7),
    "reset": timedelta(days=1),
    "recovery": timedelta(hours=1),
}
_LONGEST_CODE: Final = 200


def new_link(kind: LinkKind, now: datetime) -> tuple[str, NewLink]:
    """A new code, and what is kept of it."""
    code = secrets.token_urlsafe(32)
    link = NewLink(
        id=str(uuid4()), kind=kind, code_hash=hash_code(code), expires_at=now + LIFETIMES[kind]
    )
    return code, link


def hash_code(code: str) -> str:
    """What is kept of a code."""
    # A plain hash is enough for 256 random bits.
    return hashlib.sha256(code[:_LONGEST_CODE].encode("utf-8", "surrogatepass")).hexdigest()


def link_with(code: str, origin: str) -> str:
    """The link to hand over; `origin` is the site's address without a slash at its end."""
    return f"{origin}{PATH}?code={code}"
