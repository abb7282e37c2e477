"""Sign-ins that can be ended, people who may no longer sign in, and the security log."""

from datetime import datetime
from typing import Literal

from services.database.queries.base import Json, Queries
from services.database.transport import Filter
from services.records.sessions import SecurityEvent, Session

SessionState = Literal["new", "good", "ended", "dismissed"]


class SessionQueries(Queries):
    """Sign-ins and the security log."""

    def use_session(
        self,
        *,
        session_id: str,
        user: str,
        role: str | None,
        via: str,
        address: str,
        issued_at: datetime,
        expires_at: datetime,
    ) -> SessionState:
        """Note that a verified token is used; whether it still holds."""
        answer = self._call(
            "use_session",
            id=session_id,
            user=user,
            role=role,
            via=via,
            address=address,
            issued_at=issued_at.isoformat(),
            expires_at=expires_at.isoformat(),
        )
        state: SessionState = answer["state"]
        return state

    def end_session(self, *, actor: str, session_id: str) -> None:
        """End a sign-in for good; raises NotFound. Doing it again changes nothing."""
        self._call("end_session", actor=actor, id=session_id)

    def end_sessions_of(self, *, actor: str, user: str, at: datetime, dismiss: bool) -> int:
        """End all sign-ins of a user, with `dismiss` refuse new ones; how many of ours ended."""
        answer = self._call(
            "end_sessions_of", actor=actor, user=user, at=at.isoformat(), dismiss=dismiss
        )
        return int(answer["ended"])

    def readmit_user(self, *, actor: str, user: str) -> None:
        """Let a dismissed user sign in again."""
        self._call("readmit_user", actor=actor, user=user)

    def sessions(
        self,
        *,
        limit: int,
        user: str | None = None,
        still_open: bool = False,
        after: str | None = None,
    ) -> list[Session]:
        """Sign-ins, the latest first, those after the id `after`."""
        answer = self._call(
            "sessions_page", limit=limit, user=user or None, open=still_open, after=after
        )
        return [Session.model_validate(row) for row in answer["sessions"]]

    def note_security_event(self, *, event: str, who: str, address: str, detail: str) -> None:
        """Add a row to the security log."""
        self._call("note_security_event", event=event, who=who, address=address, detail=detail)

    def security_events(
        self,
        *,
        limit: int,
        event: str | None = None,
        who: str | None = None,
        before: int | None = None,
    ) -> list[SecurityEvent]:
        """The security log, the latest first, what came before the row `before`."""
        given: Json = {"event": event, "who": who}
        filters = [Filter(name, "eq", value) for name, value in given.items() if value]
        if before is not None:
            filters.append(Filter("id", "lt", before))
        rows = self._transport.select(
            "security_log", filters=filters, order=["id.desc"], limit=limit
        ).rows
        return [SecurityEvent.model_validate(row) for row in rows]
