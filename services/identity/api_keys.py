"""Keys for programs: made once, known afterwards only by their hash."""

from datetime import datetime, timedelta
from typing import Final
from uuid import uuid4

from services.database.service import DatabaseService
from services.identity.auth import Role, Scope, hash_api_key, new_api_key
from services.identity.security_log import SecurityLog

LONGEST_NAME: Final = 100
DEFAULT_LIFETIME: Final = timedelta(days=365)


class UnusableName(ValueError):
    """The name given for a key does not identify it."""


def make_api_key(
    database: DatabaseService,
    *,
    actor: str,
    name: str,
    role: Role,
    expires_at: datetime,
    scope: Scope = "all",
) -> str:
    """Keep a new key for the program `name` and return it: it can never be shown again.

    Raises UnusableName, and IllegalChange when another key has the name, revoked or not.
    """
    name = name.strip()
    if not 0 < len(name) <= LONGEST_NAME or not name.isprintable():
        raise UnusableName(f"A key's name is 1 to {LONGEST_NAME} printable characters.")
    key = new_api_key()
    database.add_api_key(
        actor=actor,
        key_id=str(uuid4()),
        name=name,
        key_hash=hash_api_key(key),
        role=role,
        scope=scope,
        expires_at=expires_at,
    )
    detail = f"For {scope}, until {expires_at:%Y-%m-%d}, by {actor}."
    SecurityLog(database).note("key_made", who=f"key:{name}", detail=detail)
    return key
