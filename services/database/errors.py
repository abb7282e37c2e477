"""What the database refuses, by name: each is one of the codes that the SQL functions raise.

Whoever handles failures finds those of the transport here too.
"""

from services.database.transport import (
    DatabaseError,
    DatabaseRefused,
    DiskFull,
    TemporaryDatabaseError,
)
from services.languages.sentence import sentence

__all__ = [
    "BY_CODE",
    "ChainMoved",
    "DatabaseError",
    "DatabaseRefused",
    "DiskFull",
    "IdempotencyKeyReused",
    "IllegalChange",
    "LeaseLost",
    "NotFound",
    "ReadingConflict",
    "RunTakenOver",
    "StillWorkingOut",
    "TemporaryDatabaseError",
    "named",
]


class NotFound(DatabaseRefused):
    """No meter, bill, reading or customer goes by that name."""


class ChainMoved(DatabaseRefused):
    """Another bill of the meter came between pricing and storing: compute again."""


class IdempotencyKeyReused(DatabaseRefused):
    """The caller sent this key before, with another body."""


class ReadingConflict(DatabaseRefused):
    """The meter has another value at this very instant."""


class IllegalChange(DatabaseRefused):
    """A row would change against the rules, such as an issued bill's figures."""


class RunTakenOver(DatabaseRefused):
    """This attempt of a job's run is no longer the current one."""


class LeaseLost(DatabaseRefused):
    """Another process works on this outbox entry by now."""


class StillWorkingOut(Exception):
    """What was asked for is worked out in the background, and not through; a sentence says it."""


BY_CODE: dict[str, type[DatabaseRefused]] = {
    "EB001": ChainMoved,
    "EB002": IdempotencyKeyReused,
    "EB003": ReadingConflict,
    "EB005": IllegalChange,
    "EB006": RunTakenOver,
    "EB007": LeaseLost,
    "EB404": NotFound,
}


_NOT_AN_ID = ("22P02", "type uuid")


def named(error: DatabaseRefused) -> DatabaseRefused:
    """The refusal as the error class named for it; one without a name stays as it is."""
    code, what = _NOT_AN_ID
    if error.code == code and what in error.message:
        # Somebody shortened an address, or wrote one.
        return NotFound("EB404", sentence("Nothing goes by that id."))
    return BY_CODE.get(error.code, type(error))(error.code, error.message)
