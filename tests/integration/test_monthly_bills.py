"""The monthly bills on a real database: each kWh and each day of a meter is billed exactly once."""

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from services.jobs import monthly_bills
from services.jobs.by_hand import run_job
from services.readings.reading_to_bill import Submitted
from services.records.bills import NewBill
from services.records.jobs import JobRun
from tests.integration.utility import ADMIN, Utility, assert_one_chain, make_utility

OCT_1 = date(2026, 10, 1)


@pytest.fixture
def utility(database: str, tmp_path: Path) -> Iterator[Utility]:
    made = make_utility(database, tmp_path)
    yield made
    made.services.close()


def local(utility: Utility, text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=utility.services.settings.timezone)


def read(utility: Utility, serial: str, kwh: int, when: str, source: str = "field") -> Submitted:
    """A reading handed in at the moment it was taken, noon unless a time is said."""
    utility.now = local(utility, when if "T" in when else f"{when}T12:00")
    return utility.submit(serial, kwh, source=source)


def bill_month(utility: Utility, when: str) -> JobRun:
    return run_job(utility.services, "monthly_bills", local(utility, when), "test")


def periods(utility: Utility, serial: str) -> list[tuple[str, str, int]]:
    """Each bill's period, month and day, and its kWh."""
    return [
        (f"{b.period_start:%m-%d}", f"{b.period_end:%m-%d}", b.consumption_wh // 1000)
        for b in utility.bills_of(serial)
    ]


def reasons(utility: Utility, run: JobRun) -> dict[str, str]:
    rows = utility.services.database.set_aside(job=run.job, scheduled_on=run.scheduled_on)
    return {row.subject: row.reason for row in rows}


def test_a_field_reading_in_mid_month_and_then_the_job_bill_each_day_once(
    utility: Utility,
) -> None:
    utility.add_meter("M1", opening_kwh=1000, opened_on=OCT_1)
    read(utility, "M1", 1050, "2026-10-15")
    run = bill_month(utility, "2026-11-01T02:00")
    assert (run.status, run.done_count, run.failed_count) == ("done", 0, 0)
    read(utility, "M1", 1130, "2026-11-10")
    bill_month(utility, "2026-12-01T02:00")
    assert periods(utility, "M1") == [("10-01", "10-15", 50), ("10-15", "11-10", 80)]
    assert_one_chain(utility, "M1")


def test_a_bill_that_ended_on_the_2nd_does_not_keep_the_next_month_back(utility: Utility) -> None:
    utility.add_meter("M1", opening_kwh=1000, opened_on=OCT_1)
    utility.add_meter("M2", opening_kwh=1000, opened_on=OCT_1)
    for serial in ("M1", "M2"):
        read(utility, serial, 1050, "2026-11-02")
    read(utility, "M1", 1130, "2026-11-30T23:00", source="smart")
    run = bill_month(utility, "2026-12-01T02:00")
    # M2 is read in the first days of a month as well: nobody need look for its reading.
    assert (run.done_count, run.failed_count) == (1, 0)
    assert periods(utility, "M1") == [("10-01", "11-02", 50), ("11-02", "11-30", 80)]
    assert_one_chain(utility, "M1")


def test_the_job_and_then_a_field_reading_bill_each_day_once(utility: Utility) -> None:
    utility.add_meter("M1", opening_kwh=1000, opened_on=OCT_1)
    read(utility, "M1", 1090, "2026-10-31", source="imported")
    assert bill_month(utility, "2026-11-01T02:00").done_count == 1
    read(utility, "M1", 1130, "2026-11-12")
    bill_month(utility, "2026-12-01T02:00")
    assert periods(utility, "M1") == [("10-01", "10-31", 90), ("10-31", "11-12", 40)]
    assert_one_chain(utility, "M1")


def test_a_smart_meter_with_weekly_reads_gets_one_bill_a_month(utility: Utility) -> None:
    utility.add_meter("S1", opening_kwh=1000, opened_on=OCT_1, kind="smart")
    sundays = ["10-04", "10-11", "10-18", "10-25", "11-01", "11-08", "11-15", "11-22", "11-29"]
    for week, day in enumerate(sundays, start=1):
        if day == "11-01":
            bill_month(utility, "2026-11-01T02:00")
        read(utility, "S1", 1000 + 20 * week, f"2026-{day}T08:00", source="smart")
    bill_month(utility, "2026-12-01T02:00")
    assert periods(utility, "S1") == [("10-01", "10-25", 80), ("10-25", "11-29", 100)]
    assert_one_chain(utility, "S1")


def test_a_read_on_the_first_closes_the_month_and_one_on_the_second_does_not(
    utility: Utility,
) -> None:
    utility.add_meter("M1", opening_kwh=1000, opened_on=OCT_1)
    read(utility, "M1", 1090, "2026-11-01T00:30", source="smart")
    read(utility, "M1", 1093, "2026-11-02T00:30", source="smart")
    bill_month(utility, "2026-11-02T03:00")
    assert periods(utility, "M1") == [("10-01", "11-01", 90)]


def test_a_meter_opened_in_mid_month_is_billed_from_that_day(utility: Utility) -> None:
    utility.add_meter("M1", opening_kwh=0, opened_on=date(2026, 10, 20))
    utility.add_meter("LATER", opening_kwh=0, opened_on=date(2026, 11, 5))
    read(utility, "M1", 30, "2026-10-31", source="smart")
    run = bill_month(utility, "2026-11-06T02:00")
    assert periods(utility, "M1") == [("10-20", "10-31", 30)]
    assert (run.done_count, reasons(utility, run)) == (1, {})


def test_what_cannot_be_billed_is_set_aside_with_its_reason_and_the_others_are_billed(
    utility: Utility,
) -> None:
    utility.add_meter("GOOD", opening_kwh=1000, opened_on=OCT_1)
    utility.add_meter("UNREAD", opening_kwh=1000, opened_on=OCT_1)
    utility.add_meter("FLAGGED", opening_kwh=1000, opened_on=OCT_1)
    utility.add_meter("FELL", opening_kwh=1000, opened_on=OCT_1)
    read(utility, "GOOD", 1090, "2026-10-31", source="smart")
    fell = read(utility, "FELL", 950, "2026-10-31", source="smart")
    # The review takes no such read any more; earlier ones may be there.
    utility.services.database.decide_reading(
        actor=ADMIN.user, reading_id=fell.reading.id, status="accepted", reason="Seen"
    )
    read(utility, "FLAGGED", 900, "2026-10-31", source="smart")
    run = bill_month(utility, "2026-11-01T02:00")
    assert (run.status, run.done_count, run.failed_count) == ("done", 1, 3)
    assert run.detail == "Bills for October 2026."
    assert len(utility.bills_of("GOOD")) == 1
    assert reasons(utility, run) == {
        "UNREAD": "No reading dated up to 1 Nov 2026.",
        "FLAGGED": "The reading of 31 Oct 2026 (900 kWh) waits for review.",
        "FELL": "The register fell from 1,000 to 950 kWh: a person must look at its readings.",
    }


def test_a_run_repeated_bills_nothing_twice_and_takes_up_what_was_set_aside(
    utility: Utility,
) -> None:
    utility.add_meter("M1", opening_kwh=1000, opened_on=OCT_1)
    utility.add_meter("M2", opening_kwh=1000, opened_on=OCT_1)
    read(utility, "M1", 1090, "2026-10-31", source="smart")
    first = bill_month(utility, "2026-11-01T02:00")
    read(utility, "M2", 1080, "2026-11-01T09:00", source="smart")
    second = bill_month(utility, "2026-11-01T10:00")
    third = bill_month(utility, "2026-11-03T10:00")
    assert [r.done_count for r in (first, second, third)] == [1, 1, 0]
    assert [r.failed_count for r in (first, second, third)] == [1, 0, 0]
    assert (second.attempt, third.attempt) == (2, 1)
    assert len(utility.bills_of("M1")) == len(utility.bills_of("M2")) == 1


def test_the_bills_are_numbered_without_gaps_and_owe_what_a_bill_owes(utility: Utility) -> None:
    for n in range(3):
        utility.add_meter(f"M{n}", opening_kwh=1000, opened_on=OCT_1)
        read(utility, f"M{n}", 1117, "2026-10-31", source="smart")
    bill_month(utility, "2026-11-01T02:00")
    bills = [b for n in range(3) for b in utility.bills_of(f"M{n}")]
    assert sorted(b.number or 0 for b in bills) == [1, 2, 3]
    assert {b.total_minor for b in bills} == {54035}
    assert {(b.issued_on, b.due_date) for b in bills} == {(date(2026, 11, 1), date(2026, 11, 16))}
    outbox = [utility.services.database.outbox_of(b.id) for b in bills]
    assert [[o.kind for o in one] for one in outbox] == [["bill_issued"]] * 3


def test_a_bill_that_the_database_refuses_does_not_sink_its_batch(
    utility: Utility, database: str
) -> None:
    ids = {s: utility.add_meter(s, opening_kwh=1000, opened_on=OCT_1) for s in ("A", "B", "C")}
    for serial in ids:
        read(utility, serial, 1100, "2026-10-31", source="smart")
    with psycopg.connect(database) as connection:
        connection.execute(
            "alter table public.bills add constraint not_this_meter"
            f" check (meter_id <> '{ids['B']}')"
        )
    run = bill_month(utility, "2026-11-01T02:00")
    assert (run.status, run.done_count, run.failed_count) == ("done", 2, 1)
    assert "not_this_meter" in reasons(utility, run)["B"]
    assert sorted(b.number for s in ids for b in utility.bills_of(s)) == [1, 2]


def test_a_field_reading_billed_between_pricing_and_storing_is_not_billed_again(
    utility: Utility, monkeypatch: pytest.MonkeyPatch
) -> None:
    for serial in ("A", "B"):
        utility.add_meter(serial, opening_kwh=1000, opened_on=OCT_1)
        read(utility, serial, 1050, "2026-10-15", source="smart")
    database = utility.services.database
    store = database.store_job_bills

    def store_after_a_field_reading(**params: Any) -> tuple[int, list[str]]:
        monkeypatch.setattr(database, "store_job_bills", store)
        read(utility, "A", 1100, "2026-10-31")
        return store(**params)

    monkeypatch.setattr(database, "store_job_bills", store_after_a_field_reading)
    run = bill_month(utility, "2026-11-01T02:00")
    assert (run.done_count, run.failed_count) == (1, 0)
    assert periods(utility, "A") == [("10-01", "10-31", 100)]
    assert periods(utility, "B") == [("10-01", "10-15", 50)]


def test_a_bill_voided_between_pricing_and_storing_is_made_anew(
    utility: Utility, monkeypatch: pytest.MonkeyPatch
) -> None:
    utility.add_meter("A", opening_kwh=1000, opened_on=OCT_1)
    read(utility, "A", 1050, "2026-10-31", source="smart")
    database = utility.services.database
    store = database.store_job_bills

    def store_after_a_void(*, bills: Sequence[NewBill], **params: Any) -> tuple[int, list[str]]:
        monkeypatch.setattr(database, "store_job_bills", store)
        # As an attempt did whose answer was lost, and then a person voided the bill.
        store(actor="test", bills=bills)
        database.void_bill(actor="test", bill_id=bills[0].id, reason="wrong tariff")
        return store(bills=bills, **params)

    monkeypatch.setattr(database, "store_job_bills", store_after_a_void)
    run = bill_month(utility, "2026-11-01T02:00")
    assert (run.done_count, run.failed_count) == (1, 0)
    assert periods(utility, "A") == [("10-01", "10-31", 50)]


def test_more_meters_than_a_batch_holds_are_all_billed(
    utility: Utility, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monthly_bills, "BATCH", 2)
    for n in range(5):
        utility.add_meter(f"M{n}", opening_kwh=1000, opened_on=OCT_1)
        if n != 2:
            read(utility, f"M{n}", 1117, "2026-10-31", source="smart")
    run = bill_month(utility, "2026-11-01T02:00")
    assert (run.done_count, run.failed_count) == (4, 1)
    assert sum(len(utility.bills_of(f"M{n}")) for n in range(5)) == 4
