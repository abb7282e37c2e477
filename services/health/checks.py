"""Is each system that we lean on there? One small check a system, and what the last ones found."""

import logging
import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from services.database.service import DatabaseService
from services.database.transport import DatabaseError
from services.health.last_errors import LastErrors
from services.identity.auth import Tokens
from services.identity.jwks import KeysNotServed
from services.identity.openid import ExchangedTokens, OpenIdTokens
from services.integrations.failures import FinalFailure, TemporaryFailure
from services.integrations.head_end import HeadEnd
from services.languages.sentence import N_, nsentence, sentence, sentence_of

log = logging.getLogger(__name__)

_NOT_USED = sentence("Not used: its settings are empty.")
_UNEXPECTED = sentence("The test itself failed in a way that nobody expected; the log says more.")


class Check(Protocol):
    """Says whether one provider works; nothing that it says holds a secret."""

    @property
    def name(self) -> str:
        """What people call the system."""
        ...

    @property
    def configured(self) -> bool:
        """Whether it is used at all."""
        ...

    def check(self) -> str:
        """Ask the system something harmless, for ten seconds at most; a sentence on its answer.

        Raises TemporaryFailure or FinalFailure with a sentence for an administrator.
        """
        ...


class Runs(Protocol):
    """Anything that can say whether it runs, such as the scheduler."""

    @property
    def running(self) -> bool:
        """Whether it runs in this process."""
        ...


@dataclass(frozen=True, slots=True)
class Finding:
    """What one test found, at an instant (UTC)."""

    well: bool
    sentence: str
    at: datetime


@dataclass(frozen=True, slots=True)
class SystemState:
    """A system with its last test, and its last error in a test or in use, if there were any."""

    name: str
    configured: bool
    last_test: Finding | None = None
    last_error: Finding | None = None
    # Why it is not used, where it is not.
    unused: str = _NOT_USED
    # That somebody switched it off on purpose, where somebody did; then `unused` says no more.
    switched_off: str = ""


class Checks:
    """The checks of this process and what they found since it started; for many threads."""

    def __init__(self, checks: Iterable[Check], last_errors: LastErrors | None = None) -> None:
        self._checks = {check.name: check for check in checks}
        self._found = {
            name: SystemState(
                name,
                configured=False,
                unused=getattr(check, "unused", _NOT_USED),
                switched_off=getattr(check, "switched_off", ""),
            )
            for name, check in self._checks.items()
        }
        self._last_errors = last_errors or LastErrors()
        self._lock = threading.Lock()

    def states(self) -> list[SystemState]:
        """Every system as it was found last, in a lasting order."""
        with self._lock:
            found = dict(self._found)
        return [
            replace(found[name], configured=c.configured, last_error=self._last_error(found[name]))
            for name, c in self._checks.items()
        ]

    def test(self, name: str, *, now: datetime) -> Finding:
        """Test one system and remember what was found; raises KeyError for an unknown name."""
        finding = _tested(self._checks[name], now)
        self._remember(name, finding)
        return finding

    def test_all(self, *, now: datetime) -> None:
        """Test every system that is configured, all at once."""
        names = [name for name, check in self._checks.items() if check.configured]
        with ThreadPoolExecutor(max_workers=max(1, len(names))) as pool:
            list(pool.map(lambda name: self.test(name, now=now), names))

    def _last_error(self, found: SystemState) -> Finding | None:
        """The later one of what a test found and what came up in use."""
        last_error = self._last_errors.last(found.name)
        if last_error is None or (found.last_error and found.last_error.at >= last_error.at):
            return found.last_error
        return Finding(well=False, sentence=last_error.sentence, at=last_error.at)

    def _remember(self, name: str, finding: Finding) -> None:
        with self._lock:
            state = replace(self._found[name], last_test=finding)
            self._found[name] = state if finding.well else replace(state, last_error=finding)


def _tested(check: Check, now: datetime) -> Finding:
    try:
        return Finding(well=True, sentence=check.check(), at=now)
    except (TemporaryFailure, FinalFailure) as failure:
        return Finding(well=False, sentence=sentence_of(failure), at=now)
    except Exception:
        # Not shown on the page: an unexpected message may hold an address with a password.
        log.exception("the check of %s failed unexpectedly", check.name)
        return Finding(well=False, sentence=_UNEXPECTED, at=now)


@dataclass(frozen=True)
class DatabaseCheck:
    """Asks the database the smallest question there is."""

    database: DatabaseService
    name: str = N_("Database")
    configured: bool = True

    def check(self) -> str:
        """Ask; raises TemporaryFailure."""
        began = time.monotonic()
        try:
            self.database.ping()
        except DatabaseError as error:
            log.warning("the database could not be asked (%s): %s", error.code, error)
            raise TemporaryFailure(sentence("The database cannot be reached.")) from None
        return sentence("It answers, in {ms} ms.", ms=round((time.monotonic() - began) * 1000))


@dataclass(frozen=True)
class SchedulerCheck:
    """Says whether the jobs run by themselves in this process."""

    scheduler: Runs | None
    name: str = N_("Scheduler")
    configured: bool = True

    def check(self) -> str:
        """Look at the scheduler; raises FinalFailure."""
        if self.scheduler is None or not self.scheduler.running:
            raise FinalFailure(
                sentence("It does not run in this process; another one may do the jobs.")
            )
        return sentence("It runs, and looks every minute for what is due.")


@dataclass(frozen=True)
class SignInServiceCheck:
    """Fetches the signing keys of Auth0, or of another provider, again."""

    tokens: Tokens

    @property
    def name(self) -> str:
        """What people call the system."""
        other = isinstance(self.tokens, ExchangedTokens)
        return N_("Sign-in (OpenID)") if other else N_("Sign-in (Auth0)")

    @property
    def configured(self) -> bool:
        """Whether tokens of a provider are taken."""
        return self._provider is not None

    def check(self) -> str:
        """Fetch the keys; raises TemporaryFailure, FinalFailure."""
        if self._provider is None:
            raise FinalFailure(sentence("No sign-in service is configured."))
        try:
            keys = self._provider.keys.refresh()
        except KeysNotServed as error:
            raise TemporaryFailure(sentence_of(error)) from None
        if not keys:
            raise FinalFailure(
                sentence("The sign-in service has no key for RS256 or ES256 to sign with.")
            )
        return nsentence(
            "The sign-in service answers; it signs with {count} key.",
            "The sign-in service answers; it signs with {count} keys.",
            keys,
        )

    @property
    def _provider(self) -> OpenIdTokens | None:
        if isinstance(self.tokens, ExchangedTokens):
            return self.tokens.provider
        return self.tokens if isinstance(self.tokens, OpenIdTokens) else None


@dataclass(frozen=True)
class HeadEndCheck:
    """Reads the first smart meter; the reading is not kept."""

    database: DatabaseService
    url: str | None
    token: str | None = None
    name: str = N_("Smart-meter head-end")

    @property
    def configured(self) -> bool:
        """Whether an address is set."""
        return self.url is not None

    def check(self) -> str:
        """Read one meter; raises TemporaryFailure, FinalFailure."""
        if self.url is None:
            raise FinalFailure(sentence("No head-end is configured."))
        try:
            meters = self.database.smart_meters(limit=1)
        except DatabaseError:
            raise TemporaryFailure(
                sentence("The database cannot be asked for a smart meter.")
            ) from None
        if not meters:
            return sentence("It was not asked: there is no smart meter yet.")
        head_end = HeadEnd(self.url, self.token)
        try:
            head_end.read(meters[0].serial)
        finally:
            head_end.close()
        return sentence("It answers for meter {meter}.", meter=meters[0].serial)
