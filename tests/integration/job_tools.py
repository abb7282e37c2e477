"""What the tests of the jobs share: a moment on a 1st, and a way to the rows of runs."""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import psycopg
import pytest

from scheduler import Scheduler
from services.container import Services
from services.jobs import jobs
from services.jobs.runs import Work
from tests.integration.utility import Utility

OCT_1 = date(2026, 10, 1)
NOV_1 = date(2026, 11, 1)
# 1 November 2026, 02:30 in Kolkata.
AFTER_TWO = datetime(2026, 10, 31, 21, 0, tzinfo=UTC)


def installed(dsn: str, at: datetime) -> None:
    with psycopg.connect(dsn) as connection:
        connection.execute("update public.installation set installed_at = %s", [at])


def expire_leases(dsn: str) -> None:
    with psycopg.connect(dsn) as connection:
        connection.execute("update public.job_runs set lease_until = now() - interval '1 second'")


def long_ago(dsn: str) -> None:
    """Let ten minutes pass since every run that is over ended."""
    with psycopg.connect(dsn) as connection:
        connection.execute(
            "update public.job_runs set finished_at = finished_at - interval '10 minutes'"
        )


def at_once(services: Services, now: datetime = AFTER_TWO) -> Scheduler:
    return Scheduler(services, clock=lambda: now)


def tick_and_wait(scheduler: Scheduler) -> None:
    scheduler.tick()
    while threads := scheduler.threads.alive():
        threads[0].join(20)
        assert not threads[0].is_alive()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def add_read_meters(utility: Utility, count: int) -> list[str]:
    serials = [f"M{n}" for n in range(count)]
    for serial in serials:
        utility.add_meter(serial, opening_kwh=1000, opened_on=OCT_1)
        utility.submit(serial, 1117, at=utility.now - timedelta(hours=12), source="smart")
    return serials


def runs_of(services: Services, job: str) -> dict[str, tuple[str, int]]:
    """Status and attempt of each run of a job, by date."""
    found = services.database.job_runs(page_size=100).items
    return {
        run.scheduled_on.isoformat(): (run.status, run.attempt)
        for run in sorted(found, key=lambda r: r.started_at)
        if run.job == job
    }


def bills_of(utility: Utility, serials: list[str]) -> list[int]:
    return [len(utility.bills_of(serial)) for serial in serials]


def with_work(monkeypatch: pytest.MonkeyPatch, work: Work, job_id: str) -> None:
    """Give one job other work, and leave only that job."""
    job = replace(jobs.job_of(job_id), work=work)
    monkeypatch.setattr(jobs, "JOBS", (job,))
