"""The scheduler's ticks, looks and jobs leave nothing behind in memory."""

import gc
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from scheduler import Scheduler
from tests.integration.job_tools import AFTER_TWO, installed
from tests.integration.utility import make_utility

# Four days, with each daily job in each of them.
STEP = timedelta(minutes=45)
ROUNDS = 128


def test_days_of_ticks_leave_no_object_behind(
    fresh_database: Callable[[], str], tmp_path: Path
) -> None:
    dsn = fresh_database()
    utility = make_utility(dsn, tmp_path)
    installed(dsn, AFTER_TWO - timedelta(hours=1))
    now = AFTER_TWO
    scheduler = Scheduler(utility.services, clock=lambda: now)

    def alive() -> Counter[str]:
        gc.collect()
        return Counter(type(one).__name__ for one in gc.get_objects())

    counts = []
    for n in range(ROUNDS):
        now = AFTER_TWO + n * STEP
        for do in (scheduler.tick, scheduler.sweep, scheduler.watch_operation):
            do()
        while threads := scheduler.threads.alive():
            threads[0].join(30)
        if n % 32 == 31:
            counts.append(alive())
    utility.services.close()
    # All that is made once was made in the first round.
    grown = counts[-1] - counts[1]
    assert max(grown.values(), default=0) < ROUNDS // 4, grown.most_common(5)
