"""How long people and Stripe wait while the monthly bills are made, and how long without that.

`python -m bench.beside_run [--workers N] [--months N] [METERS]`; in one process with the run, as
the pages are.
"""

import argparse
import logging
import os
import statistics
import threading
import time
from collections.abc import Callable
from itertools import cycle
from typing import Final

from app import create_app
from bench.beside_asks import Ask, asks, page_asks
from bench.database import OwnDatabase, own_database
from bench.large_utility import fill
from bench.monthly_run import AT
from bench.webhook import SECRET, WORKERS
from scheduler import Scheduler
from services.bootstrap import run_with
from services.container import Services
from services.jobs.by_hand import run_job
from tests.integration.api.serving import serving

METERS: Final = 100_000
QUIET_SECONDS: Final = 30
PAUSE_SECONDS: Final = 0.05
# Pages whose 95th percentile is above this are named.
SLOW_MS: Final = 300

Times = dict[str, list[float]]


def main() -> None:
    """Ask for a while, then ask while the run goes on; medians and 95th percentiles of both."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--months", type=int, default=1)
    parser.add_argument("meters", type=int, nargs="?", default=METERS)
    given = parser.parse_args()
    with own_database() as own:
        with own.owner() as connection:
            fill(connection, customers=given.meters, months=given.months)
        measure(own, given.meters, months=given.months, workers=given.workers)


def measure(own: OwnDatabase, meters: int, *, months: int, workers: int) -> None:
    """Compare on a database that was filled."""
    services = own.services(
        workers=workers,
        TIMEZONE="Asia/Kolkata",
        STRIPE_SECRET_KEY="sk_test_x",  # noqa: S106 - opens nothing
        STRIPE_WEBHOOK_SECRET=SECRET,
    )
    # The servers of pages and of payments would say each request.
    logging.disable(logging.INFO)
    # Started by nobody: it does nothing of its own here.
    run_with(services, Scheduler(services))
    with own.owner() as connection, serving(create_app(services), payment_workers=WORKERS) as port:
        asked = asks(services, connection, meters=meters, months=months, port=port)
        _compare(services, meters, asked, page_asks(services, months=months))
    run_with(None)
    services.database.close()


def _compare(services: Services, meters: int, asked: dict[str, Ask], pages: dict[str, Ask]) -> None:
    for ask in pages.values():
        # What a first visit loads is not what is measured.
        ask()
    began = time.monotonic()
    quiet = _times(asked, pages, lambda: time.monotonic() - began < QUIET_SECONDS)
    run = threading.Thread(target=run_job, args=(services, "monthly_bills", AT, "bench"))
    run.start()
    beside = _times(asked, pages, run.is_alive)
    print(f"{meters:,} meters, load {os.getloadavg()[0]:.1f}; median and 95th percentile in ms:")
    for label in asked:
        _show(label, quiet[label], beside[label])
    both = [[ms for one in pages for ms in of[one]] for of in (quiet, beside)]
    _show(f"{len(pages)} pages", *both)
    for label in pages:
        if beside[label] and max(beside[label]) > SLOW_MS:
            _show(label, quiet[label], beside[label])


def _times(asked: dict[str, Ask], pages: dict[str, Ask], go_on: Callable[[], bool]) -> Times:
    """How long each took in milliseconds, in turn and a page after each turn, while it goes on."""
    taken: Times = {label: [] for label in (*asked, *pages)}
    turns = cycle(pages)
    while go_on():
        for label, ask in [*asked.items(), (page := next(turns), pages[page])]:
            start = time.perf_counter()
            try:
                ask()
            except StopIteration:
                return taken
            taken[label].append((time.perf_counter() - start) * 1000)
            time.sleep(PAUSE_SECONDS)
    return taken


def _show(label: str, before: list[float], during: list[float]) -> None:
    print(
        f"{label:32}{_words(before)} without, {_words(during)} during the run "
        f"({len(during)} times)",
        flush=True,
    )


def _words(times: list[float]) -> str:
    if not times:
        return "-"
    return f"{statistics.median(times):.0f} and {sorted(times)[int(len(times) * 0.95)]:.0f}"


if __name__ == "__main__":
    main()
