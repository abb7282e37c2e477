"""Run by test_dunning_batches.py: reminds of bills and marks them overdue, beside others."""

import sys
from collections.abc import Callable
from typing import Any, Final

from services.database.transports.postgres import DirectTransport

OWED: Final = {
    "status": "open",
    "steps": {str(step): {"status": "pending", "detail": ""} for step in (11, 12, 13)},
}


def main(dsn: str, today: str, until: str, past: str) -> None:
    """Wait for a line, then go through all that is due, five bills a batch."""
    transport = DirectTransport(dsn)
    tell("ready")
    sys.stdin.readline()
    reminding: dict[str, Any] = {"today": today, "until": until}
    walk(transport, "queue_reminders", reminding, tell=lambda: tell("on"))
    walk(transport, "mark_overdue", {"today": past})
    transport.close()


def tell(word: str) -> None:
    """Say a word to the test."""
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def walk(
    transport: DirectTransport,
    function: str,
    params: dict[str, Any],
    tell: Callable[[], object] = lambda: None,
) -> int:
    """All batches of a job's function; how many bills they were."""
    done = 0
    after: dict[str, Any] | None = None
    while True:
        answer = transport.call(
            function,
            {"actor": "test", "limit": 5, "owed": OWED, "after": after, **params},
        )
        done += int(answer["count"])
        after = answer["after"]
        if after is None:
            return done
        tell()


if __name__ == "__main__":
    main(*sys.argv[1:])
