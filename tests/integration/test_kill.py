"""kill -9 at any step: afterwards the reading is absent, or billed once and nothing is owed."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from services.settings import PROJECT_FOLDER
from tests.integration.killed_story import (
    CASES,
    LEASE_SECONDS,
    PAYMENT_LINK,
    handlers_that_note,
    serial_of,
)
from tests.integration.utility import Utility, make_utility

# A listener hears of step 7's end only after its transaction: from there on the bill is safe.
COMMITTED = {case for case in CASES if case == (7, "done") or case[0] > 7}


@pytest.fixture
def after_the_kills(database: str, tmp_path: Path) -> Utility:
    """A utility some of whose readings were being submitted when their process was killed."""
    handlers = handlers_that_note(tmp_path / "notes")
    utility = make_utility(database, tmp_path, step_handlers=handlers, lease_seconds=LEASE_SECONDS)
    for case in CASES:
        utility.add_meter(serial_of(*case))
    command = [sys.executable, "-m", "tests.integration.killed_story", database, str(tmp_path)]
    command.append(utility.now.isoformat())
    killer = subprocess.run(
        command, cwd=PROJECT_FOLDER, check=True, capture_output=True, timeout=120
    )
    assert json.loads(killer.stdout) == [-9] * len(CASES)
    return utility


@pytest.mark.slow
def test_a_killed_story_left_nothing_or_is_finished_after_the_restart(
    after_the_kills: Utility, tmp_path: Path
) -> None:
    utility = after_the_kills
    billed = {b.meter_serial for b in utility.services.database.bills(page_size=100).items}
    assert billed == {serial_of(*case) for case in COMMITTED}
    notes_before = (tmp_path / "notes").read_text().split("\n")

    time.sleep(LEASE_SECONDS + 0.5)
    while utility.services.outbox.sweep(limit=50):
        pass

    notes = (tmp_path / "notes").read_text().split("\n")
    for step, moment in COMMITTED:
        (bill,) = utility.bills_of(serial_of(step, moment))
        assert bill.money(bill.total_minor).text == "540.35"
        assert bill.payment_url == PAYMENT_LINK
        (outbox,) = utility.services.database.outbox_of(bill.id)
        assert outbox.status == "finished"
        assert {s.status for s in outbox.steps.values()} == {"done"}
        for done in range(8, 14):
            line = f"{bill.id} bill_issued {done}"
            # Only the step that was under way may run again; what was recorded never does.
            again = 2 if (done, "done") == (step, moment) and line in notes_before else 1
            assert 1 <= notes.count(line) <= again

    for case in CASES:
        serial = serial_of(*case)
        answer = utility.submit(serial, 1117, key=f"key-{serial}")
        assert answer.outcome == ("replay" if case in COMMITTED else "billed")
        assert len(utility.bills_of(serial)) == 1
    utility.services.close()
