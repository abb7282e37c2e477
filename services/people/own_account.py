"""A person's own account: their password, the code of their app, their sign-ins."""

from dataclasses import dataclass
from datetime import datetime

from services.database.errors import NotFound
from services.database.service import DatabaseService
from services.identity.auth import Principal
from services.identity.security_log import SecurityLog
from services.identity.sessions import Sessions
from services.languages.sentence import sentence
from services.people.hashing import PasswordHashing
from services.people.password_rules import check_new_password
from services.people.secret_box import SecretBox
from services.people.sign_in import PasswordSignIn
from services.people.totp import (
    address_of,
    hash_recovery_code,
    new_recovery_codes,
    new_secret,
    step_of,
)
from services.records.sessions import SecurityEvent, Session, User, UserToSignIn


class WrongPassword(Exception):
    """The password that was typed to confirm a change is not right."""


class WrongCode(Exception):
    """The code that was typed to set an app up is not right."""


@dataclass(frozen=True, slots=True)
class CodeSetup:
    """A secret for an app that nobody has confirmed yet, and its address for a QR code."""

    secret: str
    address: str


@dataclass(frozen=True, slots=True)
class OwnAccount:
    """What people do for themselves; for others than users of the system's own, only sign-ins."""

    database: DatabaseService
    sessions: Sessions
    security_log: SecurityLog
    hashing: PasswordHashing
    box: SecretBox
    sign_in: PasswordSignIn

    def of(self, principal: Principal) -> User | None:
        """The user who is signed in; None for a token of another kind."""
        if principal.via != "password":
            return None
        return self.database.user_named(sign_in_name=principal.user)

    def change_password(self, *, old: str, new: str, principal: Principal, now: datetime) -> None:
        """Another password; every sign-in but this one ends.

        Raises WrongPassword, UnusablePassword, TooManyTries, TooBusyToVerify, IllegalChange.
        """
        user = self._confirmed(old, principal, now)
        check_new_password(new, sign_in_name=user.sign_in_name, display_name=user.display_name)
        self.database.change_password(
            actor=principal.user,
            user_id=user.id,
            old_hash=user.password_hash or "",
            password_hash=self.hashing.hash(new),
            session=principal.session or "",
            at=now,
        )
        self.sessions.forget()
        self.security_log.note("password_set", who=principal.user, detail=sentence("By its owner."))

    def begin_code(
        self, *, password: str, issuer: str, principal: Principal, now: datetime
    ) -> CodeSetup:
        """A new secret for an app; it counts once a code of it was typed.

        Raises WrongPassword, TooManyTries, TooBusyToVerify.
        """
        user = self._confirmed(password, principal, now)
        secret = new_secret()
        return CodeSetup(secret, address_of(secret, user=user.sign_in_name, issuer=issuer))

    def confirm_code(
        self, setup: CodeSetup, code: str, *, principal: Principal, now: datetime
    ) -> list[str]:
        """Ask for codes from now on; ten recovery codes, shown this once. Raises WrongCode."""
        user = self._user(principal)
        step = step_of(code, secret=setup.secret, now=now)
        if step is None:
            raise WrongCode(
                sentence("That code does not fit. Type the one that the app shows now.")
            )
        codes = new_recovery_codes()
        self.database.set_totp(
            actor=principal.user,
            user_id=user.id,
            secret=self.box.seal(setup.secret, owner=user.id),
            step=step,
            recovery_codes=[hash_recovery_code(code) for code in codes],
            at=now,
        )
        self.security_log.note("code_turned_on", who=principal.user)
        return codes

    def remove_code(self, *, password: str, principal: Principal, now: datetime) -> None:
        """Ask for no code any more; raises WrongPassword, TooManyTries, TooBusyToVerify."""
        user = self._confirmed(password, principal, now)
        self.database.clear_totp(actor=principal.user, user_id=user.id)
        self.security_log.note(
            "code_turned_off", who=principal.user, detail=sentence("By its owner.")
        )

    def open_sessions(self, *, principal: Principal, limit: int) -> list[Session]:
        """Their sign-ins that still hold, the latest first."""
        return self.database.sessions(limit=limit, user=principal.user, still_open=True)

    def end_session(self, session: Session, *, principal: Principal) -> None:
        """End one of their own sign-ins; raises NotFound for anybody else's."""
        if session.user_id != principal.user:
            raise NotFound("EB404", sentence("There is no such sign-in."))
        self.sessions.end(session.id, actor=principal.user)
        self.security_log.note(
            "session_ended", who=principal.user, detail=sentence("By its owner.")
        )

    def events(self, *, principal: Principal, limit: int) -> list[SecurityEvent]:
        """What the security log has about them, the latest first."""
        return self.security_log.events_about(principal=principal, limit=limit)

    def _confirmed(self, password: str, principal: Principal, now: datetime) -> UserToSignIn:
        user = self._user(principal)
        session = principal.session or ""
        if not self.sign_in.verify_own(user, password, session=session, now=now):
            raise WrongPassword(sentence("Your password is another one."))
        return user

    def _user(self, principal: Principal) -> UserToSignIn:
        found = None
        if principal.via == "password":
            found = self.database.user_to_sign_in(sign_in_name=principal.user)
        if found is None:
            raise NotFound(
                "EB404", sentence("You are not signed in with a password of this system.")
            )
        return found
