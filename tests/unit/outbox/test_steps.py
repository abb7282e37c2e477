"""How a step stands, in words: only what failed once is said to be tried again."""

import pytest

from services.outbox.steps import StepOutcome
from services.records.outbox import StepStatus


@pytest.mark.parametrize(
    ("status", "detail", "state"),
    [
        ("pending", "", "waiting"),
        ("pending", "the service is down", "will be tried again"),
        ("pending", "to be tried again", "will be tried again"),
        ("pending", "waits for step 9", ""),
        ("pending", "waits for the payment link", ""),
        ("skipped", "not configured", "skipped"),
        ("failed", "the account is closed", "failed"),
        ("running", "", "under way"),
        ("done", "sent", ""),
    ],
)
def test_the_state_of_a_step(status: StepStatus, detail: str, state: str) -> None:
    assert StepOutcome(11, status, detail).state == state
