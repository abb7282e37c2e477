"""Billing cycles on a real database: each agreement is billed on its own day, and once."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from random import Random
from uuid import uuid4

import psycopg
import pytest

from services.billing.cycles import NoBillingDay
from services.identity.auth import NotAllowed
from services.jobs.by_hand import run_job
from services.records.jobs import JobRun
from tests.integration.job_tools import at_once, installed, runs_of, tick_and_wait
from tests.integration.utility import (
    ACTOR,
    ADMIN,
    ENGINEER,
    KSEB,
    Utility,
    assert_one_chain,
    make_utility,
)

OCT_3 = date(2026, 10, 3)


@pytest.fixture
def utility(database: str, tmp_path: Path) -> Iterator[Utility]:
    made = make_utility(database, tmp_path, now=datetime(2026, 11, 3, 12, tzinfo=UTC))
    yield made
    made.services.close()


def agreement_of(utility: Utility, serial: str) -> str:
    (found,) = utility.services.database.meter_reads(serials=[serial])
    assert found.agreement_id is not None
    return found.agreement_id


def billed_on(utility: Utility, serial: str, billing_day: int) -> None:
    cycles = utility.services.billing_cycles
    cycles.move_agreement(agreement_of(utility, serial), billing_day=billing_day, principal=ADMIN)


def read(utility: Utility, serial: str, kwh: int, when: str) -> None:
    at = datetime.fromisoformat(f"{when}T08:00").replace(tzinfo=utility.services.settings.timezone)
    utility.submit(serial, kwh, at=at, source="imported")


def run(utility: Utility, on: str) -> JobRun:
    at = datetime.fromisoformat(f"{on}T02:30").replace(tzinfo=utility.services.settings.timezone)
    utility.now = at
    return run_job(utility.services, "monthly_bills", at, "test")


def periods(utility: Utility, serial: str) -> list[str]:
    return [f"{b.period_start:%m-%d}/{b.period_end:%m-%d}" for b in utility.bills_of(serial)]


def reasons(utility: Utility, of: JobRun) -> dict[str, str]:
    rows = utility.services.database.set_aside(job=of.job, scheduled_on=of.scheduled_on)
    return {row.subject: row.reason for row in rows}


def in_use_since(dsn: str, at: datetime) -> None:
    with psycopg.connect(dsn) as connection:
        connection.execute("update public.billing_cycles set since = %s", [at])


def test_each_run_bills_the_agreements_of_its_day_up_to_that_day(utility: Utility) -> None:
    utility.add_meter("M1", opened_on=date(2026, 10, 1))
    utility.add_meter("M3", opened_on=OCT_3)
    billed_on(utility, "M3", 3)
    for serial in ("M1", "M3"):
        read(utility, serial, 1090, "2026-11-01")
        read(utility, serial, 1100, "2026-11-03")
    first = run(utility, "2026-11-01")
    assert (first.done_count, first.failed_count) == (1, 0)
    assert first.detail == "Bills for October 2026."
    assert (periods(utility, "M1"), periods(utility, "M3")) == (["10-01/11-01"], [])
    third = run(utility, "2026-11-03")
    assert (third.done_count, third.failed_count) == (1, 0)
    assert third.detail == "Bills for the month up to 3 Nov 2026."
    assert periods(utility, "M3") == ["10-03/11-03"]
    # A second run of the day, and one of a day that ends no cycle, have nothing more to bill.
    assert run(utility, "2026-11-03").done_count == 0
    assert run(utility, "2026-11-10").done_count == 0
    assert_one_chain(utility, "M3")


def test_a_run_of_a_day_that_ends_no_cycle_bills_what_each_cycle_left(utility: Utility) -> None:
    for serial, day in (("M1", 1), ("M3", 3), ("M20", 20)):
        utility.add_meter(serial, opened_on=date(2026, 9, 20))
        billed_on(utility, serial, day)
        for when, kwh in (("2026-10-20", 1050), ("2026-11-01", 1090), ("2026-11-03", 1100)):
            read(utility, serial, kwh, when)
    done = run(utility, "2026-11-10")
    assert done.detail == "Bills for the months up to the last billing days before 10 Nov 2026."
    assert periods(utility, "M1")[-1].endswith("/11-01")
    assert periods(utility, "M3")[-1].endswith("/11-03")
    assert periods(utility, "M20") == ["09-20/10-20"]


def test_a_read_that_comes_after_the_run_of_its_cycle_is_billed_up_to_its_own_day(
    utility: Utility, database: str
) -> None:
    installed(database, datetime(2026, 11, 1, tzinfo=UTC))
    utility.add_meter("M3", opened_on=OCT_3)
    utility.add_meter("M5", opened_on=OCT_3)
    billed_on(utility, "M3", 3)
    billed_on(utility, "M5", 5)
    in_use_since(database, datetime(2026, 10, 30, tzinfo=UTC))
    third = run(utility, "2026-11-03")
    assert reasons(utility, third) == {"M3": "No reading dated up to 3 Nov 2026."}
    fifth = run(utility, "2026-11-05")
    assert (third.failed_count, list(reasons(utility, fifth))) == (1, ["M5"])
    read(utility, "M3", 1100, "2026-11-03")
    read(utility, "M3", 1110, "2026-11-04")
    tick_and_wait(at_once(utility.services, utility.now))
    assert periods(utility, "M3") == ["10-03/11-03"]
    # It is set aside no more, neither by the run of its own day nor by the last one.
    assert reasons(utility, third) == {}
    found = {r.scheduled_on.day: r for r in utility.services.database.job_runs().items
             if r.job == "monthly_bills"}  # fmt: skip
    assert (found[3].failed_count, found[5].failed_count, found[5].done_count) == (0, 1, 1)


def test_each_missed_day_of_each_cycle_is_made_up_for_since_it_is_used(
    utility: Utility, database: str
) -> None:
    installed(database, datetime(2026, 9, 10, tzinfo=UTC))
    utility.add_meter("M1", opened_on=date(2026, 9, 1))
    utility.add_meter("M3", opened_on=OCT_3)
    billed_on(utility, "M3", 3)
    with psycopg.connect(database) as connection:
        connection.execute(
            "update public.billing_cycles set since = '2026-10-20' where billing_day = 3"
        )
    scheduler = at_once(utility.services, datetime(2026, 11, 10, 12, tzinfo=UTC))
    tick_and_wait(scheduler)
    assert list(runs_of(utility.services, "monthly_bills")) == [
        "2026-10-01", "2026-11-01", "2026-11-03",
    ]  # fmt: skip
    status = scheduler.status(datetime(2026, 11, 10, 12, tzinfo=UTC)).jobs[0]
    assert status.cron == "0 2 1,3 * *"
    assert status.next_run_at.date() == date(2026, 12, 1)


def test_after_a_change_of_day_the_next_bill_runs_to_the_new_one(utility: Utility) -> None:
    utility.now = datetime(2026, 11, 16, tzinfo=UTC)
    utility.add_meter("M1", opened_on=date(2026, 9, 1))
    for when, kwh in (("2026-10-01", 1050), ("2026-10-15", 1070), ("2026-11-15", 1130)):
        read(utility, "M1", kwh, when)
    run(utility, "2026-10-01")
    billed_on(utility, "M1", 15)
    # What was billed on the 1st is the bill of the month up to the 15th.
    assert run(utility, "2026-10-15").done_count == 0
    assert run(utility, "2026-11-15").done_count == 2
    assert periods(utility, "M1") == ["09-01/10-01", "10-01/10-15", "10-15/11-15"]
    assert_one_chain(utility, "M1")


def test_the_last_days_of_an_agreement_are_billed_however_few(utility: Utility) -> None:
    utility.add_meter("M1", opened_on=date(2026, 10, 1))
    utility.add_meter("M2", opened_on=date(2026, 10, 1))
    for serial in ("M1", "M2"):
        read(utility, serial, 1090, "2026-11-01")
        read(utility, serial, 1093, "2026-11-02")
    assert run(utility, "2026-11-01").done_count == 2
    ends = {"row": 1, "id": str(uuid4()), "service_point": "M1", "account_no": "A-M1"}
    ends |= {"tariff_code": KSEB["code"], "starts_on": "2026-10-01", "ends_on": "2026-11-02"}
    answer = utility.services.database.import_rows(
        what="agreements", actor=ACTOR, rows=[ends], dry_run=False
    )
    assert not answer.errors, answer
    assert run(utility, "2026-12-01").done_count == 1
    assert periods(utility, "M1") == ["10-01/11-01", "11-01/11-02"]
    assert utility.bills_of("M1")[-1].consumption_wh == 3_000
    # Whoever stays has the day with the next reading.
    assert periods(utility, "M2") == ["10-01/11-01"]
    assert_one_chain(utility, "M1")


def test_a_route_is_billed_on_one_day_and_so_is_who_comes_to_it(
    utility: Utility, database: str
) -> None:
    for serial in ("M1", "M2", "M3"):
        utility.add_meter(serial, opened_on=OCT_3)
    _put_on_route(database, "M1", "North")
    _put_on_route(database, "M2", "North")
    cycles = utility.services.billing_cycles
    assert cycles.move_route("North", billing_day=7, principal=ADMIN) == 2
    assert cycles.move_route("North", billing_day=7, principal=ADMIN) == 0
    days = cycles.days(principal=ADMIN)
    assert {c.billing_day: c.agreements for c in days.cycles} == {1: 1, 7: 2}
    assert [(r.route, r.places, r.billing_day) for r in days.routes] == [("North", 2, 7)]
    _put_on_route(database, "M3", "North")
    assert [c.billing_day for c in cycles.days(principal=ADMIN).cycles] == [7]


def test_a_day_that_not_each_month_has_is_refused_and_so_is_an_engineer(utility: Utility) -> None:
    utility.add_meter("M1")
    cycles, agreement = utility.services.billing_cycles, agreement_of(utility, "M1")
    for day in (0, 29):
        with pytest.raises(NoBillingDay, match="from 1 to 28"):
            cycles.move_agreement(agreement, billing_day=day, principal=ADMIN)
    with pytest.raises(NotAllowed):
        cycles.days(principal=ENGINEER)
    with pytest.raises(NotAllowed):
        cycles.move_route("North", billing_day=3, principal=ENGINEER)


def _put_on_route(dsn: str, code: str, route: str) -> None:
    with psycopg.connect(dsn) as connection:
        connection.execute("select set_config('billing.actor', 'test', true)")
        connection.execute(
            "update public.service_points set route = %s where code = %s", [route, code]
        )


def test_the_end_of_a_cycle_is_the_last_such_day(database: str) -> None:
    with psycopg.connect(database) as connection:
        for on, day, end in (
            ("2026-12-03", 3, "2026-12-03"), ("2026-12-02", 3, "2026-11-03"),
            ("2026-03-01", 28, "2026-02-28"), ("2026-02-27", 28, "2026-01-28"),
            ("2026-01-01", 1, "2026-01-01"), ("2024-03-27", 28, "2024-02-28"),
        ):  # fmt: skip
            row = connection.execute("select private.cycle_end(%s, %s::smallint)", [on, day])
            assert row.fetchone() == (date.fromisoformat(end),)


@pytest.mark.parametrize("seed", [1, 2])
def test_whatever_the_days_each_kwh_and_day_is_billed_once(utility: Utility, seed: int) -> None:
    random = Random(seed)  # noqa: S311 - a walk, not a secret
    first, days = date(2026, 6, 1), 150
    shown = {}
    for number in range(6):
        serial = f"M{number}"
        utility.now = datetime(2026, 6, 2, tzinfo=UTC)
        utility.add_meter(serial, opened_on=first)
        shown[serial] = 1000
    for ago in range(1, days):
        day = first + timedelta(days=ago)
        utility.now = datetime.combine(day, time(2, 30), utility.services.settings.timezone)
        in_use = utility.services.billing_cycles.days(principal=ADMIN).cycles
        # As the scheduler does, and now and then somebody by hand.
        if day.day in {cycle.billing_day for cycle in in_use} or random.random() < 0.05:
            assert run(utility, f"{day}").status == "done"
        for serial, kwh in shown.items():
            if random.random() < 0.06:
                shown[serial] = kwh + random.randrange(30, 60)
                read(utility, serial, shown[serial], f"{day - timedelta(days=1)}")
            if random.random() < 0.02:
                billed_on(utility, serial, random.randrange(1, 29))
    for serial in shown:
        assert_one_chain(utility, serial)
        bills = utility.bills_of(serial)
        ends = [bill.period_end for bill in bills]
        assert ends == sorted(set(ends))
        # What is read is billed with the cycle's end, but for what came since the last one.
        (reads,) = utility.services.database.meter_reads(serials=[serial])
        last = ends[-1] if ends else first
        long_ago = utility.now.date() - timedelta(days=62)
        accepted = [r.read_on for r in reads.reads if r.status == "accepted"]
        assert [on for on in accepted if last < on < long_ago] == []
