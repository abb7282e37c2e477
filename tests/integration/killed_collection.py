"""Run by test_meter_retries.py: collects smart meters, one a batch, and kills itself in mid-run."""

import os
import signal
import sys
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from services.jobs import meter_collection
from services.jobs.by_hand import run_job
from tests.integration.utility import make_utility


def main(dsn: str, folder: str, at: str, url: str, batches: str) -> None:
    """Die by SIGKILL before the batch after so many."""
    utility = make_utility(dsn, Path(folder))
    meter_collection.BATCH = 1
    database = utility.services.database
    store = database.store_collected
    stored: list[int] = []

    def store_or_die(**params: Any) -> tuple[set[str], set[str]]:
        if len(stored) == int(batches):
            os.kill(os.getpid(), signal.SIGKILL)
        stored.append(1)
        return store(**params)

    database.store_collected = store_or_die  # type: ignore[method-assign]
    services = replace(utility.services, headend_url=url)
    run_job(services, "meter_collection", datetime.fromisoformat(at), "the one that dies")


if __name__ == "__main__":
    main(*sys.argv[1:])
