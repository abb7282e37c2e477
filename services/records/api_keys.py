"""API keys, without their secret: records."""

from datetime import datetime
from typing import Literal

from services.records.base import Record


class KeyHolder(Record):
    """Whom a key that is not revoked stands for, until when."""

    id: str
    name: str
    role: Literal["engineer", "admin"]
    scope: Literal["all", "submit_readings", "read_bills"]
    expires_at: datetime | None


class ApiKey(Record):
    """A program's key as administrators see it: never the key itself, nor its hash."""

    id: str
    name: str
    role: Literal["engineer", "admin"]
    scope: Literal["all", "submit_readings", "read_bills"]
    created_at: datetime
    created_by: str
    # None: a key from before keys expired.
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None
    revoked_by: str | None
