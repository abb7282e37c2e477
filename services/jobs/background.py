"""Threads of the scheduler, and what must never end them."""

import logging
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Final

from services.database.transport import DatabaseError
from services.payments.stripe.turns import of_a_job

log = logging.getLogger(__name__)

OUTAGE_LOG_SECONDS: Final = 60.0


class Threads:
    """Threads by name; every one is a daemon, so that stopping is bounded."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []

    def start_once(self, name: str, what: Callable[[], None]) -> None:
        """Run something on a thread of its own, unless one of that name is at work."""
        if name not in {thread.name for thread in self.alive()}:
            self.start(name, what)

    def start(self, name: str, what: Callable[[], None]) -> None:
        """Run something on a thread of its own."""
        thread = threading.Thread(target=partial(_behind_people, what), name=name, daemon=True)
        # Started under the lock: one that is not yet alive must not be taken for one that ended.
        with self._lock:
            thread.start()
            self._threads.append(thread)

    def alive(self) -> list[threading.Thread]:
        """The threads that have not ended."""
        with self._lock:
            self._threads = [thread for thread in self._threads if thread.is_alive()]
            return list(self._threads)

    def wait(self, *, seconds: float) -> None:
        """Wait until all have ended, so many seconds at most; those that have not are logged."""
        deadline = time.monotonic() + seconds
        # Listed again each time: one of them may have started another meanwhile.
        while alive := self.alive():
            alive[0].join(max(0.0, deadline - time.monotonic()))
            if time.monotonic() >= deadline:
                names = ", ".join(thread.name for thread in alive)
                log.warning("%s did not stop in time; what it began is continued later", names)
                return


def _behind_people(what: Callable[[], None]) -> None:
    """Do something for which nobody waits."""
    with of_a_job():
        what()


class Guard:
    """Does what must not end the scheduler, whatever happens; `revive` restarts the database."""

    def __init__(self, revive: Callable[[], None]) -> None:
        self._revive = revive
        self._outage_logged_at: float | None = None

    def __call__(self, what: str, do: Callable[[], None]) -> None:
        """Do something; never raises."""
        try:
            do()
        except DatabaseError as error:
            self._log_outage(what, error)
            self._revive_database()
        except Exception:
            log.exception("%s failed", what)

    def _revive_database(self) -> None:
        try:
            self._revive()
        except Exception:
            log.exception("the database server could not be started again")

    def _log_outage(self, what: str, error: DatabaseError) -> None:
        """One line, once a minute at most: an outage lasts and its traceback says nothing."""
        at = time.monotonic()
        if self._outage_logged_at is None or at >= self._outage_logged_at + OUTAGE_LOG_SECONDS:
            self._outage_logged_at = at
            log.warning("%s could not use the database: %s", what, " ".join(str(error).split()))
