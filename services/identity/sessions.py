"""Sign-ins in use: each verified token is noted, and refused once it was ended."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from services.database.queries.sessions import SessionState
from services.database.service import DatabaseService
from services.database.transport import TemporaryDatabaseError
from services.identity.auth import NotAllowed, NotSignedIn, Principal, require
from services.identity.passwordless import RoleChoice
from services.identity.permissions import Permission, in_order
from services.identity.security_log import Event, SecurityLog
from services.languages.sentence import N_, sentence
from services.records.sessions import Session, SignInStanding

# What the database said of a token is believed for so long, and longer while it is away: nobody
# can end a token then, and nothing can be read or changed with one either.
CACHE_SECONDS: Final = 5.0
CACHE_SECONDS_WHILE_AWAY: Final = 300.0
KEY_NOTED_SECONDS: Final = 60.0

_MOST_KEPT: Final = 10_000
_ENDED: Final = sentence("This sign-in was ended. Sign in again.")
_HOW: Final = {
    "demo": N_("As {roles}, without a password."),
    "password": N_("As {roles}, with a password."),
}
_DISMISSED: Final = sentence("You can no longer sign in here. Ask an administrator.")


@dataclass(frozen=True, slots=True)
class _Token:
    id: str
    user: str
    # By a comma, in the order of the table.
    roles: str | None
    via: str
    issued_at: datetime
    expires_at: datetime


class Sessions:
    """Whether verified tokens still hold, asked of the database and kept for some seconds."""

    def __init__(
        self,
        database: DatabaseService,
        security_log: SecurityLog,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._security_log = security_log
        self._clock = clock
        self._lock = threading.Lock()
        self._known: dict[str, tuple[SessionState, float]] = {}
        self._keys_noted: dict[str, float] = {}

    def admit(self, principal: Principal, *, address: str = "") -> Principal:
        """Return `principal` if the token behind it was not ended.

        Raises NotSignedIn when it was, NotAllowed when its user is dismissed, and
        TemporaryDatabaseError when nobody can tell just now.
        """
        token = _token_of(principal)
        if token is not None:
            self._admit(token, address)
        return principal

    def admit_choice(self, choice: RoleChoice, *, address: str = "") -> RoleChoice:
        """Return a browser's right to choose a role if it was not ended; raises as `admit`."""
        self._admit(_token_of_choice(choice), address)
        return choice

    def is_first_use_of_key(self, key_id: str) -> bool:
        """Note, once a minute at most, that an API key is used; whether it never was before."""
        now = self._clock()
        with self._lock:
            if now - self._keys_noted.get(key_id, -KEY_NOTED_SECONDS) < KEY_NOTED_SECONDS:
                return False
            self._keys_noted[key_id] = now
        return self._database.use_api_key(key_id=key_id)

    def listed(
        self,
        *,
        limit: int,
        user: str = "",
        still_open: bool = False,
        after: str | None = None,
        principal: Principal,
    ) -> list[Session]:
        """Sign-ins, the latest first, those after the id `after`; all users' without `user`.

        Raises NotAllowed.
        """
        require(principal, Permission.VIEW_SECURITY)
        return self._database.sessions(limit=limit, user=user, still_open=still_open, after=after)

    def standing_of(self, user: str, *, principal: Principal) -> SignInStanding:
        """Whether a person may sign in, and which keys that they made still hold.

        Raises NotAllowed.
        """
        require(principal, Permission.VIEW_SECURITY)
        latest = self._database.sessions(limit=1, user=user)
        keys = self._database.api_keys()
        return SignInStanding(
            dismissed_at=latest[0].dismissed_at if latest else None,
            keys=tuple(k.name for k in keys if k.created_by == user and not k.revoked_at),
        )

    def end(self, session_id: str, *, actor: str) -> None:
        """End one sign-in, at once in this process; raises NotFound."""
        self._database.end_session(actor=actor, session_id=session_id)
        self.forget()

    def end_one(self, session: Session, *, principal: Principal) -> None:
        """End somebody's sign-in, and note it; raises NotAllowed, NotFound."""
        actor = require(principal, Permission.MANAGE_USERS).user
        self.end(session.id, actor=actor)
        self._security_log.note(
            "session_ended",
            who=session.user_id,
            detail=sentence("One sign-in, by {actor}.", actor=actor),
        )

    def end_all_of(self, user: str, *, principal: Principal, now: datetime, dismiss: bool) -> int:
        """End every sign-in of a user, with `dismiss` refuse new ones; how many ended.

        Raises NotAllowed.
        """
        actor = require(principal, Permission.MANAGE_USERS).user
        ended = self._database.end_sessions_of(actor=actor, user=user, at=now, dismiss=dismiss)
        self.forget()
        event: Event = "user_dismissed" if dismiss else "session_ended"
        self._security_log.note(
            event, who=user, detail=sentence("All sign-ins, by {actor}.", actor=actor)
        )
        return ended

    def readmit(self, user: str, *, principal: Principal) -> None:
        """Let a dismissed user sign in again; raises NotAllowed."""
        actor = require(principal, Permission.MANAGE_USERS).user
        self._database.readmit_user(actor=actor, user=user)
        self.forget()
        self._security_log.note(
            "user_readmitted", who=user, detail=sentence("By {actor}.", actor=actor)
        )

    def sign_out(self, principal: Principal, *, address: str = "") -> None:
        """End the sign-in of somebody who leaves."""
        token = _token_of(principal)
        if token is None:
            return
        with suppress(NotSignedIn, NotAllowed):
            # Noted first: a token that was never used here must not be used later either.
            self._admit(token, address)
            self.end(token.id, actor=token.user)
            self._security_log.note("sign_out", who=token.user, address=address)

    def _admit(self, token: _Token, address: str) -> None:
        state = self._state_of(token, address)
        if state == "dismissed":
            raise NotAllowed(_DISMISSED)
        if state == "ended":
            raise NotSignedIn(_ENDED)

    def _state_of(self, token: _Token, address: str) -> SessionState:
        state, asked_at = self._known.get(token.id, (None, 0.0))
        age = self._clock() - asked_at
        if state is not None and age < CACHE_SECONDS:
            return state
        try:
            found = self._ask(token, address)
        except TemporaryDatabaseError:
            if state is not None and age < CACHE_SECONDS_WHILE_AWAY:
                return state
            raise
        if found == "new":
            self._note_new(token, address)
        with self._lock:
            if len(self._known) >= _MOST_KEPT:
                self._known.clear()
            self._known[token.id] = ("good" if found == "new" else found, self._clock())
        return found

    def _ask(self, token: _Token, address: str) -> SessionState:
        return self._database.use_session(
            session_id=token.id,
            user=token.user,
            role=token.roles,
            via=token.via,
            address=address,
            issued_at=token.issued_at,
            expires_at=token.expires_at,
        )

    def _note_new(self, token: _Token, address: str) -> None:
        if token.via == "link":
            self._security_log.note("link_opened", address=address)
            return
        how = _HOW.get(token.via, N_("As {roles}, with a token."))
        detail = sentence(how, roles=token.roles)
        self._security_log.note("sign_in", who=token.user, address=address, detail=detail)

    def forget(self) -> None:
        """Ask the database again about every token: it ended some by itself."""
        with self._lock:
            self._known.clear()


def _token_of(principal: Principal) -> _Token | None:
    """The token behind somebody; None of a key, which has its own record."""
    if principal.session is None or principal.issued_at is None or principal.expires_at is None:
        return None
    return _Token(
        principal.session,
        principal.user,
        ",".join(in_order(principal.roles)),
        principal.via,
        principal.issued_at,
        principal.expires_at,
    )


def _token_of_choice(choice: RoleChoice) -> _Token:
    return _Token(choice.id, "", None, "link", choice.issued_at, choice.renewable_until)
