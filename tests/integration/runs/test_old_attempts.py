"""Whatever an attempt still writes after it was taken over, or slept for months, is refused."""

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from services.database.errors import RunTakenOver
from services.integrations.head_end import HeadEnd, HeadEndAway
from services.jobs import (
    interval_collection,
    meter_collection,
    monthly_bills,
    overdue_marking,
    payment_reminders,
)
from services.jobs.by_hand import run_job
from services.jobs.jobs import job_of
from services.jobs.runs import JobContext, Work, claim, perform
from tests.integration.job_tools import OCT_1, installed
from tests.integration.test_estimates import set_to_estimate
from tests.integration.test_plans import agree
from tests.integration.test_retention import put
from tests.integration.utility import Utility, make_utility
from tests.servers import Databases

NOV_1, DEC_1 = date(2026, 11, 1), date(2026, 12, 1)
NOON = datetime(2026, 12, 1, 6, 30, tzinfo=UTC)  # in Kolkata, a Tuesday
DAY = timedelta(days=1)

TAKEN_OVER = "attempt = attempt + 1, lease_until = now() + interval '90 seconds'"
ASLEEP = "lease_until = now() - interval '92 days'"

# Each work of a job, and what it writes by at the least.
WRITES = {
    "monthly_bills": {"store_job_bills", "store_estimates", "note_job_progress", "finish_job_run"},
    "late reads": {"queue_for_estimates", "note_job_progress", "store_job_bills", "finish_job_run"},
    "payment_reminders": {"queue_reminders", "finish_job_run"},
    "overdue_marking": {"break_plans", "mark_overdue", "finish_job_run"},
    "meter_collection": {"store_collected", "finish_job_run"},
    "meters handed over": {"hand_collections_over", "finish_job_run"},
    "retention": {"remove_old_records", "finish_job_run"},
    "interval_collection": {"finish_job_run"},
    "ledger_check": {"record_ledger_check", "note_job_progress", "finish_job_run"},
    "backup": {"note_job_progress", "finish_job_run"},
}


# Works on what came after a run.
LATE = {"late reads": "monthly_bills", "meters handed over": "meter_collection"}


@pytest.fixture(scope="module")
def template(fresh_database: Callable[[], str], tmp_path_factory: pytest.TempPathFactory) -> str:
    """A database on which each job has something to write."""
    dsn = fresh_database()
    utility = make_utility(dsn, tmp_path_factory.mktemp("data"), now=NOON)
    installed(dsn, NOON - 60 * DAY)
    for serial, issued in (("DUE", 13), ("LATE", 25), ("PLAN", 26)):
        utility.now = NOON - issued * DAY
        utility.add_meter(serial, opened_on=OCT_1)
        utility.submit(serial, 1117)
    agree(utility, utility.bills_of("PLAN"), equal=2, first_on=utility.today + 7 * DAY)
    for serial in ("B1", "B2", "UNREAD", "GUESSED"):
        utility.now = NOON - 40 * DAY
        utility.add_meter(serial, opened_on=OCT_1)
    utility.now = datetime(2026, 11, 1, 6, 30, tzinfo=UTC)
    utility.submit("GUESSED", 1100)
    utility.now = NOON - DAY
    for serial in ("B1", "B2"):
        utility.submit(serial, 1117, source="smart")
    for serial in ("S1", "S2"):
        utility.add_meter(serial, opened_on=OCT_1, kind="smart")
    utility.now = NOON
    set_to_estimate(utility, estimate_after_days=0)
    put(dsn, utility, "security_log", "old", days=2_000)
    utility.services.close()
    return dsn


@dataclass
class Copy:
    """A copy of the database with services on it, and what a work has written to it."""

    utility: Utility
    dsn: str
    writing: frozenset[str]
    written: list[str]
    head_end_away: bool = False

    @property
    def content(self) -> dict[str, Any]:
        """All that is stored: a sum of each table, and the backups by name."""
        found: dict[str, Any] = {}
        with psycopg.connect(self.dsn) as connection:
            tables = connection.execute(
                "select tablename from pg_tables where schemaname = 'public'"
            ).fetchall()
            for (table,) in tables:
                query = sql.SQL(
                    "select md5(string_agg(t::text, ',' order by t::text)) from public.{} t"
                ).format(sql.Identifier(table))
                found[table] = connection.execute(query).fetchone()
        found["backups"] = [kept.path.name for kept in self.utility.services.backups.kept()]
        return found

    def change_run(self, how: str) -> None:
        with psycopg.connect(self.dsn) as connection:
            changed = connection.execute(
                f"update public.job_runs set {how}"  # noqa: S608
                " where status = 'running'".encode()
            )
            assert changed.rowcount == 1


Copies = Callable[[], Copy]


def answer(copy: Copy, serial: str) -> dict[str, str]:
    if copy.head_end_away:
        raise HeadEndAway("It did not answer.")
    return {"serial": serial, "reading_kwh": "1117", "read_at": NOON.isoformat()}


@pytest.fixture
def copies(
    template: str, databases: Databases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Copies]:
    monkeypatch.setattr(monthly_bills, "BATCH", 1)
    monkeypatch.setattr(payment_reminders, "BATCH", 1)
    monkeypatch.setattr(overdue_marking, "BATCH", 1)
    monkeypatch.setattr(meter_collection, "BATCH", 1)
    monkeypatch.setattr(HeadEnd, "read", lambda _, serial: answer(made[-1], serial))
    with psycopg.connect(template) as connection:
        rows = connection.execute(
            "select proname from pg_proc where pronamespace = 'public'::regnamespace"
            " and provolatile = 'v'"
        ).fetchall()
    writing = frozenset(name for (name,) in rows)
    made: list[Copy] = []

    def copy() -> Copy:
        dsn = databases.copy(template)
        one_by_one = {"METER_HEADEND_CONCURRENCY": "1"}
        utility = make_utility(dsn, tmp_path / f"{len(made)}", now=NOON, more_settings=one_by_one)
        utility.services = replace(utility.services, headend_url="http://127.0.0.1:9")
        made.append(Copy(utility, dsn, writing, []))
        return made[-1]

    yield copy
    for one in made:
        one.utility.services.close()
        databases.drop(one.dsn)


def begun(copy: Copy, name: str) -> tuple[JobContext, Work]:
    """A claimed run of today, with its work."""
    job, now, resume = job_of(LATE.get(name, name)), NOON, None
    if name in LATE:
        set_to_estimate(copy.utility, estimate_after_days=5)
        copy.head_end_away = True
        resume = run_job(copy.utility.services, job.id, NOON, "test").attempt
        now += DAY
    if name == "late reads":
        copy.utility.submit("UNREAD", 1117, at=NOON - DAY, source="smart")
    context, _ = claim(
        copy.utility.services,
        job=job.id,
        scheduled_on=DEC_1,
        started_by="test",
        clock=lambda: now,
        clock_at=now,
        resume_attempt=resume,
    )
    assert context is not None
    if resume is None:
        return context, job.work
    assert job.late is not None
    return context, job.late


def stopped_before(
    copy: Copy, name: str, number: int, how: str, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any] | None:
    """Do a work whose run changes hands before its so-manieth write; what was stored then."""
    context, work = begun(copy, name)
    transport = copy.utility.services.database._transport
    call, then, one_at_a_time = transport.call, [], threading.Lock()

    def watch(function: str, params: Mapping[str, Any], **limit: Any) -> Any:
        # A job may write from several threads.
        with one_at_a_time:
            if function in copy.writing:
                if len(copy.written) == number > 0:
                    copy.change_run(how)
                    then.append(copy.content)
                copy.written.append(function)
        return call(function, params, **limit)

    if number == 0:
        # Before the first one, and before what goes into files.
        copy.change_run(how)
        then.append(copy.content)
    with monkeypatch.context() as watching:
        watching.setattr(transport, "call", watch)
        ended = perform(context, work)
    if not then:
        assert ended is not None
        assert ended.status == "done"
        return None
    assert ended is None
    return then[0]


@pytest.mark.parametrize("name", WRITES)
def test_no_write_of_an_attempt_that_was_taken_over_is_kept(
    copies: Copies, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(30):
        copy = copies()
        before = stopped_before(copy, name, number, TAKEN_OVER, monkeypatch)
        if before is None:
            assert set(copy.written) >= WRITES[name]
            return
        assert copy.content == before, f"{copy.written[number:]} after it was taken over"
    pytest.fail("It never ended.")


@pytest.mark.parametrize("name", WRITES)
def test_an_attempt_that_slept_for_three_months_writes_nothing_even_if_nobody_took_it_over(
    copies: Copies, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = copies()
    before = stopped_before(copy, name, 0, ASLEEP, monkeypatch)
    assert copy.content == before


def test_intervals_of_a_feed_are_not_imported_by_an_attempt_that_was_taken_over(
    copies: Copies, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = copies()
    context, _ = begun(copy, "interval_collection")
    copy.change_run(TAKEN_OVER)
    imported: list[Any] = []
    monkeypatch.setattr(
        copy.utility.services.database, "import_rows", lambda **given: imported.append(given)
    )
    with pytest.raises(RunTakenOver):
        interval_collection._store(context, [{"meter_serial": "B1"}])
    assert imported == []
