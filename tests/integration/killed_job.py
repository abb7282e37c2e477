"""Run by test_jobs.py: makes the monthly bills, a meter a batch, and kills itself in mid-run."""

import os
import signal
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

from services.jobs import monthly_bills
from services.jobs.by_hand import run_job
from tests.integration.utility import make_utility


def main(dsn: str, folder: str, at: str, batches: str) -> None:
    """Die by SIGKILL before the batch after so many."""
    utility = make_utility(dsn, Path(folder))
    monthly_bills.BATCH = 1
    database = utility.services.database
    store = database.store_job_bills
    stored: list[int] = []

    def store_or_die(**params: Any) -> tuple[int, list[str]]:
        if len(stored) == int(batches):
            os.kill(os.getpid(), signal.SIGKILL)
        stored.append(1)
        return store(**params)

    database.store_job_bills = store_or_die  # type: ignore[method-assign]
    run_job(utility.services, "monthly_bills", datetime.fromisoformat(at), "the one that dies")


if __name__ == "__main__":
    main(*sys.argv[1:])
