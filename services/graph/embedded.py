"""A Bolt server of our own under the data folder: started when it is needed, stopped with us."""

import logging
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from services.database.embedded.access import HOST
from services.database.embedded.locks import FileLock, make_data_folder
from services.graph.bolt import StillStarting
from services.graph.jvm import DATABASE, USER, Access, Jvm, Program, UnableToRunGraph, find_program
from services.integrations.http import RequestRejected, ServiceUnavailable
from services.languages.sentence import N_

if TYPE_CHECKING:
    from neo4j import Driver

log = logging.getLogger(__name__)

START_SECONDS: Final = 60.0
# A server that was left behind answers within this time, or is ended.
ADOPTION_SECONDS: Final = 20.0
LOCK_SECONDS: Final = 150.0
# What a step waits for a server that is starting; then it is left to the background.
PATIENCE_SECONDS: Final = 3.0
# A start that failed is not tried again for each bill.
PAUSE_AFTER_FAILURE_SECONDS: Final = 60.0
STARTING: Final = "The embedded graph is still starting."
STOPPED: Final = N_("The embedded graph has been stopped.")


class EmbeddedGraph:
    """A graph server of our own, shared by the processes that work with the same folder.

    The first that needs it starts it, on a thread of its own; a live one that was left behind is
    adopted; the last one stops it. What it keeps can be made again from the database at any time,
    so a folder that it cannot start over is emptied.
    """

    kind = "embedded"
    database = DATABASE

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._jvm = Jvm(folder)
        self._users: FileLock | None = None
        self._lock = threading.Lock()
        self._starting: threading.Thread | None = None
        self._driver: Driver | None = None
        self._failed_at: float | None = None
        self._trouble = ""
        self._closed = False

    @property
    def trouble(self) -> str:
        """Why the last start failed; empty when it did not."""
        return self._trouble

    def driver(self) -> "Driver":
        """The way to the running server, which is started if it does not run.

        Waits a moment for a start. Raises ServiceUnavailable when it takes longer or fails.
        """
        with self._lock:
            if self._closed:
                raise ServiceUnavailable(STOPPED)
            if self._driver is not None and self._jvm.alive():
                return self._driver
            starting = self._starting or self._begin()
        if starting is not None:
            starting.join(PATIENCE_SECONDS)
        with self._lock:
            if self._driver is not None and self._starting is None:
                return self._driver
            if self._trouble:
                raise ServiceUnavailable(self._trouble)
            raise StillStarting(STARTING)

    def close(self) -> None:
        """Let go of the server; it is stopped if no other process works with it."""
        with self._lock:
            self._closed = True
            starting = self._starting
        if starting is not None:
            starting.join(START_SECONDS)
        if self._driver is not None:
            self._driver.close()
        if self._users is None:
            return
        try:
            with self._changing():
                self._let_go(self._users)
        except (OSError, TimeoutError) as error:
            log.warning("the embedded graph could not be stopped: %s", error)

    def _begin(self) -> threading.Thread | None:
        """A thread that starts the server; None soon after a start that failed."""
        if self._failed_at and time.monotonic() - self._failed_at < PAUSE_AFTER_FAILURE_SECONDS:
            return None
        self._trouble = ""
        # It leads to a server that is gone; the new one is alive some time before it is ready.
        old, self._driver = self._driver, None
        thread = threading.Thread(target=self._start, args=[old], name="graph-start", daemon=True)
        self._starting = thread
        thread.start()
        return thread

    def _start(self, old: "Driver | None") -> None:
        if old is not None:
            old.close()
        driver, trouble = None, ""
        try:
            with self._changing():
                driver = self._bring_up()
        except UnableToRunGraph as error:
            trouble = str(error)
        except Exception:
            # Whatever it is, billing goes on; the sentence is for a page, the rest for the log.
            log.exception("the embedded graph could not be started")
            trouble = "The embedded graph could not be started; the log says more."
        with self._lock:
            self._driver = driver
            self._trouble = trouble
            self._failed_at = time.monotonic() if trouble else None
            self._starting = None

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Start and stop one at a time, over all processes."""
        make_data_folder(self._folder.parents[1])
        for folder in (self._folder.parent, self._folder):
            folder.mkdir(mode=0o700, exist_ok=True)
        changes = FileLock(self._folder.parent / f"{self._folder.name}.change.lock")
        with changes.exclusively(wait_seconds=LOCK_SECONDS):
            yield

    def _bring_up(self) -> "Driver":
        """A server that answers us: found, or launched, the second time over an empty folder."""
        program = find_program()
        self._hold()
        access = self._jvm.access()
        if self._jvm.alive():
            driver = self._wait(access, seconds=ADOPTION_SECONDS)
            if driver is not None:
                return driver
            self._jvm.end()
        for empty in (False, True):
            if self._closed:
                raise UnableToRunGraph(STOPPED)
            if empty:
                self._empty()
            driver = self._launched(program, access)
            if driver is not None:
                return driver
        raise UnableToRunGraph("The embedded graph could not be started; its log says more.")

    def _hold(self) -> None:
        if self._users is None:
            users = FileLock(self._folder.parent / f"{self._folder.name}.in-use.lock")
            users.acquire(shared=True)
            self._users = users

    def _launched(self, program: Program, access: Access) -> "Driver | None":
        driver = self._wait(self._jvm.launch(program, access.password), seconds=START_SECONDS)
        if driver is None:
            log.warning("the graph server does not answer: %s", self._jvm.last_words())
            self._jvm.end()
        return driver

    def _wait(self, access: Access, *, seconds: float) -> "Driver | None":
        """The way to a server that takes our password; None if it ends, or is silent for long."""
        from services.graph.driver import is_ready, open_driver  # noqa: PLC0415

        address = f"bolt://{HOST}:{access.bolt_port}"
        driver = open_driver(address, user=USER, password=access.password)
        deadline = time.monotonic() + seconds
        with suppress(RequestRejected):
            while not self._closed and self._jvm.alive() and time.monotonic() < deadline:
                if is_ready(driver, DATABASE):
                    return driver
                time.sleep(0.05)
        driver.close()
        return None

    def _empty(self) -> None:
        """Start empty: what the graph holds is loaded again from the database."""
        log.warning("the embedded graph starts again in an empty folder")
        shutil.rmtree(self._folder)
        self._folder.mkdir(mode=0o700)

    def _let_go(self, users: FileLock) -> None:
        try:
            if users.acquire():
                self._jvm.end()
        finally:
            users.release()
            self._users = None
