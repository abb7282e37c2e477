"""What nobody needs any more is removed each night; what is young, open or the law's stays."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from services.database.errors import IllegalChange, RunTakenOver
from services.database.transport import DatabaseError
from services.jobs import retention
from services.jobs.by_hand import run_job
from services.records.jobs import RunRef
from services.settings import PROJECT_FOLDER
from tests.integration.utility import Utility, make_utility

MONTHS = {"outbox": 13, "notifications": 36, "ai_calls": 24, "sessions": 12, "security_log": 12}
MONTHS |= {"operations_alerts": 36, "refused_reads": 13, "removals": 36, "audit_log": 120}
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
    "operations_alerts": {
        "condition": "%(key)s",
        "sentence": "'x'",
        "since": "%(at)s",
        "last_seen_at": "%(at)s",
        "resolved_at": "%(at)s",
        "next_attempt_at": "%(at)s",
    },
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
        connection.execute(text.encode(), {"key": key, "at": at, "id": -days})
        connection.execute("alter table public.audit_log enable trigger by_triggers_alone")


def there(dsn: str) -> dict[str, int]:
    found = {}
    with psycopg.connect(dsn) as connection:
        for table in (*ROWS, "bills", "readings", "ledger_entries"):
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
        "Removed: 3 outbox entries, 3 messages, 3 questions to AI, 3 sign-ins, "
        "3 lines of the security log, 3 alerts, 3 refused readings, 3 audit records."
    )
    after = there(dsn)
    assert after == before | {table: before[table] + 1 for table in ROWS}
    again = run_job(utility.services, "retention", utility.now, "test")
    assert again.detail == "Nothing was old enough to be removed."


def test_what_is_open_stays_however_old_it_is(utility: Utility, dsn: str) -> None:
    put(dsn, utility, "outbox", "open", days=4000)
    put(dsn, utility, "notifications", "open", days=4000)
    put(dsn, utility, "operations_alerts", "open", days=4000)
    with psycopg.connect(dsn) as connection:
        connection.execute("select set_config('billing.actor', 'test', true)")
        connection.execute(
            "update public.outbox set status = 'open', finished_at = null where occasion = 'open'"
        )
        connection.execute(
            "update public.notifications set status = 'waiting' where channel = 'open'"
        )
        connection.execute("update public.operations_alerts set resolved_at = null")
    before = there(dsn)
    run = run_job(utility.services, "retention", utility.now, "test")
    assert (run.status, run.done_count) == ("done", 0)
    assert there(dsn) == before


@pytest.mark.parametrize("what", ["audit_log", "sessions"])
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
