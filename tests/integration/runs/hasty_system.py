"""Begun by test_killed_run.py: the system as it is started, with leases and ticks of some seconds.

Worker processes import this, too, for what they do is a function of it.
"""

import sys
import time
from functools import partial
from typing import Any

import scheduler
from services import workers
from services.__main__ import main
from services.container import Services
from services.jobs import due_runs, monthly_bills, runs

LEASE_SECONDS = 4
TICK_SECONDS = 2
PART_SECONDS = 0.5

_begin = workers._begin
_bill_part = monthly_bills.bill_part
_every_minute = scheduler.CronTrigger  # type: ignore[attr-defined]

monthly_bills.BATCH = 10
monthly_bills.A_PART = 50
monthly_bills.ENOUGH_TO_SPREAD = 1
runs.PAUSES_SECONDS = (1.0, 2.0, 3.0)
due_runs.claim = partial(runs.claim, lease_seconds=LEASE_SECONDS)  # type: ignore[attr-defined]


def bill_part(services: Services, part: Any) -> list[str]:
    """As the system's own, in small batches; long enough for what is to be killed in the middle."""
    time.sleep(PART_SECONDS)
    return _bill_part(services, part)


def begin() -> None:
    """As the system's own, without giving way to whatever else a machine of tests is at."""
    workers._NICENESS = 0  # type: ignore[misc]
    _begin()


def _often(*, second: int, timezone: Any) -> Any:
    del second
    return _every_minute(second=f"*/{TICK_SECONDS}", timezone=timezone)


workers._begin = begin
monthly_bills.bill_part = bill_part
scheduler.CronTrigger = _often  # type: ignore[attr-defined]


def start() -> None:
    """As `python -m services start`."""
    sys.exit(main(["start"]))
