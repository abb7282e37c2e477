"""Systems, workers and the database killed in the middle of the monthly run, as it is started."""

import os
import sys
from uuid import uuid4

import pytest

from bench.killed_run import Drill, both_runs, compare

# Not imported here: what it sets is for those processes alone.
START = "from tests.integration.runs.hasty_system import start; start()"


# Some 40 s; more where others are at work.
@pytest.mark.timeout(400)
@pytest.mark.slow
def test_a_run_whose_processes_and_database_are_killed_is_as_if_left_alone(
    capsys: pytest.CaptureFixture[str],
) -> None:
    drill = Drill(
        meters=1_000,
        kills=4,
        processes=2,
        seed=os.environ.get("SEED") or str(uuid4()),
        program=(sys.executable, "-c", START),
        restart_seconds=1.0,
    )
    alone, killed = both_runs(drill)
    assert compare(drill, alone, killed) == []
    assert killed.results.bills == alone.results.bills > drill.meters * 0.9
    assert min(alone.messages.total(), killed.messages.total()) > 0
    with capsys.disabled():
        sys.stdout.write(f" [SEED={drill.seed}, {dict(killed.killed)}, {killed.seconds:.0f} s] ")
