"""Run by test_kill.py: submits one reading and kills itself with SIGKILL at a step of the story."""

import os
import signal
import sys
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from services.domain.records import Bill, OwedKind
from services.owed_work import StepDone, StepHandler
from services.steps import StepOutcome
from tests.integration.utility import make_utility

LEASE_SECONDS = 2
PAYMENT_LINK = "https://pay.example.org/1"


def handlers_that_note(notes: Path) -> dict[int, StepHandler]:
    """Handlers for steps 8 to 13 that write a line for each time they were called."""

    def handler(step: int) -> StepHandler:
        def note(
            *,
            bill: Bill,
            kind: OwedKind,
            facts: Mapping[str, str],  # noqa: ARG001 - what the protocol gives
        ) -> StepDone:
            with notes.open("a") as file:
                file.write(f"{bill.id} {kind} {step}\n")
                file.flush()
                os.fsync(file.fileno())
            return StepDone("noted", payment_url=PAYMENT_LINK if step == 9 else None)

        return note

    return {step: handler(step) for step in range(8, 14)}


def main(arguments: list[str]) -> None:
    """Submit 1117 kWh and die when the step reaches the moment ("running" or "done")."""
    dsn, folder, serial, now, step, moment = arguments

    def die_there(outcome: StepOutcome) -> None:
        if outcome.step == int(step) and outcome.status == moment:
            os.kill(os.getpid(), signal.SIGKILL)

    utility = make_utility(
        dsn,
        Path(folder),
        now=datetime.fromisoformat(now),
        step_handlers=handlers_that_note(Path(folder) / "notes"),
        lease_seconds=LEASE_SECONDS,
    )
    utility.submit(serial, 1117, key=f"key-{serial}", progress=die_there)


if __name__ == "__main__":
    main(sys.argv[1:])
