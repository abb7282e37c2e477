"""A clock that was set forward or back: what waited by it goes on, and no bill has a wrong day."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import psycopg
import pytest

from scheduler import Scheduler
from services.jobs import monthly_bills
from services.jobs.jobs import JOBS
from services.jobs.runs import claim
from services.operation.alerts import QUIET_MINUTES
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
)
from tests.integration.killed_story import handlers_that_note
from tests.integration.test_estimates import set_to_estimate
from tests.integration.utility import ADMIN, Utility, make_utility

HOUR, DAY, YEAR = timedelta(hours=1), timedelta(days=1), timedelta(days=365)
DONE = {"2026-11-01": ("done", 2)}


@pytest.fixture
def utility(database: str, tmp_path: Path) -> Iterator[Utility]:
    handlers = handlers_that_note(tmp_path / "notes")
    made = make_utility(database, tmp_path, now=AFTER_TWO, step_handlers=handlers)
    installed(database, AFTER_TWO - HOUR)
    yield made
    made.services.close()


def put(dsn: str, statement: str, *values: object) -> int:
    with psycopg.connect(dsn) as connection:
        connection.execute("select set_config('billing.actor', 'test', true)")
        return connection.execute(statement.encode(), values).rowcount


def monthly(utility: Utility) -> dict[str, tuple[str, int]]:
    return runs_of(utility.services, "monthly_bills")


def assert_days_are_right(utility: Utility, serials: list[str], today: date) -> None:
    """Nothing is issued after today, nor due before it is issued."""
    for serial in serials:
        for bill in utility.bills_of(serial):
            assert bill.issued_on <= today
            assert bill.due_date >= bill.issued_on


# -- what a clock that was ahead has left ----------------------------------------------------------


def test_a_dead_run_does_not_hold_its_lease_until_the_year_that_the_clock_said(
    utility: Utility, database: str
) -> None:
    serials = add_read_meters(utility, 2)
    claim(utility.services, job="monthly_bills", scheduled_on=NOV_1, started_by="x")
    put(database, "update public.job_runs set lease_until = now() + interval '1 year'")
    tick_and_wait(at_once(utility.services))
    # A process that lives and works on it has two minutes to say so.
    assert monthly(utility) == {"2026-11-01": ("running", 1)}
    assert put(
        database,
        "update public.job_runs set lease_until = lease_until - interval '2 minutes 1 second'"
        " where lease_until between now() and now() + interval '2 minutes'",
    )
    tick_and_wait(at_once(utility.services))
    assert monthly(utility) == DONE
    assert bills_of(utility, serials) == [1, 1]


def test_a_run_that_failed_in_a_year_to_come_is_tried_again_soon(
    utility: Utility, database: str
) -> None:
    claim(utility.services, job="monthly_bills", scheduled_on=NOV_1, started_by="x")
    put(
        database,
        "update public.job_runs set status = 'failed', finished_at = now() + interval '1 year',"
        " clock_at = %s",
        AFTER_TWO,
    )
    tick_and_wait(at_once(utility.services))
    put(database, "update public.job_runs set finished_at = finished_at - interval '6 minutes'")
    tick_and_wait(at_once(utility.services))
    assert monthly(utility) == DONE


@pytest.mark.parametrize(
    "left",
    ["next_attempt_at = now() + interval '1 year'", "lease_until = now() + interval '1 year'"],
)
def test_a_message_does_not_wait_for_a_year_that_a_clock_said(
    utility: Utility, database: str, left: str, tmp_path: Path
) -> None:
    tick_and_wait(at_once(utility.services))
    serials = add_read_meters(utility, 1)
    while utility.services.outbox.sweep():
        pass
    put(database, "delete from public.job_runs")
    tick_and_wait(at_once(utility.services))
    assert bills_of(utility, serials) == [1]
    assert put(database, f"update public.outbox set {left} where status = 'open'")  # noqa: S608
    assert utility.services.outbox.sweep() == 0
    tick_and_wait(at_once(utility.services))
    put(database, "update public.outbox set lease_until = lease_until - interval '3 minutes'")
    assert utility.services.outbox.sweep() == 1
    assert len((tmp_path / "notes").read_text().splitlines()) == 6


def test_a_refund_and_a_print_do_not_wait_for_it_either(utility: Utility, database: str) -> None:
    serials = add_read_meters(utility, 1)
    tick_and_wait(at_once(utility.services))
    [bill] = utility.bills_of(serials[0])
    put(
        database,
        "insert into public.payment_returns (id, customer_id, kind, amount_minor, currency, method,"
        " reason, status, on_date, next_attempt_at, created_by) values (gen_random_uuid(), %s,"
        " 'payout', 100, 'INR', 'stripe', 'x', 'pending', %s, now() + interval '1 year', 'x')",
        bill.customer_id,
        NOV_1,
    )
    utility.services.database.note_unprinted_bill(bill_id=bill.id, reason="No room.")
    put(database, "update public.unprinted_bills set tried_at = now() + interval '1 year'")
    tick_and_wait(at_once(utility.services))
    with psycopg.connect(database) as connection:
        waits = connection.execute(
            "select next_attempt_at <= now() from public.payment_returns union all"
            " select tried_at <= now() from public.unprinted_bills"
        ).fetchall()
        actor = connection.execute(
            "select actor from public.audit_log where table_name = 'payment_returns'"
            " and action = 'update'"
        ).fetchall()
    assert waits == [(True,), (True,)]
    assert actor == [("system:clock",)]


def test_a_lease_of_now_and_a_wait_of_some_hours_stay_as_they_are(
    utility: Utility, database: str
) -> None:
    add_read_meters(utility, 1)
    claim(utility.services, job="monthly_bills", scheduled_on=NOV_1, started_by="x")
    before = "select lease_until::text from public.job_runs"
    with psycopg.connect(database) as connection:
        leases = connection.execute(before.encode()).fetchall()
    tick_and_wait(at_once(utility.services))
    with psycopg.connect(database) as connection:
        assert connection.execute(before.encode()).fetchall() == leases


def test_an_alert_is_told_and_ended_although_it_was_looked_at_in_a_year_to_come(
    utility: Utility,
) -> None:
    log = utility.services.database.operation_log
    seen: list[dict[str, Any]] = [{"condition": "disk_low", "sentence": "It is getting full."}]

    def look(now: datetime, *, clear: bool = False) -> None:
        log.note_alerts(
            now=now,
            seen=[] if clear else seen,
            clear=["disk_low"] if clear else [],
            quiet_minutes=QUIET_MINUTES,
        )

    look(AFTER_TWO + YEAR)
    assert log.claim_alerts(now=AFTER_TWO + YEAR, channels=["mail"])
    look(AFTER_TWO)
    assert log.claim_alerts(now=AFTER_TWO, channels=["mail"])
    assert not log.claim_alerts(now=AFTER_TWO, channels=["mail"]), "tried a moment ago"
    look(AFTER_TWO + YEAR, clear=True)
    for minute in range(QUIET_MINUTES + 2):
        look(AFTER_TWO + timedelta(minutes=minute), clear=True)
    assert not log.alerts(open_only=True)


# -- set while jobs run, and between two starts ----------------------------------------------------


@pytest.mark.parametrize("back", [HOUR, 3 * HOUR, 5 * HOUR])
def test_a_clock_set_back_by_hours_runs_nothing_twice_for_anybody(
    utility: Utility, back: timedelta, tmp_path: Path
) -> None:
    serials = add_read_meters(utility, 3)
    for hours in (0, 9):
        tick_and_wait(at_once(utility.services, AFTER_TWO + hours * HOUR))
    after = AFTER_TWO + 9 * HOUR - back
    # It shows each hour of the day once more.
    while after < AFTER_TWO + 12 * HOUR:
        scheduler = at_once(utility.services, after)
        tick_and_wait(scheduler)
        assert scheduler.doubt is None
        after += HOUR / 2
    while utility.services.outbox.sweep():
        pass
    assert bills_of(utility, serials) == [1, 1, 1]
    assert len((tmp_path / "notes").read_text().splitlines()) == 3 * 6
    assert_days_are_right(utility, serials, NOV_1)


@pytest.mark.parametrize("off", [-30 * DAY, -7 * HOUR, YEAR])
def test_a_clock_set_while_a_run_is_at_work_stops_the_next_ones_and_dates_no_bill_by_it(
    utility: Utility, off: timedelta, monkeypatch: pytest.MonkeyPatch
) -> None:
    serials = add_read_meters(utility, 4)
    monkeypatch.setattr(monthly_bills, "BATCH", 1)
    clock = {"now": AFTER_TWO}
    scheduler = Scheduler(utility.services, clock=lambda: clock["now"])
    store, stored = utility.services.database.store_job_bills, []

    def store_and_step(**params: Any) -> tuple[int, list[str]]:
        stored.append(1)
        if len(stored) == 2:
            clock["now"] += off
        return store(**params)

    monkeypatch.setattr(utility.services.database, "store_job_bills", store_and_step)
    tick_and_wait(scheduler)
    tick_and_wait(scheduler)
    assert scheduler.doubt is not None
    held = scheduler.status(clock["now"]).held
    assert held is not None
    assert ("already" in held) == (off < timedelta(0))
    assert bills_of(utility, serials) == [1] * 4
    assert {bill.issued_on for s in serials for bill in utility.bills_of(s)} == {NOV_1}
    clock["now"] = AFTER_TWO + HOUR
    tick_and_wait(scheduler)
    assert scheduler.status(clock["now"]).held is None
    assert monthly(utility) == {"2026-11-01": ("done", 1)}
    assert bills_of(utility, serials) == [1] * 4


# -- asleep ----------------------------------------------------------------------------------------


def test_a_run_that_slept_for_three_months_is_begun_anew_with_the_day_on_which_it_woke(
    utility: Utility, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    serials = add_read_meters(utility, 4)
    monkeypatch.setattr(monthly_bills, "BATCH", 1)
    woken = AFTER_TWO + 40 * DAY
    clock = {"now": AFTER_TWO}
    scheduler = Scheduler(utility.services, clock=lambda: clock["now"])
    store, stored = utility.services.database.store_job_bills, []

    def store_and_sleep(**params: Any) -> tuple[int, list[str]]:
        stored.append(1)
        if len(stored) == 3:
            clock["now"] = woken
            put(database, "update public.job_runs set lease_until = now() - interval '40 days'")
        return store(**params)

    monkeypatch.setattr(utility.services.database, "store_job_bills", store_and_sleep)
    tick_and_wait(scheduler)
    assert sum(bills_of(utility, serials)) == 2
    tick_and_wait(scheduler)
    assert monthly(utility) == DONE | {"2026-12-01": ("done", 1)}
    bills = [bill for serial in serials for bill in utility.bills_of(serial)]
    today = woken.astimezone(utility.services.settings.timezone).date()
    assert sorted(bill.issued_on for bill in bills) == [NOV_1, NOV_1, today, today]
    assert all(bill.due_date > today for bill in bills if bill.issued_on == today)


@pytest.mark.parametrize("months", [3, 14])
def test_after_months_of_sleep_each_month_is_billed_once_and_in_order(
    utility: Utility, months: int
) -> None:
    serials = add_read_meters(utility, 2)
    set_to_estimate(utility, estimate_after_days=2, estimates_in_a_row=3)
    tick_and_wait(at_once(utility.services))
    woken = AFTER_TWO + (4 + months * 31) * DAY
    scheduler = at_once(utility.services, woken)
    tick_and_wait(scheduler)
    held = scheduler.status(woken).held
    assert held is not None
    assert "nothing shows that so much time went by" in held
    assert list(monthly(utility)) == ["2026-11-01"]
    scheduler.confirm_clock(ADMIN)
    tick_and_wait(scheduler)
    tick_and_wait(scheduler)
    on = list(monthly(utility))
    assert on == sorted(on)
    assert len(on) == 1 + months
    assert set(monthly(utility).values()) <= {("done", 1), ("done", 2)}
    others = [job.id for job in JOBS if job.id not in {"monthly_bills", "meter_collection"}]
    assert {job: len(runs_of(utility.services, job)) for job in others} == dict.fromkeys(others, 1)
    today = woken.astimezone(utility.services.settings.timezone).date()
    for serial in serials:
        bills = utility.bills_of(serial)
        assert len(bills) == 1 + 3, "one that was read, and as many estimates as may follow"
        for before, after in pairwise(bills):
            assert before.period_end == after.period_start
        assert {bill.issued_on for bill in bills[1:]} == {today}
    assert_days_are_right(utility, serials, today)
    tick_and_wait(at_once(utility.services, woken + HOUR))
    assert bills_of(utility, serials) == [4, 4]


# -- two clocks ------------------------------------------------------------------------------------


@pytest.mark.parametrize("hours", [-3, 3])
def test_a_lease_is_the_databases_whatever_the_clock_of_the_host_says(
    utility: Utility, database: str, hours: int
) -> None:
    serials = add_read_meters(utility, 1)
    other = Scheduler(
        utility.services,
        clock=lambda: AFTER_TWO + hours * HOUR,
        database_clock=lambda: AFTER_TWO,
    )
    claim(utility.services, job="monthly_bills", scheduled_on=NOV_1, started_by="x")
    expire_leases(database)
    tick_and_wait(other)
    assert monthly(utility) == {"2026-11-01": ("interrupted", 1)}
    assert other.doubt is not None
    assert not other.doubt.confirmable
    tick_and_wait(at_once(utility.services))
    assert monthly(utility) == DONE
    assert {bill.issued_on for bill in utility.bills_of(serials[0])} == {NOV_1}
