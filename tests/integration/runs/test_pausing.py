"""A person pauses a run: it writes no more, no tick takes it up, and later it goes on."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from services.database.errors import IllegalChange
from services.identity.auth import NotAllowed
from services.jobs import monthly_bills
from services.jobs.history import job_runs, pause_run, resume_run
from services.records.jobs import JobRun
from tests.integration.job_tools import (
    AFTER_TWO,
    add_read_meters,
    at_once,
    bills_of,
    installed,
    runs_of,
    tick_and_wait,
)
from tests.integration.utility import ADMIN, ENGINEER, Utility, make_utility


@pytest.fixture
def utility(database: str, tmp_path: Path) -> Iterator[Utility]:
    made = make_utility(database, tmp_path, now=AFTER_TWO)
    installed(database, AFTER_TWO - timedelta(hours=1))
    yield made
    made.services.close()


def the_run(utility: Utility) -> JobRun:
    return job_runs(utility.services, principal=ADMIN, page=1, page_size=5).items[0]


def after_the_first_batch(
    utility: Utility, monkeypatch: pytest.MonkeyPatch, then: Callable[[], Any]
) -> None:
    """Bill one agreement a batch, and do something once the first is stored."""
    monkeypatch.setattr(monthly_bills, "BATCH", 1)
    database = utility.services.database
    store = database.store_job_bills
    stored: list[int] = []

    def store_and_then(**params: Any) -> tuple[int, list[str]]:
        answer = store(**params)
        stored.append(1)
        if len(stored) == 1:
            then()
        return answer

    monkeypatch.setattr(database, "store_job_bills", store_and_then)


def test_it_stops_and_goes_on_where_it_was(
    utility: Utility, monkeypatch: pytest.MonkeyPatch
) -> None:
    serials = add_read_meters(utility, 4)
    after_the_first_batch(
        utility, monkeypatch, lambda: pause_run(utility.services, the_run(utility), principal=ADMIN)
    )
    scheduler = at_once(utility.services)
    tick_and_wait(scheduler)
    paused = the_run(utility)
    assert (paused.status, paused.done_count, paused.expected_count) == ("paused", 1, 4)
    assert paused.share_done == 0.25
    assert ADMIN.user in paused.detail
    assert sum(bills_of(utility, serials)) == 1
    # Neither the next ticks nor a second pause change it.
    tick_and_wait(scheduler)
    pause_run(utility.services, paused, principal=ADMIN)
    assert the_run(utility).status == "paused"
    resume_run(utility.services, paused, principal=ADMIN)
    tick_and_wait(scheduler)
    assert bills_of(utility, serials) == [1, 1, 1, 1]
    ended = the_run(utility)
    assert (ended.status, ended.done_count, ended.detail) == ("done", 4, ended.detail)
    assert "Paused" not in ended.detail


def test_to_run_it_now_goes_on_with_it(utility: Utility, monkeypatch: pytest.MonkeyPatch) -> None:
    serials = add_read_meters(utility, 3)
    after_the_first_batch(
        utility, monkeypatch, lambda: pause_run(utility.services, the_run(utility), principal=ADMIN)
    )
    scheduler = at_once(utility.services)
    scheduler.start()
    try:
        tick_and_wait(scheduler)
        assert the_run(utility).status == "paused"
        scheduler.run_now("monthly_bills", ADMIN, AFTER_TWO)
        tick_and_wait(scheduler)
    finally:
        scheduler.stop()
    assert bills_of(utility, serials) == [1, 1, 1]
    assert the_run(utility).done_count == 3


def test_what_is_over_is_neither_paused_nor_resumed(utility: Utility) -> None:
    add_read_meters(utility, 1)
    tick_and_wait(at_once(utility.services))
    run = the_run(utility)
    assert run.status == "done"
    with pytest.raises(IllegalChange):
        pause_run(utility.services, run, principal=ADMIN)
    with pytest.raises(IllegalChange):
        resume_run(utility.services, run, principal=ADMIN)
    assert runs_of(utility.services, "monthly_bills") == {"2026-11-01": ("done", 1)}


def test_only_who_runs_jobs_may(utility: Utility) -> None:
    add_read_meters(utility, 1)
    tick_and_wait(at_once(utility.services))
    for change in (pause_run, resume_run):
        with pytest.raises(NotAllowed):
            change(utility.services, the_run(utility), principal=ENGINEER)
