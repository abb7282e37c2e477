"""Speaks Bolt to the graph's server: a limit on every call, a few at once, two ways to fail."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from services.integrations.http import TIMEOUT_SECONDS, ServiceUnavailable
from services.languages.sentence import N_
from services.telemetry.outside_calls import NEO4J, outside_calls

if TYPE_CHECKING:
    from neo4j import Driver

# services.graph.driver, which loads the driver, is imported where it is first used.

Json = dict[str, Any]
T = TypeVar("T")

AWAY: Final = N_("The graph cannot be reached.")
SLOW: Final = N_("The graph did not answer in time.")
UNREADABLE: Final = N_("The graph's answer cannot be read.")
# A server that accepts and never answers keeps a thread each; more than these are not begun.
CALLS_AT_ONCE: Final = 16


class StillStarting(ServiceUnavailable):
    """The server of our own is not ready yet."""


class NotAsExpected(ServiceUnavailable):
    """A change was not made, since the graph was not as it had been found: others changed it."""

    def __init__(self) -> None:
        super().__init__("The graph was being changed by others at the same time.")


class Server(Protocol):
    """Where the graph is kept: a Neo4j of the operator's, or the server that is our own."""

    @property
    def kind(self) -> str:
        """Either configured or embedded."""
        ...

    @property
    def database(self) -> str | None:
        """The name of the database on it; None is the server's own choice."""
        ...

    @property
    def trouble(self) -> str:
        """Why it could not be started; empty when nothing is known to be wrong."""
        ...

    def driver(self) -> "Driver":
        """The way to it, which may wait a moment for its start; raises ServiceUnavailable."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


class ConfiguredServer:
    """A Neo4j server of the operator's; nothing is said to it before it is needed."""

    kind = "configured"
    database = None
    trouble = ""

    def __init__(self, uri: str, *, user: str, password: str) -> None:
        self._uri, self._user, self._password = uri, user, password
        self._driver: Driver | None = None
        self._lock = threading.Lock()

    def driver(self) -> "Driver":
        """The driver to ask the graph through, made at the first call."""
        from services.graph.driver import open_driver  # noqa: PLC0415

        with self._lock:
            if self._driver is None:
                self._driver = open_driver(self._uri, user=self._user, password=self._password)
            return self._driver

    def close(self) -> None:
        """Give back the connections."""
        with self._lock:
            if self._driver is not None:
                self._driver.close()


@dataclass(frozen=True, slots=True)
class Statement:
    """A query with the values for its parameters.

    Where the number in its answer is below `at_least`, `otherwise` is carried out too; without one
    the whole change fails with NotAsExpected. So does a change that makes what `is_new`, where it
    is there already.
    """

    query: str
    values: Mapping[str, Any] = field(default_factory=dict)
    at_least: int = 0
    otherwise: "Statement | None" = None
    is_new: bool = False


class Bolt:
    """Runs statements on a server; for many threads."""

    def __init__(self, server: Server, *, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self.server = server
        self._seconds = timeout_seconds
        self._free = threading.Semaphore(CALLS_AT_ONCE)

    def read(self, query: str, **values: Any) -> list[Json]:
        """The rows that a question brings; raises ServiceUnavailable or RequestRejected."""
        from services.graph.driver import ask  # noqa: PLC0415

        statement, where = Statement(query, values), self.server.database
        return self._in_time(lambda driver: ask(driver, where, statement, self._seconds))

    def write(self, statements: Sequence[Statement]) -> int:
        """Carry out all statements or none; the first number in the last one's answer, or 0.

        It may be repeated, also after it failed. Raises ServiceUnavailable or RequestRejected.
        """
        from services.graph.driver import change  # noqa: PLC0415

        where = self.server.database
        return self._in_time(lambda driver: change(driver, where, statements, self._seconds))

    def define(self, statements: Sequence[Statement]) -> None:
        """Carry out changes of the schema, each in a transaction of its own."""
        for statement in statements:
            self.write([statement])

    def _in_time(self, call: "Callable[[Driver], T]") -> T:
        driver = self.server.driver()
        with outside_calls.watched(NEO4J):
            return self._called(driver, call)

    def _called(self, driver: "Driver", call: "Callable[[Driver], T]") -> T:
        """Make a call on a thread of its own, which is left behind when it takes too long.

        The driver itself waits without end for the answer of a server that took the question.
        """
        if not self._free.acquire(timeout=self._seconds):
            raise ServiceUnavailable(SLOW)
        outcome: list[T] = []
        failure: list[Exception] = []

        def work() -> None:
            try:
                outcome.append(call(driver))
            except Exception as error:
                failure.append(error)
            finally:
                self._free.release()

        thread = threading.Thread(target=work, name="graph-call", daemon=True)
        thread.start()
        thread.join(self._seconds)
        if outcome:
            return outcome[0]
        if failure:
            from services.graph.driver import translated  # noqa: PLC0415

            raise translated(failure[0]) from None
        raise ServiceUnavailable(SLOW)
