"""Run by test_kill.py: submits readings, each in a process that SIGKILLs itself at some step."""

import json
import multiprocessing
import os
import signal
import sys
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from services.outbox.outbox import StepDone, StepHandler
from services.outbox.steps import StepOutcome
from services.records.bills import Bill
from services.records.outbox import OutboxKind
from tests.integration.utility import make_utility

LEASE_SECONDS = 2
PAYMENT_LINK = "https://pay.example.org/1"
AT_ONCE = 4
Case = tuple[int, str]
CASES: list[Case] = [(step, moment) for step in range(1, 14) for moment in ("running", "done")]


def serial_of(step: int, moment: str) -> str:
    """The meter of a case."""
    return f"KILL-{step}-{moment}"


def handlers_that_note(notes: Path) -> dict[int, StepHandler]:
    """Handlers for steps 8 to 13 that write a line for each time they were called."""

    def handler(step: int) -> StepHandler:
        def note(
            *,
            bill: Bill,
            kind: OutboxKind,
            facts: Mapping[str, str],  # noqa: ARG001 - what the protocol gives
        ) -> StepDone:
            with notes.open("a") as file:
                file.write(f"{bill.id} {kind} {step}\n")
                file.flush()
                os.fsync(file.fileno())
            return StepDone("noted", payment_url=PAYMENT_LINK if step == 9 else None)

        return note

    return {step: handler(step) for step in range(8, 14)}


def submit_and_die(dsn: str, folder: str, now: str, case: Case) -> None:
    """Submit 1117 kWh and die when the step reaches the moment ("running" or "done")."""
    step, moment = case

    def die_there(outcome: StepOutcome) -> None:
        if (outcome.step, outcome.status) == case:
            os.kill(os.getpid(), signal.SIGKILL)

    utility = make_utility(
        dsn,
        Path(folder),
        now=datetime.fromisoformat(now),
        step_handlers=handlers_that_note(Path(folder) / "notes"),
        lease_seconds=LEASE_SECONDS,
    )
    serial = serial_of(step, moment)
    utility.submit(serial, 1117, key=f"key-{serial}", progress=die_there)


def main(dsn: str, folder: str, now: str) -> None:
    """Print how the process of each case ended. They are forked: importing takes a second each."""
    context = multiprocessing.get_context("fork")
    ended: list[int | None] = []
    running: list[Any] = []
    for case in CASES:
        running.append(context.Process(target=submit_and_die, args=(dsn, folder, now, case)))
        running[-1].start()
        while len(running) == AT_ONCE or (running and case == CASES[-1]):
            running[0].join()
            ended.append(running.pop(0).exitcode)
    sys.stdout.write(json.dumps(ended))


if __name__ == "__main__":
    main(*sys.argv[1:])
