"""Smart meters without a reading: asked for again the same day, then put on an engineer's round."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from signal import SIGKILL

import psycopg
import pytest

from scheduler import Scheduler
from services.jobs import meter_collection
from services.jobs.by_hand import run_job
from services.jobs.runs import claim, perform
from services.records.jobs import JobRun
from services.records.submissions import CollectedMeter
from services.settings import PROJECT_FOLDER
from tests.integration.head_end import SUNDAY, Answer, StandIn, reading, standing_in
from tests.integration.job_tools import expire_leases, installed, long_ago, tick_and_wait
from tests.integration.utility import Utility, make_utility

OPENED = date(2026, 10, 1)
MIDNIGHT = datetime(2026, 11, 1, 18, 30, tzinfo=UTC)  # the end of the Sunday in Kolkata


@pytest.fixture
def head_end() -> Iterator[StandIn]:
    with standing_in() as stand_in:
        yield stand_in


@pytest.fixture
def utility(database: str, tmp_path: Path, head_end: StandIn) -> Iterator[Utility]:
    made = make_utility(database, tmp_path, now=SUNDAY)
    made.services = replace(made.services, headend_url=head_end.url)
    installed(database, SUNDAY - timedelta(days=1))
    yield made
    made.services.close()


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.integrations.head_end.PAUSE_SECONDS", 0.0)


def add_smart_meters(utility: Utility, *serials: str) -> dict[str, str]:
    return {
        serial: utility.add_meter(serial, opening_kwh=1000, opened_on=OPENED, kind="smart")
        for serial in serials
    }


def collect(utility: Utility, at: datetime = SUNDAY) -> JobRun:
    return run_job(utility.services, "meter_collection", at, "test")


def tick(utility: Utility, database: str, at: datetime) -> JobRun:
    """What a tick at a time makes of the collection's run."""
    long_ago(database)
    with psycopg.connect(database) as connection:
        # The other jobs of the day are done.
        connection.execute("update public.installation set installed_at = %s", [at])
    tick_and_wait(Scheduler(utility.services, clock=lambda: at))
    return last_run(utility)


def after(pause: timedelta) -> datetime:
    """When what failed on Sunday is due again; the collection itself may take a minute."""
    return SUNDAY + pause + timedelta(minutes=1)


def last_run(utility: Utility) -> JobRun:
    runs = utility.services.database.job_runs(page_size=50).items
    [run] = [run for run in runs if run.job == "meter_collection"]
    return run


def last(utility: Utility, meter_id: str) -> CollectedMeter:
    found = utility.services.database.meter_collection(meter_id=meter_id)
    assert found is not None
    return found


def open_requests(database: str) -> list[tuple[str, str]]:
    with psycopg.connect(database) as connection:
        return connection.execute(
            "select m.serial, q.reason from public.reading_requests q"
            " join public.meters m on m.id = q.meter_id where q.done_at is null order by 1"
        ).fetchall()


def busy(_: str) -> Answer:
    return 503, ""


def test_what_came_of_each_meter_is_kept(utility: Utility, head_end: StandIn) -> None:
    ids = add_smart_meters(utility, "ABSURD", "GONE", "GOOD", "LIES")
    answers = {
        "ABSURD": reading("ABSURD", 91_000),
        "GONE": (404, ""),
        "LIES": reading("GOOD", 1117),
    }
    head_end.answers = lambda serial: answers.get(serial) or reading(serial, 1117)
    collect(utility)
    found = {serial: last(utility, meter_id) for serial, meter_id in ids.items()}
    assert {serial: one.outcome for serial, one in found.items()} == {
        "ABSURD": "doubted",
        "GONE": "no_answer",
        "GOOD": "collected",
        "LIES": "not_believed",
    }
    assert found["GONE"].reason == "The head-end does not know meter GONE."
    assert found["LIES"].reason.startswith("Asked for meter LIES")
    assert (found["GOOD"].next_try_at, found["GOOD"].reason) == (None, "")
    pauses = {s: one.next_try_at and one.next_try_at - one.tried_at for s, one in found.items()}
    five = timedelta(minutes=5)
    assert pauses == {"ABSURD": None, "GONE": five, "GOOD": None, "LIES": five}


@pytest.mark.parametrize(
    "answer",
    [
        lambda s: reading(s, 1117, SUNDAY - timedelta(days=4)),
        lambda s: reading(s, 1117, SUNDAY - timedelta(days=2)),
        lambda s: (200, reading(s, 1117)[1].replace("{", '{"unit": "MWh", ')),
        lambda s: (200, reading(s, 1117)[1].replace("+00:00", "")),
        lambda s: reading(s, 123_456),
    ],
    ids=["too old", "before the last read", "unit", "no zone", "too many digits"],
)
def test_no_lie_is_stored(
    utility: Utility, head_end: StandIn, answer: Callable[[str], Answer]
) -> None:
    ids = add_smart_meters(utility, "S1")
    utility.submit("S1", 1100, at=SUNDAY - timedelta(days=1), source="smart")
    head_end.answers = answer
    run = collect(utility)
    assert (run.done_count, run.failed_count) == (0, 1)
    assert last(utility, ids["S1"]).outcome == "not_believed"
    read = utility.services.database.readings(submitted_by="job:meter_collection")
    assert read.total == 0


def test_a_failed_meter_is_asked_again_and_then_no_longer_set_aside(
    utility: Utility, database: str, head_end: StandIn
) -> None:
    ids = add_smart_meters(utility, "S1", "S2")
    head_end.answers = lambda s: busy(s) if s == "S2" else reading(s, 1117)
    run = collect(utility)
    assert (run.done_count, run.failed_count) == (1, 1)
    assert run.detail == (
        "Readings of the smart meters. 1 meter gave none. What is missing is asked for again from "
        "08:05 on."
    )
    head_end.paths.clear()

    early = tick(utility, database, SUNDAY + timedelta(minutes=4))
    assert (early.attempt, head_end.paths) == (1, [])
    head_end.answers = lambda s: reading(s, 1117)
    run = tick(utility, database, after(timedelta(minutes=5)))
    assert (run.status, run.attempt, run.done_count, run.failed_count) == ("done", 2, 2, 0)
    assert head_end.paths == ["/meters/S2/reading"]
    assert utility.services.database.set_aside(job=run.job, scheduled_on=run.scheduled_on) == []
    got = last(utility, ids["S2"])
    assert (got.outcome, got.tries, got.next_try_at) == ("collected", 2, None)


def test_the_pauses_grow_until_midnight_and_then_the_meter_is_on_the_round_once(
    utility: Utility, database: str, head_end: StandIn
) -> None:
    ids = add_smart_meters(utility, "S1")
    head_end.answers = busy
    collect(utility)
    minutes = []
    while (at := last(utility, ids["S1"]).next_try_at) is not None:
        tried = last(utility, ids["S1"])
        minutes.append(round((at - tried.tried_at) / timedelta(minutes=1)))
        asked = head_end.times_asked("S1")
        tick(utility, database, at)
        if at < MIDNIGHT:
            assert head_end.times_asked("S1") == asked + 3
    assert minutes[:6] == [5, 10, 20, 40, 80, 120]
    assert minutes[-1] <= 120
    assert len(minutes) == 12
    assert (last_run(utility).status, last_run(utility).failed_count) == ("done", 1)
    [(serial, reason)] = open_requests(database)
    assert serial == "S1"
    assert reason == "The head-end gave no reading on 1 Nov 2026. The head-end answered 503."
    assert last(utility, ids["S1"]).round_at == MIDNIGHT

    asked = head_end.times_asked("S1")
    tick(utility, database, MIDNIGHT + timedelta(hours=3))
    assert head_end.times_asked("S1") == asked
    assert len(open_requests(database)) == 1


def test_a_head_end_that_is_down_is_left_alone_and_asked_again_the_same_day(
    utility: Utility, database: str, head_end: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(meter_collection, "MOST_FAILURES_IN_A_ROW", 5)
    monkeypatch.setattr(meter_collection, "PAGE", 20)
    ids = add_smart_meters(utility, *(f"S{n:02}" for n in range(80)))
    head_end.answers = busy
    run = collect(utility)
    assert (run.status, run.failed_count) == ("failed", 80)
    assert run.detail == (
        "The head-end failed for 5 meters one after the other, so no more were asked for. What is "
        "missing is asked for again from 08:05 on."
    )
    assert last(utility, ids["S79"]).outcome == "not_asked"
    assert head_end.times_asked("S79") == 0

    down = tick(utility, database, after(timedelta(minutes=5)))
    assert (down.status, down.attempt, down.failed_count) == ("failed", 2, 80)
    head_end.answers = lambda s: reading(s, 1117)
    up = tick(utility, database, after(timedelta(minutes=15)))
    assert (up.status, up.attempt, up.done_count, up.failed_count) == ("done", 3, 80, 0)
    assert up.detail == "Readings of the smart meters."


def test_a_silent_head_end_does_not_stall_the_job(
    utility: Utility, head_end: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.integrations.head_end.TIMEOUT_SECONDS", 0.5)
    add_smart_meters(utility, *(f"S{n:03}" for n in range(120)))
    head_end.silence_seconds = 1.0
    began = time.monotonic()
    run = collect(utility)
    assert (run.status, run.failed_count) == ("failed", 120)
    # Twenty of sixteen at a time are two rounds of half a second, and a third is under way.
    assert time.monotonic() - began < 15
    assert len(head_end.paths) < 60


def test_a_meter_that_a_person_reads_from_now_on_is_asked_for_no_more(
    utility: Utility, database: str, head_end: StandIn
) -> None:
    add_smart_meters(utility, "S1")
    head_end.answers = busy
    collect(utility)
    with psycopg.connect(database) as connection:
        connection.execute("set billing.actor = 'test'")
        connection.execute("update public.meters set kind = 'manual'")
    head_end.paths.clear()
    tick(utility, database, after(timedelta(minutes=5)))
    assert head_end.paths == []
    assert not utility.services.database.job_history(at=MIDNIGHT).meters_wait


def test_a_read_in_between_is_compared_with_before_it_is_stored(
    utility: Utility, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_smart_meters(utility, "S1", "S2")
    database = utility.services.database
    store = database.store_collected
    calls: list[tuple[set[str], set[str]]] = []

    def store_after_another(**given: object) -> tuple[set[str], set[str]]:
        if not calls:
            utility.submit("S1", 1100, at=SUNDAY - timedelta(hours=30), source="smart")
        answer = store(**given)  # type: ignore[arg-type]
        calls.append(answer)
        return answer

    monkeypatch.setattr(database, "store_collected", store_after_another)
    run = collect(utility)
    assert (run.done_count, run.failed_count) == (2, 0)
    assert calls == [({"S1"}, set()), (set(), set())]


def test_the_same_batch_again_counts_nothing_twice(
    utility: Utility, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_smart_meters(utility, "S1", "S2")
    database = utility.services.database
    store = database.store_collected

    def store_twice(**given: object) -> tuple[set[str], set[str]]:
        store(**given)  # type: ignore[arg-type]
        return store(**given)  # type: ignore[arg-type]

    monkeypatch.setattr(database, "store_collected", store_twice)
    run = collect(utility)
    assert (run.done_count, run.failed_count) == (2, 0)
    assert database.readings(submitted_by="job:meter_collection").total == 2


def test_a_collection_killed_between_batches_goes_on_and_stores_each_once(
    utility: Utility, database: str, tmp_path: Path, head_end: StandIn
) -> None:
    serials = [f"S{n}" for n in range(6)]
    add_smart_meters(utility, *serials)
    died = subprocess.run(
        [
            *(sys.executable, "-m", "tests.integration.killed_collection"),
            *(database, str(tmp_path), SUNDAY.isoformat(), head_end.url, "2"),
        ],
        cwd=PROJECT_FOLDER,
        timeout=60,
        check=False,
    )
    assert died.returncode == -SIGKILL
    stored = utility.services.database.readings(submitted_by="job:meter_collection", page_size=50)
    done = {one.meter_serial for one in stored.items}
    assert len(done) == 2
    head_end.paths.clear()

    expire_leases(database)
    run = tick(utility, database, SUNDAY + timedelta(minutes=1))
    assert (run.status, run.attempt, run.done_count) == ("done", 2, 6)
    assert not any(head_end.times_asked(serial) for serial in done)
    stored = utility.services.database.readings(submitted_by="job:meter_collection", page_size=50)
    assert sorted(one.meter_serial for one in stored.items) == serials


def test_an_older_attempt_keeps_no_result(utility: Utility, database: str) -> None:
    ids = add_smart_meters(utility, "S1")
    first, _ = claim(
        utility.services,
        job="meter_collection",
        scheduled_on=SUNDAY.date(),
        started_by="test",
        clock=lambda: SUNDAY,
    )
    assert first is not None
    expire_leases(database)
    claim(utility.services, job="meter_collection", scheduled_on=SUNDAY.date(), started_by="test")
    assert perform(first, meter_collection.run) is None
    assert utility.services.database.meter_collection(meter_id=ids["S1"]) is None


def test_without_a_head_end_those_that_wait_are_handed_over_at_once(
    utility: Utility, head_end: StandIn, database: str
) -> None:
    ids = add_smart_meters(utility, "S1", "S2")
    head_end.answers = lambda serial: (404, "") if serial == "S1" else reading(serial, 1117)
    collect(utility)
    waits = last(utility, ids["S1"])
    assert waits.next_try_at is not None
    # The address is taken out of the settings, and the system is started again.
    utility.services = replace(utility.services, headend_url=None)
    at = after(timedelta(minutes=5))
    attempt = tick(utility, database, at).attempt
    assert open_requests(database) == [
        ("S1", "The head-end gave no reading on 1 Nov 2026. No head-end is configured.")
    ]
    assert last(utility, ids["S1"]).next_try_at is None
    asked = len(head_end.paths)
    for minutes in (1, 2, 30):
        # Nothing is left to be claimed.
        assert tick(utility, database, at + timedelta(minutes=minutes)).attempt == attempt
    assert len(head_end.paths) == asked
