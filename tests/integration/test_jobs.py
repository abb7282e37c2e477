"""Runs on a real database: one process at a time, and continued when their process dies."""

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from scheduler import Scheduler, SchedulerNotRunning
from services.bootstrap import build_services
from services.container import Services
from services.database.errors import RunTakenOver
from services.jobs import monthly_bills
from services.jobs.by_hand import JobAlreadyRunning, run_job
from services.jobs.runs import JobContext, claim, perform
from services.outbox.outbox import Outbox
from services.settings import PROJECT_FOLDER
from services.web.shapes import scheduler_json
from tests.integration.job_tools import (
    AFTER_TWO,
    NOV_1,
    add_read_meters,
    at_once,
    bills_of,
    expire_leases,
    installed,
    runs_of,
    tick_and_wait,
    until,
    with_work,
)
from tests.integration.utility import ADMIN, Utility, make_utility


@pytest.fixture
def utility(database: str, tmp_path: Path) -> Iterator[Utility]:
    made = make_utility(database, tmp_path, now=AFTER_TWO)
    installed(database, AFTER_TWO - timedelta(hours=1))
    yield made
    made.services.close()


@pytest.fixture
def beside(utility: Utility) -> Iterator[Services]:
    """The services of another process on the same database."""
    services = build_services(utility.services.settings)
    yield services
    services.close()


# -- claims, leases, attempts ------------------------------------------------------------------


def test_two_processes_at_once_make_one_run_and_bill_each_meter_once(
    utility: Utility, beside: Services
) -> None:
    serials = add_read_meters(utility, 6)
    schedulers = [at_once(utility.services), at_once(beside)]
    together = threading.Barrier(2)

    def tick(scheduler: Scheduler) -> None:
        together.wait()
        tick_and_wait(scheduler)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(tick, schedulers))
    assert runs_of(beside, "monthly_bills") == {"2026-11-01": ("done", 1)}
    assert bills_of(utility, serials) == [1] * 6


def test_only_one_run_of_a_job_goes_on_at_a_time_whatever_its_date(
    utility: Utility, beside: Services
) -> None:
    first, _ = claim(utility.services, job="monthly_bills", scheduled_on=NOV_1, started_by="a")
    second, in_the_way = claim(
        beside, job="monthly_bills", scheduled_on=date(2026, 11, 9), started_by="b", rerun=True
    )
    assert first is not None
    assert second is None
    assert in_the_way.scheduled_on == NOV_1
    with pytest.raises(JobAlreadyRunning, match="the run of 1 Nov 2026, started by a"):
        run_job(beside, "monthly_bills", AFTER_TWO, "b")


def test_what_an_attempt_writes_after_it_was_taken_over_is_refused(
    utility: Utility, beside: Services, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    serials = add_read_meters(utility, 3)

    database_of_first = utility.services.database
    store = database_of_first.store_job_bills

    def store_too_late(**params: Any) -> tuple[int, list[str]]:
        expire_leases(database)
        # The other process sees that the lease ran out, takes the run over and ends it.
        tick_and_wait(at_once(beside))
        return store(**params)

    monkeypatch.setattr(database_of_first, "store_job_bills", store_too_late)
    context, _ = claim(
        utility.services,
        job="monthly_bills",
        scheduled_on=NOV_1,
        started_by="test",
        clock=lambda: AFTER_TWO,
    )
    assert context is not None
    assert perform(context, monthly_bills.run) is None
    assert runs_of(beside, "monthly_bills") == {"2026-11-01": ("done", 2)}
    assert bills_of(utility, serials) == [1, 1, 1]
    for write in (
        lambda: context.note(done=1),
        lambda: beside.database.store_job_bills(actor="a", bills=[], run=context.ref),
        lambda: beside.database.queue_reminders(
            run=context.ref, today=NOV_1, until=NOV_1, limit=1, outbox={}
        ),
        lambda: beside.database.mark_overdue(
            actor="a", run=context.ref, today=NOV_1, limit=1, outbox={}
        ),
        lambda: beside.database.finish_job_run(run=context.ref, status="failed", detail=""),
        lambda: beside.database.release_job_run(run=context.ref),
    ):
        with pytest.raises(RunTakenOver):
            write()


def test_a_run_killed_between_batches_is_continued_not_repeated(
    utility: Utility, database: str, tmp_path: Path
) -> None:
    serials = add_read_meters(utility, 5)
    died = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.integration.killed_job",
            *(database, str(tmp_path), AFTER_TWO.isoformat(), "2"),
        ],
        cwd=PROJECT_FOLDER,
        timeout=60,
        check=False,
    )
    assert died.returncode == -signal.SIGKILL
    assert sum(bills_of(utility, serials)) == 2
    tick_and_wait(at_once(utility.services))
    assert runs_of(utility.services, "monthly_bills") == {"2026-11-01": ("running", 1)}

    expire_leases(database)
    assert runs_of(utility.services, "monthly_bills") == {"2026-11-01": ("interrupted", 1)}
    tick_and_wait(at_once(utility.services))
    [run] = utility.services.database.job_runs().items
    assert (run.status, run.attempt, run.done_count) == ("done", 2, 5)
    assert run.started_by == "the one that dies"
    assert bills_of(utility, serials) == [1] * 5


def test_a_stopped_run_gives_its_lease_back_and_the_next_start_goes_on_at_once(
    utility: Utility, beside: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monthly_bills, "BATCH", 1)
    serials = add_read_meters(utility, 4)
    database = utility.services.database
    store, first_stored, go_on = database.store_job_bills, threading.Event(), threading.Event()

    def store_slowly(**params: Any) -> tuple[int, list[str]]:
        answer = store(**params)
        first_stored.set()
        go_on.wait(20)
        return answer

    monkeypatch.setattr(database, "store_job_bills", store_slowly)
    running = at_once(utility.services)
    running.start()
    assert first_stored.wait(20)
    threading.Timer(0.3, go_on.set).start()
    running.stop()
    assert running.threads.alive() == []
    assert sum(bills_of(utility, serials)) == 1
    assert runs_of(beside, "monthly_bills") == {"2026-11-01": ("interrupted", 1)}

    tick_and_wait(at_once(beside))
    assert runs_of(beside, "monthly_bills") == {"2026-11-01": ("done", 2)}
    assert bills_of(utility, serials) == [1] * 4


def test_a_batch_prolongs_the_lease(utility: Utility, database: str) -> None:
    context, _ = claim(
        utility.services, job="monthly_bills", scheduled_on=NOV_1, started_by="x", lease_seconds=60
    )
    assert context is not None
    expire_leases(database)
    context.note(done=1)
    with psycopg.connect(database) as connection:
        row = connection.execute("select lease_until - now() from public.job_runs").fetchone()
    assert row is not None
    assert timedelta(seconds=50) < row[0] <= timedelta(seconds=60)


def test_ending_a_run_may_be_repeated_when_the_answer_was_lost(utility: Utility) -> None:
    context, _ = claim(utility.services, job="monthly_bills", scheduled_on=NOV_1, started_by="x")
    assert context is not None
    database = utility.services.database
    first = database.finish_job_run(run=context.ref, status="done", detail="all")
    assert database.finish_job_run(run=context.ref, status="done", detail="all") == first


# -- run now, status ---------------------------------------------------------------------------


def test_run_now_runs_today_on_a_thread_again_and_again_but_never_twice_at_once(
    utility: Utility, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()

    def work(context: JobContext) -> str:
        go_on.wait(20)
        return f"asked by {context.run.started_by}"

    with_work(monkeypatch, work, "overdue_marking")
    scheduler = at_once(utility.services)
    with pytest.raises(SchedulerNotRunning):
        scheduler.run_now("overdue_marking", ADMIN, AFTER_TWO)
    scheduler.start()
    try:
        run = scheduler.run_now("overdue_marking", ADMIN, AFTER_TWO)
        assert (run.status, run.scheduled_on, run.started_by) == ("running", NOV_1, "admin-1")
        with pytest.raises(JobAlreadyRunning):
            scheduler.run_now("overdue_marking", ADMIN, AFTER_TWO)
        go_on.set()
        until(lambda: "overdue_marking" not in scheduler._at_work)
        second = scheduler.run_now("overdue_marking", ADMIN, AFTER_TWO)
        assert second.attempt == 2
    finally:
        scheduler.stop()
    last = scheduler_json(scheduler.status(AFTER_TWO))["jobs"][0]["last_run"]
    assert (last["status"], last["detail"]) == ("done", "asked by admin-1")


def test_the_status_has_each_job_with_its_cron_next_time_and_last_run(utility: Utility) -> None:
    scheduler = at_once(utility.services)
    before = scheduler_json(scheduler.status(AFTER_TWO))
    assert before["running"] is False
    assert [(j["id"], j["next_run_at"], j["last_run"]) for j in before["jobs"]] == [
        ("monthly_bills", "2026-12-01T02:00:00+05:30", None),
        ("autopay", "2026-11-01T09:00:00+05:30", None),
        ("payment_reminders", "2026-11-01T10:00:00+05:30", None),
        ("overdue_marking", "2026-11-01T11:00:00+05:30", None),
        ("meter_collection", "2026-11-01T08:00:00+05:30", None),
        ("interval_collection", "2026-11-01T06:00:00+05:30", None),
        ("backup", "2026-11-02T01:00:00+05:30", None),
        ("ledger_check", "2026-11-01T05:00:00+05:30", None),
        ("retention", "2026-11-01T03:30:00+05:30", None),
    ]
    scheduler.start()
    try:
        assert scheduler_json(scheduler.status(AFTER_TWO))["running"] is True
    finally:
        scheduler.stop()
    run_job(utility.services, "monthly_bills", AFTER_TWO, "test")
    after = scheduler_json(scheduler.status(AFTER_TWO))
    assert after["running"] is False
    last = after["jobs"][0]["last_run"]
    assert datetime.fromisoformat(last.pop("started_at")).utcoffset() is not None
    assert datetime.fromisoformat(last.pop("finished_at")).utcoffset() is not None
    assert last.pop("attempt") in {1, 2}  # the started scheduler may have been first
    assert last == {
        "scheduled_on": "2026-11-01",
        "status": "done",
        "done": 0,
        "set_aside": 0,
        "detail": "Bills for October 2026.",
    }


def test_a_started_scheduler_ticks_and_sweeps_at_once(
    utility: Utility, monkeypatch: pytest.MonkeyPatch
) -> None:
    swept = threading.Event()

    def sweep(_: Outbox, **__: Any) -> int:
        swept.set()
        return 0

    monkeypatch.setattr(Outbox, "sweep", sweep)
    scheduler = at_once(utility.services)
    scheduler.start()
    try:
        assert swept.wait(10)
        until(lambda: bool(runs_of(utility.services, "monthly_bills")))
    finally:
        scheduler.stop()
