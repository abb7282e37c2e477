"""When jobs are due on the utility's clock, and which run a tick tries."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from services.jobs.jobs import JOBS, UnknownJob, job_of
from services.jobs.timetable import (
    PastRun,
    Timetable,
    left_behind,
    next_of_every,
    next_of_latest,
)

SYDNEY = ZoneInfo("Australia/Sydney")
KOLKATA = ZoneInfo("Asia/Kolkata")
MONTHLY = "0 2 1 * *"
DAILY_AT_TWO = "0 2 * * *"

DONE = PastRun("done", over=True)
FAILED = PastRun("failed", over=False)
GIVEN_UP = PastRun("failed", over=True)
RUNNING = PastRun("running", over=False)
INTERRUPTED = PastRun("interrupted", over=False)


def at(text: str, zone: ZoneInfo = KOLKATA) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone).astimezone(UTC)


def test_the_jobs_have_the_times_of_the_design() -> None:
    assert {job.id: (job.cron, job.catch_up) for job in JOBS} == {
        "monthly_bills": ("0 2 1 * *", "every"),
        "autopay": ("0 9 * * *", "latest"),
        "payment_reminders": ("0 10 * * *", "latest"),
        "overdue_marking": ("0 11 * * *", "latest"),
        "meter_collection": ("0 8 * * sun", "latest"),
        "interval_collection": ("0 6 * * *", "latest"),
        "ledger_check": ("0 5 * * *", "latest"),
        "backup": ("0 1 * * *", "latest"),
        "retention": ("30 3 * * *", "latest"),
    }


def test_an_unknown_job_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(UnknownJob, match="monthly_bills"):
        job_of("yearly_bills")


@pytest.mark.parametrize(
    ("job_id", "expected"),
    [
        ("monthly_bills", "2026-12-01T02:00"),
        ("payment_reminders", "2026-11-23T10:00"),
        ("overdue_marking", "2026-11-22T11:00"),
        ("meter_collection", "2026-11-29T08:00"),
    ],
)
def test_the_next_time_is_on_the_utilitys_clock(job_id: str, expected: str) -> None:
    # A Sunday at 10:00 sharp: what is due at this very moment is not next.
    following = Timetable(job_of(job_id).cron, KOLKATA).next_after(at("2026-11-22T10:00"))
    assert following.at == at(expected)
    assert following.on == date.fromisoformat(expected[:10])


def test_a_run_is_named_by_the_local_date_not_by_that_of_utc() -> None:
    [due] = Timetable(MONTHLY, KOLKATA).between(at("2026-11-15T00:00"), at("2026-12-15T00:00"))
    assert (due.on, due.at) == (date(2026, 12, 1), datetime(2026, 11, 30, 20, 30, tzinfo=UTC))


def test_the_ends_of_a_span_belong_to_it() -> None:
    timetable = Timetable(MONTHLY, KOLKATA)
    first, last = at("2026-10-01T02:00"), at("2026-11-01T02:00")
    assert [o.at for o in timetable.between(first, last)] == [first, last]
    second = timedelta(seconds=1)
    assert timetable.between(first + second, last - second) == []


@pytest.mark.parametrize(
    ("cron", "day", "expected"),
    [
        # On 1 October 2023 Sydney's clocks went from 02:00 to 03:00.
        (MONTHLY, date(2023, 10, 1), "2023-10-01T03:00:00+11:00"),
        (DAILY_AT_TWO, date(2023, 10, 1), "2023-10-01T03:00:00+11:00"),
        # On 1 April 2018 they went from 03:00 back to 02:00.
        (MONTHLY, date(2018, 4, 1), "2018-04-01T02:00:00+11:00"),
        (DAILY_AT_TWO, date(2018, 4, 1), "2018-04-01T02:00:00+11:00"),
    ],
)
def test_a_clock_change_at_the_very_hour_leaves_one_run_a_date(
    cron: str, day: date, expected: str
) -> None:
    timetable = Timetable(cron, SYDNEY)
    begin = datetime.combine(day, datetime.min.time(), tzinfo=SYDNEY)
    due = timetable.between(begin - timedelta(hours=3), begin + timedelta(hours=25))
    assert [o.at.astimezone(SYDNEY).isoformat() for o in due if o.on == day] == [expected]
    # Whatever the moment of that night, the next time is later than it, and the run comes once.
    minutes = [begin.astimezone(UTC) + timedelta(minutes=m) for m in range(0, 26 * 60, 7)]
    for now in minutes:
        assert timetable.next_after(now).at > now
    named = [o.on for o in timetable.between(begin - timedelta(days=40), minutes[-1])]
    assert len(named) == len(set(named))


def test_a_year_of_daily_runs_has_every_date_once() -> None:
    due = Timetable(DAILY_AT_TWO, SYDNEY).between(
        at("2018-01-01T00:00", SYDNEY), at("2018-12-31T23:59", SYDNEY)
    )
    assert [o.on for o in due] == [date(2018, 1, 1) + timedelta(days=d) for d in range(365)]


OCT, NOV, DEC = date(2026, 10, 1), date(2026, 11, 1), date(2026, 12, 1)
MID_NOV = date(2026, 11, 15)


@pytest.mark.parametrize(
    ("runs", "expected"),
    [
        ({}, OCT),
        ({OCT: DONE}, NOV),
        ({OCT: GIVEN_UP}, NOV),
        ({OCT: FAILED}, OCT),
        ({OCT: RUNNING}, OCT),
        ({OCT: DONE, NOV: INTERRUPTED}, NOV),
        ({OCT: DONE, NOV: DONE, MID_NOV: INTERRUPTED, DEC: DONE}, MID_NOV),
        ({OCT: DONE, NOV: DONE, DEC: DONE}, None),
    ],
)
def test_every_missed_month_is_made_up_for_in_order(
    runs: dict[date, PastRun], expected: date | None
) -> None:
    assert next_of_every([OCT, NOV, DEC], runs) == expected


@pytest.mark.parametrize(
    ("runs", "expected"),
    [
        ({}, DEC),
        ({DEC: DONE}, None),
        ({DEC: FAILED}, DEC),
        ({NOV: INTERRUPTED}, DEC),
        ({DEC: DONE, NOV: FAILED}, None),
        ({date(2026, 12, 4): INTERRUPTED}, date(2026, 12, 4)),
        ({date(2026, 12, 4): DONE}, None),
    ],
)
def test_of_the_other_jobs_only_the_latest_run_is_made_up_for(
    runs: dict[date, PastRun], expected: date | None
) -> None:
    assert next_of_latest([OCT, NOV, DEC], runs) == expected


def test_nothing_due_and_nothing_run_is_nothing_to_do() -> None:
    assert next_of_every([], {}) is None
    assert next_of_latest([], {}) is None


def test_an_interrupted_run_is_left_behind_once_a_newer_one_is_due() -> None:
    runs = {OCT: INTERRUPTED, NOV: FAILED}
    assert left_behind(DEC, runs) == [OCT]
    assert left_behind(None, {OCT: INTERRUPTED}) == []
    assert left_behind(OCT, {OCT: INTERRUPTED}) == []
