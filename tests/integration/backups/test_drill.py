"""The drill: a backup of a utility at work, restored elsewhere, goes on exactly as the original."""

import io
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from PIL import Image
from psycopg import sql

from services.backups import making
from services.backups.archive import open_backup
from services.bootstrap import build_services
from services.database.dump.snapshot import Snapshot, open_snapshot, sums_of
from services.database.embedded import EmbeddedPostgres
from services.jobs.by_hand import run_job
from services.settings import load_settings
from tests.integration.backups.conftest import Command, ask
from tests.integration.job_tools import AFTER_TWO, OCT_1, add_read_meters
from tests.integration.server_process import superuser_dsn
from tests.integration.utility import ADMIN, ENGINEER, Utility, make_utility

WRITERS = 3
METERS_EACH = 30
# The copy's own migrations wrote it.
MIGRATIONS_TABLE = "supabase_migrations.schema_migrations"
# What makes a bill, but for when it was made.
BILLS = """
    select m.serial, b.id, b.number, b.status, b.period_start, b.period_end, b.opening_wh,
           b.closing_wh, b.consumption_wh, b.currency, b.total_minor, b.amount_paid_minor, b.lines
    from public.bills b join public.meters m on m.id = b.meter_id
    order by m.serial, b.period_start"""
WRONG_ACCOUNTS = """
    select a.customer_id from public.accounts a where a.balance_minor <> coalesce(
        (select sum(e.amount_minor) from public.ledger_entries e
         where e.customer_id = a.customer_id and e.book = a.book and e.currency = a.currency), 0)"""
DOCUMENTS = """
    select sha256(pdf) from public.bill_documents union all
    select sha256(jpeg) from public.photo_contents order by 1"""


@pytest.fixture
def utility(database: str, tmp_path: Path) -> Iterator[Utility]:
    """A utility with meters for next month's bills, others for the writers, a photo and PDFs."""
    made = make_utility(database, tmp_path / "data", now=AFTER_TWO)
    add_read_meters(made, 12)
    for writer in range(WRITERS):
        for number in range(METERS_EACH):
            made.add_meter(f"W{writer}-{number}", opening_kwh=1000, opened_on=OCT_1)
    made.add_meter("P", opening_kwh=1000, opened_on=OCT_1)
    picture, key = io.BytesIO(), str(uuid4())
    Image.new("RGB", (60, 40), "white").save(picture, "PNG")
    made.services.meter_photos.keep(
        content=picture.getvalue(), key=key, meter_serial="P", principal=ENGINEER
    )
    made.submit("P", 1117, key=key)
    assert made.services.bill_archive.print_recent(now=AFTER_TWO, limit=5) == 1
    yield made
    made.services.close()


@pytest.fixture
def twin(
    fresh_database: Callable[[], str], embedded_server: EmbeddedPostgres
) -> tuple[str, Callable[[Snapshot], None]]:
    """A second database, and how it becomes what a snapshot shows, without any dump."""
    dsn = fresh_database()
    name = psycopg.conninfo.conninfo_to_dict(dsn)["dbname"]

    def fill(snapshot: Snapshot) -> None:
        with psycopg.connect(superuser_dsn(embedded_server, database=str(name))) as copy:
            # Neither triggers nor foreign keys: what comes is as it is to be.
            copy.execute("set session_replication_role = replica")
            for (table,) in copy.execute(
                "select oid::regclass::text from pg_class where relkind = 'r'"
                " and relnamespace = any ('{public,private}'::regnamespace[])"
            ).fetchall():
                _copy_table(snapshot.connection, copy, sql.Identifier(*table.split(".")))
            _set_sequences(snapshot.connection, copy)

    return dsn, fill


def _copy_table(
    source: psycopg.Connection[Any], copy: psycopg.Connection[Any], table: sql.Identifier
) -> None:
    # The owner's search_path has public, the superuser's too.
    copy.execute(sql.SQL("delete from {}").format(table))
    with (
        source.cursor().copy(sql.SQL("copy {} to stdout").format(table)) as rows,
        copy.cursor().copy(sql.SQL("copy {} from stdin").format(table)) as into,
    ):
        for row in rows:
            into.write(row)


def _set_sequences(source: psycopg.Connection[Any], copy: psycopg.Connection[Any]) -> None:
    for schema, name, last in source.execute(
        "select schemaname, sequencename, last_value from pg_sequences where last_value is not null"
    ).fetchall():
        copy.execute(
            "select setval(format('%%I.%%I', %s::text, %s::text)::regclass, %s)",
            [schema, name, last],
        )


class Writers:
    """Engineers who submit readings and a cashier's desk for each, until they are told to stop."""

    def __init__(self, utility: Utility) -> None:
        self._utility = utility
        self._stop = threading.Event()
        self._done: list[int] = []
        self.under_way = threading.Event()

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """All of them, each on a thread; what goes wrong there is raised here."""
        with ThreadPoolExecutor(WRITERS) as pool:
            running = [pool.submit(self._write, writer) for writer in range(WRITERS)]
            try:
                yield
            finally:
                self._stop.set()
            self._done = [each.result() for each in running]

    @property
    def written(self) -> int:
        """How many readings were submitted, and as many payments recorded."""
        return sum(self._done)

    def _write(self, writer: int) -> int:
        for number in range(METERS_EACH):
            if self._stop.is_set():
                return number
            bill = self._utility.submit(f"W{writer}-{number}", 1117 + number).bill
            assert bill is not None
            self._utility.services.office_payments.record_payment(
                payment_id=str(uuid4()),
                body={"amount": "100", "method": "cash", "received_on": self._utility.today},
                principal=ADMIN,
                now=self._utility.now,
                bill_id=bill.id,
                confirmed=True,
            )
            self.under_way.set()
        return METERS_EACH


def test_a_utility_at_work_is_restored_and_bills_next_month_as_the_original_would(
    *,
    utility: Utility,
    database: str,
    target: str,
    twin: tuple[str, Callable[[Snapshot], None]],
    command: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path, (copy, fill) = tmp_path / "drill.zip", twin

    @contextmanager
    def open_and_copy(dsn: str) -> Iterator[Snapshot]:
        with open_snapshot(dsn) as snapshot:
            fill(snapshot)
            yield snapshot

    monkeypatch.setattr(making, "open_snapshot", open_and_copy)
    writers = Writers(utility)
    with writers.at_work():
        assert writers.under_way.wait(20)
        made = making.make_backup(database, path, demo=False)
    assert writers.written > 0

    done = command("restore", path, DATABASE_URL=target)
    assert done.returncode == 0, done.stderr
    expected = {name: (table.rows, table.sum) for name, table in made.manifest.tables.items()}
    for dsn in (target, copy):
        sums = {name: (table.rows, table.sum) for name, table in sums_of(dsn).items()}
        assert {n for n in expected if sums[n] != expected[n]} <= {
            MIGRATIONS_TABLE,
            "public.installation",
        }
        assert ask(dsn, WRONG_ACCOUNTS) == []
        assert ask(dsn, DOCUMENTS) == ask(database, DOCUMENTS)
    with open_backup(path) as backup:
        assert backup.manifest == made.manifest
    # Others wrote while it was made, and what they wrote later is not in it.
    in_backup, now = (
        ask(dsn, "select count(*) from public.payments") for dsn in (target, database)
    )
    assert 0 < in_backup[0][0] < now[0][0]

    billed = [next_month(dsn, tmp_path / name) for name, dsn in (("a", target), ("b", copy))]
    assert billed[0] == billed[1]
    assert len([row for row in billed[0] if row[0].startswith("M")]) == 12


def next_month(dsn: str, data_dir: Path) -> list[tuple[Any, ...]]:
    """Run the monthly bills on a database, as of the 1st; its bills."""
    settings = load_settings({"DATABASE_URL": dsn, "DATA_DIR": str(data_dir)})
    services = build_services(settings, step_handlers={})
    try:
        run = run_job(services, "monthly_bills", AFTER_TWO + timedelta(minutes=5), "drill")
        # The writers' meters that they did not come to have no reading, in both.
        assert (run.status, run.done_count) == ("done", 12), run.detail
    finally:
        services.close()
    assert ask(dsn, WRONG_ACCOUNTS) == []
    return ask(dsn, BILLS)
