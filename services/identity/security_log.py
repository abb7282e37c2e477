"""The security log: who signed in and out and what was refused, in the database and the log."""

import logging
import re
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Final, Literal

from services.database.service import DatabaseService
from services.database.transport import DatabaseError
from services.identity.auth import Principal, require
from services.identity.permissions import Permission
from services.languages.sentence import nsentence
from services.records.sessions import SecurityEvent

log = logging.getLogger(__name__)

Event = Literal[
    "sign_in",
    "sign_out",
    "session_ended",
    "user_dismissed",
    "user_readmitted",
    "link_opened",
    "link_refused",
    "refused",
    "denied",
    "key_made",
    "key_revoked",
    "key_first_used",
    "user_invited",
    "user_changed",
    "password_link_made",
    "password_set",
    "code_turned_on",
    "code_turned_off",
    "recovery_code_used",
    "name_guessed",
]

# What anybody can bring about as often as they like: once a minute each, and so many of a group.
_BOUNDED: Final = {"refused", "denied", "link_refused"}
_WINDOW_SECONDS: Final = 60.0
_MOST_IN_A_WINDOW: Final = 30
_LONGEST: Final = 200
# A key or a token where a name belongs: pasted into the wrong field, or put into an address.
_SECRET: Final = re.compile(r"\b(ebk_|eyJ)[\w.-]{4,}")
# An event, and whether somebody is named: strangers cannot crowd out what people were refused.
_Group = tuple[Event, bool]


class SecurityLog:
    """Adds rows without secrets; refusals are bounded, so that nobody can fill the table.

    A database that is away costs the row, never what was to be logged: the process's log has it.
    """

    def __init__(
        self, database: DatabaseService, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._database = database
        self._clock = clock
        self._lock = threading.Lock()
        self._began = clock()
        self._seen: dict[_Group, set[tuple[str, str, str]]] = defaultdict(set)
        self._left_out: Counter[_Group] = Counter()

    def note(self, event: Event, *, who: str = "", address: str = "", detail: str = "") -> None:
        """Add what happened; nothing given may be a secret."""
        who, address, detail = _clean(who), _clean(address), _clean(detail)
        if event in _BOUNDED:
            left_out = self._left_out_before((event, bool(who)), (who, address, detail))
            if left_out is None:
                return
            if left_out:
                more = nsentence(
                    "({count} more of this kind was left out before.)",
                    "({count} more of this kind were left out before.)",
                    left_out,
                )
                detail += f" {more}"
        level = logging.WARNING if event in _BOUNDED else logging.INFO
        said = {"event": event, "storm": event}
        log.log(level, "%s who=%r address=%r %s", event, who, address, detail, extra=said)
        try:
            self._database.note_security_event(event=event, who=who, address=address, detail=detail)
        except DatabaseError as error:
            log.warning("the security log could not be written (%s)", error.code)

    def events(
        self,
        *,
        limit: int,
        event: Event | None,
        who: str,
        before: int | None,
        principal: Principal,
    ) -> list[SecurityEvent]:
        """The latest rows first, those before the row `before`; raises NotAllowed."""
        require(principal, Permission.VIEW_SECURITY)
        return self._database.security_events(limit=limit, event=event, who=who, before=before)

    def events_about(self, *, principal: Principal, limit: int) -> list[SecurityEvent]:
        """The latest rows about whoever asks."""
        return self._database.security_events(limit=limit, who=principal.user)

    def _left_out_before(self, group: _Group, key: tuple[str, str, str]) -> int | None:
        """How many of its group were left out before this one; None when it is left out too."""
        with self._lock:
            if self._clock() - self._began >= _WINDOW_SECONDS:
                self._began = self._clock()
                self._seen.clear()
            seen = self._seen[group]
            if key in seen or len(seen) >= _MOST_IN_A_WINDOW:
                self._left_out[group] += 1
                return None
            seen.add(key)
            return self._left_out.pop(group, 0)


def _clean(text: str) -> str:
    shown = "".join(c if c.isprintable() else "?" for c in text[:_LONGEST])
    return _SECRET.sub(r"\1…", shown)
