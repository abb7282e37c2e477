"""Keys for programs."""

from datetime import datetime

from services.database.queries.base import Queries
from services.database.transport import Filter
from services.records.sessions import ApiKey, KeyHolder


class KeyQueries(Queries):
    """Keys for programs, by the hash."""

    def add_api_key(
        self,
        *,
        actor: str,
        key_id: str,
        name: str,
        key_hash: str,
        role: str,
        scope: str,
        expires_at: datetime,
    ) -> None:
        """Keep the hash of a new key; raises IllegalChange when the name is taken."""
        self._call(
            "add_api_key",
            actor=actor,
            id=key_id,
            name=name,
            key_hash=key_hash,
            role=role,
            scope=scope,
            expires_at=expires_at.isoformat(),
        )

    def api_key(self, *, key_hash: str) -> KeyHolder | None:
        """The key with this hash that is not revoked."""
        rows = self._transport.select(
            "api_keys",
            filters=[Filter("key_hash", "eq", key_hash), Filter("revoked_at", "is_null", True)],
            limit=1,
        ).rows
        return KeyHolder.model_validate(rows[0]) if rows else None

    def use_api_key(self, *, key_id: str) -> bool:
        """Note that a key is used; whether it never was before."""
        return bool(self._call("use_api_key", id=key_id)["first"])

    def api_keys(self) -> list[ApiKey]:
        """All keys: those in use first, by name; then the revoked ones, the latest first."""
        rows = self._transport.select("api_key_list", order=["name.asc"]).rows
        keys = [ApiKey.model_validate(row) for row in rows]
        revoked = [(key.revoked_at, key) for key in keys if key.revoked_at is not None]
        revoked.sort(key=lambda pair: pair[0], reverse=True)
        return [key for key in keys if key.revoked_at is None] + [key for _, key in revoked]

    def revoke_api_key(self, *, actor: str, key_id: str) -> None:
        """End a key for good; raises NotFound. Doing it again changes nothing."""
        self._call("revoke_api_key", actor=actor, id=key_id)
