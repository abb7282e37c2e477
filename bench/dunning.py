"""How fast bills are reminded of and marked overdue, each beside the same rows written bare.

`python -m bench.dunning [BILLS …]`; a million bills take some 8 GB of disk while it runs.
"""

import os
import statistics
import sys
import time
from collections.abc import Callable
from datetime import date
from typing import Any, Final

import psycopg

from bench.database import own_database
from bench.large_utility import fill
from services.database.service import DatabaseService
from services.database.transports.postgres import DirectTransport
from services.jobs.overdue_marking import BATCH
from services.records.jobs import DueCursor

SIZES: Final = (10_000, 100_000)
ROUNDS: Final = 5
DUE: Final = date(2026, 11, 16)
REMINDED: Final = date(2026, 11, 14)
MARKED: Final = date(2026, 11, 17)
OWED: Final = {
    "status": "open",
    "steps": {str(step): {"status": "pending", "detail": ""} for step in (11, 12, 13)},
}
# All are due on one day, as those of a monthly run are; of each hundred one is spared.
ALL_DUE: Final = """
    set session_replication_role = replica;
    update bills set amount_paid_minor = 0, overdue_since = null, due_date = '2026-11-16'
    where status = 'issued';
    update open_items set open_minor = greatest(0, amount_minor);
    insert into spared_bills (bill_id, reason, source)
    select id, 'money_returned', 'bench' from bills
    where ('x' || substr(md5(id::text), 1, 4))::bit(16)::integer % 100 = 0;
    reset session_replication_role"""
_BARE_KEYS: Final = """
    select array_agg(id) from (select id from bills where id > %s order by id limit %s) x"""
_BARE_MARK: Final = "update bills set overdue_since = due_date + 1 where id = any (%s)"
_BARE_TRAIL: Final = """
    insert into audit_log (actor, action, table_name, row_id, customer_id, meter_id, before, after)
    select 'bench', 'update', 'bills', b.id::text, b.customer_id, b.meter_id,
           '{"overdue_since": null}', '{"overdue_since": "2026-11-17"}'
    from bills b where b.id = any (%s)"""
_BARE_GRAPH: Final = """
    insert into graph_changes (bill_id) select unnest(%s::uuid[])
    on conflict (bill_id) do update set changed_at = clock_timestamp()"""
_BARE_OWED: Final = """
    insert into outbox (id, bill_id, kind, occasion, steps)
    select gen_random_uuid(), b, %s, 'bare', %s::jsonb from unnest(%s::uuid[]) b"""

Batch = Callable[[DueCursor | None], tuple[int, DueCursor | None]]


def main() -> None:
    """A table for each number of bills."""
    for bills in [int(size) for size in sys.argv[1:]] or SIZES:
        with own_database() as own, own.owner() as connection:
            fill(connection, customers=bills)
            connection.execute(ALL_DUE.encode())
            connection.execute("vacuum full bills")
            connection.execute("vacuum analyze")
            _report(DatabaseService(DirectTransport(own.dsn)), connection, bills)


def _report(database: DatabaseService, connection: psycopg.Connection[Any], bills: int) -> None:
    _, run = database.claim_job_run(
        job="overdue_marking",
        scheduled_on=MARKED,
        owner="bench",
        lease_seconds=3600,
        started_by="bench",
    )
    ref = run.ref(lease_seconds=3600)

    def remind(after: DueCursor | None) -> tuple[int, DueCursor | None]:
        return database.queue_reminders(
            run=ref,
            today=REMINDED,
            until=DUE,
            limit=BATCH,
            outbox=OWED,
            balance_changed=OWED,
            after=after,
        )

    def mark(after: DueCursor | None) -> tuple[int, DueCursor | None]:
        return database.mark_overdue(
            actor="bench",
            run=ref,
            today=MARKED,
            limit=BATCH,
            outbox=OWED,
            balance_changed=OWED,
            after=after,
        )

    print(f"{bills:,} bills due, batches of {BATCH}; load {os.getloadavg()[0]:.1f}")
    print(f"{'':22}{'bills/s':>10}{'slowest':>10}{'bare SQL':>12}{'ratio':>8}")
    for label, batch, bare in (
        ("reminders", remind, ("payment_reminder", False)),
        ("overdue marking", mark, ("overdue_notice", True)),
    ):
        times = _times(batch)
        raw = _bare(connection, *bare)
        median, slowest = statistics.median(times), max(times)
        print(
            f"{label:22}{1 / median:>10,.0f}{1 / slowest:>10,.0f}{1 / raw:>12,.0f}"
            f"{median / raw:>8.2f}",
            flush=True,
        )
    print(f"load at the end {os.getloadavg()[0]:.1f}", flush=True)


def _times(batch: Batch) -> list[float]:
    """Seconds a bill, of each fifth of the run."""
    batches: list[tuple[int, float]] = []
    following: DueCursor | None = None
    while True:
        start = time.perf_counter()
        count, following = batch(following)
        batches.append((count, time.perf_counter() - start))
        if following is None:
            break
    return _by_fifths(batches)


def _by_fifths(batches: list[tuple[int, float]]) -> list[float]:
    size = max(1, len(batches) // ROUNDS)
    rounds = [batches[i : i + size] for i in range(0, size * ROUNDS, size)]
    return [
        sum(seconds for _, seconds in r) / max(1, sum(count for count, _ in r)) for r in rounds if r
    ]


def _bare(connection: psycopg.Connection[Any], kind: str, marks: bool) -> float:
    """Seconds a bill for the same rows in bare statements, without a trigger."""
    connection.execute("set session_replication_role = replica")
    steps = psycopg.types.json.Jsonb(OWED["steps"])
    batches: list[tuple[int, float]] = []
    after = "00000000-0000-0000-0000-000000000000"
    while True:
        row = connection.execute(_BARE_KEYS, (after, BATCH)).fetchone()
        keys = row[0] if row else None
        if not keys:
            break
        start = time.perf_counter()
        with connection.transaction():
            if marks:
                for statement in (_BARE_MARK, _BARE_TRAIL, _BARE_GRAPH):
                    connection.execute(statement, (keys,))
            connection.execute(_BARE_OWED, (kind, steps, keys))
        batches.append((len(keys), time.perf_counter() - start))
        after = keys[-1]
    connection.execute("reset session_replication_role")
    return statistics.median(_by_fifths(batches))


if __name__ == "__main__":
    main()
