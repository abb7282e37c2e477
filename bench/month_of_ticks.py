"""Whether the scheduler's memory stays flat over every minute of 30 days, jobs included.

The clock is moved, nobody waits. Run: python -m bench.month_of_ticks [DAYS]
"""

import gc
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import psycopg

from scheduler import Scheduler
from services.bootstrap import build_services
from services.container import Services
from services.database.embedded import EmbeddedPostgres
from services.demo import load_demo_if_empty
from services.settings import load_settings

# The 28th: a month's end and a 1st lie within the days that follow.
BEGIN: Final = datetime(2026, 10, 28, tzinfo=UTC)
MINUTE: Final = timedelta(minutes=1)


def memory_bytes() -> int:
    """What this process holds in memory now (Linux)."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def objects() -> Counter[str]:
    """How many objects of each type are alive, once all garbage is gone."""
    gc.collect()
    return Counter(type(one).__name__ for one in gc.get_objects())


def minutes(services: Services, *, begin: datetime, count: int) -> Iterator[int]:
    """Let a scheduler live through so many minutes; after each, its number."""
    now = begin
    scheduler = Scheduler(services, clock=lambda: now)
    for minute in range(count):
        now = begin + minute * MINUTE
        for do in (scheduler.tick, scheduler.sweep, scheduler.watch_operation):
            do()
        while threads := scheduler.threads.alive():
            threads[0].join()
        yield minute


def main(days: int = 30) -> None:
    """Measure, and print a line for each day."""
    with tempfile.TemporaryDirectory(prefix="billing-bench-") as name:
        Path(name).chmod(0o755)
        with EmbeddedPostgres(Path(name)) as server:
            settings = load_settings({"DATA_DIR": name, "DEMO": "on", "EMBEDDED_GRAPH": "off"})
            services = build_services(settings)
            load_demo_if_empty(services, BEGIN)
            with psycopg.connect(server.database("demo")) as connection:
                connection.execute("update public.installation set installed_at = %s", [BEGIN])
            _measure(services, days)
            services.close()


def _measure(services: Services, days: int) -> None:
    began, first = time.monotonic(), Counter[str]()
    for minute in minutes(services, begin=BEGIN, count=days * 24 * 60):
        if minute % (24 * 60) != 24 * 60 - 1:
            continue
        alive = objects()
        first = first or alive
        grown = ", ".join(f"{kind} +{n}" for kind, n in (alive - first).most_common(4))
        print(
            f"day {minute // (24 * 60) + 1}: {memory_bytes() / 1e6:.1f} MB, "
            f"{alive.total():,} objects, {time.monotonic() - began:.0f} s; since day 1: {grown}",
            flush=True,
        )


if __name__ == "__main__":
    main(*(int(text) for text in sys.argv[1:2]))
