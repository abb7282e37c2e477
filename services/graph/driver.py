"""What is said to Neo4j's driver: our limits, a question, a change, and its failures in our words.

Apart from the rest, since loading the driver takes a second that most commands need not wait.
"""

import logging
import random
import time
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from neo4j import Driver, GraphDatabase, ManagedTransaction, unit_of_work
from neo4j.exceptions import (
    AuthError,
    ClientError,
    ConfigurationError,
    DriverError,
    Neo4jError,
)

from services.graph.bolt import (
    AWAY,
    CALLS_AT_ONCE,
    SLOW,
    UNREADABLE,
    Json,
    NotAsExpected,
    Statement,
)
from services.integrations.http import TIMEOUT_SECONDS, RequestRejected, ServiceUnavailable

T = TypeVar("T")

log = logging.getLogger(__name__)
# What matters of its reports comes as an exception; the rest are retries, broken connections and
# kinds of nodes of which there are none yet.
logging.getLogger("neo4j").setLevel(logging.CRITICAL)

# An unreachable server is reported at once: the outbox tries again later.
RETRY_SECONDS: Final = 2.0
# Two change the same at once: ArcadeDB refuses the second that makes a node (by the next try it
# exists), and one that came upon a node of a change not yet whole does not find it; both servers
# end one of two that wait for each other, which under load outlasts the driver's own patience.
THERE_ALREADY: Final = "ConstraintValidationFailed"
CLASHES: Final = (THERE_ALREADY, "EntityNotFound", "DeadlockDetected")
TRIES_AT_A_CLASH: Final = 6
# Called the client's fault, but not for good.
PASSING: Final = ("TimedOut", "RateLimit", "Terminated", "DatabaseNotFound")


def open_driver(uri: str, *, user: str, password: str) -> Driver:
    """A driver with our limits; it connects when it is used. Raises RequestRejected."""
    try:
        return GraphDatabase.driver(
            uri,
            auth=(user, password),
            connection_timeout=TIMEOUT_SECONDS / 2,
            connection_acquisition_timeout=TIMEOUT_SECONDS,
            max_transaction_retry_time=RETRY_SECONDS,
            initial_retry_delay=0.1,
            max_connection_pool_size=2 * CALLS_AT_ONCE,
            disable_auto_commit_retries=True,
            telemetry_disabled=True,
        )
    except (ConfigurationError, ValueError):
        raise RequestRejected("The graph's address is not usable.") from None


def ask(driver: Driver, database: str | None, statement: Statement, seconds: float) -> list[Json]:
    """The rows that a question brings; raises what the driver raises."""

    @unit_of_work(timeout=seconds)
    def work(transaction: ManagedTransaction) -> list[Json]:
        return transaction.run(statement.query, dict(statement.values)).data()

    def once() -> list[Json]:
        with driver.session(database=database) as session:
            return session.execute_read(work)

    return _past_clashes(once)


def change(
    driver: Driver, database: str | None, statements: Sequence[Statement], seconds: float
) -> int:
    """Carry out all or none; the number in the last one's answer, or 0. Raises as the driver."""

    @unit_of_work(timeout=seconds)
    def work(transaction: ManagedTransaction) -> int:
        return sum([_carried_out(transaction, statement) for statement in statements][-1:])

    def once() -> int:
        try:
            with driver.session(database=database) as session:
                return session.execute_write(work)
        except Neo4jError as error:
            # By the next try it is there still.
            if _is_there(error) and any(statement.is_new for statement in statements):
                raise NotAsExpected from None
            raise

    return _past_clashes(once)


def _carried_out(transaction: ManagedTransaction, statement: Statement) -> int:
    row = transaction.run(statement.query, dict(statement.values)).single(strict=False)
    number = int(row[0]) if row is not None else 0
    if number < statement.at_least:
        if statement.otherwise is None:
            raise NotAsExpected
        _carried_out(transaction, statement.otherwise)
    return number


def _past_clashes(once: Callable[[], T]) -> T:
    """What a transaction gives, tried again a little later while others were in its way."""
    for attempt in range(TRIES_AT_A_CLASH - 1):
        try:
            return once()
        except Neo4jError as error:
            if not is_clash(error):
                raise
        time.sleep(random.uniform(0.01, 0.05) * 2**attempt)  # noqa: S311 - spreading
    return once()


def is_clash(error: Exception) -> bool:
    """Whether a transaction failed only since others changed the same at the same time."""
    return isinstance(error, Neo4jError) and str(error.code).endswith(CLASHES)


def _is_there(error: Neo4jError) -> bool:
    return str(error.code).endswith(THERE_ALREADY)


def is_ready(driver: Driver, database: str) -> bool:
    """Whether the server answers already; raises RequestRejected when it does not let us in."""
    try:
        with driver.session(database=database) as session:
            session.run("RETURN 1").consume()
    except AuthError as error:
        raise translated(error) from None
    except (DriverError, Neo4jError, OSError):
        return False
    return True


def translated(error: Exception) -> Exception:
    """The same in our words; the driver's own may hold an address or a row's values."""
    if isinstance(error, NotAsExpected):
        return error
    refusal = _refusal(error)
    if refusal is not None:
        return RequestRejected(refusal)
    if is_clash(error):
        return ServiceUnavailable("The graph was being changed by others at the same time.")
    if isinstance(error, Neo4jError):
        log.warning("the graph failed (%s)", error.code)
        return ServiceUnavailable(SLOW if "TimedOut" in str(error.code) else "The graph failed.")
    if isinstance(error, DriverError | OSError | ValueError):
        log.info("the graph cannot be reached: %s", type(error).__name__)
        return ServiceUnavailable(AWAY)
    # The driver trips over an answer that is none.
    log.error("the graph's answer could not be read", exc_info=error)
    return ServiceUnavailable(UNREADABLE)


def _refusal(error: Exception) -> str | None:
    """What a person must look at; None for what may be gone by the next time."""
    if isinstance(error, ConfigurationError):
        return "The server at the graph's address is not one that we can use."
    if not isinstance(error, ClientError) or is_clash(error):
        return None
    code = str(error.code)
    if error.is_retryable() or any(sign in code for sign in PASSING):
        return None
    if isinstance(error, AuthError):
        return "The graph does not accept the user name and password."
    log.error("the graph refused a statement (%s)", code)
    return f"The graph refused what it was asked ({code})."
