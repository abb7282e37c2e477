"""Outbox entries with the state of each step: records."""

from datetime import datetime
from typing import Final, Literal

from pydantic import Field

from services.records.base import Record
from services.records.bills import Bill

# The fact that names further bills, by their ids, which a new bill's message mentions.
TELLS_OF: Final = "tells_of"
# What is to pay for all of them, as a message says it.
LEFT_IN_ALL: Final = "left_in_all"
OutboxKind = Literal[
    "bill_issued",
    "payment_reminder",
    "overdue_notice",
    "payment_received",
    "balance_changed",
    "bill_corrected",
]
StepStatus = Literal["running", "done", "pending", "skipped", "failed"]


class StepState(Record):
    """Where one step stands."""

    status: StepStatus
    detail: str = ""
    # What later steps need of this one, such as the text of the message.
    facts: dict[str, str] = Field(default_factory=dict)


class OutboxEntry(Record):
    """What is still to be done for a bill after its commit, a state a step (steps 8 to 13)."""

    id: str
    bill_id: str
    kind: OutboxKind
    steps: dict[int, StepState]
    status: Literal["open", "finished", "given_up"]
    attempts: int
    lease_owner: str | None = None
    created_at: datetime
    bill: Bill | None = None
    # Which one, where a bill has several of a kind, and what it is about.
    occasion: str = ""
    facts: dict[str, str] = Field(default_factory=dict)
