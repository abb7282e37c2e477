"""Users, sign-ins that can be ended, who may no longer sign in, and the security log."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from services.database.queries.base import Json, Queries
from services.database.queries.lists import paged
from services.database.transport import Filter
from services.languages.sentence import N_
from services.records.base import KeyPage, PageRequest
from services.records.sessions import (
    LinkToUser,
    NewLink,
    SecurityEvent,
    Session,
    User,
    UserFilter,
    UserToSignIn,
)

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

    def user_language(self, *, user: str) -> str | None:
        """The language (an IETF tag) that somebody reads the pages in; None: nobody chose one."""
        language: str | None = self._call("user_language", user=user)["language"]
        return language

    def choose_user_language(self, *, actor: str, language: str) -> None:
        """Keep the language that somebody chose for themselves; once more changes nothing."""
        self._call("choose_user_language", actor=actor, language=language)

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


class UserQueries(Queries):
    """Users. Secrets go in and out as hashes or encrypted."""

    def users_exist(self) -> bool:
        """Whether anybody was made a user."""
        return bool(self._call("users_exist")["exist"])

    def list_users(self, *, wanted: UserFilter, page: PageRequest) -> KeyPage[User]:
        """A page of the users; `page.sort` is a UserSort."""
        return paged(self._call, "list_users", User, wanted, page)

    def user(self, *, user_id: str) -> User:
        """A user; raises NotFound."""
        return User.model_validate(self._one("user_list", user_id, N_("No such user.")))

    def user_named(self, *, sign_in_name: str) -> User | None:
        """The user with this sign-in name, if there is one."""
        filters = [Filter("sign_in_name", "eq", sign_in_name)]
        rows = self._transport.select("user_list", filters=filters, limit=1).rows
        return User.model_validate(rows[0]) if rows else None

    def user_to_sign_in(self, *, sign_in_name: str) -> UserToSignIn | None:
        """What a sign-in under this name is checked against; None when nobody has it."""
        found = self._call("user_to_sign_in", sign_in_name=sign_in_name)["user"]
        return UserToSignIn.model_validate(found) if found else None

    def create_first_administrator(
        self,
        *,
        actor: str,
        user_id: str,
        sign_in_name: str,
        display_name: str,
        password_hash: str,
        at: datetime,
    ) -> None:
        """The first user, who is an administrator; raises IllegalChange when there is one."""
        self._call(
            "create_first_administrator",
            actor=actor,
            user_id=user_id,
            sign_in_name=sign_in_name,
            display_name=display_name,
            password_hash=password_hash,
            at=at.isoformat(),
        )

    def invite_user(
        self,
        *,
        actor: str,
        user_id: str,
        sign_in_name: str,
        display_name: str,
        roles: Sequence[str],
        link: NewLink,
    ) -> None:
        """A user who sets a password by the link; raises IllegalChange when the name is taken."""
        self._call(
            "invite_user",
            actor=actor,
            user_id=user_id,
            sign_in_name=sign_in_name,
            display_name=display_name,
            roles=list(roles),
            link=_link_json(link),
        )

    def change_user(
        self, *, actor: str, user_id: str, display_name: str, roles: Sequence[str], at: datetime
    ) -> None:
        """Another name or other roles; with other roles every sign-in ends.

        Raises NotFound, and IllegalChange for the last administrator.
        """
        self._call(
            "change_user",
            actor=actor,
            user_id=user_id,
            display_name=display_name,
            roles=list(roles),
            at=at.isoformat(),
        )

    def make_user_link(self, *, actor: str, user_id: str, link: NewLink, at: datetime) -> None:
        """Another link in place of the one before; a reset ends password and sign-ins at once.

        Raises NotFound, and IllegalChange where a link of this kind does not fit the user.
        """
        self._call(
            "make_user_link",
            actor=actor,
            user_id=user_id,
            link=_link_json(link),
            at=at.isoformat(),
        )

    def user_link(self, *, code_hash: str, at: datetime) -> LinkToUser | None:
        """Whom a link is for and whether it can be used; None for one that never was."""
        found = self._call("user_link", code_hash=code_hash, at=at.isoformat())["link"]
        return LinkToUser.model_validate(found) if found else None

    def use_user_link(
        self, *, actor: str, code_hash: str, password_hash: str, at: datetime
    ) -> None:
        """Set the password by a link, which is used up; raises NotFound and IllegalChange."""
        self._call(
            "use_user_link",
            actor=actor,
            code_hash=code_hash,
            password_hash=password_hash,
            at=at.isoformat(),
        )

    def change_password(
        self,
        *,
        actor: str,
        user_id: str,
        old_hash: str,
        password_hash: str,
        session: str,
        at: datetime,
    ) -> None:
        """Another password in place of the verified one; every sign-in but `session` ends.

        Raises IllegalChange when it was changed meanwhile.
        """
        self._call(
            "change_password",
            actor=actor,
            user_id=user_id,
            old_hash=old_hash,
            password_hash=password_hash,
            session=session,
            at=at.isoformat(),
        )

    def rehash_password(self, *, user_id: str, old_hash: str, password_hash: str) -> None:
        """Keep the same password under other parameters."""
        self._call(
            "rehash_password", user_id=user_id, old_hash=old_hash, password_hash=password_hash
        )

    def set_totp(
        self,
        *,
        actor: str,
        user_id: str,
        secret: str,
        step: int,
        recovery_codes: Sequence[str],
        at: datetime,
    ) -> None:
        """Ask for codes from now on: the secret encrypted, the recovery codes as hashes."""
        self._call(
            "set_totp",
            actor=actor,
            user_id=user_id,
            secret=secret,
            step=step,
            recovery_codes=list(recovery_codes),
            at=at.isoformat(),
        )

    def clear_totp(self, *, actor: str, user_id: str) -> None:
        """Ask for no code any more."""
        self._call("clear_totp", actor=actor, user_id=user_id)

    def use_totp_step(self, *, user_id: str, step: int) -> bool:
        """Use the code of a time step up; False when it or a later one was used before."""
        return bool(self._call("use_totp_step", user_id=user_id, step=step)["used"])

    def use_recovery_code(self, *, actor: str, user_id: str, code_hash: str) -> bool:
        """Use a recovery code up; False when it is none, or was used."""
        answer = self._call("use_recovery_code", actor=actor, user_id=user_id, code_hash=code_hash)
        return bool(answer["used"])


def _link_json(link: NewLink) -> Json:
    return {
        "id": link.id,
        "kind": link.kind,
        "code_hash": link.code_hash,
        "expires_at": link.expires_at.isoformat(),
    }
