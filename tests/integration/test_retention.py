"""What nobody needs any more is removed each night; what is young, open or the law's stays."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from services.billing.explain import explain
from services.database.errors import IllegalChange, RunTakenOver
from services.database.transport import DatabaseError
from services.jobs import retention
from services.jobs.by_hand import run_job
from services.rating import RatedBill
from services.records.jobs import RunRef
from services.settings import PROJECT_FOLDER
from tests.integration.utility import Utility, make_utility

MONTHS = {"outbox": 13, "notifications": 36, "ai_calls": 24, "sessions": 12, "security_log": 12}
MONTHS |= {"operations_alerts": 36, "refused_reads": 13, "removals": 36, "audit_log": 120}
MONTHS |= {"job_set_aside": 13, "meter_photos": 36, "idempotency_keys": 36}
MONTHS |= {"stripe_events": 36, "reconciliations": 36, "customer_replies": 36}
# Of each table the columns of an old row and their values.
ROWS = {
    "outbox": {
        "id": "gen_random_uuid()",
        "bill_id": "(select id from public.bills limit 1)",
        "kind": "'payment_received'",
        "steps": "'{}'",
        "status": "'finished'",
        "occasion": "%(key)s",
        "created_at": "%(at)s",
        "finished_at": "%(at)s",
    },
    "notifications": {
        "id": "gen_random_uuid()",
        "kind": "'x'",
        "channel": "%(key)s",
        "status": "'sent'",
        "created_at": "%(at)s",
        "updated_at": "%(at)s",
    },
    "customer_replies": {
        "id": "gen_random_uuid()",
        "channel": "'email'",
        "sender": "%(key)s",
        "received_at": "%(at)s",
        "handled_at": "%(at)s",
        "handled_by": "'test'",
    },
    "ai_calls": {
        "id": "gen_random_uuid()",
        "purpose": "'write_message'",
        "model": "%(key)s",
        "outcome": "'answered'",
        "created_at": "%(at)s",
    },
    "sessions": {
        "id": "%(key)s",
        "user_id": "'u'",
        "role": "'admin'",
        "via": "'token'",
        "issued_at": "%(at)s",
        "expires_at": "%(at)s",
        "first_used_at": "%(at)s",
    },
    # Their ids go with time, as where rows are written one after another.
    "security_log": {"id": "%(id)s", "event": "'refused'", "who": "%(key)s", "at": "%(at)s"},
    "audit_log": {
        "id": "%(id)s",
        "actor": "'x'",
        "action": "'insert'",
        "table_name": "'bills'",
        "row_id": "%(key)s",
        "at": "%(at)s",
    },
    "refused_reads": {
        "submitted_by": "'x'",
        "key": "%(key)s",
        "meter_serial": "'M-1'",
        "shown": "'1'",
        "read_at": "''",
        "why": "'Unknown'",
        "refused_at": "%(at)s",
    },
    "job_set_aside": {
        "job": "'overdue_marking'",
        "scheduled_on": "%(at)s::date",
        "subject": "%(key)s",
        "reason": "'x'",
    },
    "meter_photos": {
        "meter_id": "(select id from public.meters limit 1)",
        "taken_by": "'x'",
        "key": "%(key)s",
        "sha256": "encode(sha256(%(key)s::text::bytea), 'hex')",
        "width": "1",
        "height": "1",
        "created_at": "%(at)s",
    },
    "idempotency_keys": {
        "caller": "'x'",
        "key": "%(key)s",
        "body_hash": "'x'",
        "reading_id": "(select id from public.readings limit 1)",
        "created_at": "%(at)s",
    },
    "stripe_events": {
        "id": "%(key)s",
        "type": "'x'",
        "created_at": "%(at)s",
        "arrived_by": "'webhook'",
        "livemode": "false",
        "outcome": "'ignored'",
    },
    "reconciliations": {
        "id": "gen_random_uuid()",
        "kind": "'events'",
        "at": "%(at)s",
        "actor": "'x'",
        "since": "%(at)s",
        "until": "%(at)s",
    },
    "operations_alerts": {
        "condition": "%(key)s",
        "sentence": "'x'",
        "since": "%(at)s",
        "last_seen_at": "%(at)s",
        "resolved_at": "%(at)s",
        "next_attempt_at": "%(at)s",
    },
}


# What must be there before a row of a table.
BEFORE = {
    "meter_photos": "insert into public.photo_contents (sha256, jpeg, created_at) values "
    "(encode(sha256(%(key)s::text::bytea), 'hex'), %(key)s::text::bytea, %(at)s) "
    "on conflict do nothing",
    "job_set_aside": "insert into public.job_runs (job, scheduled_on, owner, lease_until, status, "
    "started_by) values ('overdue_marking', %(at)s::date, 'x', %(at)s, 'done', 'x') "
    "on conflict do nothing",
}


@pytest.fixture
def dsn(fresh_database: Callable[[], str]) -> str:
    return fresh_database()


@pytest.fixture
def utility(dsn: str, tmp_path: Path) -> Iterator[Utility]:
    made = make_utility(dsn, tmp_path)
    made.add_meter("M-1")
    made.submit("M-1", "1117")
    yield made
    made.services.close()


def put(dsn: str, utility: Utility, table: str, key: str, *, days: int) -> None:
    columns, values = ", ".join(ROWS[table]), ", ".join(ROWS[table].values())
    at = utility.now - timedelta(days=days)
    text = f"insert into public.{table} ({columns}) overriding system value values ({values})"  # noqa: S608
    with psycopg.connect(dsn) as connection:
        # Else nobody but the triggers writes the audit trail.
        connection.execute("alter table public.audit_log disable trigger by_triggers_alone")
        values_of_it = {"key": key, "at": at, "id": -days}
        connection.execute("select set_config('billing.actor', 'test', true)")
        if table in BEFORE:
            connection.execute(BEFORE[table].encode(), values_of_it)
        connection.execute(text.encode(), values_of_it)
        connection.execute("alter table public.audit_log enable trigger by_triggers_alone")


def there(dsn: str) -> dict[str, int]:
    found = {}
    with psycopg.connect(dsn) as connection:
        for table in (*ROWS, "photo_contents", "bills", "readings", "ledger_entries"):
            count = sql.SQL("select count(*) from public.{}").format(sql.Identifier(table))
            row = connection.execute(count).fetchone()
            assert row is not None
            found[table] = row[0]
    return found


def test_what_is_old_is_removed_and_the_run_says_what(
    utility: Utility, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = there(dsn)
    monkeypatch.setattr(retention, "BATCH", 2)
    for table, months in MONTHS.items():
        if table == "removals":
            continue
        for n in range(3):
            put(dsn, utility, table, f"old {n}", days=months * 31 + 2 + n)
        put(dsn, utility, table, "young", days=months * 30 - 9)
    run = run_job(utility.services, "retention", utility.now, "test")
    assert (run.status, run.done_count, run.failed_count) == ("done", 3 * len(ROWS), 0)
    assert run.detail == (
        "Removed: 3 outbox entries, 3 messages, 3 answers of customers, 3 questions to AI, "
        "3 sign-ins, 3 lines of the security log, 3 alerts, 3 refused readings, "
        "3 cases that runs set aside, "
        "3 photos, 3 keys of readings, 3 events of Stripe, 3 looks at Stripe, 3 audit records."
    )
    after = there(dsn)
    one_more = (*ROWS, "photo_contents")
    # Of each photo the audit trail says who took it.
    audited = {"audit_log": before["audit_log"] + 1 + 4}
    assert after == before | {table: before[table] + 1 for table in one_more} | audited
    again = run_job(utility.services, "retention", utility.now, "test")
    assert again.detail == "Nothing was old enough to be removed."


def test_what_is_open_stays_however_old_it_is(utility: Utility, dsn: str) -> None:
    put(dsn, utility, "outbox", "open", days=4000)
    put(dsn, utility, "notifications", "open", days=4000)
    put(dsn, utility, "operations_alerts", "open", days=4000)
    put(dsn, utility, "customer_replies", "open", days=4000)
    with psycopg.connect(dsn) as connection:
        connection.execute("select set_config('billing.actor', 'test', true)")
        connection.execute(
            "update public.outbox set status = 'open', finished_at = null where occasion = 'open'"
        )
        connection.execute(
            "update public.notifications set status = 'waiting' where channel = 'open'"
        )
        connection.execute("update public.operations_alerts set resolved_at = null")
        connection.execute(
            "update public.customer_replies set handled_at = null, handled_by = null"
        )
    before = there(dsn)
    run = run_job(utility.services, "retention", utility.now, "test")
    assert (run.status, run.done_count) == ("done", 0)
    assert there(dsn) == before


def test_a_key_stays_as_long_as_its_photo(utility: Utility, dsn: str) -> None:
    """A photo that was sent long after its reading is younger."""
    put(dsn, utility, "idempotency_keys", "late photo", days=4000)
    put(dsn, utility, "idempotency_keys", "none", days=4000)
    put(dsn, utility, "meter_photos", "late photo", days=100)
    before = there(dsn)
    run_job(utility.services, "retention", utility.now, "test")
    assert there(dsn) == before | {"idempotency_keys": before["idempotency_keys"] - 1}


def test_what_stripe_events_wait_for_and_the_last_look_at_stripe_stay(
    utility: Utility, dsn: str
) -> None:
    put(dsn, utility, "stripe_events", "waits", days=4000)
    put(dsn, utility, "reconciliations", "the only one", days=4000)
    with psycopg.connect(dsn) as connection:
        connection.execute("alter table public.stripe_events disable trigger user")
        connection.execute("update public.stripe_events set outcome = 'waiting', effect = '{}'")
        connection.execute("alter table public.stripe_events enable trigger user")
    before = there(dsn)
    run_job(utility.services, "retention", utility.now, "test")
    assert there(dsn) == before


def test_what_the_last_monthly_run_set_aside_stays_however_long_ago_it_ran(
    utility: Utility, dsn: str
) -> None:
    """Its missing reads are still to be estimated once the machine is switched on again."""
    put(dsn, utility, "job_set_aside", "of the last month", days=500)
    put(dsn, utility, "job_set_aside", "of the month before", days=535)
    with psycopg.connect(dsn) as connection:
        connection.execute("set constraints all deferred")
        connection.execute(
            "insert into public.job_runs (job, scheduled_on, owner, lease_until, status, "
            "started_by, clock_at) select 'monthly_bills', max(scheduled_on), 'x', now(), 'done', "
            "'x', now() from public.job_runs"
        )
    run_job(utility.services, "retention", utility.now, "test")
    with psycopg.connect(dsn) as connection:
        left = connection.execute("select subject from public.job_set_aside").fetchall()
    assert left == [("of the last month",)]


def test_a_year_of_nights_removes_what_is_due_and_no_book_or_bill_changes(
    utility: Utility, dsn: str
) -> None:
    """Twelve runs, a month apart, over eleven years of records that are made for it."""
    months = range(1, 133, 4)
    for month in months:
        for table in ROWS:
            put(dsn, utility, table, f"{month} months ago", days=month * 30)
    stays = ("bills", "readings", "ledger_entries")
    before, bills = there(dsn), utility.bills_of("M-1")
    shown = [utility.services.bill_archive.document(bill.id) for bill in bills]
    for months_ago in range(11, -1, -1):
        at = utility.now - timedelta(days=months_ago * 30)
        assert run_job(utility.services, "retention", at, "test").status == "done"
    after = there(dsn)
    assert {table: after[table] for table in stays} == {table: before[table] for table in stays}
    # The audit trail, into which others write too, is counted below.
    for table in ROWS.keys() - {"audit_log"}:
        # Months of the calendar are up to a day longer than these.
        certain = sum(month < MONTHS[table] for month in months)
        possible = sum(month * 30 <= (MONTHS[table] + 1) * 31 for month in months)
        assert certain <= after[table] <= possible + 3, table
    assert bills
    assert utility.bills_of("M-1") == bills
    assert [utility.services.bill_archive.document(bill.id) for bill in bills] == shown
    for bill in bills:
        assert explain(RatedBill(currency=bill.currency, lines=bill.lines))
        assert utility.services.bill_archive.pdf(bill.id).pdf.startswith(b"%PDF")
    with psycopg.connect(dsn) as connection:
        wrong = connection.execute(
            "select 1 from public.accounts a where a.balance_minor <> (select sum(e.amount_minor) "
            "from public.ledger_entries e where e.customer_id = a.customer_id)"
        ).fetchall()
        young = connection.execute(
            "select count(*) from public.audit_log where table_name = 'bills' and actor = 'x' "
            "and at > now() - interval '5 years'"
        ).fetchone()
    assert wrong == []
    assert young == (15,)


DECISION = re.compile(r"\| (`[^|]+`) \| ([^|]+) \|")


def test_the_docs_say_of_each_table_how_long_it_is_kept(dsn: str) -> None:
    """Whoever adds a table decides whether it grows for ever."""
    page = (PROJECT_FOLDER / "docs" / "operation.md").read_text(encoding="utf-8")
    section = page.partition("## What is removed")[2].partition("\n## ")[0]
    kept: dict[str, str] = {}
    for names, how_long in DECISION.findall(section):
        for name in re.findall(r"`(\w+)`", names):
            assert name not in kept, f"{name} stands there twice"
            kept[name] = how_long
    with psycopg.connect(dsn) as connection:
        tables = connection.execute(
            "select relname from pg_class where relkind in ('r', 'p') and "
            "relnamespace::regnamespace::text not in ('pg_catalog', 'information_schema')"
        ).fetchall()
    assert set(kept) == {name for (name,) in tables}
    removed = {name for name, how_long in kept.items() if "KEEP_" in how_long}
    assert removed == {*MONTHS, "photo_contents", "photos_to_claim"}
    assert all(re.search("for good|until", kept[name]) for name in set(kept) - removed)


@pytest.mark.parametrize("what", ["audit_log", "sessions", "stripe_events"])
def test_the_database_itself_keeps_what_is_young(utility: Utility, dsn: str, what: str) -> None:
    put(dsn, utility, what, "young", days=0)
    log = utility.services.database.operation_log
    with pytest.raises(IllegalChange, match="never deleted"):
        log.remove_old(what=what, before=utility.now + timedelta(days=1), limit=10_000)


def test_an_attempt_that_was_taken_over_removes_nothing(utility: Utility, dsn: str) -> None:
    put(dsn, utility, "ai_calls", "old", days=4000)
    ref = RunRef("retention", utility.today, 7, 90)
    log = utility.services.database.operation_log
    with pytest.raises(RunTakenOver):
        log.remove_old(what="ai_calls", before=utility.now, limit=10, run=ref)
    assert there(dsn)["ai_calls"] == 1


def test_nothing_else_can_be_named(utility: Utility) -> None:
    with pytest.raises(DatabaseError, match="Nothing is removed of bills"):
        utility.services.database.operation_log.remove_old(
            what="bills", before=utility.now, limit=10
        )


def test_the_settings_say_how_long(utility: Utility) -> None:
    deployed = utility.services.current_settings.deployed
    kept = {one.what: one.months for one in retention.kept_by(deployed)}
    assert kept == MONTHS
    changed = deployed.model_copy(update={"keep_outbox_months": 2})
    assert retention.kept_by(changed)[0] == replace(retention.kept_by(deployed)[0], months=2)


def test_a_command_answers_on_standard_output_and_logs_beside_it(dsn: str, tmp_path: Path) -> None:
    environment = {"DATABASE_URL": dsn, "DEMO": "off", "DATA_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "services", "run-job", "retention"],
        env=os.environ | environment | {"LOG_LEVEL": "info"},
        cwd=PROJECT_FOLDER,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (answer,) = done.stdout.splitlines()
    assert answer.startswith("retention for ")
    lines = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
    (ended,) = [line for line in lines if " ends: done" in line["message"]]
    assert ended["job_run"].startswith("retention/")
    assert (ended["done"], ended["level"]) == (0, "info")
