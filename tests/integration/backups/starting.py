"""Run by test_upgrades_at_once.py: starts on an old database at a word, and may kill itself."""

import logging
import os
import signal
import sys
from typing import Any

from services.backups import making
from services.bootstrap import build_services
from services.database.schema import migrations
from services.settings import load_settings

APPLIED = 3


def die(*_: Any) -> None:
    """As when somebody pulls the plug."""
    os.kill(os.getpid(), signal.SIGKILL)


def die_while_migrating() -> None:
    """Die before the migration after so many."""
    apply, applied = migrations._apply, list[int]()

    def apply_or_die(*given: Any) -> None:
        if len(applied) == APPLIED:
            die()
        applied.append(1)
        apply(*given)

    migrations._apply = apply_or_die  # type: ignore[assignment]


def main(moment: str) -> None:
    """Die at a moment: backup, migrations, or "" for never."""
    if moment == "backup":
        making._read_back = die  # type: ignore[assignment]
    elif moment == "migrations":
        die_while_migrating()
    settings = load_settings()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    build_services(settings, step_handlers={}).close()


if __name__ == "__main__":
    main(*sys.argv[1:])
