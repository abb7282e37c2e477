"""The scheduler's ticks on a real database: what was missed is caught up, and nothing ends them."""

import logging
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from services.database.service import DatabaseService
from services.database.transport import TemporaryDatabaseError
from services.jobs import monthly_bills, runs
from services.jobs.by_hand import run_job
from services.jobs.runs import JobContext, JobFailed, claim
from services.records.jobs import JobRun
from tests.integration.job_tools import (
    AFTER_TWO,
    add_read_meters,
    at_once,
    bills_of,
    expire_leases,
    installed,
    long_ago,
    runs_of,
    tick_and_wait,
    with_work,
)
from tests.integration.utility import Utility, make_utility


@pytest.fixture
def utility(database: str, tmp_path: Path) -> Iterator[Utility]:
    made = make_utility(database, tmp_path, now=AFTER_TWO)
    installed(database, AFTER_TWO - timedelta(hours=1))
    yield made
    made.services.close()


# -- catching up -------------------------------------------------------------------------------


def test_a_stopped_process_makes_up_for_each_missed_month_and_the_latest_of_the_others(
    utility: Utility, database: str
) -> None:
    installed(database, datetime(2026, 8, 10, tzinfo=UTC))
    utility.add_meter("M1", opening_kwh=1000, opened_on=date(2026, 8, 5))
    for month, kwh in ((8, 1100), (9, 1220), (10, 1300)):
        at = datetime(2026, month, 28, 8, 0, tzinfo=UTC)
        utility.submit("M1", kwh, at=at, source="smart")
    scheduler = at_once(utility.services)
    tick_and_wait(scheduler)

    done = ("done", 1)
    assert list(runs_of(utility.services, "monthly_bills").items()) == [
        ("2026-09-01", done),
        ("2026-10-01", done),
        ("2026-11-01", done),
    ]
    periods = [f"{b.period_start:%m-%d}/{b.period_end:%m-%d}" for b in utility.bills_of("M1")]
    assert periods == ["08-05/08-28", "08-28/09-28", "09-28/10-28"]
    assert runs_of(utility.services, "autopay") == {"2026-10-31": done}
    assert runs_of(utility.services, "payment_reminders") == {"2026-10-31": done}
    assert runs_of(utility.services, "overdue_marking") == {"2026-10-31": done}
    assert runs_of(utility.services, "meter_collection") == {"2026-10-25": done}
    assert runs_of(utility.services, "interval_collection") == {"2026-10-31": done}
    assert runs_of(utility.services, "ledger_check") == {"2026-10-31": done}
    assert runs_of(utility.services, "backup") == {"2026-11-01": done}
    assert runs_of(utility.services, "retention") == {"2026-10-31": done}

    tick_and_wait(scheduler)
    assert utility.services.database.job_runs().total == 11


def test_nothing_due_before_the_database_was_made_is_caught_up(
    utility: Utility, database: str
) -> None:
    installed(database, AFTER_TWO - timedelta(minutes=1))
    tick_and_wait(at_once(utility.services))
    assert utility.services.database.job_runs().total == 0


def test_an_interrupted_run_is_closed_when_a_newer_one_made_it_pointless(
    utility: Utility, database: str
) -> None:
    claim(
        utility.services, job="payment_reminders", scheduled_on=date(2026, 10, 30), started_by="x"
    )
    expire_leases(database)
    installed(database, AFTER_TWO - timedelta(days=3))
    scheduler = at_once(utility.services)
    tick_and_wait(scheduler)
    assert runs_of(utility.services, "payment_reminders") == {
        "2026-10-30": ("failed", 2),
        "2026-10-31": ("done", 1),
    }


def test_a_run_by_hand_for_a_date_to_come_does_not_hide_what_is_due(
    utility: Utility, database: str
) -> None:
    installed(database, AFTER_TWO - timedelta(days=2))
    run_job(utility.services, "payment_reminders", datetime(2027, 6, 1, tzinfo=UTC), "test")
    tick_and_wait(at_once(utility.services))
    assert runs_of(utility.services, "payment_reminders")["2026-10-31"] == ("done", 1)


# -- failing -----------------------------------------------------------------------------------


def test_a_run_that_fails_says_why_is_tried_again_later_and_then_left_to_a_person(
    utility: Utility, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: JobContext) -> str:
        raise JobFailed("The office is closed.")

    with_work(monkeypatch, fail, "monthly_bills")
    scheduler = at_once(utility.services)
    for _ in range(2):
        tick_and_wait(scheduler)
    [run] = utility.services.database.job_runs().items
    assert (run.status, run.attempt, run.detail) == ("failed", 1, "The office is closed.")
    for _ in range(7):
        long_ago(database)
        tick_and_wait(scheduler)
    assert runs_of(utility.services, "monthly_bills") == {"2026-11-01": ("failed", 5)}


def test_a_run_that_breaks_off_and_makes_bills_each_time_is_not_left_to_a_person(
    utility: Utility, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    serials = add_read_meters(utility, 7)
    monkeypatch.setattr(monthly_bills, "BATCH", 1)
    real, stored = utility.services.database.store_job_bills, set[int]()

    def store_one(**params: Any) -> tuple[int, list[str]]:
        if stored:
            raise JobFailed("The power went.")
        stored.add(1)
        return real(**params)

    monkeypatch.setattr(utility.services.database, "store_job_bills", store_one)
    scheduler = at_once(utility.services)
    for attempt in range(1, 7):
        tick_and_wait(scheduler)
        assert runs_of(utility.services, "monthly_bills") == {"2026-11-01": ("failed", attempt)}
        assert sum(bills_of(utility, serials)) == attempt
        long_ago(database)
        stored.clear()
    # In vain from here on.
    stored.add(1)
    for _ in range(7):
        tick_and_wait(scheduler)
        long_ago(database)
    assert runs_of(utility.services, "monthly_bills") == {"2026-11-01": ("failed", 6 + 5)}


def test_an_unexpected_error_ends_the_run_with_words_for_people_and_details_in_the_log(
    utility: Utility, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: JobContext) -> str:
        raise ZeroDivisionError("secret detail")

    with_work(monkeypatch, fail, "monthly_bills")
    tick_and_wait(at_once(utility.services))
    [run] = utility.services.database.job_runs().items
    assert run.status == "failed"
    assert run.detail == "An unexpected error stopped the run; the log has the details."
    assert "secret detail" in caplog.text


def test_a_database_that_is_away_for_a_moment_does_not_fail_the_run(
    utility: Utility, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "PAUSES_SECONDS", (0.01, 0.01, 0.01))
    serials = add_read_meters(utility, 1)
    database = utility.services.database
    store, calls = database.store_job_bills, []

    def store_after_an_outage(**params: Any) -> tuple[int, list[str]]:
        calls.append(1)
        # The second time it is only the answer that gets lost.
        answer = store(**params) if len(calls) > 1 else (0, [])
        if len(calls) < 3:
            raise TemporaryDatabaseError("08006", "connection lost")
        return answer

    monkeypatch.setattr(database, "store_job_bills", store_after_an_outage)
    run = run_job(utility.services, "monthly_bills", AFTER_TWO, "test")
    assert (run.status, run.done_count, bills_of(utility, serials)) == ("done", 1, [1])


def test_a_tick_survives_an_outage_and_says_so_in_one_line(
    utility: Utility, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def away(_: DatabaseService, **__: Any) -> Any:
        raise TemporaryDatabaseError("08006", "connection refused\nIs the server running?")

    scheduler = at_once(utility.services)
    with monkeypatch.context() as outage, caplog.at_level(logging.WARNING):
        outage.setattr(DatabaseService, "job_history", away)
        outage.setattr(DatabaseService, "claim_outbox", away)
        for _ in range(3):
            scheduler.tick()
            scheduler.sweep()
    [line] = caplog.records
    assert line.exc_info is None
    assert line.getMessage() == (
        "the scheduler's tick could not use the database: connection refused Is the server running?"
    )
    tick_and_wait(scheduler)
    assert runs_of(utility.services, "monthly_bills") == {"2026-11-01": ("done", 1)}


def test_a_job_that_cannot_be_started_does_not_keep_the_others_from_it(
    utility: Utility,
    database: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    installed(database, AFTER_TWO - timedelta(days=2))
    claim_job_run = utility.services.database.claim_job_run

    def claim_but_the_first(**params: Any) -> tuple[bool, JobRun]:
        if params["job"] == "monthly_bills":
            raise ZeroDivisionError
        return claim_job_run(**params)

    monkeypatch.setattr(utility.services.database, "claim_job_run", claim_but_the_first)
    tick_and_wait(at_once(utility.services))
    assert "the start of monthly_bills failed" in caplog.text
    assert runs_of(utility.services, "overdue_marking") == {"2026-10-31": ("done", 1)}
