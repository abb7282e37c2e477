"""Users, sign-ins in use, keys of programs (without their secret) and the security log: records."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from pydantic import Field

from services.records.base import Record

RoleName = Literal["engineer", "cashier", "clerk", "manager", "auditor", "admin"]
UserState = Literal["invited", "active", "disabled"]
UserSort = Literal["sign_in_name", "display_name"]
LinkKind = Literal["invitation", "reset", "recovery"]
LinkState = Literal["good", "used", "void", "expired", "disabled"]


class Session(Record):
    """A token that was used here, as administrators see it: never the token itself.

    `via` "link" is a browser that opened the terminal's link and may choose a role.
    """

    id: str
    user_id: str
    # One or several of them by a comma.
    role: str | None
    via: Literal["token", "demo", "link", "password"]
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
    scope: Literal["all", "submit_readings", "read_bills", "read_metrics"]
    expires_at: datetime | None


class ApiKey(Record):
    """A program's key as administrators see it: never the key itself, nor its hash."""

    id: str
    name: str
    role: RoleName
    scope: Literal["all", "submit_readings", "read_bills", "read_metrics"]
    created_at: datetime
    created_by: str
    # None: a key from before keys expired.
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None
    revoked_by: str | None


class User(Record):
    """A user; neither their password nor anything that would let somebody in as them."""

    id: str
    sign_in_name: str
    display_name: str
    roles: tuple[str, ...]
    state: UserState
    created_at: datetime
    # None: never set a password.
    activated_at: datetime | None
    # Since when they may not sign in.
    dismissed_at: datetime | None
    # False while a link to set one is out.
    has_password: bool
    password_set_at: datetime | None
    # Since when a code is asked for beside the password.
    totp_on_at: datetime | None
    recovery_codes_left: int
    last_active_at: datetime | None
    # Of the link to set a password that is out, if any.
    link_expires_at: datetime | None


class UserToSignIn(Record):
    """What a sign-in is checked against; never shown, never logged."""

    id: str
    sign_in_name: str
    display_name: str
    roles: tuple[str, ...]
    disabled: bool
    password_hash: str | None = Field(repr=False)
    password_set_at: datetime | None
    # Encrypted; None: no code is asked for.
    totp_secret: str | None = Field(repr=False)
    recovery_codes_left: int


class LinkToUser(Record):
    """Whom a one-time link is for, and whether it can be used."""

    kind: LinkKind
    state: LinkState
    sign_in_name: str
    display_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NewLink:
    """A one-time link to keep: only the hash of its code."""

    id: str
    kind: LinkKind
    code_hash: str
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class UserFilter:
    """Users; each word of `text` is part of the sign-in name or the name."""

    text: str = ""
    role: str | None = None
    state: UserState | None = None
    ids: tuple[str, ...] | None = None
