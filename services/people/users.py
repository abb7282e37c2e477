"""Users in an administrator's hands, the first administrator, and passwords set by a link."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from uuid import uuid4

from services.database.service import DatabaseService
from services.database.transport import DatabaseError, TemporaryDatabaseError
from services.identity.auth import Principal, is_reserved, require
from services.identity.permissions import Permission, Role, in_order
from services.identity.security_log import SecurityLog
from services.identity.sessions import Sessions
from services.languages.sentence import N_, sentence
from services.people.hashing import PasswordHashing
from services.people.links import hash_code, new_link
from services.people.password_rules import check_new_password
from services.people.sign_in import folded_name
from services.records.base import PageRequest
from services.records.sessions import LinkKind, LinkToUser, User, UserFilter, UserToSignIn

LONGEST_NAME: Final = 100
_MADE: Final[dict[LinkKind, str]] = {
    "invitation": N_("Invitation, by {actor}."),
    "reset": N_("Reset, by {actor}."),
    "recovery": N_("Recovery, by {actor}."),
}
_SET_BY: Final[dict[LinkKind, str]] = {
    "invitation": N_("By a link (invitation)."),
    "reset": N_("By a link (reset)."),
    "recovery": N_("By a link (recovery)."),
}
_KNOWN_SECONDS: Final = 5.0
_NAMES_PAGE: Final = 200


class UnusableUser(ValueError):
    """What was given for a user cannot be kept, with a sentence on what to do."""


class LinkRefused(Exception):
    """A link to set a password is of no use, with a sentence on what to do."""


@dataclass(frozen=True, slots=True)
class Invited:
    """A user with the code of the link by which they set a password, shown this once."""

    user_id: str
    code: str


class Users:
    """Who signs in with a password of their own. Methods that take a `principal` check it."""

    def __init__(
        self,
        database: DatabaseService,
        sessions: Sessions,
        security_log: SecurityLog,
        hashing: PasswordHashing,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._sessions = sessions
        self._security_log = security_log
        self._hashing = hashing
        self._clock = clock
        self._lock = threading.Lock()
        self._exist: tuple[bool, float] | None = None
        self._names: tuple[Mapping[str, str], float] | None = None

    def exist(self) -> bool:
        """Whether anybody was made a user; believed for some seconds, or for good once true."""
        known = self._exist
        if known and (known[0] or self._clock() - known[1] < _KNOWN_SECONDS):
            return known[0]
        try:
            found = self._database.users_exist()
        except TemporaryDatabaseError:
            if known is None:
                raise
            return known[0]
        self._exist = (found, self._clock())
        return found

    def names(self) -> Mapping[str, str]:
        """What pages call each user, by sign-in name; believed for some seconds.

        Their name, and the sign-in name too where others have the same.
        """
        known = self._names
        if known and self._clock() - known[1] < _KNOWN_SECONDS:
            return known[0]
        try:
            found = self._all_names()
        except DatabaseError:
            # A page with sign-in names is better than none.
            return known[0] if known else {}
        alike = Counter(name.casefold() for name in found.values())
        shown = {
            name: f"{called} ({name})" if alike[called.casefold()] > 1 else called
            for name, called in found.items()
        }
        self._names = (shown, self._clock())
        return shown

    def _all_names(self) -> dict[str, str]:
        found: dict[str, str] = {}
        page = PageRequest("sign_in_name", limit=_NAMES_PAGE, counted_to=0)
        while True:
            some = self._database.list_users(wanted=UserFilter(), page=page)
            found |= {user.sign_in_name: user.display_name for user in some.items}
            if not some.has_after:
                return found
            page = replace(page, after=some.last)

    def user(self, *, user_id: str, principal: Principal) -> User:
        """A user; raises NotFound."""
        require(principal, Permission.VIEW_SECURITY)
        return self._database.user(user_id=user_id)

    def create_first_administrator(
        self, *, sign_in_name: str, display_name: str, password: str, now: datetime
    ) -> UserToSignIn:
        """The first user of an empty system; whoever asks proved to be at the machine.

        Raises UnusableUser, UnusablePassword, IllegalChange, TooBusyToVerify.
        """
        name, shown = _checked_names(sign_in_name, display_name)
        check_new_password(password, sign_in_name=name, display_name=shown)
        self._database.create_first_administrator(
            actor=name,
            user_id=str(uuid4()),
            sign_in_name=name,
            display_name=shown,
            password_hash=self._hashing.hash(password),
            at=now,
        )
        self._exist = (True, self._clock())
        self._security_log.note(
            "user_changed", who=name, detail=sentence("The first administrator.")
        )
        return self._to_sign_in(name)

    def invite(
        self,
        *,
        sign_in_name: str,
        display_name: str,
        roles: Collection[Role],
        principal: Principal,
        now: datetime,
    ) -> Invited:
        """A new user, who sets a password by the link; raises UnusableUser and IllegalChange."""
        require(principal, Permission.MANAGE_USERS)
        name, shown = _checked_names(sign_in_name, display_name)
        user_id = str(uuid4())
        code, link = new_link("invitation", now)
        held = _checked_roles(roles)
        self._database.invite_user(
            actor=principal.user,
            user_id=user_id,
            sign_in_name=name,
            display_name=shown,
            roles=held,
            link=link,
        )
        detail = sentence("As {roles}, by {actor}.", roles=", ".join(held), actor=principal.user)
        self._security_log.note("user_invited", who=name, detail=detail)
        return Invited(user_id, code)

    def change(
        self,
        user: User,
        *,
        display_name: str,
        roles: Collection[Role],
        principal: Principal,
        now: datetime,
    ) -> None:
        """Another name or other roles; with other roles they sign in again.

        Raises UnusableUser, and IllegalChange for the last administrator.
        """
        require(principal, Permission.MANAGE_USERS)
        held = _checked_roles(roles)
        self._database.change_user(
            actor=principal.user,
            user_id=user.id,
            display_name=_checked_display_name(display_name),
            roles=held,
            at=now,
        )
        self._sessions.forget()
        detail = sentence("Now {roles}, by {actor}.", roles=", ".join(held), actor=principal.user)
        self._security_log.note("user_changed", who=user.sign_in_name, detail=detail)

    def new_link(self, user: User, *, principal: Principal, now: datetime) -> str:
        """The code of a new link: an invitation, or a reset, which ends password and sign-ins."""
        require(principal, Permission.MANAGE_USERS)
        kind: LinkKind = "reset" if user.activated_at else "invitation"
        return self._make_link(user, kind, actor=principal.user, now=now)

    def recovery_link(self, *, sign_in_name: str, actor: str, now: datetime) -> str:
        """The code of a link for an administrator who cannot sign in, for the command line.

        Raises UnusableUser for a name that is no administrator's, and IllegalChange.
        """
        user = self._database.user_named(sign_in_name=folded_name(sign_in_name))
        if user is None or Role.ADMIN not in user.roles:
            names = [admin.sign_in_name for admin in self._administrators()]
            raise UnusableUser(
                f"{sign_in_name} is no administrator. Administrators are: {', '.join(names)}."
            )
        kind: LinkKind = "recovery" if user.activated_at else "invitation"
        return self._make_link(user, kind, actor=actor, now=now)

    def administrators(self) -> list[str]:
        """The sign-in names of administrators who may sign in, for the command line."""
        return [user.sign_in_name for user in self._administrators()]

    def reset_code(self, user: User, *, principal: Principal) -> None:
        """Ask this user for no code any more, after their device was lost."""
        require(principal, Permission.MANAGE_USERS)
        self._database.clear_totp(actor=principal.user, user_id=user.id)
        detail = sentence("By {actor}.", actor=principal.user)
        self._security_log.note("code_turned_off", who=user.sign_in_name, detail=detail)

    def disable(self, user: User, *, principal: Principal, now: datetime) -> None:
        """End every sign-in and refuse new ones; raises IllegalChange for the last admin."""
        require(principal, Permission.MANAGE_USERS)
        self._sessions.end_all_of(user.sign_in_name, principal=principal, now=now, dismiss=True)

    def enable(self, user: User, *, principal: Principal) -> None:
        """Let a disabled user sign in again."""
        require(principal, Permission.MANAGE_USERS)
        self._sessions.readmit(user.sign_in_name, principal=principal)

    def end_sessions(self, user: User, *, principal: Principal, now: datetime) -> int:
        """End every sign-in of a user, who may sign in again; how many ended."""
        require(principal, Permission.MANAGE_USERS)
        # Tokens are issued to the second: one of this very second is the one that follows.
        return self._sessions.end_all_of(
            user.sign_in_name, principal=principal, now=now.replace(microsecond=0), dismiss=False
        )

    def link(self, code: str, now: datetime) -> LinkToUser:
        """Whom a link is for; raises LinkRefused when it cannot be used."""
        found = self._database.user_link(code_hash=hash_code(code), at=now)
        if found is None or found.state != "good":
            raise LinkRefused(
                sentence(
                    "This link has been used already, or is too old. Ask an administrator for "
                    "another."
                )
            )
        return found

    def set_password(self, code: str, password: str, now: datetime) -> UserToSignIn:
        """Set the password that a link is for, and use the link up.

        Raises LinkRefused, UnusablePassword, IllegalChange, TooBusyToVerify.
        """
        found = self.link(code, now)
        name = found.sign_in_name
        check_new_password(password, sign_in_name=name, display_name=found.display_name)
        self._database.use_user_link(
            actor=name,
            code_hash=hash_code(code),
            password_hash=self._hashing.hash(password),
            at=now,
        )
        self._sessions.forget()
        self._security_log.note("password_set", who=name, detail=sentence(_SET_BY[found.kind]))
        return self._to_sign_in(name)

    def _make_link(self, user: User, kind: LinkKind, *, actor: str, now: datetime) -> str:
        code, link = new_link(kind, now)
        self._database.make_user_link(actor=actor, user_id=user.id, link=link, at=now)
        self._sessions.forget()
        detail = sentence(_MADE[kind], actor=actor)
        self._security_log.note("password_link_made", who=user.sign_in_name, detail=detail)
        return code

    def _administrators(self) -> list[User]:
        wanted = UserFilter(role=Role.ADMIN)
        found = self._database.list_users(wanted=wanted, page=PageRequest("sign_in_name"))
        return [user for user in found.items if user.state != "disabled"]

    def _to_sign_in(self, name: str) -> UserToSignIn:
        user = self._database.user_to_sign_in(sign_in_name=name)
        if user is None:
            raise LinkRefused(sentence("This user is gone. Ask an administrator."))
        return user


def _checked_names(sign_in_name: str, display_name: str) -> tuple[str, str]:
    name = folded_name(sign_in_name)
    if not name or len(name) > LONGEST_NAME or any(c.isspace() for c in name):
        raise UnusableUser(
            sentence(
                "A sign-in name is 1 to {most} letters, digits and signs without a space, such as "
                "an e-mail address.",
                most=LONGEST_NAME,
            )
        )
    if is_reserved(name) or name.startswith("demo."):
        raise UnusableUser(
            sentence("Names such as system: or demo. are the system's own. Choose another.")
        )
    return name, _checked_display_name(display_name)


def _checked_display_name(display_name: str) -> str:
    shown = " ".join(display_name.split())
    if not 0 < len(shown) <= LONGEST_NAME or not shown.isprintable():
        raise UnusableUser(
            sentence("A name is 1 to {most} printable characters.", most=LONGEST_NAME)
        )
    return shown


def _checked_roles(roles: Collection[Role]) -> list[str]:
    held = [role.value for role in in_order(roles)]
    if not held:
        raise UnusableUser(sentence("Choose at least one role."))
    return held
