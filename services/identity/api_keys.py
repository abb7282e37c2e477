"""Keys for programs: made once, known afterwards only by their hash."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import uuid4

from services.database.service import DatabaseService
from services.identity.auth import Principal, Scope, hash_api_key, new_api_key, require
from services.identity.permissions import Permission, Role
from services.identity.security_log import SecurityLog
from services.languages.sentence import sentence
from services.records.sessions import ApiKey

LONGEST_NAME: Final = 100
DEFAULT_LIFETIME: Final = timedelta(days=365)


class UnusableName(ValueError):
    """The name given for a key does not identify it."""


@dataclass(frozen=True, slots=True)
class ApiKeys:
    """Programs' keys in an administrator's hands; each method raises NotAllowed for others."""

    database: DatabaseService
    security_log: SecurityLog

    def listed(self, *, principal: Principal) -> list[ApiKey]:
        """Those in use first, by name; then the revoked ones, the latest first."""
        require(principal, Permission.VIEW_SECURITY)
        return self.database.api_keys()

    def make(
        self, *, name: str, role: Role, scope: Scope, expires_at: datetime, principal: Principal
    ) -> str:
        """Keep a new key and return it; raises as `make_api_key` does."""
        require(principal, Permission.MANAGE_KEYS)
        return make_api_key(
            self.database,
            actor=principal.user,
            name=name,
            role=role,
            expires_at=expires_at,
            scope=scope,
        )

    def revoke(self, key: ApiKey, *, principal: Principal) -> None:
        """End a key for good, and note it; raises NotFound. Again, it changes nothing."""
        require(principal, Permission.MANAGE_KEYS)
        self.database.revoke_api_key(actor=principal.user, key_id=key.id)
        detail = sentence("By {actor}.", actor=principal.user)
        self.security_log.note("key_revoked", who=f"key:{key.name}", detail=detail)


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
        raise UnusableName(
            sentence("A key's name is 1 to {most} printable characters.", most=LONGEST_NAME)
        )
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
    detail = sentence(
        "For {scope}, until {day}, by {actor}.",
        scope=scope,
        day=f"{expires_at:%Y-%m-%d}",
        actor=actor,
    )
    SecurityLog(database).note("key_made", who=f"key:{name}", detail=detail)
    return key
