"""Run by test_old_backups.py: restores a backup, and kills itself at some moment of it."""

import os
import signal
import sys
from typing import Any

from services.__main__ import main as run
from services.backups import restoring
from services.database.dump import replacement


def die(*_: Any) -> None:
    """As when somebody pulls the plug."""
    os.kill(os.getpid(), signal.SIGKILL)


def main(moment: str, file: str) -> int:
    """Die as the database is filled, before the two swap their names, or after that."""
    run_statement = replacement._run

    def run_or_die(connection: Any, statement: Any, *names: str) -> None:
        if statement == "drop database {}":
            die()
        run_statement(connection, statement, *names)

    if moment == "filled":
        restoring.set_default_rights = die  # type: ignore[assignment,attr-defined]
    elif moment == "before":
        replacement.Replacement.take_its_place = die  # type: ignore[method-assign,assignment]
    else:
        replacement._run = run_or_die
    return run(["restore", "--replace", file])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
