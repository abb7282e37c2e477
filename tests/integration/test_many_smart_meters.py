"""Many smart meters and a head-end that fails 5 %, delays 5 % and lies in 1 %.

`python -m bench.smart_meters` does the same with 10,000.
"""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Final

import psycopg
import pytest

from bench.faulty_head_end import LIES, Fault, fault_of
from bench.smart_meters import collect
from bench.utility import load_meters, serial_of
from services.integrations import head_end
from services.jobs.by_hand import run_job
from services.records.base import PageRequest
from services.records.lists import CollectedFilter
from services.records.submissions import CollectedMeter, CollectionOutcome
from services.settings import load_settings
from tests.integration.head_end import SUNDAY
from tests.integration.utility import Utility, make_utility

METERS: Final = 600
DELAY_SECONDS: Final = 2.0
SATURDAY: Final = SUNDAY - timedelta(days=1)
YESTERDAYS_KWH, KWH = 1250, 1258
_OUTCOMES: Final[dict[Fault, CollectionOutcome]] = {
    "": "collected",
    "slow": "collected",
    "busy": "no_answer",
    "hangs_up": "no_answer",
    "unknown": "no_answer",
    "no_json": "not_believed",
    "other_meter": "not_believed",
    "unit": "not_believed",
    "old": "not_believed",
    "digits": "not_believed",
    "absurd": "doubted",
}


@pytest.fixture
def utility(database: str, tmp_path: Path) -> Iterator[Utility]:
    made = make_utility(database, tmp_path, now=SUNDAY)
    load_meters(made.services, meters=METERS, now=SATURDAY, months=0, kind="smart")
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("analyze")
    yield made
    made.services.close()


def results(utility: Utility) -> dict[str, CollectedMeter]:
    page = PageRequest("meter", limit=METERS)
    found = utility.services.database.list_meter_collections(wanted=CollectedFilter(), page=page)
    return {one.meter_serial: one for one in found.items}


def seconds_of_waiting() -> float:
    """What the faults alone take, by as many threads as ask."""
    threads = load_settings({}).meter_headend_concurrency
    pauses = [head_end.PAUSE_SECONDS * 2**tried for tried in range(1, head_end.MOST_TRIES)]
    waits: dict[Fault, float] = {
        "slow": DELAY_SECONDS,
        "busy": sum(pauses),
        "hangs_up": sum(pauses),
    }
    return sum(waits.get(fault_of(serial_of(n)), 0.0) for n in range(METERS)) / threads


def test_it_is_done_in_time_with_every_failure_listed_and_no_lie_billed(utility: Utility) -> None:
    # A day before, the head-end is honest: how long that takes says how fast this machine is now.
    faults = {serial_of(n): fault_of(serial_of(n)) for n in range(METERS)}
    honest = run_honestly(utility)
    run, seconds = collect(utility.services, at=SUNDAY, kwh=KWH, delay_seconds=DELAY_SECONDS)
    bound = 3 * (honest + seconds_of_waiting()) + head_end.CALL_SECONDS
    assert seconds < bound, f"{seconds:.0f} s; honest {honest:.0f} s"

    expected = {serial: _OUTCOMES[fault] for serial, fault in faults.items()}
    found = results(utility)
    assert {serial: one.outcome for serial, one in found.items()} == expected
    failed = {s for s, outcome in expected.items() if outcome not in ("collected", "doubted")}
    aside = utility.services.database.set_aside(job=run.job, scheduled_on=run.scheduled_on)
    assert {row.subject for row in aside} == failed
    assert all(row.reason for row in aside)
    assert (run.status, run.done_count, run.failed_count) == (
        *("done", METERS - len(failed)),
        len(failed),
    )
    assert all((one.next_try_at is not None) == (s in failed) for s, one in found.items())
    assert no_lie_is_billed(utility, faults)


def run_honestly(utility: Utility) -> float:
    """Collect the day before from a head-end without faults; how many seconds it took."""
    run, seconds = collect(utility.services, at=SATURDAY, kwh=YESTERDAYS_KWH, delay_seconds=-1.0)
    assert (run.status, run.done_count, run.failed_count) == ("done", METERS, 0)
    return seconds


def no_lie_is_billed(utility: Utility, faults: dict[str, Fault]) -> bool:
    """Bill the month: who was lied about is billed up to the day before, the others to the end."""
    run = run_job(utility.services, "monthly_bills", SUNDAY + timedelta(hours=1), "test")
    assert (run.done_count, run.failed_count) == (METERS, 0)
    liars = {serial for serial, fault in faults.items() if fault in LIES}
    assert len(liars) == METERS // 100
    bills = {bill.meter_serial: bill for s in faults for bill in utility.bills_of(s)}
    for serial, bill in bills.items():
        honest = _OUTCOMES[faults[serial]] == "collected"
        assert bill.closing_wh == 1000 * (KWH if honest else YESTERDAYS_KWH), serial
    return len(bills) == METERS
