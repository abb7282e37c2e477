"""Run by test_eight_processes.py: schedulers in processes of their own, some of them killed."""

import json
import multiprocessing
import os
import random
import signal
import sys
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import psycopg

from scheduler import Scheduler
from services.jobs import due_runs, monthly_bills, overdue_marking, payment_reminders, runs
from services.jobs.jobs import JOBS
from services.outbox.outbox import StepDone, StepHandler
from services.records.bills import Bill
from services.records.outbox import OutboxKind
from tests.integration.utility import make_utility

PROCESSES = 8
KILLS = PROCESSES // 2
# The last kill comes while there is still something to do on a fast machine.
KILLED_WITHIN_SECONDS = 4.0
LEASE_SECONDS = 3
MOST_SECONDS = 55.0
# One takes longer than such a lease.
NO_BACKUP = "There is none in this test."


def messenger(notes: Path) -> dict[int, StepHandler]:
    """Handlers of the steps 11 and 12, the second of which writes a line for each message."""

    def write(**_: Any) -> StepDone:
        return StepDone("written")

    def send(*, bill: Bill, kind: OutboxKind, facts: Mapping[str, str]) -> StepDone:  # noqa: ARG001
        # One call is one line, whoever else writes.
        with notes.open("ab", buffering=0) as file:
            file.write(f"{bill.id} {kind}\n".encode())
        return StepDone("sent")

    return {11: write, 12: send}


def work(dsn: str, folder: str, now: str, begin_at: float) -> None:
    """Tick and sweep from a moment on, until the process is killed."""
    for module in (monthly_bills, overdue_marking, payment_reminders):
        module.BATCH = 5  # type: ignore[attr-defined]
    runs.PAUSES_SECONDS = (0.2, 0.4, 0.8)
    due_runs.claim = partial(runs.claim, lease_seconds=LEASE_SECONDS)  # type: ignore[attr-defined]
    utility = make_utility(
        dsn,
        Path(folder),
        now=datetime.fromisoformat(now),
        step_handlers=messenger(Path(folder) / "notes"),
        lease_seconds=LEASE_SECONDS,
    )
    utility.services.backups.off = NO_BACKUP
    scheduler = Scheduler(
        utility.services, clock=lambda: utility.now + timedelta(seconds=time.time() - begin_at)
    )
    time.sleep(max(0.0, begin_at - time.time()))
    while True:
        scheduler.tick()
        scheduler.sweep()
        time.sleep(0.1)


def is_over(dsn: str) -> bool:
    """Whether every job ran and nothing is owed."""
    with psycopg.connect(dsn) as connection:
        row = connection.execute(
            "select (select count(*) from public.job_runs where status = 'done') >= %s"
            " and not exists (select 1 from public.job_runs where status <> 'done')"
            " and not exists (select 1 from public.agreements_to_bill)"
            " and not exists (select 1 from public.outbox where status = 'open')",
            [len(JOBS)],
        ).fetchone()
    assert row is not None
    return bool(row[0])


def at_work(dsn: str) -> list[int]:
    """The processes that hold a run."""
    with psycopg.connect(dsn) as connection:
        rows = connection.execute(
            "select distinct split_part(owner, ':', 2)::integer from public.job_runs"
            " where status = 'running' and lease_until > now()"
        ).fetchall()
    return [pid for (pid,) in rows]


def main(dsn: str, folder: str, now: str, seed: str) -> None:
    """Print how many were killed. They are forked: importing takes each a second."""
    chance = random.Random(seed)  # noqa: S311
    context = multiprocessing.get_context("fork")
    begin_at = time.time() + 3
    started: list[Any] = []

    def start() -> None:
        started.append(context.Process(target=work, args=(dsn, folder, now, begin_at)))
        started[-1].start()

    for _ in range(PROCESSES):
        start()
    moments = sorted(begin_at + chance.uniform(0, KILLED_WITHIN_SECONDS) for _ in range(KILLS))
    killed = 0
    try:
        while time.time() < begin_at + MOST_SECONDS:
            if moments and time.time() >= moments[0]:
                moments.pop(0)
                alive = [one.pid for one in started if one.is_alive()]
                # Rather one that holds a run: of the others little is to be learned.
                holders = [pid for pid in at_work(dsn) if pid in alive]
                os.kill(chance.choice(holders or alive), signal.SIGKILL)
                killed += 1
                start()
            elif not moments and is_over(dsn):
                break
            time.sleep(0.05)
        seconds = round(time.time() - begin_at, 1)
    finally:
        for one in started:
            one.kill()
        for one in started:
            one.join()
    sys.stdout.write(json.dumps({"killed": killed, "seconds": seconds, "over": is_over(dsn)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
