"""A clock that is or was wrong: nothing runs by it, and what ran by it does not count."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from app import create_app
from scheduler import Scheduler
from services.identity.permissions import Role
from services.jobs.by_hand import DateToCome, run_job
from services.jobs.clock import ClockInDoubt, ClockWatch, Uptime
from tests.integration.job_tools import (
    AFTER_TWO,
    OCT_1,
    add_read_meters,
    at_once,
    bills_of,
    installed,
    runs_of,
    tick_and_wait,
    until,
)
from tests.integration.utility import ADMIN, Utility, make_utility

YEAR_ON = AFTER_TWO + timedelta(days=364)
DEC_1 = datetime(2026, 11, 30, 21, 0, tzinfo=UTC)  # 02:30 in Kolkata


@pytest.fixture
def utility(database: str, tmp_path: Path) -> Iterator[Utility]:
    made = make_utility(database, tmp_path, now=AFTER_TWO)
    installed(database, AFTER_TWO - timedelta(hours=1))
    yield made
    made.services.close()


def on_machine(
    utility: Utility, now: datetime, *, up_hours: float, machine: str = "boot:1"
) -> Scheduler:
    uptime = Uptime(machine, int(up_hours * 3600))
    return Scheduler(utility.services, clock=lambda: now, uptime=lambda: uptime)


def monthly(utility: Utility) -> dict[str, tuple[str, int]]:
    return runs_of(utility.services, "monthly_bills")


# -- the clock of the process against the database's ---------------------------------------------


@pytest.mark.parametrize("off", [timedelta(days=364), timedelta(days=-40), timedelta(minutes=6)])
def test_no_job_runs_while_the_process_and_the_database_say_different_times(
    utility: Utility, off: timedelta
) -> None:
    scheduler = Scheduler(
        utility.services, clock=lambda: AFTER_TWO + off, database_clock=lambda: AFTER_TWO
    )
    tick_and_wait(scheduler)
    assert utility.services.database.job_runs().total == 0
    held = scheduler.status(AFTER_TWO).held
    assert held is not None
    assert "The clock of this process says" in held
    with pytest.raises(ClockInDoubt):
        scheduler.confirm_clock(ADMIN)


def test_without_a_clock_of_a_test_the_databases_own_is_compared(
    utility: Utility, database: str
) -> None:
    wrong = datetime.now(UTC) + timedelta(days=364)
    right = Scheduler(utility.services)
    tick_and_wait(right)
    assert right.doubt is None
    with psycopg.connect(database) as connection:
        row = connection.execute("select now() - max(clock_at) from public.job_runs").fetchone()
    assert row is not None
    assert timedelta(0) < row[0] < timedelta(minutes=1)
    zone = utility.services.settings.timezone
    watch = ClockWatch(database=utility.services.database, zone=zone, process_clock=lambda: wrong)
    _, doubt = watch.look()
    assert doubt is not None
    assert "The clock of this process says" in doubt.why


# -- a jump --------------------------------------------------------------------------------------


def test_a_start_a_year_ahead_runs_nothing_and_the_months_are_billed_when_they_come(
    utility: Utility,
) -> None:
    serials = add_read_meters(utility, 1)
    tick_and_wait(at_once(utility.services))
    ahead = at_once(utility.services, YEAR_ON)
    tick_and_wait(ahead)
    held = ahead.status(YEAR_ON).held
    assert held is not None
    assert "nothing shows that so much time went by" in held
    assert list(monthly(utility)) == ["2026-11-01"]

    utility.now = DEC_1 - timedelta(days=2)
    utility.submit(serials[0], 1200, source="smart")
    right = at_once(utility.services, DEC_1)
    tick_and_wait(right)
    assert right.doubt is None
    assert bills_of(utility, serials) == [2]
    assert monthly(utility) == {"2026-11-01": ("done", 1), "2026-12-01": ("done", 1)}


def test_a_machine_that_was_off_for_three_weeks_catches_up_by_itself(utility: Utility) -> None:
    tick_and_wait(on_machine(utility, AFTER_TWO + timedelta(days=9), up_hours=900))
    back = on_machine(utility, DEC_1, up_hours=0.1, machine="boot:2")
    tick_and_wait(back)
    assert back.doubt is None
    assert "2026-12-01" in monthly(utility)


def test_a_clock_that_gains_on_the_uptime_is_doubted_also_after_a_restart_of_the_machine(
    utility: Utility,
) -> None:
    tick_and_wait(on_machine(utility, AFTER_TWO, up_hours=10))
    twenty_days = AFTER_TWO + timedelta(days=20)
    for machine, up_hours in (("boot:1", 10.1), ("boot:2", 0.1)):
        jumped = on_machine(utility, twenty_days, up_hours=up_hours, machine=machine)
        tick_and_wait(jumped)
        assert jumped.doubt is not None
    # The clock is set right: nobody need say so.
    right = on_machine(utility, AFTER_TWO + timedelta(hours=1), up_hours=11)
    tick_and_wait(right)
    assert right.doubt is None


def test_a_machine_that_slept_or_changed_its_clock_by_an_hour_is_believed(utility: Utility) -> None:
    tick_and_wait(on_machine(utility, AFTER_TWO, up_hours=10))
    slept = on_machine(utility, AFTER_TWO + timedelta(days=3), up_hours=10 + 72)
    tick_and_wait(slept)
    hour = on_machine(utility, AFTER_TWO + timedelta(days=3, hours=1), up_hours=10 + 72)
    tick_and_wait(hour)
    assert slept.doubt is None
    assert hour.doubt is None


def test_a_clock_that_goes_back_holds_the_jobs_until_it_is_right_again(utility: Utility) -> None:
    tick_and_wait(at_once(utility.services))
    back = at_once(utility.services, AFTER_TWO - timedelta(days=30))
    tick_and_wait(back)
    assert back.doubt is not None
    assert "already" in back.doubt.why
    later = at_once(utility.services, AFTER_TWO + timedelta(hours=2))
    tick_and_wait(later)
    assert later.doubt is None


def test_a_person_confirms_a_clock_that_jumped_and_every_missed_month_is_made_up(
    utility: Utility,
) -> None:
    tick_and_wait(at_once(utility.services))
    ahead = at_once(utility.services, YEAR_ON)
    tick_and_wait(ahead)
    assert len(monthly(utility)) == 1
    ahead.confirm_clock(ADMIN)
    tick_and_wait(ahead)
    assert ahead.doubt is None
    assert len(monthly(utility)) == 12


def test_after_a_confirmation_that_was_wrong_the_runs_of_later_dates_do_not_count(
    utility: Utility,
) -> None:
    serials = add_read_meters(utility, 1)
    tick_and_wait(at_once(utility.services))
    ahead = at_once(utility.services, YEAR_ON)
    tick_and_wait(ahead)
    ahead.confirm_clock(ADMIN)
    tick_and_wait(ahead)

    back = at_once(utility.services, AFTER_TWO + timedelta(days=1))
    tick_and_wait(back)
    assert back.doubt is not None
    back.confirm_clock(ADMIN)
    tick_and_wait(back)
    made_up = {on: status for on, (status, _) in monthly(utility).items() if on > "2026-11-01"}
    assert len(made_up) == 11
    assert set(made_up.values()) == {"disregarded"}
    last = back.status(AFTER_TWO).jobs[0].last_run
    assert last is not None
    assert last.scheduled_on == date(2026, 11, 1)

    utility.now = DEC_1 - timedelta(days=2)
    utility.submit(serials[0], 1200, source="smart")
    tick_and_wait(at_once(utility.services, DEC_1))
    assert monthly(utility)["2026-12-01"] == ("done", 2)
    assert bills_of(utility, serials) == [2]


def test_false_runs_that_an_older_version_left_do_not_block_the_true_ones(
    utility: Utility, database: str
) -> None:
    serials = add_read_meters(utility, 1)
    with psycopg.connect(database) as connection:
        connection.execute(
            "insert into public.job_runs"
            " (job, scheduled_on, owner, lease_until, status, started_by, started_at, clock_at)"
            " select 'monthly_bills', d::date, 'x', now(), 'done', 'scheduler', %s, %s"
            " from generate_series('2026-11-01'::date, '2027-10-01', '1 month') d",
            [YEAR_ON, YEAR_ON],
        )
    tick_and_wait(at_once(utility.services))
    assert bills_of(utility, serials) == [1]
    assert monthly(utility)["2026-11-01"] == ("done", 2)


def test_a_run_by_hand_that_an_older_version_made_ahead_of_its_date_does_not_count(
    utility: Utility, database: str
) -> None:
    tick_and_wait(at_once(utility.services))
    with psycopg.connect(database) as connection:
        connection.execute(
            "insert into public.job_runs"
            " (job, scheduled_on, owner, lease_until, status, started_by, clock_at)"
            " values ('monthly_bills', '2026-12-01', 'x', now(), 'done', 'cli:x', %s)",
            [DEC_1 - timedelta(days=3)],
        )
    tick_and_wait(at_once(utility.services, DEC_1))
    assert monthly(utility)["2026-12-01"] == ("done", 2)


def test_a_database_that_was_made_while_the_clock_was_ahead_works_from_now_on(
    utility: Utility, database: str
) -> None:
    installed(database, YEAR_ON)
    tick_and_wait(at_once(utility.services, DEC_1 - timedelta(days=1)))
    tick_and_wait(at_once(utility.services, DEC_1))
    assert monthly(utility) == {"2026-12-01": ("done", 1)}


def test_health_says_that_the_jobs_are_held_and_still_answers(utility: Utility) -> None:
    scheduler = Scheduler(utility.services, clock=lambda: YEAR_ON, database_clock=lambda: AFTER_TWO)
    scheduler.start()
    try:
        until(lambda: scheduler.doubt is not None)
        api = create_app(utility.services, scheduler, clock=lambda: AFTER_TWO).test_client()
        answer = api.get("/api/health")
        assert answer.status_code == 200
        assert answer.get_json()["status"] == "degraded"
        assert answer.get_json()["services"]["scheduler"] == "held: the clock is in doubt"
        token = utility.services.tokens.issue("a", Role.ADMIN, AFTER_TWO, timedelta(hours=1))
        status = api.get("/api/scheduler/status", headers={"Authorization": f"Bearer {token}"})
        assert "Set the wrong one right" in status.get_json()["held"]
        with pytest.raises(ClockInDoubt):
            scheduler.run_now("overdue_marking", ADMIN, AFTER_TWO)
    finally:
        scheduler.stop()
    assert utility.services.database.job_runs().total == 0


# -- by hand -------------------------------------------------------------------------------------


def test_a_date_to_come_is_refused_by_hand(utility: Utility) -> None:
    with pytest.raises(DateToCome, match=r"1 Dec 2026 is still to come"):
        run_job(utility.services, "monthly_bills", AFTER_TWO, "x", on=date(2026, 12, 1))
    assert utility.services.database.job_runs().total == 0


def test_a_run_by_hand_before_its_time_does_not_take_the_date(utility: Utility) -> None:
    at_ten_past_midnight = AFTER_TWO - timedelta(hours=2, minutes=20)
    utility.add_meter("M1", opening_kwh=1000, opened_on=OCT_1)
    run = run_job(utility.services, "monthly_bills", at_ten_past_midnight, "admin-1")
    assert (run.status, run.done_count) == ("done", 0)
    # It is not taken up before its time either.
    tick_and_wait(at_once(utility.services, at_ten_past_midnight + timedelta(minutes=5)))
    assert monthly(utility) == {"2026-11-01": ("done", 1)}
    utility.now = AFTER_TWO - timedelta(hours=1)
    utility.submit("M1", 1117, source="smart")
    scheduler = at_once(utility.services)
    tick_and_wait(scheduler)
    tick_and_wait(scheduler)
    assert monthly(utility) == {"2026-11-01": ("done", 2)}
    assert bills_of(utility, ["M1"]) == [1]


def test_a_run_of_another_date_chooses_the_month_and_bills_are_issued_today(
    utility: Utility,
) -> None:
    utility.add_meter("M1", opening_kwh=1000, opened_on=date(2026, 9, 1))
    utility.submit("M1", 1117, at=datetime(2026, 9, 30, 6, tzinfo=UTC), source="smart")
    now = datetime(2026, 11, 20, 6, tzinfo=UTC)
    run = run_job(utility.services, "monthly_bills", now, "x", on=OCT_1)
    assert (run.scheduled_on, run.detail) == (OCT_1, "Bills for September 2026.")
    (bill,) = utility.bills_of("M1")
    assert (bill.issued_on, bill.due_date) == (date(2026, 11, 20), date(2026, 12, 5))
