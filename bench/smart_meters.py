"""How long 10,000 smart meters take with a head-end that fails, delays and lies.

Run: python -m bench.smart_meters [METERS]
"""

import os
import resource
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from bench.database import own_database
from bench.faulty_head_end import faulty_head_end
from bench.utility import load_meters, register_kwh
from services.container import Services
from services.jobs.by_hand import run_job
from services.quantities.counting import count
from services.records.jobs import JobRun

METERS: Final = 10_000
MONTHS: Final = 12
DELAY_SECONDS: Final = 2.0
SUNDAY: Final = datetime(2026, 11, 1, 2, 30, tzinfo=UTC)


def collect(
    services: Services, *, at: datetime, kwh: int, delay_seconds: float
) -> tuple[JobRun, float]:
    """One run of the collection from a faulty head-end, and how many seconds it took."""
    with faulty_head_end(kwh=kwh, read_at=at, delay_seconds=delay_seconds) as url:
        began = time.monotonic()
        run = run_job(replace(services, headend_url=url), "meter_collection", at, "the benchmark")
        return run, time.monotonic() - began


def main() -> None:
    """Load, collect, print."""
    meters = int(sys.argv[1]) if len(sys.argv) > 1 else METERS
    with own_database() as own:
        services = own.services()
        load_meters(services, meters=meters, now=SUNDAY, months=MONTHS, kind="smart")
        with own.owner() as connection:
            # As autovacuum does within minutes; without it each look-up reads whole tables.
            connection.execute("analyze")
        before = _peak_mb()
        kwh = register_kwh(MONTHS + 1)
        run, seconds = collect(services, at=SUNDAY, kwh=kwh, delay_seconds=DELAY_SECONDS)
        grown = _peak_mb() - before
        services.database.close()
    print(
        f"{count(meters, 'smart meter')}, of 100 five fail, five take {DELAY_SECONDS} s, one lies:"
    )
    print(
        f"{run.done_count:,} readings stored, {run.failed_count:,} meters set aside, {run.status}"
    )
    rate = meters / seconds
    print(f"{seconds:.1f} s, {rate:.0f} meters a second; memory grew by {grown:.0f} MB")
    print(f"load of the machine {os.getloadavg()[0]:.1f}")


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
