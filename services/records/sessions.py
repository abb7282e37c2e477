"""Sign-ins in use, keys of programs (without their secret) and the security log: records."""

from datetime import datetime
from typing import Literal

from services.records.base import Record

RoleName = Literal["engineer", "cashier", "clerk", "manager", "auditor", "admin"]


class Session(Record):
    """A token that was used here, as administrators see it: never the token itself.

    `via` "link" is a browser that opened the terminal's link and may choose a role.
    """

    id: str
    user_id: str
    # One or several of them by a comma.
    role: str | None
    via: Literal["token", "demo", "link"]
    address: str
    issued_at: datetime
    expires_at: datetime
    first_used_at: datetime
    last_used_at: datetime
    ended_at: datetime | None
    ended_by: str | None
    # Since when every token of this user is refused.
    dismissed_at: datetime | None


class SignInStanding(Record):
    """Since when a person may not sign in, if so, and the names of their keys that still hold."""

    dismissed_at: datetime | None
    keys: tuple[str, ...]


class SecurityEvent(Record):
    """A row of the security log."""

    id: int
    at: datetime
    event: str
    who: str
    address: str
    detail: str


class KeyHolder(Record):
    """Whom a key that is not revoked stands for, until when."""

    id: str
    name: str
    role: RoleName
    scope: Literal["all", "submit_readings", "read_bills"]
    expires_at: datetime | None


class ApiKey(Record):
    """A program's key as administrators see it: never the key itself, nor its hash."""

    id: str
    name: str
    role: RoleName
    scope: Literal["all", "submit_readings", "read_bills"]
    created_at: datetime
    created_by: str
    # None: a key from before keys expired.
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None
    revoked_by: str | None
