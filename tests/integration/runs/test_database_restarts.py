"""A database that goes away and comes back in the middle of the jobs: as if it never had."""

import os
import random
import signal
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from scheduler import Scheduler
from services.database.embedded import EmbeddedPostgres
from services.jobs import monthly_bills, runs
from tests.integration.job_tools import OCT_1, installed
from tests.integration.killed_story import handlers_that_note
from tests.integration.runs.test_eight_processes import connect, content, read
from tests.integration.server_process import server_pid
from tests.integration.utility import Utility, make_utility

# 02:30 in Kolkata.
DUE = datetime(2026, 10, 31, 21, 0, tzinfo=UTC)
METERS, RESTARTS = 60, 5
MOST_SECONDS = 55.0


@dataclass
class Restarts:
    """Takes the server away at random moments, and brings it back as it is meant to be."""

    server: EmbeddedPostgres
    chance: random.Random

    def one(self) -> str:
        """Once; how."""
        how = self.chance.choice(["stopped", "killed at once", "killed -9"])
        if how == "stopped":
            self.server.stop()
        else:
            number = signal.SIGQUIT if how == "killed at once" else signal.SIGKILL
            os.kill(server_pid(self.server), number)
        time.sleep(self.chance.uniform(0, 1.0))
        self.server.start()
        return how


@pytest.fixture
def utility(server: EmbeddedPostgres, tmp_path: Path) -> Iterator[Utility]:
    server.start()
    dsn = server.database("billing")
    handlers = handlers_that_note(tmp_path / "notes")
    made = make_utility(dsn, tmp_path, now=DUE, step_handlers=handlers, lease_seconds=2)
    made.services.backups.off = "There is none in this test."
    installed(dsn, DUE - timedelta(hours=1))
    serials = [f"R{n:02}" for n in range(METERS)]
    connect(made, serials, opened_on=OCT_1)
    read(made, dsn, serials)
    yield made
    made.services.close()


def hasten(dsn: str) -> None:
    """Let the leases and the pauses of what was interrupted be over."""
    with psycopg.connect(dsn) as connection:
        connection.execute(
            "update public.job_runs set lease_until = least(lease_until, now() - interval '1 s'),"
            " finished_at = finished_at - interval '10 minutes' where status <> 'done'"
        )
        connection.execute("update public.outbox set next_attempt_at = now() where status = 'open'")


def is_over(dsn: str) -> bool:
    with psycopg.connect(dsn) as connection:
        row = connection.execute(
            "select exists (select 1 from public.job_runs where job = 'monthly_bills'"
            " and status = 'done') and not exists (select 1 from public.outbox"
            " where status = 'open')"
        ).fetchone()
    assert row is not None
    return bool(row[0])


def disturb(scheduler: Scheduler, restarts: Restarts, dsn: str) -> list[str]:
    """Work while the server goes away again and again, until all is done; how it went."""
    over = threading.Event()

    def tick_and_sweep() -> None:
        while not over.wait(0.05):
            scheduler.tick()
            scheduler.sweep()

    worker = threading.Thread(target=tick_and_sweep)
    worker.start()
    how, began = [], time.monotonic()
    try:
        for _ in range(RESTARTS):
            time.sleep(restarts.chance.uniform(0, 0.5))
            how.append(restarts.one())
        while not is_over(dsn):
            assert time.monotonic() < began + MOST_SECONDS
            # What a run was in when the server went is taken over when nobody is at it.
            if not scheduler._at_work:
                hasten(dsn)
            time.sleep(0.3)
    finally:
        over.set()
        worker.join()
        scheduler.stop()
    return how


@pytest.mark.slow
def test_five_restarts_of_the_database_lose_and_repeat_nothing(
    utility: Utility,
    server: EmbeddedPostgres,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    seed = os.environ.get("SEED") or str(uuid4())
    with capsys.disabled():
        sys.stdout.write(f" [SEED={seed}] ")
    monkeypatch.setattr(monthly_bills, "BATCH", 2)
    monkeypatch.setattr(runs, "PAUSES_SECONDS", (0.2, 0.4, 0.8))
    restarts = Restarts(server, random.Random(seed))  # noqa: S311
    scheduler = Scheduler(utility.services, clock=lambda: DUE)
    how = disturb(scheduler, restarts, server.database("billing"))
    with capsys.disabled():
        sys.stdout.write(f"[{', '.join(how)}] ")
    found = content(utility)
    assert [bill[0] for bill in found["bills"]] == [f"R{n:02}" for n in range(METERS)]
    assert found["numbers"] == list(range(1, METERS + 1))
    [run] = utility.services.database.job_runs().items
    assert (run.status, run.done_count) == ("done", METERS)
    lines = (tmp_path / "notes").read_text().splitlines()
    assert len(set(lines)) == METERS * 6
    # A step whose outcome the server did not keep is done again.
    assert len(lines) - len(set(lines)) <= RESTARTS
